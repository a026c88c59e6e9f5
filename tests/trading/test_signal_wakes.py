"""Signals reach whoever waits for them: on every timeframe, after a failed try, after a gap, after a restart."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection

from bots.models import Bot, BotInput
from exchanges.services import candles_save
from tests.trading.world import World, live_orders, run_once
from trading.core.candles import Candles
from trading.core.needs import SignalSpec, Value
from trading.core.types import Bar
from trading.models import SignalWake
from trading.series import LiveSignal
from trading.services.listening import signals_changed
from trading.services.waking import signals_recheck
from trading.signals import HUB

pytestmark = pytest.mark.django_db
PARAMS = {"fast": 2, "slow": 4, "quantity": "1"}


@pytest.fixture(autouse=True)
def _fresh_hub():
    yield
    HUB.clear()


def candles_apply(market, bars) -> list[int]:
    """What the streams do with minutes that have closed."""
    return signals_changed(market, 60_000, bars, bars[-1].ts_ms + 60_000)


def minutes(closes: list[float], start: int = 0) -> list[Bar]:
    return [Bar((start + i) * 60_000, c, c, c, c, 1.0) for i, c in enumerate(closes)]


def store(world: World, bars: list[Bar]) -> list[Bar]:
    candles_save(market=world.market, timeframe_ms=60_000, candles=Candles.from_bars(bars))
    return bars


def falling(world: World, minutes_each: int = 1) -> Bot:
    """A bot that is flat after ten falling candles."""
    store(world, minutes([100.0 - i // minutes_each for i in range(10 * minutes_each)]))
    return world.bot(strategy="ema_cross", params=PARAMS, timeframe_ms=60_000 * minutes_each)


def test_a_bot_on_longer_candles_is_woken_when_one_of_them_closes():
    world = World()
    bot = falling(world, 5)
    assert SignalWake.objects.get(bot=bot).timeframe_ms == 300_000
    for i in range(50, 54):
        assert candles_apply(world.market, store(world, minutes([120.0], i))) == []
    assert candles_apply(world.market, store(world, minutes([120.0], 54))) == [bot.pk]
    run_once()
    assert {order.side for order in live_orders(bot).values()} == {"buy"}


def test_longer_candles_that_closed_while_nobody_ran_are_told_too():
    world = World()
    bot = falling(world, 5)
    assert candles_apply(world.market, store(world, minutes([120.0] * 12, 50))) == [bot.pk]
    assert BotInput.objects.get(bot=bot, kind="signal").payload["at_ms"] == 62 * 60_000  # when it was told


def broken(execute, sql, params, many, context):
    if sql.startswith('INSERT INTO "bots_botinput"'):
        raise OperationalError("database is locked")
    return execute(sql, params, many, context)


@pytest.mark.django_db(transaction=True)
def test_a_signal_that_could_not_be_written_is_told_at_the_next_try():
    world = World()
    bot = falling(world)
    bars = store(world, minutes([120.0], 10))
    with pytest.raises(OperationalError), connection.execute_wrapper(broken):
        candles_apply(world.market, bars)
    assert candles_apply(world.market, bars) == [bot.pk]
    assert candles_apply(world.market, bars) == []


def averages(world: World) -> dict[str, float]:
    return HUB.frame(world.market.pk, 60_000)._recursions["ema_side", (2, 4)].running.dump()


def test_a_candle_that_was_given_up_is_made_good_from_the_store():
    world = World()
    falling(world)
    store(world, minutes([120.0, 60.0], 10))
    HUB.take(
        world.market.pk, 60_000, minutes([61.0], 12), [LiveSignal(world.market.pk, Value("ema_side", (2, 4)), 60_000)]
    )
    running = averages(world)
    store(world, minutes([61.0], 12))
    HUB.forget(world.market.pk)
    HUB.value(world.market.pk, SignalSpec("main", Value("ema_side", (2, 4))), 60_000)
    assert averages(world) == running


def test_a_crossing_that_nobody_told_before_a_restart_is_found_at_the_start():
    world = World()
    bot = falling(world)
    store(world, minutes([120.0], 10))
    HUB.clear()
    signals_recheck()
    run_once()
    assert {order.side for order in live_orders(bot).values()} == {"buy"}
