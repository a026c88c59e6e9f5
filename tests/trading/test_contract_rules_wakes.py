"""The rules of docs/strategies.md on the live path: real rows, the real paper venue, a scripted strategy."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots.models import Bot, BotInput
from bots.services import bot_pause, bot_start, bot_stop
from exchanges.models import PaperOrder
from exchanges.paper import PaperVenue
from exchanges.services import candles_save
from tests.factories import MarketFactory, priced
from tests.trading.live_rules import committed, orders, scripted, told, woken
from tests.trading.scripted import buy, sell
from tests.trading.world import World, check_books, live_orders, run_once
from trading.core.candles import Candles
from trading.core.needs import MarketRef, Needs, SignalSpec, Value
from trading.core.types import (
    Bar,
    Closed,
    Command,
    Decision,
    Kind,
    PriceWake,
    Side,
    SlotStatus,
    Trail,
    TrailWake,
    Wake,
    Woken,
)
from trading.leases import lease_take
from trading.models import Order, Runtime
from trading.models import Wake as WakeRow
from trading.services.commands import order_cancel
from trading.services.decisions import LeaseLost, decision_commit
from trading.services.sending import orders_send
from trading.signals import HUB
from trading.situation import situation_of

pytestmark = pytest.mark.django_db


# --- 8: minimums -----------------------------------------------------------------------------------------------------


def test_rule_8_nothing_below_the_minimum_is_ever_sent():
    with scripted(orders(a=buy(90.0, 0.01))) as (_, _bot, strategy):
        assert Closed("a", 1, "below_minimum", 0.0) in told(strategy)
        assert not PaperOrder.objects.exists()


def test_rule_8_dust_is_no_position():
    seen = []

    def answer(state, view):
        seen.append(view.markets["main"].position)
        return Decision(None, {"a": buy()} | ({"out": sell(None, 0.99)} if seen[-1].qty else {}))

    with scripted(answer) as (world, bot, _):
        world.price(100.0)
        assert (seen[-1].qty, seen[-1].flat) == (1.0, False)
        world.price(100.0)
        woken(bot)
        assert (round(seen[-1].qty, 9), seen[-1].flat) == (0.01, True)


# --- 9: one transaction ----------------------------------------------------------------------------------------------


def test_rule_9_a_decision_stands_whole_or_not_at_all():
    with scripted(orders(a=buy(90.0)), start=False) as (_world, bot, _):
        bot_start(bot=bot, by=None)
        lease = lease_take(bot.pk)
        situation = situation_of(bot, Runtime.objects.get(bot=bot), timezone.now())
        twice = Decision({"x": 1}, {"a": buy(90.0), "b": buy(80.0)._replace(gen=None)})
        with pytest.raises(Exception, match=r"gen|NoneType"):
            decision_commit(lease, situation, twice)
        assert not Order.objects.filter(bot=bot).exists()
        assert Runtime.objects.get(bot=bot).number == 0
        assert BotInput.objects.filter(bot=bot, number=None).exists()


def test_rule_9_inputs_bear_the_number_of_the_decision_that_saw_them():
    with scripted(orders(a=buy(90.0))) as (_, bot, _strategy):
        woken(bot)
        assert list(BotInput.objects.filter(bot=bot).order_by("id").values_list("kind", "number")) == [
            ("command", 1),
            ("woken", 2),
        ]


def test_rule_9_an_input_that_becomes_visible_late_is_seen_all_the_same():
    with scripted(orders(a=buy(90.0))) as (_, bot, strategy):
        woken(bot)
        before = strategy.decisions
        BotInput.objects.create(pk=-1, bot=bot, kind="woken", payload={"by": "restart"})  # its id is below all seen
        run_once()
        assert strategy.seen[before:] == [(Woken("restart"),)]


def test_rule_9_an_input_that_comes_while_a_strategy_thinks_is_for_the_next_decision():
    def answer(state, view):
        if not state:
            BotInput.objects.create(bot=Bot.objects.get(), kind="woken", payload={"by": "retry"})
        return Decision(True, {})

    with scripted(answer) as (_, _bot, strategy):
        assert [len(inbox) for inbox in strategy.seen] == [1, 1]
        assert told(strategy)[-1] == Woken("retry")


def test_rule_9_who_has_lost_the_lease_writes_nothing():
    with scripted(orders(a=buy(90.0)), start=False) as (_, bot, _strategy):
        bot_start(bot=bot, by=None)
        lease = lease_take(bot.pk)
        situation = situation_of(bot, Runtime.objects.get(bot=bot), timezone.now())
        Runtime.objects.filter(bot=bot).update(lease_token=lease.token + 1)
        with pytest.raises(LeaseLost):
            decision_commit(lease, situation, Decision(None, {"a": buy(90.0)}))
        assert not Order.objects.exists()
        assert BotInput.objects.filter(bot=bot, number=None).exists()


# --- 10: wakes -------------------------------------------------------------------------------------------------------


def test_rule_10_a_touch_between_view_and_commit_is_not_lost():
    wake = Wake(prices=(PriceWake("main", 95.0, above=False),))
    world = World()

    def answer(state, view):
        if not state:
            world.price(100.0, low=94.0, run=False)  # the price moves while the strategy thinks
        return Decision((state or 0) + 1, {}, wake if not state else Wake())

    with scripted(answer, world) as (_, _bot, strategy):
        assert Woken("price") in told(strategy)


def test_rule_10_a_level_that_an_update_touched_in_between_wakes():
    wake = Wake(prices=(PriceWake("main", 95.0, above=False), PriceWake("main", 105.0, above=True)))
    with scripted(lambda state, view: Decision(None, {}, wake)) as (world, _bot, strategy):
        for low, high, decisions in ((95.1, 104.9, 1), (94.0, 100.0, 2), (100.0, 106.0, 3)):
            world.price(100.0, low=low, high=high)
            assert strategy.decisions == decisions


def test_rule_10_a_sleeping_bot_costs_one_query_for_all():
    sleeping = Decision(None, {}, Wake(prices=(PriceWake("main", 50.0, above=False),)))
    with scripted(lambda state, view: sleeping) as (world, _bot, _):
        with CaptureQueriesContext(connection) as few:
            world.price(99.0, run=False)
        for _ in range(5):
            world.bot(strategy="scripted", params={}, budget=Decimal(10))
        with CaptureQueriesContext(connection) as many:
            world.price(99.0, run=False)
        assert len(many) == len(few)


# --- 11: trailing ----------------------------------------------------------------------------------------------------


def test_rule_11_a_new_high_costs_no_decision_and_no_write():
    trail = TrailWake("main", Side.SELL, Trail(None, offset_ratio=0.1))
    with scripted(lambda s, v: Decision(None, {}, Wake(trails=(trail,)))) as (world, _bot, strategy):
        before = strategy.decisions
        with CaptureQueriesContext(connection) as queries:
            for price in (101.0, 105.0, 110.0, 120.0):
                world.price(price)
        writes = [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
        assert strategy.decisions == before
        assert writes == []
        world.price(109.0)
        assert strategy.decisions == before
        world.price(107.9)  # 10 % below the peak of 120
        assert strategy.decisions == before + 1
        assert Woken("trail") in told(strategy)


def test_rule_11_a_trailing_wake_that_is_asked_for_again_keeps_its_peak():
    trail = TrailWake("main", Side.SELL, Trail(None, offset_ratio=0.1))
    with scripted(lambda s, v: Decision(None, {}, Wake(trails=(trail,)))) as (world, bot, strategy):
        world.price(120.0)
        world.price(110.0)
        woken(bot)
        world.price(107.0)
        assert told(strategy)[-1] == Woken("trail")


def test_rule_11_a_new_high_of_a_trailing_order_costs_no_decision_and_no_write():
    def answer(state, view):
        out = sell(None, kind=Kind.TRAILING, trail=Trail(None, offset_ratio=0.1))
        return Decision(None, {"a": buy()} | ({} if view.markets["main"].position.flat else {"t": out}))

    with scripted(answer) as (world, _bot, strategy):
        world.price(100.0)
        world.price(101.0)
        before = strategy.decisions
        with CaptureQueriesContext(connection) as queries:
            for price in (105.0, 110.0, 120.0):
                world.price(price)
        assert [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))] == []
        assert strategy.decisions == before


def test_rule_11_the_peak_survives_an_outage():
    trailing = {"t": sell(None, kind=Kind.TRAILING, trail=Trail(None, offset_ratio=0.1), gen=1)}

    def answer(state, view):
        return Decision(None, trailing if not view.markets["main"].position.flat else {"a": buy()})

    with scripted(answer) as (world, bot, _):
        world.price(100.0)
        world.price(120.0)
        world.forget_peaks()
        world.price(115.0)
        assert Order.objects.get(bot=bot, slot="t").status == "working"
        world.price(107.0)
        assert Order.objects.get(bot=bot, slot="t").status == "filled"


# --- 12: signals -----------------------------------------------------------------------------------------------------


def seen_on(closes, timeframe_ms, value):
    """Return what a bot is shown of a signal whose market has these minutes behind it."""
    HUB.clear()
    world, seen = World(), []
    first = world.ts_ms // 300_000 * 300_000 - len(closes) // 5 * 300_000
    minutes = [Bar(first + i * 60_000, close, close, close, close, 1.0) for i, close in enumerate(closes)]
    candles_save(market=world.market, timeframe_ms=60_000, candles=Candles.from_bars(minutes))

    def answer(state, view):
        seen.append(view.markets["main"].signals["it"])
        return Decision(None, {})

    needs = Needs(markets={"main": MarketRef("")}, signals={"it": SignalSpec("main", value)})
    with scripted(answer, world, needs, timeframe_ms=timeframe_ms):
        HUB.clear()
    return seen


def test_rule_12_a_signal_depends_on_closed_candles_only():
    minutes = [float(100 + i) for i in range(13)]  # two candles of five minutes, and a third that is still open
    assert seen_on(minutes, 300_000, Value("close")) == [109.0]


def test_rule_12_a_running_signal_begins_where_its_series_begins():
    high, rising = [1000.0] * 1500, [100 + i / 2000 for i in range(2000)]
    assert seen_on(rising, 60_000, Value("ema_side", (10, 1000))) == [True]
    assert seen_on(high + rising, 60_000, Value("ema_side", (10, 1000))) == [False]  # from more than a day ago


# --- 13: several markets ---------------------------------------------------------------------------------------------


def test_rule_13_markets_stand_in_the_order_of_the_needs_and_without_a_book_every_price_is_the_last():
    other = MarketFactory(symbol="ETH/USDT", base="ETH")  # made first: the order is not that of the rows
    priced(other)
    world, seen = World(), []

    def answer(state, view):
        seen.append(
            [
                (alias, one.bid / one.last, one.ask / one.last, one.mark / one.last)
                for alias, one in view.markets.items()
            ]
        )
        return Decision(None, {})

    needs = Needs(markets={"main": MarketRef(""), "other": MarketRef(other.symbol)})
    with scripted(answer, world, needs, markets={"main": world.market, "other": other}):
        assert seen == [[("main", 1.0, 1.0, 1.0), ("other", 1.0, 1.0, 1.0)]]


# --- 14: people and the engine ---------------------------------------------------------------------------------------


def test_rule_14_a_stop_asks_the_strategy_nothing():
    with scripted(orders(a=buy(), b=buy(90.0))) as (world, bot, strategy):
        world.price(100.0)
        before = strategy.decisions
        bot_stop(bot=bot, mode="sell", by=None)
        for price in (100.0, 100.0, 100.0):
            world.price(price)
        bot.refresh_from_db()
        assert bot.status == Bot.Status.STOPPED
        assert strategy.decisions == before
        assert Order.objects.get(bot=bot, slot="engine:exit").status == "filled"
        check_books(world.account)


def test_rule_14_an_order_that_a_person_cancelled_is_not_asked_for_again():
    with scripted(orders(a=buy(90.0))) as (world, bot, strategy):
        order_cancel(order=live_orders(bot)["a"], by=None)
        run_once()
        world.price(99.0)
        assert any(isinstance(item, Command) and item.kind == "cancel" for item in told(strategy))
        woken(bot)
        assert [item for item in told(strategy) if isinstance(item, Closed)] == [Closed("a", 1, "cancelled", 0.0)]
        assert not live_orders(bot)
        assert PaperOrder.objects.count() == 1


def test_rule_14_a_paused_bot_adds_nothing_and_keeps_its_exits():
    def answer(state, view):
        wanted = {"a": buy(), "b": buy(90.0)}
        if view.slots.get("a") and view.slots["a"].status is SlotStatus.FILLED:
            wanted["out"] = sell(120.0)
        return Decision(None, wanted)

    with scripted(answer) as (world, bot, _):
        world.price(100.0)
        bot_pause(bot=bot, by=None)
        run_once()
        assert set(live_orders(bot)) == {"out"}


def test_rule_14_a_paused_bot_is_denied_what_it_wants_anew():
    def answer(state, view):
        paused = state or any(isinstance(item, Command) and item.kind == "pause" for item in view.inbox)
        return Decision(paused, {"late": buy(90.0)} if paused else {})

    with scripted(answer) as (_, bot, _strategy):
        bot_pause(bot=bot, by=None)
        run_once()
        late = Order.objects.get(bot=bot)
        assert (late.status, late.reason) == ("denied", "the bot is paused")


def test_rule_14_what_was_decided_before_a_pause_is_not_sent_after_it():
    with scripted(orders(a=buy(90.0)), start=False) as (world, bot, _):
        bot_start(bot=bot, by=None)
        committed(bot)
        bot_pause(bot=bot, by=None)
        orders_send(bot, PaperVenue(world.account))
        assert not PaperOrder.objects.exists()


# --- 15: notes and reuse ---------------------------------------------------------------------------------------------


def test_rule_15_an_unchanged_want_is_neither_written_nor_sent():
    with scripted(orders(a=buy(90.0), b=buy(80.0))) as (_, bot, _strategy):
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        with CaptureQueriesContext(connection) as queries:
            run_once()
        assert not [q for q in queries if 'UPDATE "trading_order"' in q["sql"] or "paperorder" in q["sql"]]


def test_what_a_decision_no_longer_waits_for_wakes_nobody():
    trail = TrailWake("main", Side.SELL, Trail(105.0, offset=1.0))
    armed = Wake(prices=(PriceWake("main", 90.0, above=False),), trails=(trail,))

    def answer(state, view):
        return Decision(True, {}, Wake() if state else armed)

    with scripted(answer) as (world, bot, strategy):
        woken(bot)
        assert not WakeRow.objects.filter(bot=bot).exists()
        world.price(110.0)
        world.price(80.0)
        assert strategy.decisions == 2


def test_wakes_are_replaced_whole():
    def answer(state, view):
        level = 90.0 if not state else 80.0
        return Decision((state or 0) + 1, {}, Wake(prices=(PriceWake("main", level, above=False),)))

    with scripted(answer) as (world, bot, _):
        assert WakeRow.objects.get(bot=bot).below == 90
        world.price(89.0)
        assert WakeRow.objects.get(bot=bot).below == 80
