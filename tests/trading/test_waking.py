"""Sleeping bots: a touch wakes once, nothing that moved between view and commit is lost, signals reach who waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots.models import BotInput
from exchanges.paper import PaperVenue
from exchanges.prices import quote_get, quote_put
from exchanges.services import candles_save
from tests.factories import BotFactory, MarketFactory
from tests.trading.world import World, live_orders, run_once
from trading.clock import WALL
from trading.core.candles import Candles
from trading.core.needs import SignalSpec, Value
from trading.core.ports import OrderRequest
from trading.core.types import Bar, Decision, Kind, PriceWake, Side, Wake
from trading.models import Runtime, SignalWake
from trading.models import Wake as WakeRow
from trading.runtime import run_due
from trading.series import LiveSignal
from trading.services.listening import signals_changed
from trading.services.waking import MARKETS_A_QUERY, bots_due, prices_wake, wakes_check
from trading.signals import HUB
from trading.situation import situation_of

pytestmark = pytest.mark.django_db
STOP_GRID = {
    "lower": 90,
    "upper": 110,
    "levels": 5,
    "spacing": "arithmetic",
    "investment": 1000,
    "stop_price": 85,
    "take_profit_price": 130,
}


def candles_apply(market, bars) -> list[int]:
    """What the streams do with minutes that have closed."""
    return signals_changed(market, 60_000, bars, bars[-1].ts_ms + 60_000)


def minutes(closes: list[float], start: int = 0) -> list[Bar]:
    return [Bar((start + i) * 60_000, c, c, c, c, 1.0) for i, c in enumerate(closes)]


@pytest.fixture(autouse=True)
def _fresh_hub():
    yield
    HUB.clear()


def test_a_sleeping_bot_is_found_by_the_price_it_waits_for_and_by_no_other():
    world = World()
    bot = world.bot(params=STOP_GRID)
    world.price(100.0)
    row = WakeRow.objects.get(bot=bot)
    assert (row.below, row.above) == (85, 130)
    assert prices_wake(world.market.pk, 85.01, 129.99) == []
    assert prices_wake(world.market.pk, 85.0, 100.0) == [bot.pk]
    assert prices_wake(world.market.pk, 85.0, 100.0) == [], "a wake fires once, until it is armed again"
    assert bots_due(WALL.now()) == [bot.pk]
    run_once()
    assert WakeRow.objects.filter(bot=bot).exists(), "the next decision arms it again"
    assert bots_due(WALL.now()) == []


def test_a_touch_between_view_and_commit_is_not_lost():
    world = World()
    bot = world.bot(params=STOP_GRID)
    world.price(100.0)
    situation = situation_of(bot, Runtime.objects.get(bot=bot), WALL.now())
    assert situation is not None
    now_ms = int(timezone.now().timestamp() * 1000)
    quote_put(world.market.pk, Bar(world.ts_ms, 100, 100, 84, 99), now_ms)
    quote_put(world.market.pk, Bar(world.ts_ms + 100, 99, 99, 99, 99), now_ms + 100)
    decision = Decision(None, {}, Wake(prices=(PriceWake("main", 85.0, above=False),)))
    wakes_check(situation, decision)
    assert BotInput.objects.filter(bot=bot, number=None, kind="woken").count() == 1


def test_a_price_is_told_only_after_it_has_walked_through_the_book():
    """Else a bot could order at the new price, and be filled at the better ones that led there."""
    world = World()
    told: list[float | None] = []

    def listen(execute, sql, params, many, context):
        if "exchanges_paperorder" in sql:
            quote = quote_get(world.market.pk)
            told.append(quote and quote.last)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        world.price(90.0, high=100.0, run=False)
    assert told == [100.0]
    assert quote_get(world.market.pk).last == 90.0


def test_a_quiet_market_is_not_walked_and_an_order_does_not_fill_at_prices_that_came_before_it():
    world, calm = World(), MarketFactory(symbol="ETH/USDT", base="ETH", source="demo")
    venue = PaperVenue(world.account)
    world.bot()  # its grid rests in the other market
    order = OrderRequest("after", calm.symbol, Side.BUY, Kind.LIMIT, Decimal(1), Decimal(50))

    def statements(market, low):
        world.ts_ms += 1
        with CaptureQueriesContext(connection) as seen:
            world.pipeline.price_apply(market, Bar(world.ts_ms, 60.0, 60.0, low, 60.0, 1.0), None)
        return [query["sql"] for query in seen if "exchanges_paper" in query["sql"]]

    world.pipeline.before({world.market.pk, calm.pk})
    assert statements(world.market, 60.0)
    venue.place([order])
    assert statements(calm, 49.0) == []
    assert venue.lookup(["after"])[0].status == "working"
    world.pipeline.before({calm.pk})
    statements(calm, 49.0)
    assert venue.lookup(["after"])[0].status == "filled"


def test_nothing_moved_wakes_nobody():
    world = World()
    bot = world.bot(params=STOP_GRID)
    world.price(100.0)
    situation = situation_of(bot, Runtime.objects.get(bot=bot), WALL.now())
    assert situation is not None
    wakes_check(situation, Decision(None, {}, Wake(prices=(PriceWake("main", 101.0, above=False),))))
    assert not BotInput.objects.filter(bot=bot, number=None).exists()


def test_a_crossover_trades_when_a_candle_closes_on_the_other_side():
    world = World()
    down = minutes([100.0 - i for i in range(10)])
    candles_save(market=world.market, timeframe_ms=60_000, candles=Candles.from_bars(down))
    bot = world.bot(strategy="ema_cross", params={"fast": 2, "slow": 4, "quantity": "1"})
    assert SignalWake.objects.get(bot=bot).key == "ema_side(2, 4)"
    assert not live_orders(bot)
    assert candles_apply(world.market, minutes([89.0], 10)) == []
    assert candles_apply(world.market, minutes([120.0], 11)) == [bot.pk]
    run_due()
    assert {order.side for order in live_orders(bot).values()} == {"buy"}
    world.price(120.0)
    assert bot.positions.get().qty == 1
    assert candles_apply(world.market, minutes([60.0, 50.0], 12)) == [bot.pk]
    run_due()
    world.price(50.0)
    assert bot.positions.get().qty == 0


def test_a_series_is_the_same_running_on_and_made_anew_from_the_store():
    world = World()
    random = np.random.default_rng(5)
    bars = minutes((100 + np.cumsum(random.normal(0, 1, 400))).round(2).tolist())
    candles_save(market=world.market, timeframe_ms=60_000, candles=Candles.from_bars(bars[:100]))
    spec = SignalSpec("main", Value("ema_side", (12, 26)))
    first = [HUB.value(world.market.pk, spec, 60_000)]
    for bar in bars[100:]:
        candles_save(market=world.market, timeframe_ms=60_000, candles=Candles.from_bars([bar]))
        HUB.take(world.market.pk, 60_000, [bar], [LiveSignal(world.market.pk, spec.of, 60_000)])
        first.append(HUB.value(world.market.pk, spec, 60_000))
    HUB.forget(world.market.pk)
    assert HUB.value(world.market.pk, spec, 60_000) == first[-1]
    assert {True, False} <= set(first)


def test_a_time_that_has_come_makes_a_bot_due_and_a_back_off_holds_it():
    world = World()
    bot = world.bot()
    world.price(100.0)
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    Runtime.objects.filter(bot=bot).update(due_at=noon)
    assert bots_due(WALL.now()) == []
    assert bots_due(noon) == [bot.pk]
    Runtime.objects.filter(bot=bot).update(not_before=noon.replace(hour=13))
    assert bots_due(noon) == []


STATEMENTS_A_ROUND = 5  # positions, orders in reach, trails, whose level is reached, derived series heard


def test_prices_that_concern_nobody_cost_the_same_for_any_number_of_markets():
    def quiet_round():
        world.pipeline.before({market.pk for market in quiet})
        for market in quiet:
            bar = Bar(world.ts_ms, 60.0, 60.0, 60.0, 60.0)
            world.pipeline.on_bar(market, bar, [], received_ms=int(time.time() * 1000), catching_up=False)
        world.pipeline.after()

    world = World()
    world.bot(params=STOP_GRID)
    quiet = [MarketFactory(symbol=f"Q{n}/USDT", base=f"Q{n}") for n in range(MARKETS_A_QUERY)]
    with CaptureQueriesContext(connection) as seen:
        quiet_round()
    assert len(seen) <= STATEMENTS_A_ROUND, [query["sql"] for query in seen]


def test_levels_of_several_markets_wake_in_one_round_each_with_its_own_stretch():
    world, other = World(), MarketFactory(symbol="ETH/USDT", base="ETH")
    bots = [world.bot(params=STOP_GRID), BotFactory(account=world.account, market=other, status="running")]
    Runtime.objects.create(bot=bots[1])
    WakeRow.objects.create(bot=bots[1], market=other, below=50.0)
    world.pipeline.before({world.market.pk, other.pk})
    for market, low in ((world.market, 84.0), (other, 49.0), (other, 48.0)):
        bar = Bar(world.ts_ms, low, low, low, low)
        world.pipeline.on_bar(market, bar, [], received_ms=int(time.time() * 1000), catching_up=False)
    assert not BotInput.objects.filter(kind="woken", number=None).exists()
    world.pipeline.after()
    woken = BotInput.objects.filter(kind="woken", number=None).order_by("bot_id")
    assert [(row.bot_id, row.payload["touched"][2]) for row in woken] == [(bots[0].pk, 84.0), (bots[1].pk, 49.0)]
