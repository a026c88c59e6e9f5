"""What a decision of a backtest waits for: prices, trails, signals, derived series, a time, or another try after a
denial.

Prices and trails are watched by the matching. The rest can only change at a candle's close: `stop` is the candle before
whose open the walk has to stop for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from trading.core.book import Book
from trading.core.candles import Candles, Floats, Ints
from trading.core.errors import StrategyFault
from trading.core.matching import ABOVE, BELOW
from trading.core.series_set import SeriesSet
from trading.core.types import PriceWake, Signal, TrailWake, Wake
from trading.core.wants import check_wake

BACKOFF_MAX_S = 60
FAR = 2**62
_INF = float("inf")
_NO_LEVELS = np.array([[-_INF], [_INF]])
_NOTHING = Wake()
_FIRST_BLOCK = 1024


class SignalClock:
    """The closes at which some signals change, in order; asked for ever later candles only."""

    def __init__(self, series: SeriesSet, names: Sequence[str]) -> None:
        changes = [series.signal(name).changes() for name in names]
        closes = np.concatenate([np.zeros(0, dtype=np.int64), *changes])
        which = np.repeat(np.arange(len(names)), [len(one) for one in changes])
        order = np.lexsort((which, closes))
        self._series, self._names = series, names
        self._sorted: Ints = closes[order]
        self._closes = self._sorted.data  # gives Python's own ints, in half of the time
        self._which = which[order].data
        self._next = 0

    def next_close(self, i: int) -> int:
        """Return the first candle from `i` on at whose close one of them changes."""
        closes, k, count = self._closes, self._next, len(self._closes)
        if k < count and closes[k] < i:
            k += 1
            if k < count and closes[k] < i:
                k = int(self._sorted.searchsorted(i))
            self._next = k
        return closes[k] if k < count else FAR

    def at(self, closed: int, now_ms: int) -> list[Signal]:
        """Return those that changed at the close of candle `closed`."""
        told = []
        closes, k = self._closes, self._next
        while k < len(closes) and closes[k] <= closed:
            if closes[k] == closed:
                name = self._names[self._which[k]]
                told.append(Signal(name, self._series.signal(name).at(closed), now_ms))
            k += 1
        return told


class Alarm:
    """Armed by each decision anew; an unchanged wake costs next to nothing."""

    def __init__(self, book: Book, points: Floats, candles: Candles, series: SeriesSet) -> None:
        self.stop = FAR
        self._book = book
        self._levels = points[BELOW : ABOVE + 1]
        self._below, self._above = points[BELOW].data, points[ABOVE].data  # give and take Python's own floats
        self._aliases = {market.alias: market for market in book.markets}
        self._ts = candles.ts.data
        self._timeframe_ms = candles.timeframe_ms
        self._wake = _NOTHING
        self._trails: dict[TrailWake, int] = {}  # their rows
        self._derived: list[tuple[str, Floats, float, float]] = []  # name, values, below, above
        self._found: dict[tuple[str, float, float], tuple[int, int]] = {}  # looked from, found at
        self._derived_close = self._time_close = FAR
        self._backoff_s = 0
        self.use(series)

    def use(self, series: SeriesSet) -> None:
        """Take the series of a strategy whose parameters changed."""
        self._series = series
        self._found.clear()
        self._clocks: dict[tuple[str, ...], SignalClock] = {}
        self._clock = SignalClock(series, ())
        self._fresh = True  # the next wake is looked at anew, whatever the last one was

    def arm(self, wake: Wake, *, denied: bool, now_ms: int, i: int) -> None:
        """Wait for `wake`, and after a denial for the end of its back-off too; `i` is the candle of the cursor.

        Raises StrategyFault for a signal or a market that the strategy didn't ask for, and for a level that is none.
        """
        if wake is not self._wake or self._fresh:
            self._take(wake)
        elif not denied and not self._backoff_s and i < self.stop:  # it still waits for what it waited for
            return
        close = self._clock.next_close(i)
        if self._derived:
            self._derived_close = min(self._next_beyond(*one, i) for one in self._derived)
            close = min(close, self._derived_close)
        if denied or wake.at_ms is not None:
            self._time_close = self._next_time(wake, denied=denied, now_ms=now_ms, i=i)
            close = min(close, self._time_close)
        else:
            self._backoff_s, self._time_close = 0, FAR
        self.stop = close + 1

    def disarm(self) -> None:
        self.arm(_NOTHING, denied=False, now_ms=0, i=0)

    def signals_at(self, closed: int, now_ms: int) -> list[Signal]:
        """Return the awaited signals that changed at the close of candle `closed`."""
        return self._clock.at(closed, now_ms)

    def is_derived(self, closed: int) -> bool:
        return closed == self._derived_close

    def is_time(self, closed: int) -> bool:
        return closed >= self._time_close

    # --- a new wake -------------------------------------------------------------------------------------------------

    def _take(self, wake: Wake) -> None:
        check_wake(wake)
        before, self._wake = self._wake, wake
        if self._fresh or wake.prices is not before.prices:
            self._take_prices(wake.prices)
        if self._fresh or wake.trails is not before.trails:
            self._take_trails(wake.trails)
        if self._fresh or wake.signals is not before.signals:
            self._take_signals(wake.signals)
        self._fresh = False

    def _take_prices(self, prices: tuple[PriceWake, ...]) -> None:
        self._levels[:] = _NO_LEVELS
        derived: dict[str, tuple[float, float]] = {}
        for wake in prices:
            market = self._aliases.get(wake.series)
            if market is None:
                below, above = derived.get(wake.series, (-_INF, _INF))
                derived[wake.series] = _narrowed(wake.level, below, above, rises=wake.above)
                continue
            at, level = market.index, market.desk.as_last(wake.level, wake.by)
            if wake.above:
                self._above[at] = min(self._above[at], level)
            else:
                self._below[at] = max(self._below[at], level)
        for name in derived:
            self._refuse_unless(name in self._series.derived_series, name)
        self._derived = [(name, self._series.derived(name).values, *levels) for name, levels in derived.items()]
        self._derived_close = FAR

    def _take_trails(self, trails: tuple[TrailWake, ...]) -> None:
        """Follow the new ones; one that was there before keeps its peak."""
        for gone in [trail for trail in self._trails if trail not in trails]:
            self._book.unwatch(self._trails.pop(gone))
        for trail in trails:
            if trail not in self._trails:
                self._refuse_unless(trail.market in self._aliases, trail.market)
                self._trails[trail] = self._book.watch_trail(trail, self._aliases[trail.market])

    def _take_signals(self, names: tuple[str, ...]) -> None:
        clock = self._clocks.get(names)
        if clock is None:
            for name in names:
                self._refuse_unless(name in self._series.signals, name)
            clock = self._clocks[names] = SignalClock(self._series, names)
        self._clock = clock

    def _refuse_unless(self, known: bool, name: str) -> None:
        if not known:
            raise StrategyFault(f"it waits for {name!r}, which it didn't ask for in its needs")

    # --- when -------------------------------------------------------------------------------------------------------

    def _next_time(self, wake: Wake, *, denied: bool, now_ms: int, i: int) -> int:
        """Return the candle at whose close a time has come."""
        self._backoff_s = min(BACKOFF_MAX_S, max(1, self._backoff_s * 2)) if denied else 0
        retry_ms = now_ms + 1000 * self._backoff_s if denied else None
        first = min(at for at in (wake.at_ms, retry_ms) if at is not None)
        if i >= len(self._ts):
            return i
        opens = first - self._timeframe_ms  # of the candle at whose close it is; none is shorter than a timeframe
        most = i + max(0, -(-(opens - self._ts[i]) // self._timeframe_ms))
        return bisect_left(self._ts, opens, i, min(most, len(self._ts)))

    def _next_beyond(self, name: str, values: Floats, below: float, above: float, i: int) -> int:
        """Return the first candle from `i` on at whose close the series is at or beyond a level."""
        looked_from, found = self._found.get((name, below, above), (FAR, FAR))
        if not looked_from <= i <= found:
            found = _first_beyond(values, below, above, i)
            self._found[name, below, above] = i, found
        return found


def _narrowed(level: float, below: float, above: float, *, rises: bool) -> tuple[float, float]:
    return (below, min(above, level)) if rises else (max(below, level), above)


def _first_beyond(values: Floats, below: float, above: float, i: int) -> int:
    block = _FIRST_BLOCK
    while i < len(values):
        part = values[i : i + block]
        hits = np.flatnonzero((part <= below) | (part >= above))  # never true of NaN
        if len(hits):
            return i + int(hits[0])
        i += block
        block *= 2
    return FAR
