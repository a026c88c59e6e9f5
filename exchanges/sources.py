"""One source of live prices: its feed, its markets, and how far each of them has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings

from exchanges.conflation import Conflator
from exchanges.demo import SOURCE, wall_now_ms
from exchanges.feeds import feed_for
from exchanges.models import Market
from exchanges.selectors import demo_clock_get, markets_of
from exchanges.services import demo_walked
from trading.core.ports import Feed
from trading.core.types import Bar


@dataclass
class Stream:
    """One source of prices: its feed, its markets, and how far each of them has come."""

    source: str
    feed: Feed
    markets: dict[str, Market]
    remember: Callable[[int], None] | None = None  # told up to which market time all prices have been handed on
    conflator: Conflator = field(default_factory=Conflator)
    silence_s: float = 15.0  # without any update, then the feed is started again
    backoff_s: tuple[float, float] = (0.5, 30.0)  # first and longest pause before that
    retry_s: float = 1.0  # after `on_bar` failed
    retry_at: dict[str, float] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    closed: dict[str, list[Bar]] = field(default_factory=dict)  # candles that closed and aren't handed on yet
    closed_until: dict[str, int] = field(default_factory=dict)
    asked: dict[str, tuple[int, float, float]] = field(default_factory=dict)  # until when, when again, pause after that
    handed_until: dict[str, int] = field(default_factory=dict)
    received_ms: dict[str, int] = field(default_factory=dict)
    remembered_ms: int = 0
    began_ms: int = field(default_factory=wall_now_ms)
    restarts: int = 0
    error: str = ""

    def may_ask(self, symbol: str, until_ms: int, now: float) -> bool:
        """Say whether to ask for closed candles up to `until_ms` now (monotonic), and note that it was done.

        For the same minute there are ever longer pauses between: a venue may lack a candle in which nobody traded.
        """
        known_ms, at, pause_s = self.asked.get(symbol, (-1, now, self.retry_s))
        if known_ms != until_ms:
            at, pause_s = now, self.retry_s
        if now < at:
            return False
        self.asked[symbol] = until_ms, now + pause_s, 2 * pause_s
        return True

    def waiting(self, now: float) -> set[str]:
        """Name the markets whose next try is not due yet; `now` is monotonic."""
        return {symbol for symbol, at in self.retry_at.items() if at > now}

    def stale(self, now_ms: int) -> list[str]:
        """Name the markets without a price for longer than PRICE_MAX_AGE_MS."""
        oldest = now_ms - settings.PRICE_MAX_AGE_MS
        return [symbol for symbol in self.markets if self.received_ms.get(symbol, self.began_ms) < oldest]


def stream_for(source: str) -> Stream | None:
    """Return the stream of a source with a feed and markets, None when it lacks one of them."""
    markets = {market.symbol: market for market in markets_of(source)}
    feed = feed_for(source) if markets else None
    if feed is None:
        return None
    clock = demo_clock_get() if source == SOURCE else None
    if clock is None:
        return Stream(source, feed, markets)
    return Stream(source, feed, markets, lambda ms: demo_walked(clock=clock, market_ms=ms - clock.epoch_ms))
