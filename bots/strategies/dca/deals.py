"""The life of a deal: base order, safety orders, exit, end. Each function takes one step and may be called again."""

from __future__ import annotations

from bots.strategies.dca.ladder import Held, Recipe, break_even_price, stop_price, target_price
from bots.strategies.dca.machine import NOISE, Machine
from bots.strategies.dca.state import (
    ADD,
    BASE,
    ENDED,
    EXIT,
    KEPT,
    NOTHING,
    STOP_LOSS,
    TAKE_PROFIT,
    TOLD,
    TOO_SMALL,
    WORKS,
    Deal,
    base_price,
    safety_name,
    slot_of,
)
from trading.core.types import Kind, Side, Trail, Want


def adding_side(deal: Deal) -> Side:
    return Side.BUY if deal["long"] else Side.SELL


def leaving_side(deal: Deal) -> Side:
    return Side.SELL if deal["long"] else Side.BUY


def held_of(deal: Deal) -> Held:
    return Held(deal["qty"], deal["cost"], deal["fees"], deal["due"])


# --- the beginning --------------------------------------------------------------------------------------------------


def start(machine: Machine, seat: str, qty: float, limit: float | None, funds: float) -> None:
    """Open a deal on a free seat with its base order."""
    deal = machine.begin(seat, machine.recipe.long)
    deal.update(size=qty, limit=limit, funds=funds)
    machine.ask(seat, BASE, adding_side(deal), qty, limit)
    machine.state["ready_ms"] = machine.view.now_ms + machine.recipe.cooldown_ms


def await_base(machine: Machine, seat: str, deal: Deal) -> None:
    """Lay the safety orders out once the base order has ended; withdraw it when it has taken too long."""
    slot = slot_of(seat, BASE)
    if slot in machine.live and machine.view.now_ms >= deal["since_ms"] + machine.recipe.wait_ms:
        machine.withdraw(slot)
    if slot in machine.live:
        return
    if deal["base_qty"]:
        deal["steps"] = lay_out(machine, base_price(deal), deal)
        deal["todo"] = [n for n, (price, qty) in enumerate(deal["steps"], 1) if machine.fits(qty, price)]
    else:
        end(deal, NOTHING)
        if BASE in deal["parked"]:
            machine.state["held_back"] = 1


def lay_out(machine: Machine, price: float, deal: Deal) -> list[list[float]]:
    """Return price and quantity of every safety order for a base order that filled at `price`."""
    sign, side = 1 if deal["long"] else -1, adding_side(deal)
    steps = []
    for ratio, size in machine.recipe.steps:
        at = machine.price(price * (1 - sign * ratio), side)
        steps.append([at, machine.quantity(size, at, deal["funds"])])
    return steps


# --- the middle -----------------------------------------------------------------------------------------------------


def aim(machine: Machine, seat: str, deal: Deal) -> None:
    """Work out where the deal takes its profit and where it stops."""
    if not deal["qty"]:
        return
    recipe, long, held = machine.recipe, bool(deal["long"]), held_of(deal)
    fees, side = machine.market.fees, leaving_side(deal)
    fee = fees.maker if recipe.trail is None else fees.taker
    deal["target"] = machine.price(target_price(recipe, long, held, fee), side)
    if recipe.trail is not None:
        deal["floor"] = machine.price(break_even_price(long, held, fees.taker), side)
    reference = base_price(deal) if deal["base_qty"] else held.cost / held.qty
    stop = stop_price(recipe, long, held, reference)
    if deal["even"]:
        even = break_even_price(long, held, fees.taker)
        stop = even if stop is None else max(stop, even) if long else min(stop, even)
    if stop is not None:
        stop = machine.price(stop, side)  # a stop fires rather earlier than later
    if stop != deal["stop"]:
        deal.update(stop=stop, armed=machine.view.number)
        machine.moved.add(seat)


def settle(machine: Machine, seat: str) -> None:
    """Want what this deal needs next."""
    deal = machine.deal(seat)
    if not deal["ending"] and deal["steps"] is None:
        await_base(machine, seat, deal)
    if not deal["ending"] and deal["left"] and deal["qty"] <= NOISE:
        end(deal, TAKE_PROFIT)
    if not deal["ending"] and _is_stuck(machine, seat, deal):
        end(deal, TOO_SMALL)
    if deal["ending"]:
        leave(machine, seat, deal)
        return
    want_exit(machine, seat, deal)
    want_safety(machine, seat, deal)
    want_add(machine, seat, deal)


def _is_stuck(machine: Machine, seat: str, deal: Deal) -> bool:
    """Say whether what a deal holds is too small to sell and nothing can add to it any more."""
    if deal["todo"] or deal["add"] or deal["steps"] is None or machine.fits(deal["qty"], deal["target"] or 0.0):
        return False
    return not any(True for _ in machine.live_slots(seat))


def want_exit(machine: Machine, seat: str, deal: Deal) -> None:
    """Want the take profit for all that is held: changed where it rests, else a new one."""
    slot = slot_of(seat, EXIT)
    known = machine.live.get(slot)
    trail = _trail(machine, deal)
    if known is not None:
        resting = machine.orders.get(slot)
        if resting is not None:
            _follow(machine, slot, resting, deal, known, trail)
        return
    if machine.blocked(deal, EXIT) or not deal["qty"] or not machine.fits(deal["qty"], deal["target"]):
        return
    price = None if trail else deal["target"]
    machine.ask(seat, EXIT, leaving_side(deal), deal["qty"], price, trail)


def _follow(machine: Machine, slot: str, resting: Want, deal: Deal, known: list[float], trail: Trail | None) -> None:
    """Bring a resting exit to the deal's present quantity and target."""
    qty = machine.sum(known[TOLD], deal["qty"])
    price = None if trail else deal["target"]
    if (resting.qty, resting.price, resting.trail) == (qty, price, trail) or known[ENDED] != WORKS:
        return
    if trail or resting.kind is not Kind.LIMIT:
        machine.withdraw(slot)  # asked for anew once it has ended
    else:
        machine.orders[slot] = resting._replace(qty=qty, price=price)


def _trail(machine: Machine, deal: Deal) -> Trail | None:
    offset = machine.recipe.trail
    return None if offset is None or not deal["qty"] else Trail(deal["target"], offset, floor=deal["floor"])


def want_safety(machine: Machine, seat: str, deal: Deal) -> None:
    """Want the nearest safety orders, as many as may rest at a time."""
    if not deal["todo"]:
        return
    steps, side, room = deal["steps"], adding_side(deal), machine.recipe.active
    blocked = {*deal["parked"], *deal["refused"]}
    for number in deal["todo"]:
        name = safety_name(number)
        slot = slot_of(seat, name)
        if name in blocked:
            continue
        if room <= 0:
            machine.withdraw(slot)
        elif slot not in machine.live:
            price, qty = steps[number - 1]
            machine.ask(seat, name, side, qty, price)
        room -= 1


def want_add(machine: Machine, seat: str, deal: Deal) -> None:
    """Order what a person asked to add, at market, once an earlier one has ended."""
    if ADD in deal["refused"] or ADD in deal["parked"]:  # said once: nobody insists on it
        deal.update(add=0.0, refused=_without(deal["refused"], ADD), parked=_without(deal["parked"], ADD))
    elif deal["add"] and not machine.is_live(seat, ADD):
        machine.ask(seat, ADD, adding_side(deal), deal["add"], None)
        deal["add"] = 0.0


def _without(names: list[str], name: str) -> list[str]:
    return [other for other in names if other != name]


# --- the end --------------------------------------------------------------------------------------------------------


def end(deal: Deal, why: str) -> None:
    """Begin to close a deal. A take profit that a person cancelled doesn't hold that up."""
    deal.update(ending=why, parked=_without(deal["parked"], EXIT), refused=_without(deal["refused"], EXIT))


def check_stop(machine: Machine, seat: str, oldest: str) -> None:
    """End a deal whose stop the price has reached; move the stop to break even once the price is far enough."""
    deal = machine.deals[seat]
    if not deal["qty"] or deal["ending"]:
        return
    market, long = machine.market, bool(deal["long"])
    worst = best = market.last
    if seat not in machine.moved:  # older extremes say nothing about a level set just now
        worst, best = (market.low_since, market.high_since) if long else (market.high_since, market.low_since)
    stop = deal["stop"]
    hit = stop is not None and (worst <= stop if long else worst >= stop)
    if hit or (machine.trail_fired and seat == oldest):
        end(machine.deal(seat), STOP_LOSS)
        return
    level = even_level(machine.recipe, deal)
    if level is not None and (best >= level if long else best <= level):
        deal = machine.deal(seat)
        deal["even"] = 1
        aim(machine, seat, deal)


def even_level(recipe: Recipe, deal: Deal) -> float | None:
    """Return the price from which on the stop stands at break even, None when there is none or it does already."""
    if recipe.even is None or deal["even"] or not deal["qty"]:
        return None
    return float(deal["cost"] / deal["qty"] * (1 + recipe.even if deal["long"] else 1 - recipe.even))


def leave(machine: Machine, seat: str, deal: Deal) -> None:
    """Withdraw every order of a deal and close what it holds at market, as often as it takes."""
    exit_slot = slot_of(seat, EXIT)
    for slot in tuple(machine.live_slots(seat)):
        want = machine.orders.get(slot)
        if want is not None and not (slot == exit_slot and want.kind is Kind.MARKET and deal["ending"] != KEPT):
            machine.withdraw(slot)
    if exit_slot in machine.live:
        return
    keeps = deal["ending"] == KEPT
    sellable = not keeps and machine.fits(deal["qty"], machine.market.last)
    if sellable:
        if not machine.blocked(deal, EXIT):
            machine.ask(seat, EXIT, leaving_side(deal), deal["qty"], None)
        return
    if not any(True for _ in machine.live_slots(seat)):
        _end(machine, seat, deal)


def _end(machine: Machine, seat: str, deal: Deal) -> None:
    state, recipe = machine.state, machine.recipe
    traded = bool(deal["left"] or deal["qty"] or deal["base_qty"])
    if deal["ending"] == STOP_LOSS and recipe.stop_ends:
        state["ending"] = state["ending"] or "Stop loss reached"
    machine.finish(seat, traded=traded)
    if recipe.last_deal is not None and state["ended"] >= recipe.last_deal:
        state["ending"] = state["ending"] or f"{state['ended']} deals are done"
