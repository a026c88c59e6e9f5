"""The practical limit: each strategy compiled as one pass over the candles, written by hand and good for nothing else.

The same fills as our engine makes, or the comparison is void (measure.py checks count and final equity). Candles are
walked as everywhere here: open, nearer extreme (low when equal), other extreme, close. All floats, no books.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

DCA_SIZES = np.array([10.0, 15.0, 22.0, 33.0, 50.0])
DCA_STEPS = np.array([0.01, 0.025, 0.0475, 0.08125, 0.131875])
DCA_BASE, TAKE_PROFIT, STOP, TICKS = 10.0, 0.015, 0.2, 100.0  # ticks of 0.01
NOISE = 1e-7


@njit(cache=False)
def ema_pass(opens: Any, close: Any, fast: int, slow: int, cash: float, fee: float) -> tuple[int, float]:
    """Return (fills, final equity) of the crossover: one unit, filled at the open after the signal."""
    a, b = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0)
    quick, lazy = close[0], close[0]
    held, fills = False, 0
    for i in range(1, len(close)):
        if i > slow and (quick > lazy) != held:
            held = not held
            cash += opens[i] * ((-1.0 if held else 1.0) - fee)
            fills += 1
        quick = a * close[i] + (1.0 - a) * quick
        lazy = b * close[i] + (1.0 - b) * lazy
    return fills, cash + (close[-1] if held else 0.0)


@njit(cache=False)
def grid_pass(
    opens: Any, high: Any, low: Any, close: Any, lines: Any, empty: int, cash: float, fee: float, skip: bool
) -> tuple[int, float]:
    """Return (fills, final equity). Cells below `free` are empty and wait to buy, those from it on are held.

    With `skip` a candle that reaches neither of the two nearest orders isn't walked at all.
    """
    cells, free = len(lines) - 1, empty
    held = cells - free
    cash -= held * opens[0] * (1.0 + fee)
    fills = 1 if held else 0
    path = np.empty(4)
    for i in range(len(close)):
        if skip and (free == 0 or low[i] > lines[free - 1]) and (free == cells or high[i] < lines[free + 1]):
            continue
        nearer_low = opens[i] - low[i] <= high[i] - opens[i]
        path[0], path[3] = opens[i], close[i]
        path[1], path[2] = (low[i], high[i]) if nearer_low else (high[i], low[i])
        for leg in range(4):
            to = path[leg]
            while free > 0 and lines[free - 1] >= to:
                free -= 1
                cash -= (to if leg == 0 else lines[free]) * (1.0 + fee)
                fills += 1
            while free < cells and lines[free + 1] <= to:
                free += 1
                cash += (to if leg == 0 else lines[free]) * (1.0 - fee)
                fills += 1
    return fills, cash + (cells - free) * close[-1]


@njit(inline="always")
def down(price: float) -> float:
    return math.floor(price * TICKS + NOISE) / TICKS


@njit(inline="always")
def up(price: float) -> float:
    return math.ceil(price * TICKS - NOISE) / TICKS


@njit(cache=False)
def dca_pass(
    opens: Any, high: Any, low: Any, close: Any, sizes: Any, steps: Any, cash: float, fee: float
) -> tuple[int, float]:
    """Return (fills, final equity). `number` counts the safety orders that filled; a deal ends at target or stop."""
    orders, fills, number = len(sizes), 0, 0
    qty = cost = target = stop = next_buy = 0.0
    rungs, path = np.empty(orders + 1), np.empty(4)
    rungs[orders] = -1.0
    for i in range(len(close)):
        if qty and low[i] > max(next_buy, stop) and high[i] < target:
            continue
        if not qty:
            at = opens[i]
            for k in range(orders):
                rungs[k] = down(at * (1.0 - steps[k]))
            qty, cost, number, next_buy = DCA_BASE, DCA_BASE * at, 0, rungs[0]
            target, stop = up(cost / qty * (1.0 + TAKE_PROFIT)), up(cost / qty * (1.0 - STOP))
            cash -= cost * (1.0 + fee)
            fills += 1
        nearer_low = opens[i] - low[i] <= high[i] - opens[i]
        path[0], path[3] = opens[i], close[i]
        path[1], path[2] = (low[i], high[i]) if nearer_low else (high[i], low[i])
        for leg in range(4):
            to = path[leg]
            while next_buy >= to and next_buy > stop:
                at = to if leg == 0 else next_buy
                cost, qty = cost + sizes[number] * at, qty + sizes[number]
                cash -= sizes[number] * at * (1.0 + fee)
                number, fills = number + 1, fills + 1
                next_buy = rungs[number]
                target, stop = up(cost / qty * (1.0 + TAKE_PROFIT)), up(cost / qty * (1.0 - STOP))
            if target <= to or stop >= to:
                at = to if leg == 0 else (target if target <= to else stop)
                cash += qty * at * (1.0 - fee)
                qty, fills = 0.0, fills + 1
                break
    return fills, cash + qty * close[-1]
