"""Why a pair trades or doesn't, in words; built only when somebody asks."""

from __future__ import annotations

from bots.strategies.pair.machine import CLOSE, FLAT, HOLD, LEGS, Machine
from trading.core.rounding import plain
from trading.core.types import Note, SlotStatus


def explain(machine: Machine) -> tuple[Note, ...]:
    """Return where the spread stands and what is done about it, and what keeps an order from coming about."""
    return (_phase(machine), *_stuck(machine))


def _phase(machine: Machine) -> Note:
    phase, z, params = machine.state["phase"], machine.z, machine.params
    figures = {"z": z}
    if phase == CLOSE:
        return Note("pair.closing", f"Closing both legs: {machine.state['why']}.", figures)
    if z is None:
        text = f"Waiting for {params.window} candles of both markets."
        return Note("pair.warm_up", text, {"window": params.window})
    if phase == FLAT:
        return _waiting(machine, z)
    what = (
        "short of the first, long of the second"
        if machine.state["side"] < 0
        else "long of the first, short of the second"
    )
    if phase == HOLD:
        text = f"Holding ({what}): z is {z:.2f}, closes at {plain(params.exit)}, stops at {plain(params.stop)}."
        return Note("pair.held", text, figures | {"imbalance": machine.imbalance()})
    return Note("pair.opening", f"Opening ({what}): z is {z:.2f}.", figures)


def _waiting(machine: Machine, z: float) -> Note:
    params = machine.params
    if machine.too_small:
        return Note("pair.too_small", "A leg would be below the smallest order of its market.", {"z": z})
    if not machine.state["armed"]:
        text = f"z is {z:.2f}: it must come back within {plain(params.exit)} before the next entry."
        return Note("pair.disarmed", text, {"z": z})
    if abs(z) >= params.stop:
        return Note("pair.beyond", f"z is {z:.2f}, already beyond the stop at {plain(params.stop)}.", {"z": z})
    return Note("pair.waiting", f"z is {z:.2f}: opens at {plain(params.entry)} or beyond.", {"z": z})


def _stuck(machine: Machine) -> list[Note]:
    notes = []
    for slot in (f"{alias}:{what}" for what in ("open", "close") for alias in LEGS):
        alias, tag = slot.split(":")
        known = machine.view.slots.get(slot)
        leg = "first" if alias == "main" else "second"
        if known is not None and known.status is SlotStatus.DENIED and machine.desk.live(slot):
            text = f"The {leg} leg is not allowed: {known.reason or 'a rule says no'}."
            notes.append(Note("pair.denied", text, {"market": alias}))
        elif machine.desk.refused(slot):
            text = f"The {leg} leg's order was refused; it is asked again in a while."
            notes.append(Note("pair.refused", text, {"market": alias}))
        elif machine.desk.parked(slot, tag):
            text = f"The {leg} leg's order was cancelled by hand: back when the bot takes up again."
            notes.append(Note("pair.parked", text, {"market": alias}))
    return notes
