"""The grid's memory between two decisions: plain JSON, small, quantities as whole lots.

A cell is a list of six numbers: its flags and, in lots, what it holds and what of it is on sale, what its current buy
has filled, and the latest generations asked for in its two slots. Its phase, as people see it:

    EMPTY -> BUY (a buy rests) -> HELD -> SELL (a sell rests) -> EMPTY

Lots are exact whole numbers, so that no cell ever loses or invents a rounding error.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bots.strategies.grid.plan import GridPlan
from trading.core.types import SlotView

State = dict[str, Any]
Cell = list[int]

FLAGS, HELD, SELLING, BOUGHT, BUY_GEN, SELL_GEN = range(6)

BUY = 1  # its buy is wanted or not yet ended
SELL = 2  # its sell is wanted or not yet ended
WAIT = 4  # waits for its share of the opening buy
BUY_PARKED = 8  # a person cancelled its buy: asked again only after a resume, an edit or a start
SELL_PARKED = 16
REFUSED = 32  # the venue refused its order: asked again after a while
DUE = 64  # its buy ended with more filled than we have been told yet

RUN, REBUILD, EXIT, DONE = "run", "rebuild", "exit", "done"

OPEN, CLOSE = "grid:open", "grid:exit"


def buy_slot(cell: int) -> str:
    return f"grid:{cell}:buy"


def sell_slot(cell: int) -> str:
    return f"grid:{cell}:sell"


@lru_cache(maxsize=4096)
def cell_of(slot: str) -> tuple[int, bool]:
    """Return the cell of a slot, and whether it is the cell's buy."""
    _, index, side = slot.split(":")
    return int(index), side == "buy"


def phase_of(cell: Cell) -> str:
    """Name a cell's phase for people: EMPTY, BUY, HELD or SELL."""
    if cell[FLAGS] & SELL:
        return "SELL"
    if cell[FLAGS] & BUY:
        return "BUY"
    return "HELD" if cell[HELD] else "EMPTY"


def blank() -> State:
    """Return the state of a grid that has not been laid out yet."""
    return {
        "phase": REBUILD,
        "why": "",  # reason of the exit
        "unit": [1, 1],  # a lot as numerator and denominator
        "lots": 0,
        "min": 1,
        "buy": [],
        "sell": [],
        "stop": None,
        "take": None,
        "cells": [],
        "reserve": 0,  # lots that belong to no cell
        "open": [0, 0, 0],  # generation, live, parked
        "exit": [0, 0, 0],
        "retry_at": 0,
        "retries": 0,
        "spare": [],  # generations of cells that an edit took away
        "resync": 1,  # what is held comes from the position, once
    }


def lay_out(state: State, plan: GridPlan, held: int, slots: Mapping[str, SlotView]) -> None:
    """Write a fresh plan into `state`, with `held` lots in reserve and every generation above all that were used."""
    known = [(cell[BUY_GEN], cell[SELL_GEN]) for cell in state["cells"]] + [(b, s) for b, s in state["spare"]]
    known += [(0, 0)] * (plan.cells - len(known))
    state["cells"] = [
        [WAIT if i >= plan.empty else 0, 0, 0, 0, _gen(slots, buy_slot(i), b), _gen(slots, sell_slot(i), s)]
        for i, (b, s) in enumerate(known[: plan.cells])
    ]
    state["spare"] = [[b, s] for b, s in known[plan.cells :]]
    state["open"] = [_gen(slots, OPEN, state["open"][0]), 0, 0]
    state["exit"] = [_gen(slots, CLOSE, state["exit"][0]), 0, 0]
    state |= {
        "phase": RUN,
        "why": "",
        "unit": list(plan.lot.as_integer_ratio()),
        "lots": plan.lots,
        "min": plan.min_lots,
        "buy": [float(price) for price in plan.buys],
        "sell": [float(price) for price in plan.sells],
        "reserve": held,
        "retry_at": 0,
        "retries": 0,
        "resync": 0,
    }


def lots_of(qty: float, unit: list[int]) -> int:
    """Return a quantity in whole lots; what is less than a lot doesn't count."""
    exact = qty * unit[1] / unit[0]
    nearest = round(exact)
    return nearest if nearest - exact <= 1e-3 + abs(exact) * 1e-15 else nearest - 1


def qty_of(lots: int, unit: list[int]) -> float:
    """Return whole lots as a quantity: the float nearest to the exact value."""
    return lots * unit[0] / unit[1]


def total_held(state: State) -> int:
    """Return all lots that the grid holds, those on sale included."""
    return int(state["reserve"] + sum(cell[HELD] + cell[SELLING] for cell in state["cells"]))


def _gen(slots: Mapping[str, SlotView], slot: str, gen: int) -> int:
    known = slots.get(slot)
    return gen if known is None or known.gen < gen else known.gen
