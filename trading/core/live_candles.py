"""The closed candles that a live bot's signals are made of: the newest ones, without gaps, as far back as asked for.

They come from a store, or as they close, or both; what a store has is forgotten again. Not thread-safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from trading.core.candle_buffer import CandleBuffer
from trading.core.candles import COLUMNS, Candles, without_gaps
from trading.core.timeframes import Resampler
from trading.core.types import Bar

DAY_MS = 86_400_000
MARGINS_MS = (DAY_MS, 40 * DAY_MS, 2**62)  # how far before a window the candle is looked for that its gap copies
END_OF_TIME_MS = 2**62
LOOK_AGAIN = 60  # candles after which to look whether older ones have been stored; at each one while some are lacking


class Store(Protocol):
    """Where closed candles are kept."""

    def load(self, timeframe_ms: int, start_ms: int, end_ms: int) -> Candles:
        """Return the closed candles of this length with start <= open time < end, oldest first, maybe with gaps."""
        ...

    def bounds_ms(self, timeframe_ms: int) -> tuple[int, int]:
        """Return times between which all stored candles of this length lie; twice the same when there are none."""
        ...


class LiveCandles:
    """Closed candles of one length, newest last, without gaps."""

    def __init__(self, store: Store, timeframe_ms: int, before_ms: int = END_OF_TIME_MS) -> None:
        """Of what is stored only candles that open before `before_ms` count at first."""
        self.timeframe_ms = timeframe_ms
        self._store = store
        self._resampler: Resampler | None = None
        begin, end = store.bounds_ms(timeframe_ms)
        self._stored_ms = begin if begin < end else END_OF_TIME_MS  # from here on there are stored ones
        self._looked = 0  # candles since that was looked at
        self._lacking = False  # whether somebody asked for candles from before the first
        self.rebuilt = 0  # how often older candles have been stored: what rests on the first one is to be made anew
        end = min(end, before_ms)
        newest = store.load(timeframe_ms, max(begin, end - max(DAY_MS, 4 * timeframe_ms)), end)
        self._buffer = CandleBuffer(without_gaps(newest, timeframe_ms))
        self._reached_ms = self.first_ms  # from here on the buffer holds all that there is
        self._needed_ms = 0  # how far back from the newest candle somebody may ask
        self._forget_at = len(self._buffer)  # candles at which to look whether some can go

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def held(self) -> Candles:
        """All candles held just now."""
        return self._buffer.candles

    @property
    def first_ms(self) -> int:
        """Open time of the oldest candle held, the end of time when there is none."""
        return int(self._buffer.candles.ts[0]) if len(self._buffer) else END_OF_TIME_MS

    @property
    def last_ms(self) -> int:
        """Open time of the newest closed candle, -1 when there is none."""
        return int(self._buffer.candles.ts[-1]) if len(self._buffer) else -1

    @property
    def bounds_ms(self) -> tuple[int, int]:
        """Return times between which all candles lie that are held or stored; (0, 0) when there are none."""
        begin, end = self._look()
        if not len(self._buffer):
            return begin, end
        held = self.first_ms, self.last_ms + self.timeframe_ms
        return (min(begin, held[0]), max(end, held[1])) if begin < end else held

    @property
    def is_stored(self) -> bool:
        """Whether what is held here could be read again."""
        begin, end = self._look()
        return begin < end

    def _look(self) -> tuple[int, int]:
        """Return the bounds of what is stored; older candles than last time are read when somebody asks for them."""
        begin, end = self._store.bounds_ms(self.timeframe_ms)
        stored_ms = begin if begin < end else END_OF_TIME_MS
        if stored_ms < self._stored_ms:
            self._reached_ms, self._lacking = self.first_ms, False
            self.rebuilt += 1
        self._stored_ms, self._looked = stored_ms, 0
        return begin, end

    def since(self, start_ms: int) -> Candles:
        """Return the candles from `start_ms` on, as far as there are any."""
        self._reach_back(start_ms)
        held = self._buffer.candles
        return held.slice(int(np.searchsorted(held.ts, start_ms)))

    def refresh(self, now_ms: int | None = None) -> None:
        """Take in what has been stored meanwhile; at `now_ms` (market time) maybe nothing can have closed yet."""
        if now_ms is None or self.last_ms < 0 or now_ms >= self.last_ms + 2 * self.timeframe_ms:
            self._extend(self._store.load(self.timeframe_ms, self._next_ms, END_OF_TIME_MS).bars())

    def closed(self, base_ms: int, bars: list[Bar]) -> None:
        """Take in candles that have just closed, of this length or a shorter one that makes it up."""
        if base_ms == self.timeframe_ms:
            if len(self._buffer) and self._next_ms < bars[0].ts_ms:
                self._extend(self._store.load(base_ms, self._next_ms, bars[0].ts_ms).bars())
            self._extend(bars)
            return
        if self._resampler is None or self._resampler.base_ms != base_ms:
            self._resampler = Resampler(self.timeframe_ms, base_ms)
        for bar in self._shorter(self._resampler, bars):
            whole = self._resampler.add(bar) if bar.ts_ms >= self._next_ms else None
            if whole is not None:
                self._extend([whole])

    def _shorter(self, resampler: Resampler, bars: list[Bar]) -> Iterator[Bar]:
        """Yield shorter candles from where the last longer one ended: stored ones, flat ones, then `bars`."""
        base_ms, before = resampler.base_ms, resampler.last
        if before is None and len(self._buffer):
            before = _flat(self._next_ms - base_ms, float(self._buffer.candles.close[-1]))
        wanted_ms = before.ts_ms + base_ms if before is not None else 0
        missed = self._store.load(base_ms, wanted_ms, bars[0].ts_ms).bars() if wanted_ms < bars[0].ts_ms else ()
        new = [bar for bar in (*missed, *bars) if bar.ts_ms >= wanted_ms]
        known = [before] if before is not None else []
        yield from without_gaps(Candles.from_bars([*known, *new]), base_ms).slice(len(known)).bars()

    @property
    def _next_ms(self) -> int:
        return self.last_ms + self.timeframe_ms if len(self._buffer) else 0

    def _extend(self, bars: Iterable[Bar]) -> None:
        """Append candles that are new, with flat ones where some are missing."""
        for bar in bars:
            if bar.ts_ms <= self.last_ms:
                continue
            self._looked += 1
            if len(self._buffer):
                close = float(self._buffer.candles.close[-1])
                for ts_ms in range(self._next_ms, bar.ts_ms, self.timeframe_ms):
                    self._buffer.append(_flat(ts_ms, close))
            self._buffer.append(bar)
        if self._looked >= LOOK_AGAIN or (self._lacking and self._looked):
            self._look()
        self._forget()

    def _forget(self) -> None:
        """Let go what no window reaches any more, in strides, and only what can be read again."""
        if len(self._buffer) < self._forget_at:
            return
        needed = self._needed_ms // self.timeframe_ms
        enough = 2 * needed + DAY_MS // self.timeframe_ms
        if len(self._buffer) >= enough and self.is_stored:
            self._buffer.drop(len(self._buffer) - needed)
            self._reached_ms = self.first_ms
        self._forget_at = max(enough, 2 * len(self._buffer))

    def _reach_back(self, start_ms: int) -> None:
        """Read older candles, down to the one at `start_ms`."""
        if start_ms >= self._reached_ms or not len(self._buffer):
            return
        stored = self.is_stored
        self._reached_ms = start_ms
        if not stored:
            return
        older = held = self._buffer.candles
        for margin_ms in MARGINS_MS:
            older = self._store.load(self.timeframe_ms, max(0, start_ms - margin_ms), self.first_ms)
            if len(older) and older.ts[0] <= start_ms:
                break
        whole = without_gaps(_joined(older, held), self.timeframe_ms)
        self._buffer = CandleBuffer(whole.slice(int(np.searchsorted(whole.ts, start_ms))))
        self._lacking = self.first_ms > start_ms

    def keep(self, span_ms: int) -> None:
        """Don't forget candles that open this long before the newest one."""
        self._needed_ms = max(self._needed_ms, span_ms)

    def history(self) -> Iterator[Candles]:
        """Yield all candles from the first to the newest one here, without gaps, some weeks at a time."""
        begin, _ = self._look()
        stride = max(1, 40 * DAY_MS // self.timeframe_ms) * self.timeframe_ms
        last: Candles | None = None
        if len(self._buffer) and self.is_stored:
            for start_ms in range(begin // self.timeframe_ms * self.timeframe_ms, self.first_ms, stride):
                part = self._store.load(self.timeframe_ms, start_ms, min(start_ms + stride, self.first_ms))
                if len(part):
                    yield without_gaps(_joined(last, part) if last is not None else part, self.timeframe_ms)
                    last = part.slice(-1)
        held = self._buffer.candles
        yield without_gaps(_joined(last, held) if last is not None else held, self.timeframe_ms)


def _flat(ts_ms: int, close: float) -> Bar:
    return Bar(ts_ms, close, close, close, close)


def _joined(first: Candles, second: Candles) -> Candles:
    return Candles(*(np.concatenate((getattr(first, name), getattr(second, name))) for name in COLUMNS))
