"""What touches a bot's level reaches its next decision: after a failure, a long sleep, an outage, or a restart."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.utils import timezone

from bots.models import BotInput
from bots.services import bot_start
from exchanges.prices import RING
from exchanges.services import candles_save, demo_clock_ensure
from tests.factories import AccountFactory, MarketFactory
from tests.trading.scripted import Scripted, on_the_shelf
from tests.trading.world import GRID, World, run_once
from trading.core.candles import Candles
from trading.core.needs import MarketRef, Needs
from trading.core.types import Ask, Bar, Decision, Wake, Woken
from trading.inbox import input_row
from trading.missed import Touched
from trading.models import AdviceAsk, Runtime
from trading.models import TrailWake as TrailRow
from trading.situation import situation_of

pytestmark = pytest.mark.django_db(transaction=True)
STOP_GRID = {**GRID, "stop_price": 85}


class Lost:
    """A connection that is lost once, at the first statement that begins so and mentions a word."""

    def __init__(self, begins: str, mentions: str = "") -> None:
        self.begins, self.mentions, self.hits = begins, mentions, 0

    def __call__(self, execute, sql, params, many, context):
        if not self.hits and sql.startswith(self.begins) and self.mentions in str(params):
            self.hits += 1
            raise OperationalError("the connection is lost")
        return execute(sql, params, many, context)


def test_a_trailing_wake_that_could_not_be_told_fires_again():
    world = World()
    bot = world.bot()
    world.price(100.0)
    TrailRow.objects.create(bot=bot, market=world.market, side="sell", offset=1.0, since_ms=world.ts_ms)
    world.price(101.0)
    with connection.execute_wrapper(Lost('INSERT INTO "bots_botinput"', "trail")):
        with pytest.raises(OperationalError):
            world.price(99.9, run=False)
        assert TrailRow.objects.filter(bot=bot).exists(), "what nobody was told of hasn't fired"
        world.price(99.9, run=False)  # the piece comes again; the peak that led to it is still known
    assert BotInput.objects.filter(bot=bot, payload__by="trail").count() == 1
    assert not TrailRow.objects.filter(bot=bot).exists()


# --- the extremes between two looks -----------------------------------------------------------------------------------


def stopped(bot) -> bool:
    bot.refresh_from_db()
    return bot.status == "stopped"


def sight(bot) -> tuple[float, float]:
    """What its next decision is shown of its market since the last one."""
    situation = situation_of(bot, Runtime.objects.get(bot=bot), timezone.now())
    assert situation is not None
    market = situation.view.markets["main"]
    return market.low_since, market.high_since


@pytest.mark.parametrize("updates", [5, RING + 20])
def test_a_stop_that_is_touched_within_one_update_is_seen_however_long_the_bot_has_slept(updates):
    world = World()
    bot = world.bot(params=STOP_GRID)
    world.price(100.0)
    for _ in range(updates):
        world.price(100.0, run=False)
    run_once()
    world.price(95.0, low=84.0)
    world.price(95.0)
    world.price(95.0)
    assert stopped(bot)


@pytest.mark.parametrize("restart", [False, True])
def test_a_stop_that_is_touched_while_catching_up_is_seen(restart):
    world = World()
    bot = world.bot(params=STOP_GRID)
    world.price(100.0)
    if restart:
        world.forget_peaks()
        cache.clear()
    world.ts_ms += 60_000
    world.pipeline.price_apply(world.market, Bar(world.ts_ms, 95.0, 96.0, 84.0, 95.0), None)
    for _ in range(3):
        world.price(95.0)
    assert stopped(bot)


def test_what_woke_a_bot_is_seen_after_a_restart_with_an_empty_cache():
    world = World()
    bot = world.bot(params=STOP_GRID)
    world.price(100.0)
    world.price(95.0, low=84.0, run=False)
    cache.clear()
    for _ in range(3):
        world.price(95.0)
    assert stopped(bot)


def test_the_extremes_of_a_long_sleep_come_from_the_minutes_and_leave_out_what_was_seen_before():
    world = World()
    bot = world.bot()
    for _ in range(30):
        world.price(100.0)
    world.price(100.0, low=96.0)
    input_row(bot.pk, Woken("restart")).save()
    run_once()  # it looks in the midst of a minute
    assert Runtime.objects.get(bot=bot).seen[str(world.market.pk)][1] == world.ts_ms
    for _ in range(60):
        world.price(100.0, run=False)
    world.price(101.0, high=104.0, low=99.0, run=False)
    for _ in range(60 + RING):
        world.price(101.0, run=False)
    assert sight(bot) == (99.0, 104.0)
    minutes = world.ts_ms // 60_000 * 60_000
    stored = [Bar(minutes - 60_000 * k, 100.0, 106.0 if k == 3 else 101.0, 100.0, 101.0, 1.0) for k in range(20, 0, -1)]
    candles_save(market=world.market, timeframe_ms=60_000, candles=Candles.from_bars(stored))
    cache.clear()
    world.price(101.0, run=False)
    assert sight(bot) == (100.0, 106.0), "all that is left are stored minutes"


def test_an_update_that_was_seen_is_not_seen_again_and_the_first_look_sees_the_last_price_alone():
    world = World()
    world.price(100.0, low=80.0, high=120.0)
    bot = world.bot(start=False)
    assert sight_of_nothing(bot) == (100.0, 100.0)
    bot_start(bot=bot, by=None)
    run_once()
    world.price(100.0, low=99.0, high=101.0, run=False)
    assert sight(bot) == (99.0, 101.0)
    input_row(bot.pk, Woken("restart"), touched=Touched(world.market.pk, 1, 1.0, 200.0)).save()
    assert sight(bot) == (99.0, 101.0), "what touched it was seen by the decision before"


def sight_of_nothing(bot) -> tuple[float, float]:
    Runtime.objects.get_or_create(bot=bot)
    return sight(bot)


# --- market time and wall time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "speed", "wall_s"), [("demo", 60, 1.0), ("demo", 1, 60.0), ("imported", 60, 60.0)])
def test_a_wait_in_market_time_lasts_as_long_as_its_market_takes(source, speed, wall_s):
    demo_clock_ensure(speed=speed)
    market = MarketFactory(source=source)
    world = World(market=market, account=AccountFactory(feed=source))
    needs = Needs({"main": MarketRef("")}, advice=("direction",))

    def decide(state, view):
        until_ms = view.now_ms + 60_000
        asks = (Ask(f"one {view.number}", "direction", {}, until_ms),)
        return Decision(None, {}, Wake(at_ms=until_ms), asks=asks)

    with on_the_shelf(Scripted(decide, needs)):
        bot = world.bot(strategy="scripted", params={"size": 1})
        runtime = Runtime.objects.get(bot=bot)
    assert runtime.number == 1
    assert (runtime.due_at - runtime.ticked_at).total_seconds() == wall_s
    assert (AdviceAsk.objects.get(bot=bot).deadline_at - runtime.ticked_at).total_seconds() == wall_s
