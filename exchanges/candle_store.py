"""Candles as they stand in the database: one compressed block of float64 rows per market, timeframe and UTC day."""

from __future__ import annotations

import zlib
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from trading.core.candles import COLUMNS, Candles
from trading.core.timeframes import MINUTE_MS

DAY_MS = 86_400_000
_LAST_DAY_MS = 253_402_214_400_000  # 9999-12-31, the last day that a date can name

Rows = NDArray[np.float64]  # (count, 6): ts, open, high, low, close, volume


def rows_of(candles: Candles) -> Rows:
    return np.column_stack([getattr(candles, name) for name in COLUMNS]).astype("<f8")


def candles_of(rows: Rows) -> Candles:
    return Candles.of(rows[:, 0].astype(np.int64), *rows[:, 1:].T)


def pack(rows: Rows) -> bytes:
    return zlib.compress(np.ascontiguousarray(rows, dtype="<f8").tobytes(), level=3)


def unpack(data: bytes) -> Rows:
    return np.frombuffer(zlib.decompress(data), dtype="<f8").reshape(-1, len(COLUMNS))


def day_of(ts_ms: int) -> date:
    """Return the UTC day of a time; times beyond the calendar give its first or last day."""
    return datetime.fromtimestamp(min(max(ts_ms, 0), _LAST_DAY_MS) / 1000, UTC).date()


def ms_of(day: date) -> int:
    """Return the time at which a UTC day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def merge(old: Rows, new: Rows) -> Rows:
    """Return both, sorted by time; of two rows with the same time the new one stands."""
    both = np.concatenate((new, old))
    _, first = np.unique(both[:, 0], return_index=True)
    return both[first]


def aggregate(rows: Rows, timeframe_ms: int) -> Rows:
    """Make longer candles out of shorter ones; the last one only when nothing of it is missing at its end."""
    if not len(rows):
        return rows
    bucket = rows[:, 0] // timeframe_ms
    starts = np.flatnonzero(np.diff(bucket, prepend=np.nan) != 0)
    ends = np.append(starts[1:], len(rows)) - 1
    result = np.empty((len(starts), len(COLUMNS)))
    result[:, 0] = bucket[starts] * timeframe_ms
    result[:, 1] = rows[starts, 1]
    result[:, 2] = np.maximum.reduceat(rows[:, 2], starts)
    result[:, 3] = np.minimum.reduceat(rows[:, 3], starts)
    result[:, 4] = rows[ends, 4]
    result[:, 5] = np.add.reduceat(rows[:, 5], starts)
    step = rows[-1, 0] - rows[-2, 0] if len(rows) > 1 else MINUTE_MS
    whole = rows[-1, 0] + step >= result[-1, 0] + timeframe_ms
    return result if whole else result[:-1]
