"""The shelf of feeds: which source of prices is watched by what. A source without a feed only has stored candles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from exchanges.adapters.demo.feed import DemoFeed
from exchanges.demo import SOURCE, demo_source, market_now
from exchanges.services import demo_clock_ensure
from trading.core.ports import Feed
from trading.core.timeframes import MINUTE_MS

_LATE_S = 5  # wall time: at x60 a minute of the market is one second, which a busy machine easily misses


def _demo_feed() -> Feed:
    """Go on where the matcher's walk has come to; so the caller catches up first, or gets all of it as ticks."""
    clock = demo_clock_ensure()
    return DemoFeed(
        demo_source(clock),
        lambda: market_now(clock),
        asyncio.sleep,
        from_ms=clock.epoch_ms + clock.walked_ms,
        late_ms=max(MINUTE_MS, _LATE_S * 1000 * clock.speed),
    )


FEEDS: dict[str, Callable[[], Feed]] = {SOURCE: _demo_feed}


def feed_for(source: str) -> Feed | None:
    """Make the feed of a source, None when it has none."""
    make = FEEDS.get(source)
    return make() if make else None
