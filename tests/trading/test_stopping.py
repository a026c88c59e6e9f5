"""The ends of a bot: nothing is said to be sold that wasn't, no coins stay behind, and nothing wakes it any more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.cache import cache
from django.utils import timezone

from bots.models import Bot, BotInput
from bots.services import bot_pause, bot_stop
from exchanges.paper import PaperVenue
from tests.trading.world import World, check_books, run_once
from trading.core.ports import Execution
from trading.core.types import Side
from trading.models import Balance, Order, Runtime, SignalWake, Wake
from trading.runtime import venue_for
from trading.selectors import balances_of, free_balance
from trading.services.booking import executions_book
from trading.services.sending import orders_send
from trading.services.stopping import leftovers_release

pytestmark = pytest.mark.django_db


def stop(bot: Bot, mode: str) -> None:
    bot.refresh_from_db()
    bot_stop(bot=bot, mode=mode, by=None)
    run_once()
    bot.refresh_from_db()


def test_without_a_price_coins_to_be_sold_wait_for_one():
    world = World()
    bot = world.bot()
    world.price(100.0)
    cache.clear()
    stop(bot, "sell")
    assert bot.status == Bot.Status.STOPPING
    assert not Order.objects.filter(bot=bot, slot="engine:exit").exists()
    world.price(100.0)
    Runtime.objects.filter(bot=bot).update(due_at=timezone.now(), not_before=None)
    run_once()
    world.price(100.0)
    bot.refresh_from_db()
    assert bot.status == Bot.Status.STOPPED
    assert bot.positions.get().qty == 0
    assert set(balances_of(world.account)) == {"USDT"}
    check_books(world.account)


def test_coins_that_could_not_be_sold_can_be_sold_later():
    world = World()
    bot = world.bot()
    world.price(100.0)
    type(world.market).objects.update(active=False)
    stop(bot, "sell")
    assert bot.status == Bot.Status.ERROR
    assert "is closed" in bot.status_reason
    assert Order.objects.filter(bot=bot, slot="engine:exit", status="rejected").count() == 3
    type(world.market).objects.update(active=True)
    stop(bot, "sell")
    world.price(100.0)
    bot.refresh_from_db()
    assert bot.status == Bot.Status.STOPPED
    assert bot.positions.get().qty == 0
    check_books(world.account)


@pytest.mark.parametrize("mode", ["keep", "leave"])
def test_a_stopped_bot_is_woken_by_nothing(mode):
    world = World()
    bot = world.bot()
    world.price(100.0)
    Wake.objects.create(bot=bot, market=world.market, below=95.0)
    SignalWake.objects.create(bot=bot, market=world.market, timeframe_ms=60_000, key="ema_side:3:6", name="side")
    stop(bot, mode)
    assert bot.status == Bot.Status.STOPPED
    world.price(99.0, low=94.5)
    assert not Wake.objects.filter(bot=bot).exists()
    assert not SignalWake.objects.filter(bot=bot).exists()
    assert not BotInput.objects.filter(bot=bot, kind="woken").exists()


class LateFill(PaperVenue):
    """Tells of an execution after the order's end, as exchanges do now and then."""

    order: Order

    def executions(self, after):
        if after >= 10**6:
            return []
        price, qty = self.order.price, self.order.qty
        late = Execution(
            "late-1",
            self.order.client_order_id,
            "1",
            "BTC/USDT",
            Side.BUY,
            price,
            qty,
            Decimal(0),
            "USDT",
            True,
            1,
            10**6,
        )
        return [late]


def test_what_a_late_fill_brings_to_a_stopped_bot_goes_to_its_account():
    world = World()
    bot = world.bot()
    world.price(100.0)
    stop(bot, "keep")
    assert not Balance.objects.filter(bot=bot).exclude(amount=0).exists()
    venue = LateFill(world.account)
    venue.order = Order.objects.filter(bot=bot, status="cancelled", side="buy").first()
    free = free_balance(world.account, "BTC")
    executions_book(world.account, venue)
    assert Balance.objects.filter(bot=bot).exclude(amount=0).exists()
    assert leftovers_release() == 1
    assert not Balance.objects.filter(bot=bot).exclude(amount=0).exists()
    assert free_balance(world.account, "BTC") == free + venue.order.qty
    assert leftovers_release() == 0


@pytest.mark.parametrize(
    ("factor", "price", "reduce", "goes"),
    [("2", "90", False, False), ("0.5", "90", False, True), ("0.5", "95", False, False), ("2", "90", True, True)],
)
def test_an_amendment_written_before_a_pause_only_makes_an_order_smaller_or_is_an_exit(factor, price, reduce, goes):
    """A decision has written it down; a person pauses before it is sent."""
    world = World()
    bot = world.bot()
    world.price(100.0)
    order = Order.objects.filter(bot=bot, status="working", side="buy", price=Decimal(90)).get()
    qty = order.qty * Decimal(factor)
    order.amend_qty, order.amend_price, order.reduce = qty, Decimal(price), reduce
    order.amend_want = {**order.want, "qty": float(qty), "price": float(price)}
    order.save()
    bot_pause(bot=bot, by=None)
    orders_send(Bot.objects.get(pk=bot.pk), venue_for(world.account))
    there = world.account.paper_orders.get(client_order_id=order.client_order_id)
    assert (there.qty, there.price) == ((qty, Decimal(price)) if goes else (order.qty, Decimal(90)))
