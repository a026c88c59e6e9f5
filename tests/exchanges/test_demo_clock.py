"""The demo market's clock: starts at 0, keeps going while nobody watches, and never jumps when its speed changes."""

import pytest

from exchanges.adapters.demo.specs import SPECS
from exchanges.demo import demo_source, market_now, market_time, wall_now_ms
from exchanges.models import DemoClock, Market
from exchanges.selectors import candles_load, candles_stored_until
from exchanges.services import HISTORY_MS, demo_clock_ensure, demo_markets_ensure, demo_walked
from trading.core.errors import InvalidInput

pytestmark = pytest.mark.django_db

HOUR_MS = 3_600_000


def test_a_fresh_installation_starts_at_market_time_zero_shown_as_a_full_minute():
    before = wall_now_ms()
    clock = demo_clock_ensure()
    assert market_time(clock, clock.wall_ms) == 0
    assert clock.epoch_ms % 60_000 == 0
    assert before - 60_000 < clock.epoch_ms <= wall_now_ms()
    assert market_now(clock, clock.wall_ms) == clock.epoch_ms


def test_a_second_start_finds_the_same_clock_and_a_market_that_has_gone_on():
    clock = demo_clock_ensure()
    DemoClock.objects.update(wall_ms=clock.wall_ms - HOUR_MS)
    again = demo_clock_ensure()
    assert again.pk == clock.pk
    assert again.epoch_ms == clock.epoch_ms
    assert HOUR_MS <= market_time(again) <= HOUR_MS + wall_now_ms() - clock.wall_ms


def test_a_change_of_speed_keeps_market_time_continuous():
    clock = demo_clock_ensure()
    DemoClock.objects.update(wall_ms=clock.wall_ms - HOUR_MS)
    faster = demo_clock_ensure(speed=60)
    assert HOUR_MS <= faster.market_ms <= HOUR_MS + wall_now_ms() - clock.wall_ms
    assert market_time(faster, faster.wall_ms) == faster.market_ms
    assert market_time(faster, faster.wall_ms + 1000) == faster.market_ms + 60_000


def test_market_time_stands_while_wall_time_turns_back():
    clock = demo_clock_ensure()
    assert market_time(clock, clock.wall_ms - 5000) == market_time(clock, clock.wall_ms)


def test_only_the_three_speeds_exist(settings):
    settings.DEMO_SPEED = 2
    with pytest.raises(InvalidInput, match="x1, x10, x60, not x2"):
        demo_clock_ensure()
    assert not DemoClock.objects.exists()


def test_the_walk_is_remembered_and_never_goes_back():
    clock = demo_clock_ensure()
    demo_walked(clock=clock, market_ms=5000)
    demo_walked(clock=clock, market_ms=4000)
    assert DemoClock.objects.get().walked_ms == 5000


def test_the_demo_markets_come_once_with_a_day_of_candles_behind_them():
    first = demo_markets_ensure()
    assert [market.pk for market in demo_markets_ensure()] == [market.pk for market in first]
    assert Market.objects.count() == len(first) == len(SPECS)
    clock = DemoClock.objects.get()
    btc = first[0]
    stored = candles_load(btc, 60_000, 0, 2**62)
    assert len(stored) == HISTORY_MS // 60_000
    until_ms = candles_stored_until(btc, 60_000)
    assert until_ms in (clock.epoch_ms, clock.epoch_ms + 60_000)  # the minute may have turned meanwhile
    live = demo_source(clock).bar(btc.symbol, until_ms - 60_000, until_ms)
    assert stored.bar(len(stored) - 1) == live


def test_a_market_that_an_older_installation_lacks_comes_with_the_day_before_now():
    clock = demo_clock_ensure()
    DemoClock.objects.update(wall_ms=clock.wall_ms - 50 * HOUR_MS)
    demo_markets_ensure()
    Market.objects.get(symbol="OP/USDT").delete()
    clock.refresh_from_db()
    before = market_now(clock)
    market = next(market for market in demo_markets_ensure() if market.symbol == "OP/USDT")
    assert before - 60_000 < candles_stored_until(market, 60_000) <= market_now(clock)
    assert len(candles_load(market, 60_000, 0, 2**62)) == HISTORY_MS // 60_000


def test_a_perpetual_demo_market_carries_its_rules():
    market = next(market for market in demo_markets_ensure() if market.perpetual)
    assert market.symbol == "BTC/USDT:USDT"
    assert market.rules == SPECS["BTC/USDT:USDT"].rules
    assert market.rules.perpetual.max_leverage == 20
    assert (market.base, market.quote) == ("BTC", "USDT")
