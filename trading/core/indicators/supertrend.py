"""Supertrend: a recursion of our own from the first candle of the series on.

Its side depends on all that was before (there is no factor by which the past fades), so no window of fixed length can
hold it. Bands: (high + low) / 2 +- multiplier x ATR (Wilder's, begun with the average of the first true ranges); the
upper one only falls until a close was above it, the lower one only rises until a close was below; the side flips when
the close crosses the band it stands at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from trading.core.candles import Candles
from trading.core.compiled import compiled
from trading.core.indicators.base import MOST_CANDLES, Arg, Args, Running, Series, check_args
from trading.core.types import Bar

COUNT, CLOSE, RANGE, UPPER, LOWER, SIDE = range(6)  # places in the state of the recursion


def supertrend(
    high: Sequence[float] | Any,
    low: Sequence[float] | Any,
    close: Sequence[float] | Any,
    period: int,
    multiplier: float,
    state: Any,
    line: Any,
    side: Any,
) -> None:
    """Go on from `state` (float64, shape (6,), zeros at first) over the candles; fills `line` and `side` (+1 or -1)."""
    count, last, atr, upper, lower, up = state
    for i in range(len(close)):
        reach = high[i] - low[i]
        if count > 0:
            reach = max(reach, abs(high[i] - last), abs(low[i] - last))
        if count < period:
            atr += reach / period
        else:
            atr += (reach - atr) / period
        count += 1
        if count >= period:
            middle = (high[i] + low[i]) / 2.0
            new_upper, new_lower = middle + multiplier * atr, middle - multiplier * atr
            if count == period:
                upper, lower, up = new_upper, new_lower, 1.0
            else:
                upper = new_upper if new_upper < upper or last > upper else upper
                lower = new_lower if new_lower > lower or last < lower else lower
            if up > 0 and close[i] < lower:
                up = -1.0
            elif up < 0 and close[i] > upper:
                up = 1.0
        last = close[i]
        line[i] = lower if up > 0 else upper
        side[i] = up
    state[0], state[1], state[2], state[3], state[4], state[5] = count, last, atr, upper, lower, up


class Supertrend:
    """Outputs `line` (the band that holds) and `side` (1 while it is below the close, -1 above)."""

    name: ClassVar[str] = "supertrend"
    title: ClassVar[str] = "Supertrend: its line, and its side: 1 rising, -1 falling"
    args: ClassVar[tuple[Arg, ...]] = (Arg("period", 1, MOST_CANDLES), Arg("multiplier", 0.1, 100, whole=False))
    outputs: ClassVar[tuple[str, ...]] = ("line", "side")
    columns: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    seed: ClassVar[str] = "the series' first candle"

    def check(self, args: Args) -> None:
        check_args(self.name, self.args, args)

    def lookback(self, args: Args) -> int:
        return int(args[0]) - 1

    def outputs_of(self, candles: Candles, args: Args, *, fast: bool = False) -> tuple[Series, ...]:
        self.check(args)
        line, side = np.zeros(len(candles)), np.zeros(len(candles))
        period, multiplier = int(args[0]), float(args[1])
        if fast:
            columns = candles.high, candles.low, candles.close
            compiled(supertrend)(*columns, period, multiplier, np.zeros(6), line, side)
        else:
            lists = candles.high.tolist(), candles.low.tolist(), candles.close.tolist()
            plain_line, plain_side = [0.0] * len(candles), [0.0] * len(candles)
            supertrend(*lists, period, multiplier, [0.0] * 6, plain_line, plain_side)
            line[:], side[:] = plain_line, plain_side
        start = self.lookback(args)
        return Series(line, start), Series(side, start)

    def running(self, args: Args) -> Running:
        self.check(args)
        return RunningSupertrend(int(args[0]), float(args[1]))


class RunningSupertrend:
    """The recursion of `supertrend`, one candle at a time."""

    def __init__(self, period: int, multiplier: float) -> None:
        self._args = period, multiplier
        self._state = [0.0] * 6

    def update(self, bar: Bar) -> tuple[float, float] | None:
        line, side = [0.0], [0.0]
        supertrend([bar.high], [bar.low], [bar.close], *self._args, self._state, line, side)
        return (line[0], side[0]) if self._state[COUNT] >= self._args[0] else None

    def dump(self) -> dict[str, Any]:
        return {"state": list(self._state)}

    def load(self, data: Mapping[str, Any]) -> None:
        self._state = [float(value) for value in data["state"]]
