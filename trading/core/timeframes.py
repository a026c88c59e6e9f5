"""Lengths of candles: their names, and longer candles made from shorter ones.

A longer candle is closed exactly at the close of the shorter one that completes it. One whose beginning is missing
doesn't count: its open, high and low are not known. Missing candles in between are flat at the previous close.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from trading.core.candles import Candles, Ints, without_gaps
from trading.core.errors import InvalidInput
from trading.core.types import Bar

MINUTE_MS = 60_000
LONGEST_MS = 7 * 86_400_000
_UNITS = {"m": MINUTE_MS, "h": 3_600_000, "d": 86_400_000}
_NAME = re.compile(r"([1-9][0-9]{0,3})([mhd])")


def timeframe_of(name: str) -> int:
    """Return the length in ms of "1m", "4h" or "1d". Raises InvalidInput."""
    found = _NAME.fullmatch(name)
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < length <= LONGEST_MS:
        text = f"{name!r} is no length of candles: it is a number of minutes, hours or days up to 7d, like 5m, 1h or 1d"
        raise InvalidInput(text, field="timeframe", value=name)
    return length


def timeframe_name(timeframe_ms: int) -> str:
    """Write a length in its largest whole unit: "90m", "4h", "1d"; one that is no whole minutes in ms."""
    for unit in ("d", "h", "m"):
        if timeframe_ms % _UNITS[unit] == 0:
            return f"{timeframe_ms // _UNITS[unit]}{unit}"
    return f"{timeframe_ms} ms"


def check_multiple(timeframe_ms: int, base_ms: int) -> None:
    """Raise InvalidInput unless whole candles of the base length make one of the other."""
    if timeframe_ms % base_ms:
        text = f"candles of {timeframe_name(timeframe_ms)} can't be made from those of {timeframe_name(base_ms)}"
        raise InvalidInput(f"{text}: it must be a multiple", field="timeframe", value=timeframe_ms)


def resample(candles: Candles, timeframe_ms: int, base_ms: int | None = None) -> Candles:
    """Return the whole longer candles of a series without gaps; `base_ms` is the length of its candles.

    Raises InvalidInput when the one length is no multiple of the other.
    """
    base_ms = base_ms or candles.timeframe_ms
    check_multiple(timeframe_ms, base_ms)
    if timeframe_ms == base_ms or not len(candles):
        return candles
    starts, ends = _whole(candles.ts, timeframe_ms, base_ms)
    if not len(starts):
        return candles.slice(0, 0)
    edges = np.append(starts, ends[-1] + 1)[:-1]
    stop = int(ends[-1]) + 1
    return Candles.of(
        candles.ts[starts] // timeframe_ms * timeframe_ms,
        candles.open[starts],
        np.maximum.reduceat(candles.high[:stop], edges),
        np.minimum.reduceat(candles.low[:stop], edges),
        candles.close[ends],
        _sums(candles.volume, starts, ends),
    )


def _whole(ts: Ints, timeframe_ms: int, base_ms: int) -> tuple[Ints, Ints]:
    """Return the rows of the first and the last short candle of each longer one that is whole."""
    bucket = ts // timeframe_ms
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    ends = np.append(starts[1:], len(ts)) - 1
    first = ts[starts] < bucket[starts] * timeframe_ms + base_ms
    last = ts[ends] + base_ms >= (bucket[ends] + 1) * timeframe_ms
    whole = first & last
    return starts[whole], ends[whole]


def _sums(volume: np.ndarray, starts: Ints, ends: Ints) -> np.ndarray:
    """Add up each stretch from left to right, so that a sum doesn't depend on what else is in the array."""
    total = volume[starts].copy()
    longest = int((ends - starts).max())
    for step in range(1, longest + 1):
        inside = starts + step <= ends
        total[inside] += volume[starts[inside] + step]
    return total


class Resampler:
    """Longer candles from shorter ones as they close, one by one and without gaps.

    It gives what `resample` gives, bit for bit.
    """

    def __init__(self, timeframe_ms: int, base_ms: int) -> None:
        check_multiple(timeframe_ms, base_ms)
        self.timeframe_ms = timeframe_ms
        self.base_ms = base_ms
        self._part: list[Bar] = []

    @property
    def last(self) -> Bar | None:
        """The newest short candle of the longer one that is being made, None when none is."""
        return self._part[-1] if self._part else None

    def add(self, bar: Bar) -> Bar | None:
        """Take a closed short candle; returns the longer one that it completes."""
        start = bar.ts_ms // self.timeframe_ms * self.timeframe_ms
        if self._part and self._part[0].ts_ms < start:
            self._part.clear()
        if not self._part and bar.ts_ms >= start + self.base_ms:
            return None  # its beginning is missing
        self._part.append(bar)
        if bar.ts_ms + self.base_ms < start + self.timeframe_ms:
            return None
        whole = _joined(start, self._part)
        self._part.clear()
        return whole


def _joined(start_ms: int, part: Sequence[Bar]) -> Bar:
    volume = part[0].volume
    for bar in part[1:]:
        volume += bar.volume
    return Bar(
        start_ms, part[0].open, max(bar.high for bar in part), min(bar.low for bar in part), part[-1].close, volume
    )


def whole_series(candles: Candles, timeframe_ms: int, base_ms: int) -> Candles:
    """Return longer candles of a series that may have gaps."""
    return resample(without_gaps(candles, base_ms), timeframe_ms, base_ms)
