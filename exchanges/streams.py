"""Live prices: feeds in an event loop of their own, their updates merged and handed on in one consumer thread.

What was missed while nobody ran comes first, as whole minutes marked `catching_up`. What `on_bar` raises is contained:
the piece comes again as it was, before what has come since; a database that was away for a moment costs no fill.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from accounts.containment import contain
from accounts.correlation import correlated
from exchanges.conflation import Piece
from exchanges.demo import wall_now_ms
from exchanges.feed_thread import FeedThread
from exchanges.models import Market
from exchanges.paper_match import Reach
from exchanges.selectors import candles_stored_until
from exchanges.services import candles_save
from exchanges.sources import Stream, stream_for
from trading.core.candles import Candles
from trading.core.timeframes import MINUTE_MS
from trading.core.types import Bar

__all__ = ["OnBar", "Stream", "Streams", "stream_for"]

log = logging.getLogger(__name__)

PACE_S = 0.1  # one mini-candle a market in this time, at most
_LATE_CANDLES = 10  # closed candles are handed on in tens while catching up
_TRIES = 5  # of one piece, then it is given up; a database that is away isn't the piece's fault, and doesn't count
_BACKFILL_MS = 86_400_000  # of closed candles that are fetched when the store lacks them


class OnBar(Protocol):
    def __call__(self, market: Market, bar: Bar, closed: Sequence[Bar], *, received_ms: int, catching_up: bool) -> None:
        """Take a market's newest prices. `closed` are the 1-minute candles that ended before `bar` began, if any:
        they are stored already, and come first."""
        ...


class Streams:
    """All streams of this process. `run` blocks until `stop` is set; `beat` is called by each part that is alive."""

    def __init__(
        self,
        streams: Sequence[Stream],
        on_bar: OnBar,
        beat: Callable[[str], object],
        before: Callable[[set[int], Mapping[int, Reach]], object] = lambda market_ids, reach: None,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """`before` is told the markets of all that has just come, and how far the prices of each reach, before the
        first of it is handed on.

        `after` is called when all prices of one minute have been handed on; should it fail, it is called again.
        """
        self.streams = list(streams)
        self._on_bar = on_bar
        self._before = before
        self._after = after
        self._owed = False  # an `after` that hasn't succeeded yet
        self._beat = beat
        self.stale: set[tuple[str, str]] = set()  # (source, symbol) without a current price
        self._checked_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Start the feeds, hand on what they bring, and end both when `stop` is set; nothing handed on is lost."""
        feeds = FeedThread(self.streams, self._beat)
        feeds.start()
        try:
            while not stop.is_set():
                began = time.monotonic()
                self.hand_on()
                self._beat("prices")
                self._check()
                stop.wait(max(0.0, PACE_S - (time.monotonic() - began)))
        finally:
            feeds.stop()
            for stream in self.streams:
                self._remember(stream)

    def hand_on(self) -> int:
        """Hand on what has come; returns how many pieces that were. A market that fails waits, the others go on."""
        come = [(stream, piece) for stream in self.streams for piece in stream.conflator.take()]
        come.sort(key=lambda one: one[1].minute_ms)
        reach: dict[int, Reach] = {}
        for stream, piece in come:
            market_id, bar = stream.markets[piece.symbol].pk, piece.bar
            reach[market_id] = reach.get(market_id, Reach(bar.low, bar.high, bar.ts_ms)).with_bar(bar)
        if reach:
            with contain("prices that have come"):
                self._before(set(reach), reach)
        waiting = {id(stream): stream.waiting(time.monotonic()) for stream in self.streams}
        kept: dict[int, list[Piece]] = {}
        count = 0
        for _, minute in groupby(come, key=lambda one: one[1].minute_ms):
            for stream, piece in minute:
                if piece.symbol in waiting[id(stream)]:
                    kept.setdefault(id(stream), []).append(piece)
                elif not self._hand(stream, piece):
                    waiting[id(stream)].add(piece.symbol)
                    kept.setdefault(id(stream), []).append(replace(piece, tried=True))
                else:
                    count += 1
                self._beat("prices")
            self._finish_minute()
        if self._owed and not come:
            self._finish_minute()
        for stream in self.streams:
            if kept.get(id(stream)):
                stream.conflator.put_back(kept[id(stream)])
        return count

    def _finish_minute(self) -> None:
        with contain("waking") as outcome:
            self._after()
        self._owed = outcome.failed

    def _hand(self, stream: Stream, piece: Piece) -> bool:
        """Hand on one piece; False when it failed and is worth another try, a little later."""
        market = stream.markets[piece.symbol]
        with correlated(), contain(f"prices of {market}") as outcome:
            closed = stream.closed.setdefault(piece.symbol, [])  # those of a failed try, too
            closed += self._closed(stream, market, piece)
            self._on_bar(market, piece.bar, closed, received_ms=piece.received_ms, catching_up=piece.late)
        away = isinstance(outcome.error, OperationalError | InterfaceError)
        tries = stream.tries.get(piece.symbol, 0) + (not away)
        if outcome.failed and tries < _TRIES:
            stream.tries[piece.symbol] = tries
            stream.retry_at[piece.symbol] = time.monotonic() + stream.retry_s
            return False
        stream.tries.pop(piece.symbol, None)
        stream.closed.pop(piece.symbol, None)
        stream.received_ms[piece.symbol] = piece.received_ms
        stream.handed_until[piece.symbol] = piece.until_ms
        return True

    def _closed(self, stream: Stream, market: Market, piece: Piece) -> list[Bar]:
        """Fetch and store the candles that have closed before this piece, and return what is stored by now.

        What failed, or what the venue doesn't have yet, is asked for again: at the next minute at the latest.
        """
        until_ms = piece.minute_ms
        known_ms = stream.closed_until.get(market.symbol)
        if known_ms is None:
            known_ms = max(candles_stored_until(market, MINUTE_MS) or 0, until_ms - _BACKFILL_MS)
            stream.closed_until[market.symbol] = known_ms
        few = _LATE_CANDLES * MINUTE_MS if piece.late else MINUTE_MS
        if until_ms - known_ms < few or not stream.may_ask(market.symbol, until_ms, time.monotonic()):
            return []
        with contain(f"candles of {market}"):
            told = stream.feed.history(market.symbol, MINUTE_MS, known_ms, until_ms)
            bars = [bar for bar in told if known_ms <= bar.ts_ms < until_ms]
            candles_save(market=market, timeframe_ms=MINUTE_MS, candles=Candles.from_bars(bars))
            if bars:
                stream.closed_until[market.symbol] = bars[-1].ts_ms + MINUTE_MS
            return bars
        return []

    def _check(self) -> None:
        """Once a second: what has become stale, and how far the walk has come."""
        if time.monotonic() - self._checked_at < 1.0:
            return
        self._checked_at = time.monotonic()
        if not connection.in_atomic_block:
            close_old_connections()
        stale = {(stream.source, symbol) for stream in self.streams for symbol in stream.stale(wall_now_ms())}
        for source, symbol in sorted(stale - self.stale):
            log.warning("%s %s: no price for %s ms", source, symbol, settings.PRICE_MAX_AGE_MS)
        for source, symbol in sorted(self.stale - stale):
            log.info("%s %s: prices again", source, symbol)
        self.stale = stale
        for stream in self.streams:
            self._remember(stream)

    def _remember(self, stream: Stream) -> None:
        if self._owed or stream.remember is None or len(stream.handed_until) < len(stream.markets):
            return
        until_ms = min(stream.handed_until.values())
        if until_ms > stream.remembered_ms:
            with contain(f"walk of {stream.source}"):
                stream.remember(until_ms)
                stream.remembered_ms = until_ms
