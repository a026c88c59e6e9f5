"""Values and conditions over closed candles. Backtests evaluate whole columns, live bots the last two candles: the
same code either way.

A result has no value (None) until every part of it has one.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trading.core.candles import Candles, Floats, Ints
from trading.core.errors import InvalidInput
from trading.core.indicators import COLUMNS, Series, check_value
from trading.core.needs import AllOf, Compare, Condition, Const, On, Value
from trading.core.timeframes import check_multiple, resample

_COMPARE = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}


class Frame(Protocol):
    """Candles of one length, for which values can be computed. `ends` are their close times, rising, shape (n,)."""

    @property
    def ends(self) -> Ints: ...
    @property
    def timeframe_ms(self) -> int: ...

    def series(self, value: Value) -> Series:
        """Return the values at each candle's close."""
        ...

    def on(self, timeframe_ms: int) -> Frame:
        """Return the same market on candles of another length."""
        ...


def evaluate(of: Value | Condition, frame: Frame) -> Series:
    """Return a value or condition at each candle of the frame. Raises InvalidInput for what can't be computed."""
    if isinstance(of, Value):
        return frame.series(of)
    if isinstance(of, Compare):
        return _compare(of, frame)
    if isinstance(of, On):
        check_multiple(of.timeframe_ms, frame.timeframe_ms)  # longer candles only: shorter ones have moved on since
        inner = frame.on(of.timeframe_ms)
        return stretched(evaluate(of.part, inner), inner.ends, frame.ends)
    parts = [evaluate(part, frame) for part in of.parts]
    join = np.logical_and if isinstance(of, AllOf) else np.logical_or
    return Series(join.reduce([part.values for part in parts]), max(part.start for part in parts))


def _compare(of: Compare, frame: Frame) -> Series:
    left, left_start = _operand(of.left, frame)
    right, right_start = _operand(of.right, frame)
    start, count = max(left_start, right_start), len(frame.ends)
    if of.op in _COMPARE:
        return Series(np.broadcast_to(_COMPARE[of.op](left, right), (count,)), start)
    higher, lower = (left, right) if of.op == "crosses_above" else (right, left)
    above = np.broadcast_to(np.greater(higher, lower), (count,))
    crossed = above.copy()
    crossed[1:] &= ~above[:-1]
    return Series(crossed, start + 1)


def _operand(side: Value | Const, frame: Frame) -> tuple[NDArray | float, int]:
    if isinstance(side, Const):
        return side.value, 0
    series = frame.series(side)
    return series.values, series.start


@lru_cache(maxsize=10_000)
def timeframes_of(of: Value | Condition, timeframe_ms: int) -> tuple[int, ...]:
    """Return the lengths of all candles that a value or condition looks at, on candles of this length."""
    if isinstance(of, Value | Compare):
        return (timeframe_ms,)
    if isinstance(of, On):
        return tuple(dict.fromkeys((timeframe_ms, *timeframes_of(of.part, of.timeframe_ms))))
    return tuple(dict.fromkeys(length for part in of.parts for length in timeframes_of(part, timeframe_ms)))


def stretched(series: Series, ends: Ints, onto: Ints) -> Series:
    """Return a series of other candles, which close at `ends`, as it is known at the close times `onto`."""
    last = np.searchsorted(ends, onto, side="right") - 1
    known = int(np.searchsorted(last, series.start))
    if known == len(onto):
        return Series(np.zeros(len(onto), dtype=series.values.dtype), len(onto))
    return Series(series.values[np.maximum(last, 0)], known)


class ArrayFrame:
    """Whole columns of one market or derived series, each value computed once."""

    def __init__(self, candles: Candles, timeframe_ms: int, *, fast: bool = False, close_only: bool = False) -> None:
        self.candles = candles
        self.timeframe_ms = timeframe_ms
        self._fast = fast
        self._close_only = close_only
        self._known: dict[tuple[str, tuple[float, ...]], dict[str, Series]] = {}
        self._base: ArrayFrame = self
        self._longer: dict[int, ArrayFrame] = {timeframe_ms: self}

    @cached_property
    def ends(self) -> Ints:
        return self.candles.ts + self.timeframe_ms

    def series(self, value: Value) -> Series:
        indicator = check_value(value)
        check_columns(value, close_only=self._close_only)
        if indicator is None:
            column: Floats = getattr(self.candles, value.name)
            return Series(column, 0)
        key = value.name, value.args
        if key not in self._known:
            found = indicator.outputs_of(self.candles, value.args, fast=self._fast)
            self._known[key] = dict(zip(indicator.outputs, found, strict=True))
        return self._known[key][value.output]

    def on(self, timeframe_ms: int) -> ArrayFrame:
        frames = self._base._longer
        if timeframe_ms not in frames:
            base = self._base
            longer = resample(base.candles, timeframe_ms, base.timeframe_ms)
            frame = ArrayFrame(longer, timeframe_ms, fast=self._fast, close_only=self._close_only)
            frame._base = base
            frames[timeframe_ms] = frame
        return frames[timeframe_ms]


def check_columns(value: Value, *, close_only: bool) -> None:
    """Raise InvalidInput for a value that reads more than closes where there is nothing else."""
    indicator = check_value(value)
    columns = indicator.columns if indicator is not None else (value.name,)
    if close_only and columns != ("close",):
        others = ", ".join(column for column in COLUMNS if column in columns and column != "close")
        text = f"{value.name} reads {others}: a derived series has closes only"
        raise InvalidInput(text, field="indicator", value=value.name)
