"""Why DCA trades or doesn't, in words; built only when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator

from bots.strategies.dca import starts
from bots.strategies.dca.machine import Machine
from bots.strategies.dca.state import KEPT, Deal
from trading.core.types import Note, Side, SlotStatus


def explain(machine: Machine) -> tuple[Note, ...]:
    """Return how each deal stands, and what the next one waits for."""
    return (*_deals(machine), *_next(machine))


def _deals(machine: Machine) -> Iterator[Note]:
    for seat, deal in sorted(machine.deals.items()):
        name = f"Deal {deal['number']} (seat {seat})"
        if deal["ending"]:
            sells = bool(deal["qty"]) and deal["ending"] != KEPT
            then = (
                f"; the {deal['qty']:.10g} it holds go at market once its orders have let go of them" if sells else ""
            )
            yield Note("dca.closing", f"{name} is being closed: {deal['ending']}{then}.", {"deal": seat})
        elif not deal["qty"]:
            yield Note("dca.opening", f"{name} waits for its base order.", {"deal": seat})
        else:
            yield _open(machine, name, seat, deal)
        if deal["parked"]:
            text = f"{name}: {', '.join(deal['parked'])} cancelled by hand; back when the bot takes up again."
            yield Note("dca.parked", text, {"deal": seat})
        if deal["refused"]:
            text = f"{name}: {', '.join(deal['refused'])} refused; asked again after a while."
            yield Note("dca.refused", text, {"deal": seat})
    denied = sorted(slot for slot, known in machine.view.slots.items() if known.status is SlotStatus.DENIED)
    for slot in denied:
        if slot in machine.orders:
            yield Note("dca.denied", f"{slot} was denied: {machine.view.slots[slot].reason}.", {"slot": slot})


def _closing(name: str, seat: str, deal: Deal) -> Note:
    text = f"{name} is being closed: {deal['ending']}"
    if deal["qty"] and deal["ending"] != KEPT:
        text += f"; the {deal['qty']:.10g} it holds go at market once its orders have let go of them"
    return Note("dca.closing", f"{text}.", {"deal": seat})


def _open(machine: Machine, name: str, seat: str, deal: Deal) -> Note:
    average = deal["cost"] / deal["qty"]
    text = f"{name} holds {deal['qty']:.10g} at {machine.price(average, Side.BUY):.10g}, target {deal['target']:.10g}"
    if deal["stop"] is not None:
        text += f", stop {deal['stop']:.10g}"
    waiting = len(deal["todo"])
    text += f"; {waiting} safety {'order is' if waiting == 1 else 'orders are'} left."
    figures = {"deal": seat, "qty": deal["qty"], "average": average, "target": deal["target"], "stop": deal["stop"]}
    return Note("dca.open", text, figures)


def kept_words(machine: Machine, kept: float) -> str:
    """Say what stands in the way of a deal, and how it gets out of it."""
    now, before = ("long", "short") if machine.recipe.long else ("short", "long")
    return (
        f"{kept:.10g} {machine.market.rules.base} {before} are held that belong to no deal: a {now} deal would only "
        f"make them less. Close them, or choose {before} again."
    )


def _next(machine: Machine) -> Iterator[Note]:
    state, recipe, now = machine.state, machine.recipe, machine.view.now_ms
    if state["ending"]:
        yield Note("dca.ending", f"{state['ending']}: no further deal starts.")
    elif state["held_back"]:
        yield Note(
            "dca.held_back",
            "Paused or closed by hand: no further deal starts before the bot takes up again.",
        )
    elif state["retry_ms"]:
        yield Note(
            "dca.retry", f"An order was refused or too small; asked again in {(state['retry_ms'] - now) // 1000} s."
        )
    elif kept := starts.in_the_way(machine):
        yield Note("dca.kept", kept_words(machine, kept), {"kept": kept})
    elif not starts.has_room(machine):
        return
    elif now < state["ready_ms"]:
        yield Note("dca.cooldown", f"The next deal may start in {(state['ready_ms'] - now) // 1000} s.")
    elif recipe.start == "signal":
        yield Note("dca.signal", "The next deal starts with a signal.")
    elif recipe.start == "condition":
        value = machine.market.signals.get(starts.CONDITION)
        shown = "has no value yet: too few candles" if value is None else "doesn't hold"
        yield Note("dca.condition", f"The next deal starts by its condition, which {shown}.")
    elif recipe.start == "price_drop":
        level = starts.start_level(machine)
        shown = "isn't known yet: too few candles" if level is None else f"is {level:.10g}"
        yield Note("dca.drop", f"The next deal starts at a price that {shown}.", {"level": level})
