"""Streams: prices handed on in order with the candles that closed, feeds contained, a clean stop, a remembered walk."""

import asyncio
import threading

import pytest
from django.db import OperationalError, connection

from accounts.containment import failure_counts
from exchanges.demo import demo_source, wall_now_ms
from exchanges.models import DemoClock
from exchanges.selectors import candles_load, candles_stored_until
from exchanges.services import demo_clock_ensure, demo_markets_ensure
from exchanges.streams import Stream, Streams, stream_for
from tests.exchanges.books import market
from trading.core.errors import VenueUnavailable
from trading.core.ports import PriceUpdate
from trading.core.types import Bar

pytestmark = pytest.mark.django_db

MINUTE = 60_000
START = 28_000_000 * MINUTE
WAIT_S = 120


class ScriptedFeed:
    """Plays its script, one start after the other; an exception in it is raised. The last start then stays silent."""

    def __init__(self, *starts):
        self.starts = list(starts)
        self.begun = 0

    async def updates(self, symbols):
        self.begun += 1
        for step in self.starts.pop(0) if self.starts else []:
            if isinstance(step, Exception):
                raise step
            yield step
        await asyncio.Event().wait()

    def history(self, symbol, timeframe_ms, start_ms, end_ms):
        return [Bar(ts, 1.0, 2.0, 0.5, 1.5, 3.0) for ts in range(start_ms, end_ms, timeframe_ms)]


def update(offset_ms, price, symbol="BTC/USDT", late=False):
    ts_ms = START + offset_ms
    return PriceUpdate(symbol, Bar(ts_ms, price, price, price, price), ts_ms + 250, late)


def stream(feed, source="fake", symbol="BTC/USDT", **values):
    values = {"backoff_s": (0.01, 0.02), "silence_s": WAIT_S} | values
    return Stream(source, feed, {symbol: market(source=source, symbol=symbol)}, **values)


class Taker:
    """Keeps what it is handed and sets `stop` once `enough` says so."""

    def __init__(self, enough=lambda taker: False):
        self.taken, self.closed, self.late = [], [], []
        self.enough, self.stop = enough, threading.Event()

    def __call__(self, market, bar, closed, *, received_ms, catching_up):
        self.taken.append((market.symbol, bar))
        self.closed.append([candle.ts_ms - START for candle in closed])
        self.late.append(catching_up)
        if self.enough(self):
            self.stop.set()

    def run(self, *streams, beat=print):
        guard = threading.Timer(WAIT_S, self.stop.set)
        guard.start()
        Streams(streams, self, beat).run(self.stop)
        on_time = guard.is_alive()
        guard.cancel()
        assert on_time, "it never came to its end"


def test_the_first_bar_of_a_minute_brings_the_candles_that_closed_and_they_are_stored_by_then():
    seen = []

    def on_bar(market, bar, closed, *, received_ms, catching_up):
        stored = candles_load(market, MINUTE, START, START + 9 * MINUTE)
        seen.append(([candle.ts_ms - START for candle in closed], len(stored)))

    one = stream(ScriptedFeed())
    one.closed_until["BTC/USDT"] = START
    streams = Streams([one], on_bar, print)
    for offset_ms in (1000, 59_750, 60_000, 60_250, 3 * MINUTE):
        one.conflator.put(update(offset_ms, 1.0), 1)
        streams.hand_on()
    assert seen == [([], 0), ([], 0), ([0], 1), ([], 1), ([MINUTE, 2 * MINUTE], 3)]


def test_a_late_minute_hands_its_candles_on_in_tens_and_is_marked():
    taker, one = Taker(), stream(ScriptedFeed())
    one.closed_until["BTC/USDT"] = START
    streams = Streams([one], taker, print)
    for minute in range(24):
        one.conflator.put(update(minute * MINUTE, 1.0, late=True), 1)
    one.conflator.put(update(24 * MINUTE, 1.0), 1)
    streams.hand_on()
    assert [len(closed) for closed in taker.closed if closed] == [10, 10, 4]
    assert taker.late == [True] * 24 + [False]


def test_history_that_fails_is_fetched_at_the_next_minute():
    class Failing(ScriptedFeed):
        fails = True

        def history(self, *args):
            if self.fails:
                raise VenueUnavailable("down")
            return super().history(*args)

    feed, taker = Failing(), Taker()
    one = stream(feed)
    one.closed_until["BTC/USDT"] = START
    streams = Streams([one], taker, print)
    one.conflator.put(update(MINUTE, 1.0), 1)
    streams.hand_on()
    feed.fails = False
    one.conflator.put(update(2 * MINUTE, 1.0), 1)
    streams.hand_on()
    assert taker.closed == [[], [0, MINUTE]]


def broken_candles(execute, sql, params, many, context):
    if sql.startswith('INSERT INTO "exchanges_candleblock"'):
        raise OperationalError("the database is away")
    return execute(sql, params, many, context)


def test_candles_that_could_not_be_stored_are_handed_on_once_they_are():
    taker, one = Taker(), stream(ScriptedFeed())
    one.closed_until["BTC/USDT"] = START
    streams = Streams([one], taker, print)
    one.conflator.put(update(MINUTE, 1.0), 1)
    with connection.execute_wrapper(broken_candles):
        streams.hand_on()
    one.conflator.put(update(2 * MINUTE, 1.0), 1)
    streams.hand_on()
    assert taker.closed == [[], [0, MINUTE]]


def test_a_candle_that_the_venue_lacks_at_first_is_asked_for_again_with_pauses():
    class Slow(ScriptedFeed):
        asked, lacks = 0, True

        def history(self, symbol, timeframe_ms, start_ms, end_ms):
            self.asked += 1
            bars = super().history(symbol, timeframe_ms, start_ms, end_ms)
            return bars[:-1] if self.lacks else bars

    feed, taker = Slow(), Taker()
    one = stream(feed, retry_s=WAIT_S)
    one.closed_until["BTC/USDT"] = START
    streams = Streams([one], taker, print)
    for offset_ms in (2 * MINUTE, 2 * MINUTE + 250, 2 * MINUTE + 500):
        one.conflator.put(update(offset_ms, 1.0), 1)
        streams.hand_on()
    assert (taker.closed, feed.asked) == ([[0], [], []], 1)
    until_ms, _, pause_s = one.asked["BTC/USDT"]
    one.asked["BTC/USDT"] = until_ms, 0.0, pause_s  # the pause is over
    feed.lacks = False
    one.conflator.put(update(2 * MINUTE + 750, 1.0), 1)
    streams.hand_on()
    assert taker.closed[-1] == [MINUTE]
    assert len(candles_load(one.markets["BTC/USDT"], MINUTE, START, START + 9 * MINUTE)) == 2


def test_prices_go_from_the_feed_to_the_taker_until_it_is_told_to_stop():
    script = [update(offset, float(price)) for offset, price in ((0, 1), (250, 3), (500, 2))]
    taker = Taker(lambda taker: taker.taken[-1][1].close == 2)
    beats = []
    taker.run(stream(ScriptedFeed(script)), beat=beats.append)
    assert {symbol for symbol, _ in taker.taken} == {"BTC/USDT"}
    assert max(bar.high for _, bar in taker.taken) == 3
    assert {"prices", "feeds"} <= set(beats)
    feeds = [thread for thread in threading.enumerate() if thread.name == "feeds"]
    for thread in feeds:
        thread.join(WAIT_S)
    assert not any(thread.is_alive() for thread in feeds)


def test_a_feed_that_fails_or_ends_is_started_again_and_disturbs_no_other():
    broken = ScriptedFeed([VenueUnavailable("gone")], [ValueError("a bug")], [update(0, 1.0, "ETH/USDT")])
    fine = ScriptedFeed([update(0, 5.0)])
    bad, good = stream(broken, "bad", "ETH/USDT"), stream(fine, "good")
    taker = Taker(lambda taker: {symbol for symbol, _ in taker.taken} == {"ETH/USDT", "BTC/USDT"})
    before = failure_counts().get("feed bad", 0)
    taker.run(bad, good)
    assert (broken.begun, bad.restarts) == (3, 2)
    assert (fine.begun, good.restarts) == (1, 0)
    assert failure_counts()["feed bad"] == before + 2


def test_a_silent_feed_is_started_again():
    feed = ScriptedFeed([], [update(0, 1.0)])
    taker = Taker(lambda taker: bool(taker.taken))
    one = stream(feed, silence_s=0.05)
    taker.run(one)
    assert feed.begun >= 2
    assert one.restarts in (feed.begun - 1, feed.begun)  # it may have fallen silent once more meanwhile


class Raising:
    """Fails for one source as long as `fails` is above 0."""

    def __init__(self, fails):
        self.fails, self.taken = fails, []

    def __call__(self, market, bar, closed, *, received_ms, catching_up):
        if market.source == "bad" and self.fails:
            self.fails -= 1
            raise RuntimeError("the database is away")
        self.taken.append((market.source, bar))


def test_a_piece_that_failed_comes_again_as_it_was_before_what_came_since_and_holds_up_no_other_market():
    bad, good, taker = stream(ScriptedFeed(), "bad", retry_s=WAIT_S), stream(ScriptedFeed(), "good"), Raising(1)
    streams = Streams([bad, good], taker, print)
    for one in (bad, good):
        one.conflator.put(update(0, 1.0), 1)
    assert streams.hand_on() == 1
    assert [source for source, _ in taker.taken] == ["good"]
    assert "BTC/USDT" not in bad.handed_until
    bad.conflator.put(update(250, 9.0), 2)
    assert streams.hand_on() == 0, "it waits a moment first"
    bad.retry_at.clear()
    assert streams.hand_on() == 2
    taken = [(source, bar.ts_ms, bar.low, bar.high) for source, bar in taker.taken[-2:]]
    assert taken == [("bad", START, 1.0, 1.0), ("bad", START + 250, 9.0, 9.0)]
    assert bad.handed_until["BTC/USDT"] == START + 500


def test_candles_that_closed_with_a_failed_piece_come_with_its_next_try():
    closed = []

    def on_bar(market, bar, candles, *, received_ms, catching_up):
        closed.append([candle.ts_ms - START for candle in candles])
        if len(closed) == 1:
            raise RuntimeError("the database is away")

    one = stream(ScriptedFeed(), retry_s=0.0)
    one.closed_until["BTC/USDT"] = START
    streams = Streams([one], on_bar, print)
    one.conflator.put(update(MINUTE, 1.0), 1)
    streams.hand_on()
    one.conflator.put(update(2 * MINUTE, 1.0), 1)
    streams.hand_on()
    assert closed == [[0], [0], [MINUTE]]


def test_minutes_behind_a_failed_one_keep_their_order():
    bad, taker = stream(ScriptedFeed(), "bad", retry_s=0.0), Raising(1)
    streams = Streams([bad], taker, print)
    for minute in range(3):
        bad.conflator.put(update(minute * MINUTE, 1.0 + minute), 1)
    assert streams.hand_on() == 0
    assert streams.hand_on() == 3
    assert [bar.close for _, bar in taker.taken] == [1.0, 2.0, 3.0]


def test_a_piece_that_always_fails_is_given_up():
    bad, taker = stream(ScriptedFeed(), "bad", retry_s=0.0), Raising(5)
    streams = Streams([bad], taker, print)
    bad.conflator.put(update(0, 1.0), 1)
    handed = [streams.hand_on() for _ in range(6)]
    assert handed == [0, 0, 0, 0, 1, 0]
    bad.conflator.put(update(MINUTE, 2.0), 1)
    assert streams.hand_on() == 1
    assert [bar.close for _, bar in taker.taken] == [2.0]


def test_a_database_that_is_away_costs_no_price_however_long():
    one, away, taken = stream(ScriptedFeed(), retry_s=0.0), [True], []

    def on_bar(market, bar, closed, *, received_ms, catching_up):
        if away[0]:
            raise OperationalError("server closed the connection")
        taken.append((bar.low, bar.close))

    streams = Streams([one], on_bar, print)
    one.conflator.put(update(0, 1.0), 1)
    assert [streams.hand_on() for _ in range(20)] == [0] * 20
    one.conflator.put(update(250, 2.0), 2)
    away[0] = False
    assert streams.hand_on() == 2
    assert taken == [(1.0, 1.0), (2.0, 2.0)]


def test_a_market_without_prices_becomes_stale(settings):
    one = stream(ScriptedFeed())
    assert one.stale(wall_now_ms()) == []
    later = wall_now_ms() + settings.PRICE_MAX_AGE_MS + 1000
    assert one.stale(later) == ["BTC/USDT"]
    one.received_ms["BTC/USDT"] = later - settings.PRICE_MAX_AGE_MS
    assert one.stale(later) == []


def test_a_source_without_feed_or_markets_has_no_stream():
    assert stream_for("demo") is None
    market(source="file")
    assert stream_for("file") is None


def test_after_a_downtime_the_missed_minutes_of_the_demo_market_come_first_and_the_walk_is_remembered():
    demo_markets_ensure()
    clock = demo_clock_ensure()
    away_ms, walked_ms = 25 * MINUTE + 10_000, 3 * MINUTE + 7250
    DemoClock.objects.update(wall_ms=clock.wall_ms - away_ms, walked_ms=walked_ms)
    clock.refresh_from_db()
    stream = stream_for("demo")
    symbols = list(stream.markets)
    source, began_ms = demo_source(clock), clock.epoch_ms + walked_ms
    current_ms = clock.epoch_ms + away_ms // MINUTE * MINUTE  # the minute in which they are back
    taker = Taker(lambda taker: {name for name, bar in taker.taken if bar.ts_ms >= current_ms} == set(symbols))
    taker.run(stream)

    for symbol in symbols:
        bars = [bar for name, bar in taker.taken if name == symbol]
        last_ms = stream.handed_until[symbol]
        whole = source.bar(symbol, began_ms, last_ms)
        assert bars[0].ts_ms == began_ms
        assert bars[1].ts_ms == clock.epoch_ms + 4 * MINUTE
        assert max(bar.high for bar in bars) == whole.high
        assert min(bar.low for bar in bars) == whole.low
        assert [bar.ts_ms for bar in bars] == sorted({bar.ts_ms for bar in bars})
    assert taker.late[0]
    clock.refresh_from_db()
    assert clock.epoch_ms + clock.walked_ms == min(stream.handed_until.values())
    assert clock.walked_ms >= away_ms
    stored_until = candles_stored_until(stream.markets[symbols[0]], MINUTE)
    assert stored_until == (stream.handed_until[symbols[0]] - 1) // MINUTE * MINUTE


def test_what_follows_a_minute_is_tried_again_until_it_works_and_until_then_the_walk_is_not_remembered():
    told, away, remembered = [], [OperationalError("away")], []

    def after():
        if away:
            raise away.pop()
        told.append(len(taker.taken))

    taker, one = Taker(), stream(ScriptedFeed(), remember=remembered.append)
    streams = Streams([one], taker, print, after=after)
    for offset_ms in (1000, 2000, MINUTE):
        one.conflator.put(update(offset_ms, 1.0), 1)
    streams.hand_on()
    streams._check()
    assert (told, len(taker.taken)) == ([2], 2)  # the first minute's failed and came again with the second's
    assert remembered == [START + MINUTE + 250]
    away.append(OperationalError("away"))
    one.conflator.put(update(MINUTE + 1000, 1.0), 1)
    streams.hand_on()
    streams._checked_at = 0.0
    streams._check()
    assert remembered == [START + MINUTE + 250]
    streams.hand_on()  # nothing has come: it is tried again all the same
    streams._checked_at = 0.0
    streams._check()
    assert told == [2, 3]
    assert remembered == [START + MINUTE + 250, START + MINUTE + 1250]
