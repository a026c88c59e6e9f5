"""Why an advised bot trades or doesn't, in words; built only when somebody asks."""

from __future__ import annotations

from bots.strategies.adviser.machine import Machine
from trading.core.types import Note, SlotStatus


def explain(machine: Machine) -> tuple[Note, ...]:
    """Return what was heard last, what is being waited for, and what keeps an order from coming about."""
    state, notes = machine.state, []
    if state["heard"] is not None:
        code, text, figures = state["heard"]
        notes.append(Note(code, text, figures))
    if state["asked"] is not None:
        notes.append(Note("adviser.asked", "A question is open.", {"ask": state["asked"][0]}))
    if state["out"]:
        notes.append(Note("adviser.exit", f"Selling: {state['out']}.", {}))
    elif machine.held:
        notes.append(Note("adviser.held", "Holding, with its stop in place.", {"qty": machine.market.position.qty}))
    for slot in ("entry", "exit"):
        notes += _stuck(machine, slot)
    return tuple(notes)


def _stuck(machine: Machine, slot: str) -> list[Note]:
    known = machine.view.slots.get(slot)
    if known is not None and known.status is SlotStatus.DENIED and machine.desk.live(slot):
        return [Note("adviser.denied", f"Its order is not allowed: {known.reason or 'a rule says no'}.", {})]
    if machine.desk.refused(slot):
        return [Note("adviser.refused", "Its last order was refused; it is asked again in a while.", {})]
    if any(machine.desk.parked(slot, tag) for tag in ("entry", "exit", "stop")):
        return [Note("adviser.parked", "Its order was cancelled by hand: back when the bot takes up again.", {})]
    return []
