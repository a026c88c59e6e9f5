"""A grid bot on the live path: opening buy, resting orders, fills, profit, and books that balance."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.models import Event
from bots.models import Bot
from bots.services import bot_pause, bot_resume, bot_stop
from tests.trading.world import World, check_books, live_orders, run_once
from trading.models import Fill, Order
from trading.selectors import free_balance, pnl_of, why

pytestmark = pytest.mark.django_db


def test_a_started_grid_rests_its_buys_and_opens_what_it_will_sell():
    world = World()
    bot = world.bot()
    assert set(live_orders(bot)) == {"grid:0:buy", "grid:1:buy", "grid:open"}
    assert "No fill yet" in why(bot).headline
    world.price(100.0)
    assert set(live_orders(bot)) == {"grid:0:buy", "grid:1:buy", "grid:2:sell", "grid:3:sell"}
    assert [fill.order.slot for fill in Fill.objects.filter(bot=bot)] == ["grid:open"]
    check_books(world.account)


def test_a_buy_that_fills_is_sold_one_line_higher_and_bought_again():
    world = World()
    bot = world.bot()
    world.price(100.0)
    world.price(95.0)
    assert "grid:1:sell" in live_orders(bot)
    assert "grid:1:buy" not in live_orders(bot)
    world.price(100.0)
    assert live_orders(bot)["grid:1:buy"].gen == 2
    pnl = pnl_of(bot)
    assert pnl.total == pnl.realised + pnl.unrealised - pnl.fees
    assert pnl.realised > 0
    check_books(world.account)


def test_two_lines_crossed_in_one_update_fill_both():
    world = World()
    bot = world.bot()
    world.price(100.0)
    world.price(90.0)
    assert {"grid:0:sell", "grid:1:sell"} <= set(live_orders(bot))
    check_books(world.account)


def test_the_budget_is_reserved_at_the_start_and_returned_at_the_end():
    world = World()
    bot = world.bot()
    assert free_balance(world.account, "USDT") == Decimal("8995")
    world.price(100.0)
    bot.refresh_from_db()
    bot_stop(bot=bot, mode="sell", by=None)
    run_once()
    world.price(100.0)
    bot.refresh_from_db()
    assert bot.status == Bot.Status.STOPPED
    assert not live_orders(bot)
    pnl = pnl_of(bot)
    assert pnl.qty == 0
    assert free_balance(world.account, "USDT") == Decimal(10000) + pnl.total
    check_books(world.account)


def test_stop_keep_hands_the_coins_to_the_account():
    world = World()
    bot = world.bot()
    world.price(100.0)
    bot.refresh_from_db()
    bot_stop(bot=bot, mode="keep", by=None)
    run_once()
    bot.refresh_from_db()
    assert bot.status == Bot.Status.STOPPED
    assert free_balance(world.account, "BTC") > 0
    frozen = pnl_of(bot).total
    world.price(120.0)
    assert pnl_of(bot).total == frozen
    check_books(world.account)


def test_pause_takes_the_buys_away_and_resume_brings_them_back():
    world = World()
    bot = world.bot()
    world.price(100.0)
    bot.refresh_from_db()
    bot_pause(bot=bot, by=None)
    run_once()
    assert {order.side for order in live_orders(bot).values()} == {"sell"}
    bot_resume(bot=bot, by=None)
    run_once()
    assert set(live_orders(bot)) == {"grid:0:buy", "grid:1:buy", "grid:2:sell", "grid:3:sell"}
    check_books(world.account)


def test_the_stop_price_sells_everything_and_ends_the_bot():
    world = World()
    bot = world.bot(
        params={"lower": 90, "upper": 110, "levels": 5, "spacing": "arithmetic", "investment": 1000, "stop_price": 85}
    )
    world.price(100.0)
    world.price(84.0)
    world.price(84.0)
    bot.refresh_from_db()
    assert bot.status == Bot.Status.STOPPED, bot.status_reason
    assert pnl_of(bot).qty == 0
    check_books(world.account)


def test_a_budget_above_the_balance_stops_that_bot_alone_with_its_reason():
    world = World(cash="500")
    bot = world.bot()
    bot.refresh_from_db()
    assert bot.status == Bot.Status.ERROR
    assert "1005 USDT" in bot.status_reason
    assert "500 USDT" in bot.status_reason
    assert not Order.objects.filter(bot=bot).exists()


def test_events_tell_each_step_in_order_without_gaps():
    world = World()
    bot = world.bot()
    world.price(100.0)
    events = list(Event.objects.filter(workspace=bot.workspace).order_by("seq"))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {"bot.started", "order.placed", "fill"} <= {event.kind for event in events}


def test_activity_tells_a_kind_of_note_once_and_the_present_ones_stand_in_why():
    world = World()
    bot = world.bot()
    for price in (100.0, 95.0, 100.0, 95.0, 90.0, 95.0):
        world.price(price)
    codes = [event.data["code"] for event in Event.objects.filter(bot=bot.public_id, kind="note")]
    assert len(codes) == len(set(codes)) > 0
    assert any("sell" in line for line in why(bot).lines)
    assert why(bot).headline.startswith("Running: next buy at 90.00")


def test_a_pause_warns_of_nothing():
    world = World()
    bot = world.bot()
    world.price(100.0)
    bot.refresh_from_db()
    bot_pause(bot=bot, by=None)
    run_once()
    assert not Event.objects.filter(bot=bot.public_id, level="warning").exists()
    assert why(bot).headline.startswith("Paused, nothing that adds risk is placed: next sell")
    assert not [line for line in why(bot).lines if "paused" in line]
