"""Trails over live prices: wakes fire once, peaks are kept in memory and rebuilt from what is stored."""

from decimal import Decimal

import pytest

from exchanges.demo import demo_source
from exchanges.models import DemoClock
from exchanges.paper import PaperVenue, walk
from exchanges.prices import quote_put
from exchanges.services import candles_save, demo_clock_ensure, demo_markets_ensure
from exchanges.trails import Trails, TrailWatch, best_since
from tests.exchanges.books import bar, flat, funded, market, place
from trading.core.candles import Candles
from trading.core.types import Bar, Side, Trail

pytestmark = pytest.mark.django_db
MINUTE = 60_000
FIVE_BELOW = Trail(None, offset=5.0)


@pytest.fixture
def btc():
    return market(source="file")


def sell(market, trail=FIVE_BELOW, since_ms=0, name=1) -> TrailWatch:
    return TrailWatch(name, market.pk, Side.SELL, trail, since_ms)


def stored(market, *rows: tuple[float, float, float, float]) -> None:
    """Minutes from time 0 on: open, high, low, close."""
    bars = [Bar(number * MINUTE, *row) for number, row in enumerate(rows)]
    candles_save(market=market, timeframe_ms=MINUTE, candles=Candles.from_bars(bars))


def test_a_wake_follows_the_price_and_fires_where_its_order_would(btc):
    trails, watches = Trails(), [sell(btc)]
    assert trails.fired(btc, flat(100.0), watches) == []
    assert trails.fired(btc, bar(100.0, 120.0, 100.0, 116.0), watches) == []
    assert trails.fired(btc, bar(116.0, 117.0, 115.01, 116.0), watches) == []
    assert trails.fired(btc, bar(116.0, 116.0, 115.0, 116.0), watches) == watches


def test_several_wakes_on_a_market_are_told_apart(btc):
    trails = Trails()
    near, far = sell(btc, Trail(None, offset=2.0), name="near"), sell(btc, Trail(None, offset=9.0), name="far")
    buy = TrailWatch("buy", btc.pk, Side.BUY, Trail(90.0, offset=1.0), 0)
    assert trails.fired(btc, flat(100.0), [near, far, buy]) == []
    assert trails.fired(btc, flat(97.0), [near, far, buy]) == [near]
    assert trails.fired(btc, bar(97.0, 97.0, 89.0, 90.5), [far, buy]) == [far, buy]


def test_two_markets_do_not_share_a_peak(btc):
    eth, trails = market(source="file", symbol="ETH/USDT"), Trails()
    one, other = sell(btc), sell(eth)
    trails.fired(btc, flat(100.0), [one])
    trails.fired(eth, flat(50.0), [other])
    assert trails.fired(eth, flat(46.0), [other]) == []
    assert trails.fired(btc, flat(95.0), [one]) == [one]


def test_a_trail_counts_from_the_last_price_before_it_was_placed(btc):
    quote_put(btc.pk, flat(100.0), 1)
    assert Trails().fired(btc, flat(95.0), [sell(btc)]) == [sell(btc)], "a gap below it"
    assert Trails().fired(btc, flat(95.01), [sell(btc)]) == []


def test_after_a_restart_the_peak_is_that_of_the_stored_minutes_since_it_was_made(btc):
    stored(btc, (100, 150, 99, 101), (101, 120, 100, 118), (118, 119, 116, 117))
    watch = sell(btc, since_ms=30_000)
    assert best_since(btc, watch, 3 * MINUTE) == 120, "not the 150 of the minute before it was made"
    assert Trails().fired(btc, flat(115.0, 3 * MINUTE), [watch]) == [watch]
    assert Trails().fired(btc, flat(115.01, 3 * MINUTE), [watch]) == []
    buy = TrailWatch(2, btc.pk, Side.BUY, FIVE_BELOW, 30_000)
    assert best_since(btc, buy, 3 * MINUTE) == 100


def test_of_the_minute_in_which_it_was_made_the_close_counts(btc):
    stored(btc, (100, 150, 99, 101), (90, 95, 90, 92))
    assert best_since(btc, sell(btc, since_ms=30_000), 2 * MINUTE) == 101


def test_what_the_price_cache_remembers_since_the_last_stored_minute_counts_too(btc):
    stored(btc, (100, 101, 99, 100))
    quote_put(btc.pk, bar(100.0, 100.0, 100.0, 100.0, 1), 1)
    quote_put(btc.pk, bar(100.0, 130.0, 100.0, 128.0, MINUTE + 500), MINUTE + 500)
    assert best_since(btc, sell(btc, since_ms=1), MINUTE + 1000) == 130


def test_a_trail_that_was_never_armed_is_not_armed_by_a_restart(btc):
    stored(btc, (100, 110, 99, 101))
    assert best_since(btc, sell(btc, Trail(110.5, offset=1.0), since_ms=1), MINUTE) is None
    assert best_since(btc, sell(btc, Trail(110.0, offset=1.0), since_ms=0), MINUTE) is None, "made at an unknown time"
    stored(btc, (100, 110, 99, 101), (101, 110, 99, 101))
    assert best_since(btc, sell(btc, Trail(110.0, offset=1.0), since_ms=1), 2 * MINUTE) == 110


def test_on_the_demo_market_the_peak_is_exact_within_minutes_too():
    btc = demo_markets_ensure()[0]
    clock = demo_clock_ensure()
    DemoClock.objects.update(wall_ms=clock.wall_ms - 10 * MINUTE)
    source, start_ms = demo_source(clock), clock.epoch_ms
    since_ms, until_ms = start_ms + 20_250, start_ms + 7 * MINUTE + 31_000
    bars = list(source.candles(btc.symbol, MINUTE, start_ms, start_ms + 3 * MINUTE).bars())
    candles_save(market=btc, timeframe_ms=MINUTE, candles=Candles.from_bars(bars))
    whole = source.bar(btc.symbol, since_ms, until_ms)
    assert best_since(btc, sell(btc, since_ms=since_ms), until_ms) == whole.high
    assert best_since(btc, TrailWatch(1, btc.pk, Side.BUY, FIVE_BELOW, since_ms), until_ms) == whole.low
    inside = source.bar(btc.symbol, since_ms, since_ms + 10_000)
    assert best_since(btc, sell(btc, since_ms=since_ms), since_ms + 10_000) == inside.high


def test_a_trailing_order_fires_at_the_rebuilt_level_after_a_restart(btc):
    account = funded(BTC="1")
    account.feed = "file"
    account.save()
    quote_put(btc.pk, flat(100.0, 30_000), 30_000)
    place(account, "a", "sell", "1", trail=FIVE_BELOW)
    stored(btc, (100, 150, 99, 101), (101, 120, 100, 118))
    assert walk(btc, flat(115.01, 2 * MINUTE), Trails()) == 0
    assert walk(btc, bar(115.01, 116.0, 114.0, 116.0, 2 * MINUTE), Trails()) == 1
    assert PaperVenue(account).executions(0)[0].price == Decimal(115)


def test_trails_that_are_no_longer_followed_are_forgotten(btc):
    trails, watch = Trails(), sell(btc)
    trails.fired(btc, flat(150.0), [watch])
    trails.fired(btc, flat(150.0), [])
    assert trails.fired(btc, flat(100.0), [watch]) == []
