"""When deals start, what people ask for, and what a start of the bot finds."""

from __future__ import annotations

from typing import Any

from bots.strategies.dca import deals
from bots.strategies.dca.ladder import least_exit
from bots.strategies.dca.machine import Machine
from bots.strategies.dca.state import BY_HAND, GEN, KEPT, TOLD, WORKS, learn_market, on_step
from bots.strategies.desk import RESUMES
from trading.core.types import DONE_STATUSES, Command, Side

LEVELS_MOVE = frozenset({"start", "edit"})  # older extremes say nothing about what these set
EXTREME, CONDITION = "extreme", "condition"  # names of the signals


# --- people ---------------------------------------------------------------------------------------------------------


def obey(machine: Machine) -> None:
    """Do what people asked, and ask again for what was refused once its time has come."""
    state = machine.state
    kinds = {command.kind for command in machine.commands}
    if state["look"] or not RESUMES.isdisjoint(kinds):
        learn_market(state, machine.market.rules)
    if "start" in kinds:
        resync(machine)
    if not RESUMES.isdisjoint(kinds):
        state.update(held_back=0, retry_ms=0)
        machine.unblock("parked")
        machine.unblock("refused")
        machine.everything = True
        machine.moved.update(() if LEVELS_MOVE.isdisjoint(kinds) else machine.deals)
    elif state["retry_ms"] and machine.view.now_ms >= state["retry_ms"]:
        state["retry_ms"] = 0
        machine.unblock("refused")
        machine.everything = True
    for command in machine.commands:
        _obey(machine, command)


def _obey(machine: Machine, command: Command) -> None:
    if command.kind == "pause":
        machine.state["held_back"] = 1
    elif command.kind in ("close", "cancel_deal"):
        if not command.args.get("deal"):  # all of them: that is meant to last
            machine.state["held_back"] = 1
        for seat in _seats(machine, command):
            deals.end(machine.deal(seat), BY_HAND if command.kind == "close" else KEPT)
    elif command.kind == "add_funds":
        value = _amount(command.args.get("quote"))
        seats = _seats(machine, command)
        if value > 0 and len(seats) == 1:
            deal = machine.deal(seats[0])
            deal["add"] = machine.sum(deal["add"], on_step(value / machine.market.last, machine.state["lot"]))


def _seats(machine: Machine, command: Command) -> list[str]:
    """Return the seats of the deals that a command means: the one it names, or all."""
    named = str(command.args.get("deal") or "")
    return [seat for seat in sorted(machine.deals) if named in ("", seat) and not machine.deals[seat]["ending"]]


def _amount(raw: Any) -> float:
    try:
        value = float(raw)
    except (TypeError, ValueError):
        return 0.0
    return value if 0 < value < 1e15 else 0.0


def resync(machine: Machine) -> None:
    """Begin with what is there: orders that ended while the bot was stopped, and coins that came or went meanwhile."""
    for slot, known in tuple(machine.live.items()):
        seen = machine.view.slots.get(slot)
        if seen is None or seen.gen != known[GEN] or seen.status in DONE_STATUSES:
            machine.orders.pop(slot, None)
            del machine.live[slot]
        else:
            machine.live[slot] = [known[GEN], seen.filled_qty, WORKS]
    machine.state["ending"] = ""
    _count(machine)


def _count(machine: Machine) -> None:
    """Compare the position with the deals, each in the direction in which it was opened, whatever it would be now."""
    state, position = machine.state, machine.market.position
    held = machine.sum(*(deal["qty"] for deal in machine.deals.values()))
    long = next((bool(deal["long"]) for deal in machine.deals.values()), position.qty > state["kept"])
    sign = 1 if long else -1
    spare = machine.sum(position.qty, -sign * held)
    kept = max(0.0, min(state["kept"], spare)) if spare > 0 else min(0.0, max(state["kept"], spare))
    there = machine.sum(sign * position.qty, -sign * kept)
    for seat in sorted(machine.deals, reverse=True):
        if held > there:
            held = machine.sum(held, -_give_up(machine, seat, machine.sum(held, -there)))
    state["kept"] = machine.sum(kept, sign * min(0.0, there))
    if there > held and machine.fits(machine.sum(there, -held), machine.market.last):
        _take_over(machine, long, machine.sum(there, -held), position.avg_price)


def _give_up(machine: Machine, seat: str, qty: float) -> float:
    """Take coins that are gone off a deal; returns how many."""
    deal = machine.deal(seat)
    gone = min(qty, deal["qty"])
    part = gone / deal["qty"] if deal["qty"] else 0.0
    deal["cost"] -= deal["cost"] * part
    deal["fees"] -= deal["fees"] * part
    deal["due"] -= deal["due"] * part
    deal["left"] = machine.sum(deal["left"], gone)
    deal["qty"] = machine.sum(deal["qty"], -gone)
    return float(gone)


def _take_over(machine: Machine, long: bool, qty: float, average: float) -> None:
    """Look after coins that belong to no deal: they join the first deal, or make one without safety orders."""
    seat = min(machine.deals, default="1")
    if seat not in machine.deals:
        machine.begin(seat, long)["steps"] = []
    deal = machine.deal(seat)
    deal["cost"] += qty * average
    deal["qty"] = machine.sum(deal["qty"], qty)


# --- the start of a deal --------------------------------------------------------------------------------------------


def has_room(machine: Machine) -> bool:
    """Say whether another deal may start, as soon as its time and its condition have come."""
    state, recipe = machine.state, machine.recipe
    if state["ending"] or state["held_back"] or len(machine.deals) >= recipe.deals:
        return False
    if recipe.last_deal is not None and state["ended"] + len(machine.deals) >= recipe.last_deal:
        return False
    return all(bool(deal["long"]) == recipe.long for deal in machine.deals.values()) and not in_the_way(machine)


def in_the_way(machine: Machine) -> float:
    """Return how much of a perpetual is held on the other side, of no deal: it would net with a deal that starts now,
    whose exit then had nothing to reduce."""
    kept, sign = machine.state["kept"], 1 if machine.recipe.long else -1
    if sign * kept >= 0 or machine.market.rules.perpetual is None:
        return 0.0
    held = machine.sum(*(deal["qty"] for deal in machine.deals.values()))
    against = min(-sign * kept, machine.sum(held, -sign * machine.market.position.qty))  # closed by hand meanwhile?
    return float(against) if machine.fits(against, machine.market.last) else 0.0


def start_level(machine: Machine) -> float | None:
    """Return the price of the start after a drop (short: a rise), None while it isn't known."""
    extreme = machine.market.signals.get(EXTREME)
    if extreme is None:
        return None
    return float(extreme * (1 - machine.recipe.drop if machine.recipe.long else 1 + machine.recipe.drop))


def is_start(machine: Machine) -> bool:
    """Say whether the start condition holds now."""
    recipe = machine.recipe
    if any(command.kind == "signal" for command in machine.commands) or recipe.start == "immediately":
        return True
    if recipe.start == "condition":
        return machine.market.signals.get(CONDITION) is True
    if recipe.start == "price_drop":
        level, last = start_level(machine), machine.market.last
        return level is not None and (last <= level if recipe.long else last >= level)
    return False


def open_deal(machine: Machine) -> None:
    """Start a deal if there is room, its time has come and its condition holds."""
    state, now = machine.state, machine.view.now_ms
    if state["retry_ms"] or now < state["ready_ms"] or not has_room(machine) or not is_start(machine):
        return
    recipe, price = machine.recipe, machine.market.last
    limit = None
    if recipe.limit:
        limit = price = machine.price(price, Side.BUY if recipe.long else Side.SELL)
    funds = _funds(machine) if recipe.unit == "percent" else 0.0
    qty = machine.quantity(recipe.base, price, funds)
    leaving = Side.SELL if recipe.long else Side.BUY
    if not machine.fits(qty, machine.price(least_exit(recipe, price, machine.market.fees), leaving)):
        machine.later()
        return
    seat = next(str(n) for n in range(1, recipe.deals + 1) if str(n) not in machine.deals)
    deals.start(machine, seat, qty, limit, funds)
    deals.settle(machine, seat)


def _funds(machine: Machine) -> float:
    """Return the whole budget in quote: what is free, in deals, and promised to their orders."""
    quote = machine.market.rules.quote
    leverage = machine.recipe.leverage if machine.market.rules.perpetual else 1.0
    tied = sum(deal["cost"] for deal in machine.deals.values()) / leverage
    wants = [(machine.orders[slot], known) for slot, known in machine.live.items() if slot in machine.orders]
    promised = sum((want.qty - known[TOLD]) * want.price for want, known in wants if want.price and not want.reduce)
    return float(machine.view.budget.get(quote, 0.0) + tied + promised / leverage)
