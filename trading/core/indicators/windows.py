"""Indicators computed from windows of candles that time itself fixes, so that every reader gets the same floats.

The time axis is cut into blocks of B candles (block number = open time // (B x candle length)). The value at a candle
is the last one of a single pass over the candles from the beginning of the block *before* its own up to itself. B is
at least W = lookback + the candles after which what was there at the beginning of the window weighs less than 1e-12.
A backtest makes that pass once a block, at most twice the work of one long pass; a live bot makes it up to the newest
candle. Wherever a bot starts and whatever it has seen, the pass is the same, down to the rounding of running sums.
The first windows are cut short by the first candle that there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.core.candles import Candles, Floats, Ints
from trading.core.errors import InvalidInput
from trading.core.indicators.base import Arg, Args, Running, Series, check_args

RESIDUAL = 1e-12
LEAST_BLOCK = 512

# From the columns (shape (n,) each, n > 0) and the arguments to the outputs (shape (n,) each, float64). What stands
# before the lookback doesn't matter.
Compute = Callable[..., tuple[Any, ...]]


def settle(decay: float) -> int:
    """Return after how many candles a weight that shrinks by the factor `decay` each is below the residual."""
    return math.ceil(math.log(RESIDUAL) / math.log(decay)) if decay > 0 else 0


def ema_settle(period: float) -> int:
    """An exponential average keeps 1 - 2 / (period + 1) of what was there."""
    return settle(1.0 - 2.0 / (period + 1.0))


def wilder_settle(period: float) -> int:
    """Wilder's average keeps 1 - 1 / period of what was there."""
    return settle(1.0 - 1.0 / period)


def nothing_to_settle(*args: float) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Windowed:
    """A row in the table of indicators. `lookback_of` and `settle_of` take the arguments one by one."""

    name: str
    title: str
    args: tuple[Arg, ...]
    columns: tuple[str, ...]
    compute: Compute
    lookback_of: Callable[..., float]
    settle_of: Callable[..., int] = nothing_to_settle
    outputs: tuple[str, ...] = ("",)
    seed: str = "a fixed number of candles"
    rising: bool = False  # the second argument must be above the first

    def check(self, args: Args) -> None:
        """Raise InvalidInput for arguments that make no sense."""
        check_args(self.name, self.args, args)
        if self.rising and args[0] >= args[1]:
            first, second = self.args[:2]
            text = f"{self.name} needs its {first.name} below its {second.name}; not {args[0]:g} and {args[1]:g}"
            raise InvalidInput(text, field="args", value=tuple(args), code="range")

    def lookback(self, args: Args) -> int:
        return int(self.lookback_of(*args))

    def block(self, args: Args) -> int:
        """Return the number of candles in a block."""
        return max(LEAST_BLOCK, self.lookback(args) + self.settle_of(*args))

    def since_ms(self, ts_ms: int, timeframe_ms: int, args: Args) -> int:
        """Return where the window of the candle that opens at `ts_ms` begins."""
        span = self.block(args) * timeframe_ms
        return (ts_ms // span - 1) * span

    def outputs_of(self, candles: Candles, args: Args, *, fast: bool = False) -> tuple[Series, ...]:
        """Compute all outputs at each of `candles`, a series without gaps."""
        self.check(args)
        found = [np.zeros(len(candles)) for _ in self.outputs]
        for window, start, stop in _blocks(candles.ts, self.block(args) * candles.timeframe_ms):
            values = self._pass(candles.slice(window, stop), args)
            for column, value in zip(found, values, strict=True):
                column[start:stop] = value[start - window :]
        return tuple(Series(column, self.lookback(args)) for column in found)

    def last(self, candles: Candles, timeframe_ms: int, args: Args) -> tuple[float, ...] | None:
        """Return the outputs at the last of `candles`, which reach back to its window or to the first that there is.

        None before the indicator is active.
        """
        start = int(np.searchsorted(candles.ts, self.since_ms(int(candles.ts[-1]), timeframe_ms, args)))
        window = candles.slice(start)
        if len(window) <= self.lookback(args):
            return None
        return tuple(float(value[-1]) for value in self._pass(window, args))

    def running(self, args: Args) -> Running | None:
        return None

    def _pass(self, window: Candles, args: Args) -> tuple[Floats, ...]:
        if len(window) <= self.lookback(args):
            return tuple(np.zeros(len(window)) for _ in self.outputs)
        return self.compute(*(getattr(window, name) for name in self.columns), *args)


def _blocks(ts: Ints, span_ms: int) -> Iterator[tuple[int, int, int]]:
    """Yield (first row of the window, first row of the block, row after the block)."""
    if not len(ts):
        return
    number = ts // span_ms
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(ts)]
    for k in range(len(edges) - 1):
        before = edges[k - 1] if k and number[edges[k]] - number[edges[k - 1]] == 1 else edges[k]
        yield before, edges[k], edges[k + 1]
