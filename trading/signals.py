"""Signals of live bots: each series computed once per source, timeframe and arguments, shared by all bots.

What is held here is a cache: a process that lacks a series makes it anew from the stored candles. In a replay nothing
is stored, and everything is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Max, Min

from exchanges.candle_store import DAY_MS, ms_of
from exchanges.models import CandleBlock, Market
from exchanges.selectors import candles_load
from trading.core.candles import COLUMNS, Candles
from trading.core.derived import derived_candles
from trading.core.evaluation import timeframes_of
from trading.core.live_candles import END_OF_TIME_MS, LiveCandles
from trading.core.live_series import LiveFrame
from trading.core.needs import DerivedSpec, Needs, SignalSpec
from trading.core.timeframes import MINUTE_MS, whole_series
from trading.core.types import Bar
from trading.series import LiveSignal, Source, live_signal, markets_of

MOST_FRAMES = 2000  # of one source on one timeframe each: some 100 KB with usual windows

Changed = list[tuple[LiveSignal, Any]]


class StoredCandles:
    """One market's candles in the database. Longer ones are made from its minutes, if it has minutes."""

    def __init__(self, market_id: int) -> None:
        self._market_id = market_id

    def load(self, timeframe_ms: int, start_ms: int, end_ms: int) -> Candles:
        base_ms, _, _ = self._stored(timeframe_ms)
        if base_ms == timeframe_ms:
            return candles_load(self._market_id, timeframe_ms, start_ms, end_ms)
        minutes = candles_load(self._market_id, base_ms, start_ms // timeframe_ms * timeframe_ms, end_ms)
        made = whole_series(minutes, timeframe_ms, base_ms)
        inside = made.ts >= start_ms
        return Candles(*(getattr(made, name)[inside] for name in COLUMNS))

    def bounds_ms(self, timeframe_ms: int) -> tuple[int, int]:
        _, begin, end = self._stored(timeframe_ms)
        return begin, end

    def _stored(self, timeframe_ms: int) -> tuple[int, int, int]:
        """Return (length of the stored candles to use, begin of their first day, end of their last day)."""
        lengths = {timeframe_ms} if timeframe_ms % MINUTE_MS else {timeframe_ms, MINUTE_MS}
        blocks = CandleBlock.objects.filter(market=self._market_id, timeframe_ms__in=lengths)
        rows = blocks.values_list("timeframe_ms").annotate(first=Min("day"), last=Max("day")).order_by("timeframe_ms")
        for length, first, last in rows:  # the minutes come first
            return length, ms_of(first), ms_of(last) + DAY_MS
        return timeframe_ms, 0, 0


class DerivedCandles:
    """A derived series at the closes at which all its markets have one, from their frames."""

    def __init__(self, spec: DerivedSpec, hub: SignalHub) -> None:
        self._spec = spec
        self._hub = hub

    def load(self, timeframe_ms: int, start_ms: int, end_ms: int) -> Candles:
        frames = self._frames(timeframe_ms)
        made = derived_candles(self._spec, {name: frame.candles.since(start_ms) for name, frame in frames.items()})
        inside = made.ts < end_ms
        return Candles(*(getattr(made, name)[inside] for name in COLUMNS))

    def bounds_ms(self, timeframe_ms: int) -> tuple[int, int]:
        bounds = [frame.candles.bounds_ms for frame in self._frames(timeframe_ms).values()]
        begin, end = max(begin for begin, _ in bounds), min(end for _, end in bounds)
        return (begin, end) if begin < end else (0, 0)

    def _frames(self, timeframe_ms: int) -> dict[str, LiveFrame]:
        return {name: self._hub.frame(int(name), timeframe_ms) for name, _ in self._spec.terms}


class SignalHub:
    """All series of this process. Thread-safe."""

    def __init__(self) -> None:
        self._frames: dict[tuple[Source, int], LiveFrame] = {}  # the least recently used first
        self._told: dict[LiveSignal, Any] = {}  # the value that was last announced
        self._lock = threading.RLock()

    # --- reading ----------------------------------------------------------------------------------------------------

    def values(
        self, markets: Mapping[str, Market | int], needs: Needs, timeframe_ms: int, now_ms: int | None = None
    ) -> dict[str, Any]:
        """Return all signals of a bot at the last closed candles, None for those that aren't active yet.

        `markets` are by alias. With `now_ms` (market time) the database is asked only when a candle may be new.
        """
        ids = {alias: market if isinstance(market, int) else market.pk for alias, market in markets.items()}
        signals = {name: live_signal(spec, ids, needs, timeframe_ms) for name, spec in needs.signals.items()}
        with self._lock:
            self._refresh(signals.values(), now_ms)
            found = {name: self._value(signal) for name, signal in signals.items()}
            for name, signal in signals.items():
                self._told.setdefault(signal, found[name])
        return found

    def value(self, market_id: int, spec: SignalSpec, timeframe_ms: int) -> Any:
        """Return one signal of one market at its last closed candle."""
        needs = Needs(markets={}, signals={"": spec})
        return self.values({spec.market: market_id}, needs, timeframe_ms)[""]

    # --- what arrives -----------------------------------------------------------------------------------------------

    def take(self, market_id: int, base_ms: int, bars: Sequence[Bar], signals: Iterable[LiveSignal]) -> Changed:
        """Take in candles of one market that have just closed; returns those of `signals` that changed since told.

        They count as changed until `told` says that whoever waits knows.
        """
        waiting = dict.fromkeys(signals)
        with self._lock:
            for signal in [old for old in self._told if market_id in old.markets and old not in waiting]:
                del self._told[signal]  # nobody hears it: whoever waits for it later knows what it was then
            for signal in waiting:
                if signal not in self._told:  # this process has never told it: what was before these candles is known
                    self._prepare(signal, bars[0].ts_ms)
                    self._told[signal] = self._value(signal)
            self._feed(market_id, base_ms, list(bars))
            found = [(signal, self._value(signal)) for signal in waiting]
            return [(signal, value) for signal, value in found if value != self._told[signal]]

    def told(self, changed: Changed) -> None:
        """Remember that whoever waits for these has been told."""
        with self._lock:
            self._told.update(changed)

    def forget(self, market_id: int) -> None:
        """Drop all that is known of a market."""
        with self._lock:
            for where in [where for where in self._frames if market_id in markets_of(where[0])]:
                del self._frames[where]
            for signal in [signal for signal in self._told if market_id in signal.markets]:
                del self._told[signal]

    def clear(self) -> None:
        with self._lock:
            self._frames.clear()
            self._told.clear()

    # --- frames -----------------------------------------------------------------------------------------------------

    def frame(self, source: Source, timeframe_ms: int, before_ms: int = END_OF_TIME_MS) -> LiveFrame:
        """Return the frame of a source; a new one is made from the candles stored before `before_ms`."""
        where = source, timeframe_ms
        frame = self._frames.pop(where, None)
        if frame is None:
            derived = isinstance(source, DerivedSpec)
            store = DerivedCandles(source, self) if isinstance(source, DerivedSpec) else StoredCandles(source)
            candles = LiveCandles(store, timeframe_ms, before_ms)
            frame = LiveFrame(candles, lambda other_ms: self.frame(source, other_ms), close_only=derived)
            self._make_room()
        self._frames[where] = frame
        return frame

    def _make_room(self) -> None:
        """Drop the frame that nobody has asked for longest, if it can be made again."""
        if len(self._frames) >= MOST_FRAMES:
            where = next(iter(self._frames))
            if self._frames[where].candles.is_stored:
                del self._frames[where]

    def _prepare(self, signal: LiveSignal, before_ms: int) -> None:
        for timeframe_ms in timeframes_of(signal.of, signal.timeframe_ms):
            for market_id in signal.markets:
                self.frame(market_id, timeframe_ms, before_ms)
            self.frame(signal.source, timeframe_ms, before_ms)

    def _value(self, signal: LiveSignal) -> Any:
        return self.frame(signal.source, signal.timeframe_ms).value(signal.of)

    def _refresh(self, signals: Iterable[LiveSignal], now_ms: int | None) -> None:
        """Look whether candles have been stored that this process was not given: each frame once, markets first."""
        wanted: dict[tuple[Source, int], None] = {}
        for signal in signals:
            for timeframe_ms in timeframes_of(signal.of, signal.timeframe_ms):
                wanted |= {(market_id, timeframe_ms): None for market_id in signal.markets}
                wanted[signal.source, timeframe_ms] = None
        for source, timeframe_ms in wanted:
            self.frame(source, timeframe_ms).candles.refresh(now_ms)

    def _feed(self, market_id: int, base_ms: int, bars: list[Bar]) -> None:
        for (source, timeframe_ms), frame in list(self._frames.items()):
            if source == market_id and timeframe_ms % base_ms == 0:
                frame.candles.closed(base_ms, bars)
        for (source, _), frame in list(self._frames.items()):
            if isinstance(source, DerivedSpec) and market_id in markets_of(source):
                frame.candles.refresh(bars[-1].ts_ms + base_ms)


HUB = SignalHub()
