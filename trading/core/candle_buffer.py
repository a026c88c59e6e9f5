"""Candles that grow at their end and shrink at their beginning, read as columns without a copy."""

from __future__ import annotations

import numpy as np

from trading.core.candles import COLUMNS, Candles
from trading.core.types import Bar

ROOM = 1024  # free rows at the end of a new buffer


class CandleBuffer:
    """Six growing columns. What `candles` returns stays valid, but not longer than the next `append` is complete."""

    def __init__(self, candles: Candles) -> None:
        self._start = 0
        self._end = len(candles)
        self._columns = [_with_room(getattr(candles, name)) for name in COLUMNS]
        self._view: Candles | None = None

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def candles(self) -> Candles:
        if self._view is None:
            self._view = Candles(*(column[self._start : self._end] for column in self._columns))
        return self._view

    def append(self, bar: Bar) -> None:
        if self._end == len(self._columns[0]):
            self._columns = [_with_room(column[self._start : self._end]) for column in self._columns]
            self._end -= self._start
            self._start = 0
        row = (bar.ts_ms, bar.open, bar.high, bar.low, bar.close, bar.volume)
        for column, value in zip(self._columns, row, strict=True):
            column[self._end] = value
        self._end += 1
        self._view = None

    def drop(self, count: int) -> None:
        """Forget the oldest `count` candles; their memory is free again when the buffer next grows."""
        self._start += count
        self._view = None


def _with_room(column: np.ndarray) -> np.ndarray:
    return np.concatenate((column, np.zeros(max(ROOM, len(column)), dtype=column.dtype)))
