"""What a process leaves behind when it dies or sleeps at the worst moment, on a perpetual and at the sender."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection

from accounts.models import Event
from bots.claims import claim_faults
from bots.models import Bot
from bots.services import bot_start, bot_stop
from exchanges.paper import PaperVenue
from exchanges.paper_match import walk
from tests.factories import BotFactory, MarketFactory
from tests.trading.world import World, check_books, run_once
from trading.clock import WALL
from trading.core.errors import OutcomeUnknown
from trading.core.types import Bar, Kind, Side, Want
from trading.ids import order_id
from trading.inbox import want_json
from trading.leases import lease_release, lease_take
from trading.models import Fill, Order, Position, Runtime
from trading.runtime import _step, accounts_reconcile, venue_for
from trading.services import sending
from trading.services.funding import budget_allocate
from trading.services.recovery import LOOKUPS, SETTLE
from trading.streams import BEGAN, recover

pytestmark = pytest.mark.django_db(transaction=True)


def future_world() -> World:
    market = MarketFactory(symbol="BTC/USDT:USDT", quote="USDT", perpetual=True, max_leverage=Decimal(20))
    return World(market=market)


def order_of(bot: Bot, side: Side = Side.BUY, qty: str = "1", *, leverage: str = "10", gen: int = 1) -> Order:
    want = Want("main", side, Kind.MARKET, float(qty), gen=gen)
    return Order.objects.create(
        workspace_id=bot.workspace_id,
        account=bot.account,
        bot=bot,
        market=bot.market,
        slot="base",
        gen=gen,
        number=1,
        client_order_id=order_id(bot, "base", gen, 1),
        side=side,
        kind=Kind.MARKET,
        leverage=Decimal(leverage),
        want=want_json(want),
        qty=Decimal(qty),
        lock_coin="USDT",
        locked=Decimal(0),
    )


def long_bot(world: World) -> Bot:
    """A bot that is long 1 and has no order resting, as a pair bot between two trades."""
    bot = BotFactory(account=world.account, market=world.market, status="running")
    Runtime.objects.create(bot=bot, number=1)
    budget_allocate(bot=bot)
    order_of(bot)
    sending.orders_send(bot, venue_for(world.account))
    world.price(100.0, run=False)
    assert Position.objects.get(bot=bot).qty == 1
    return bot


@pytest.mark.parametrize("begins", [False, True])
def test_a_liquidation_that_nobody_booked_is_found_at_the_next_start_and_by_the_next_round(begins):
    world = future_world()
    bot = long_bot(world)
    world.ts_ms += 1000
    assert walk(world.market, Bar(world.ts_ms, 100.0, 100.0, 80.0, 80.0)), "and here the process dies"
    assert world.account.paper_positions.get().qty == 0
    if begins:
        recover(BEGAN)
    else:
        accounts_reconcile()
    assert Position.objects.get(bot=bot).qty == 0
    assert Order.objects.get(bot=bot, slot="engine:liquidation").status == Order.Status.FILLED


def test_an_execution_counts_as_noticed_only_once_somebody_will_book_it():
    world = World()
    bot = world.bot()
    lost: list[str] = []

    def cut(execute, sql, params, many, context):
        if 'FROM "trading_order"' in sql and "post_only" in str(params) and not lost:
            lost.append(sql)
            raise OperationalError("the connection is lost")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(cut), pytest.raises(OperationalError):
        world.price(100.0, run=False)
    assert lost
    assert not Fill.objects.exists()
    world.price(100.0, run=False)
    assert Fill.objects.filter(bot=bot).count() == 1


class Asleep(PaperVenue):
    """Its machine falls asleep in the call; meanwhile another worker settles the order and sends it again."""

    LONG = timedelta(seconds=60)

    def place(self, orders):
        bot = Order.objects.get(client_order_id=orders[0].client_order_id).bot
        for order in Order.objects.filter(bot=bot, status=Order.Status.SENDING):
            Order.objects.filter(pk=order.pk).update(sent_at=order.sent_at - self.LONG)
        for _ in range(LOOKUPS):
            accounts_reconcile()
        sending.orders_send(Bot.objects.get(pk=bot.pk), PaperVenue(bot.account))
        ago_ms = int(self.LONG.total_seconds() * 1000)
        return super().place([replace(one, valid_until_ms=one.valid_until_ms - ago_ms) for one in orders])


def test_a_sender_that_slept_places_nothing_that_was_sent_again_meanwhile():
    world = World()
    bot = world.bot(start=False)
    bot_start(bot=bot, by=None)
    lease = lease_take(bot.pk)
    assert lease is not None
    assert _step(lease, bot, Runtime.objects.get(bot=bot), WALL)
    with pytest.raises(OutcomeUnknown):
        sending.orders_send(bot, Asleep(world.account))
    lease_release(lease)
    run_once()
    world.price(100.0)
    orders = Order.objects.filter(bot=bot, gen=1, slot="grid:open")
    assert list(orders.values_list("status", "attempt")) == [("filled", 2)]
    assert world.account.paper_orders.filter(kind="market", status="filled").count() == 1
    assert not Event.objects.filter(kind="fill.foreign").exists()
    check_books(world.account)


def test_a_claim_that_is_too_old_is_not_sent_and_its_window_is_closed_before_anybody_gives_it_up():
    world = World()
    bot = world.bot(start=False)
    budget_allocate(bot=bot)
    Bot.objects.filter(pk=bot.pk).update(status="running")
    order = order_of(bot)
    assert sending._claim(order)
    assert sending._in_time([order]) == [order]
    valid_ms = sending.request_of(order).valid_until_ms
    assert valid_ms is not None
    assert valid_ms < (order.sent_at + SETTLE / 2).timestamp() * 1000
    order.sent_at -= SETTLE / 2
    assert sending._in_time([order]) == []
    order.refresh_from_db()
    assert order.status == Order.Status.UNKNOWN, "the reconciliation asks about it"


def test_a_stopped_bot_whose_order_still_rests_on_a_perpetual_keeps_it_until_the_order_has_ended():
    world = future_world()
    bot = BotFactory(account=world.account, market=world.market, status="running")
    Runtime.objects.create(bot=bot, number=1)
    budget_allocate(bot=bot)
    order = order_of(bot)
    Order.objects.filter(pk=order.pk).update(kind="limit", price=Decimal(90))
    sending.orders_send(bot, venue_for(world.account))
    bot_stop(bot=bot, mode="leave", by=None)
    run_once()
    other = BotFactory(account=world.account, market=world.market, status="draft")
    assert [fault.code for fault in claim_faults(world.account, [world.market], other)] == ["market_taken"]
    Order.objects.filter(pk=order.pk).update(status="cancelled")
    assert claim_faults(world.account, [world.market], other) == []
