"""The demo market as a feed: all since the last look, cut at minutes, by the clock and the sleep it is handed."""

import asyncio
from itertools import pairwise

from exchanges.adapters.demo.feed import PAUSE_S, DemoFeed, DemoSource, minutes_between
from exchanges.conflation import joined

MINUTE = 60_000
EPOCH = 28_000_000 * MINUTE
SYMBOLS = ["BTC/USDT", "DOGE/USDT"]


def collect(from_ms, looks, symbols=SYMBOLS):
    """Run the feed over a clock that shows one of `looks` after the other; returns all updates."""
    source, times, updates = DemoSource(7, EPOCH), list(looks), []
    keep = updates.append

    async def sleep(seconds):
        if seconds == PAUSE_S:
            times.pop(0)
            if not times:
                raise asyncio.CancelledError

    async def run():
        feed = DemoFeed(source, lambda: times[0], sleep, from_ms=from_ms)
        async for update in feed.updates(symbols):
            keep(update)

    try:
        asyncio.run(run())
    except asyncio.CancelledError:
        return source, updates
    raise AssertionError("the feed ended")


def test_each_look_brings_the_ticks_since_the_last_one():
    start = EPOCH + 10_000
    source, updates = collect(start, [start, start + 100, start + 250, start + 1100])
    assert [(update.symbol, update.bar.ts_ms - start, update.until_ms - start) for update in updates] == [
        ("BTC/USDT", 0, 250),
        ("DOGE/USDT", 0, 250),
        ("BTC/USDT", 250, 1000),
        ("DOGE/USDT", 250, 1000),
    ]
    assert updates[2].bar == source.bar("BTC/USDT", start + 250, start + 1000)
    assert not any(update.late for update in updates)


def test_a_calm_market_is_told_of_every_half_second_and_at_the_end_of_each_minute():
    start = EPOCH + 59_000
    source, updates = collect(start, [start + step for step in range(0, 2001, 250)], ["LTC/USDT", "BTC/USDT"])
    calm = [(update.bar.ts_ms - start, update.until_ms - start) for update in updates if update.symbol == "LTC/USDT"]
    assert calm == [(0, 500), (500, 1000), (1000, 1500), (1500, 2000)]
    lively = [update.until_ms - start for update in updates if update.symbol == "BTC/USDT"]
    assert lively == list(range(250, 2001, 250))
    assert updates[0].bar == source.bar("BTC/USDT", start, start + 250)


def test_a_calm_market_loses_nothing_at_the_edge_of_a_minute():
    start = EPOCH + 59_750
    source, updates = collect(start, [start, start + 1000], ["LTC/USDT"])
    assert [(update.bar.ts_ms - start, update.until_ms - start) for update in updates] == [(0, 250), (250, 750)]
    assert updates[0].bar == source.bar("LTC/USDT", start, start + 250)


def test_a_clock_that_always_runs_ahead_still_gets_prices_of_now():
    start = EPOCH + 10_000
    _, updates = collect(start, [start + look * 10 * MINUTE for look in range(1, 6)], ["BTC/USDT"])
    newest = [update for update in updates if (update.until_ms - start) % (10 * MINUTE) == 0]
    assert len(newest) == 5
    assert not any(update.late for update in newest)
    assert sum(update.late for update in updates) > 40


def test_a_minute_is_never_crossed_and_what_was_missed_comes_whole_and_late():
    start, end = EPOCH + 45_000, EPOCH + 5 * MINUTE + 30_250
    source, updates = collect(start, [end, end + 250], ["BTC/USDT"])
    assert [update.late for update in updates] == [True] * 4 + [False] * 3
    assert all(one.until_ms == then.bar.ts_ms for one, then in pairwise(updates))
    assert all(update.bar.ts_ms // MINUTE == (update.until_ms - 1) // MINUTE for update in updates)
    total = updates[0].bar
    for update in updates[1:]:
        total = joined(total, update.bar)
    whole = source.bar("BTC/USDT", start, end + 250)
    assert (total.ts_ms, total.open, total.high, total.low, total.close) == (
        whole.ts_ms,
        whole.open,
        whole.high,
        whole.low,
        whole.close,
    )


def test_a_clock_that_turns_back_brings_nothing_twice():
    start = EPOCH + 10_000
    _, updates = collect(start, [start + 1000, start + 500, start + 1250], ["BTC/USDT"])
    assert [(update.bar.ts_ms - start, update.until_ms - start) for update in updates] == [(0, 1000), (1000, 1250)]


def test_its_history_are_closed_candles():
    feed = DemoFeed(DemoSource(7, EPOCH), lambda: EPOCH, asyncio.sleep)
    bars = feed.history("BTC/USDT", MINUTE, EPOCH - 2 * MINUTE, EPOCH + MINUTE)
    assert [bar.ts_ms - EPOCH for bar in bars] == [-2 * MINUTE, -MINUTE, 0]


def test_cutting_at_minutes():
    assert list(minutes_between(50, 50)) == []
    assert list(minutes_between(59_999, 120_001)) == [(59_999, 60_000), (60_000, 120_000), (120_000, 120_001)]
