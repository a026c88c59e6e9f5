"""Candles as columns of numbers: what backtests walk through and what charts and signals are made from.

They are data, not money: prices are float64 and meet the tick grid before they meet Decimal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trading.core.errors import BadCandles
from trading.core.types import Bar

COLUMNS = ("ts", "open", "high", "low", "close", "volume")
DEFAULT_TIMEFRAME_MS = 60_000  # of a series too short to tell
TIMEFRAME_ROWS = 10_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candles:
    """A series of candles, oldest first: `ts` = open time (int64, ms UTC), the rest float64, all of shape (n,)."""

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @classmethod
    def of(
        cls,
        ts: ArrayLike,
        open_: ArrayLike,
        high: ArrayLike,
        low: ArrayLike,
        close: ArrayLike,
        volume: ArrayLike | None = None,
    ) -> Candles:
        """Make columns of the right types; no volume means 0. Raises BadCandles on unequal lengths.

        They are contiguous and writable: one array type, so that nothing is compiled twice.
        """
        times = np.require(ts, np.int64, ["C", "W"])
        volumes = np.zeros(len(times)) if volume is None else volume
        columns = [np.require(c, np.float64, ["C", "W"]) for c in (open_, high, low, close, volumes)]
        if any(len(column) != len(times) for column in columns):
            raise BadCandles(f"columns differ in length: {[len(times), *map(len, columns)]}")
        return cls(times, *columns)

    @classmethod
    def from_bars(cls, bars: Sequence[Bar]) -> Candles:
        rows = [(b.open, b.high, b.low, b.close, b.volume) for b in bars]
        columns = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
        return cls.of([b.ts_ms for b in bars], *columns.T)

    def __len__(self) -> int:
        return len(self.ts)

    def slice(self, start: int, stop: int | None = None) -> Candles:
        """Return rows start..stop as views, not copies."""
        cut = slice(start, stop)
        return Candles(*(getattr(self, name)[cut] for name in COLUMNS))

    @property
    def prices(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.open, self.high, self.low, self.close

    @cached_property
    def table(self) -> Floats:
        """Open, high, low and close as the rows of one array: what the matching walks, in one run after another."""
        return np.array(self.prices)

    def bar(self, i: int) -> Bar:
        return Bar(
            int(self.ts[i]),
            float(self.open[i]),
            float(self.high[i]),
            float(self.low[i]),
            float(self.close[i]),
            float(self.volume[i]),
        )

    def bars(self) -> Iterator[Bar]:
        for row in zip(*(getattr(self, name).tolist() for name in COLUMNS), strict=True):
            yield Bar(*row)

    @cached_property
    def timeframe_ms(self) -> int:
        """Length of one candle: the median distance of the first open times (the lower of two middle ones)."""
        steps = np.diff(self.ts[:TIMEFRAME_ROWS])
        rising = steps[steps > 0]
        middle = (len(rising) - 1) // 2
        return int(np.partition(rising, middle)[middle]) if len(rising) else DEFAULT_TIMEFRAME_MS


@dataclass(frozen=True, slots=True)
class Gap:
    """`missing` candles are not there between row `after_row` (counted from 1) and the next one."""

    after_row: int
    from_ms: int
    to_ms: int
    missing: int


def validate_candles(candles: Candles) -> None:
    """Raise BadCandles for the first row (counted from 1) that cannot be a candle. Gaps are `find_gaps`'s matter."""
    if not len(candles):
        raise BadCandles("no candles: at least one row is needed")
    faults = [(int(np.argmax(bad)), field, text) for field, text, bad in _checks(candles) if bad.any()]
    if faults:
        row, field, text = min(faults, key=lambda fault: fault[0])
        value = getattr(candles, field)[row].item()
        message = f"row {row + 1}: {field} {value} {text.format(previous=int(candles.ts[max(row - 1, 0)]))}"
        raise BadCandles(message, row=row + 1, field=field, value=value)


def _checks(candles: Candles) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield (field, what is wrong, mask of the rows where it is)."""
    step = np.diff(candles.ts, prepend=candles.ts[0] - candles.timeframe_ms)
    yield "ts", "stands twice (same open time as the row before)", step == 0
    yield "ts", "is earlier than the row before ({previous}): rows must be sorted by time", step < 0
    short = (step > 0) & (step < candles.timeframe_ms)
    yield "ts", f"is less than one candle ({candles.timeframe_ms} ms) after the row before ({{previous}})", short
    text, off = _off_grid(candles)
    yield "ts", text, off
    for field in ("open", "high", "low", "close"):
        prices = getattr(candles, field)
        yield field, "is missing or not a finite number", ~np.isfinite(prices)
        yield field, "is not above 0", prices <= 0
    yield (
        "high",
        "is below the row's open, low or close",
        _below(candles.high, candles.open, candles.low, candles.close),
    )
    yield "low", "is above the row's open, high or close", _below(-candles.low, -candles.open, -candles.close)
    yield "volume", "is missing or negative", ~(candles.volume >= 0) | np.isinf(candles.volume)


def _off_grid(candles: Candles) -> tuple[str, NDArray[np.bool_]]:
    """Return which rows don't open a whole number of candles after the first, and what the first of them should be."""
    timeframe = candles.timeframe_ms
    beside = (candles.ts - candles.ts[0]) % timeframe
    first = int(np.argmax(beside != 0))
    before = int(candles.ts[first] - beside[first])
    text = f"is no whole number of candles ({timeframe} ms) after row 1 ({candles.ts[0]}): "
    return f"{text}{before} or {before + timeframe} would be", beside != 0


def _below(column: Floats, *others: Floats) -> NDArray[np.bool_]:
    worst: NDArray[np.bool_] = np.logical_or.reduce([column < other for other in others])
    return worst


def find_gaps(candles: Candles) -> list[Gap]:
    """Return the places where candles are missing, in order."""
    timeframe = candles.timeframe_ms
    steps = np.diff(candles.ts)
    return [
        Gap(
            after_row=int(row) + 1,
            from_ms=int(candles.ts[row]) + timeframe,
            to_ms=int(candles.ts[row + 1]),
            missing=max(1, round(int(steps[row]) / timeframe) - 1),
        )
        for row in np.flatnonzero(steps > timeframe)
    ]


def refuse_gaps(candles: Candles, hint: str = "") -> None:
    """Raise BadCandles naming the first gap, and `hint`: what can be done about it."""
    gaps = find_gaps(candles)
    if not gaps:
        return
    gap = gaps[0]
    more = f", and {len(gaps) - 1} more gaps follow" if len(gaps) > 1 else ""
    counted = f"{gap.missing} candles are missing" if gap.missing > 1 else "a candle is missing"
    text = f"row {gap.after_row}: {counted} after this one (ts {gap.from_ms} up to {gap.to_ms}){more}"
    raise BadCandles(f"{text}; {hint}" if hint else text, row=gap.after_row, field="ts", value=gap.from_ms)


def fill_gaps(candles: Candles) -> Candles:
    """Return the series with each gap filled by flat candles at the previous close, volume 0.

    Raises BadCandles for a candle that opens beside the grid of the others.
    """
    text, beside = _off_grid(candles) if len(candles) else ("", np.zeros(0, dtype=np.bool_))
    if beside.any():
        row, value = int(np.argmax(beside)) + 1, int(candles.ts[np.argmax(beside)])
        raise BadCandles(f"row {row}: ts {value} {text}", row=row, field="ts", value=value)
    return without_gaps(candles, candles.timeframe_ms)


def without_gaps(candles: Candles, timeframe_ms: int) -> Candles:
    """Return the series with flat candles at the previous close, volume 0, where some of its length are missing."""
    if not len(candles) or candles.ts[-1] - candles.ts[0] == (len(candles) - 1) * timeframe_ms:
        return candles
    ts = np.arange(candles.ts[0], candles.ts[-1] + 1, timeframe_ms)
    row = np.searchsorted(candles.ts, ts, side="right") - 1
    there, close = candles.ts[row] == ts, candles.close[row]
    open_, high, low = (np.where(there, column[row], close) for column in candles.prices[:3])
    return Candles.of(ts, open_, high, low, close, np.where(there, candles.volume[row], 0.0))
