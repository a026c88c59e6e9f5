"""Why a grid trades or doesn't, in words; built only when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping

from bots.strategies.grid.state import (
    BUY_PARKED,
    DONE,
    EXIT,
    FLAGS,
    REBUILD,
    REFUSED,
    SELL_PARKED,
    WAIT,
    State,
    phase_of,
    qty_of,
)
from trading.core.types import Note, Side, Want


def explain(state: State, orders: Mapping[str, Want]) -> tuple[Note, ...]:
    """Return what the grid waits for: its nearest orders, cells that stand still and why, an exit under way."""
    phase = state["phase"]
    if phase == DONE:
        return (Note("grid.done", f"{state['why']}: everything is sold and the grid has ended."),)
    if phase == EXIT:
        return (Note("grid.exit", f"{state['why']}: cancelling all orders and selling what is held."),)
    if phase == REBUILD:
        return (Note("grid.rebuild", "The grid is being laid out anew: waiting until all old orders have ended."),)
    return (*_nearest(orders), *_idle(state))


def _nearest(orders: Mapping[str, Want]) -> list[Note]:
    buys = [want for want in orders.values() if want.side is Side.BUY and want.price is not None]
    sells = [want for want in orders.values() if want.side is Side.SELL and want.price is not None]
    notes = []
    if buys:
        best = max(buys, key=lambda want: want.price or 0.0)
        notes.append(_order_note("grid.next_buy", "Next buy", best))
    if sells:
        best = min(sells, key=lambda want: want.price or 0.0)
        notes.append(_order_note("grid.next_sell", "Next sell", best))
    return notes


def _order_note(code: str, label: str, want: Want) -> Note:
    return Note(code, f"{label}: {want.qty:.10g} at {want.price:.10g}.", {"qty": want.qty, "price": want.price})


def _idle(state: State) -> list[Note]:
    flags = [cell[FLAGS] for cell in state["cells"]]
    phases = [phase_of(cell) for cell in state["cells"]]
    counts = {name: phases.count(name) for name in ("EMPTY", "BUY", "HELD", "SELL")}
    notes = [Note("grid.cells", ", ".join(f"{count} {name.lower()}" for name, count in counts.items()), counts)]
    texts = {
        WAIT: ("grid.waiting", "{} cells wait for the opening buy."),
        BUY_PARKED | SELL_PARKED: (
            "grid.parked",
            "{} cells had their order cancelled by hand: back when the bot takes up again.",
        ),
        REFUSED: ("grid.refused", "{} cells wait to ask again for an order that was refused."),
    }
    for mask, (code, text) in texts.items():
        count = sum(1 for flag in flags if flag & mask)
        if count:
            notes.append(Note(code, text.format(count), {"cells": count}))
    if state["reserve"]:
        qty = qty_of(state["reserve"], state["unit"])
        notes.append(Note("grid.reserve", f"{qty:.10g} belong to no cell; an exit sells them too.", {"qty": qty}))
    return notes
