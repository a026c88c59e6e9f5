"""Sends whose answer is lost, sends that never arrive, workers that die in between: one order each, nothing twice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from bots.models import BotInput
from bots.services import bot_start, bot_stop
from exchanges.paper import PaperVenue
from tests.trading.world import World, check_books, live_orders, run_once
from trading.clock import WALL
from trading.core.errors import OutcomeUnknown, VenueUnavailable
from trading.core.ports import OrderReport
from trading.core.types import Bar
from trading.leases import LEASE, lease_release, lease_take
from trading.models import Fill, Order, Runtime, VenueCursor
from trading.runtime import _step, accounts_reconcile
from trading.selectors import free_balance
from trading.services.answers import reports_apply
from trading.services.booking import executions_book
from trading.services.sending import orders_send
from trading.services.stopping import leftovers_release
from trading.streams import recover

pytestmark = pytest.mark.django_db
NOW = timedelta(0)


class AnswerLost(PaperVenue):
    """Takes the orders, and then the line is cut."""

    def place(self, orders):
        super().place(orders)
        raise OutcomeUnknown("read timeout")


class NeverArrives(PaperVenue):
    def place(self, orders):
        raise OutcomeUnknown("connection reset")


class Keeps(PaperVenue):
    """Leaves every order as it is."""

    def amend(self, amendments):
        return self.lookup([change.client_order_id for change in amendments])


class Down(PaperVenue):
    def cancel(self, client_order_ids):
        raise VenueUnavailable("503")


def planned_bot(world: World):
    """A bot whose decision is committed and whose worker died before the first send."""
    bot = world.bot(start=False)
    bot_start(bot=bot, by=None)
    lease = lease_take(bot.pk)
    assert lease is not None
    assert _step(lease, bot, Runtime.objects.get(bot=bot), WALL)
    lease_release(lease)
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"planned"}
    return bot


def test_planned_orders_of_a_dead_worker_are_sent_by_the_next():
    world = World()
    bot = planned_bot(world)
    assert run_once() == 1
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"working"}
    assert world.account.paper_orders.count() == 3


def test_an_order_whose_answer_was_lost_is_adopted_not_sent_again():
    world = World()
    bot = planned_bot(world)
    with pytest.raises(OutcomeUnknown):
        orders_send(bot, AnswerLost(world.account))
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"unknown"}
    run_once()
    assert world.account.paper_orders.count() == 3
    accounts_reconcile(settle=NOW, lookups=1)
    run_once()
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"working"}
    assert world.account.paper_orders.count() == 3
    world.price(100.0)
    assert set(live_orders(bot)) == {"grid:0:buy", "grid:1:buy", "grid:2:sell", "grid:3:sell"}
    check_books(world.account)


def test_an_order_that_filled_before_anybody_asked_is_found_by_its_execution():
    world = World()
    bot = planned_bot(world)
    with pytest.raises(OutcomeUnknown):
        orders_send(bot, AnswerLost(world.account))
    world.price(100.0)
    accounts_reconcile(settle=NOW, lookups=1)
    run_once()
    assert Fill.objects.filter(bot=bot, order__slot="grid:open").count() == 1
    check_books(world.account)


def test_an_order_that_never_arrived_is_asked_about_and_then_sent_once_under_the_next_attempt():
    world = World()
    bot = planned_bot(world)
    before = set(Order.objects.filter(bot=bot).values_list("client_order_id", flat=True))
    with pytest.raises(OutcomeUnknown):
        orders_send(bot, NeverArrives(world.account))
    accounts_reconcile(settle=timedelta(seconds=30))
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"unknown"}, "too young to judge"
    accounts_reconcile(settle=NOW, lookups=1)
    run_once()
    orders = Order.objects.filter(bot=bot)
    assert set(orders.values_list("status", "attempt")) == {("working", 2)}
    assert not before & set(orders.values_list("client_order_id", flat=True))
    assert world.account.paper_orders.count() == 3


def test_a_worker_that_died_while_sending_is_recovered_like_a_lost_answer():
    world = World()
    bot = planned_bot(world)
    with pytest.raises(OutcomeUnknown):
        orders_send(bot, AnswerLost(world.account))
    Order.objects.filter(bot=bot).update(status="sending")
    accounts_reconcile(settle=NOW, lookups=1)
    run_once()
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"working"}
    assert world.account.paper_orders.count() == 3


@pytest.mark.parametrize(("sent_s", "status"), [(-0.1, "planned"), (0.1, "sending")])
def test_a_start_settles_what_the_last_process_sent_and_leaves_this_one_alone(settings, sent_s, status):
    """The worker's thread runs already when the streams recover: it may be in the middle of a send."""
    settings.EMBEDDED = True
    world = World()
    bot = planned_bot(world)
    began = timezone.now() - timedelta(seconds=1)
    sent = began + timedelta(seconds=sent_s)
    Order.objects.filter(bot=bot).update(status="sending", sent_at=sent)
    Runtime.objects.filter(bot=bot).update(lease_until=sent + LEASE, lease_owner="one")
    recover(began)
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {status}
    assert Runtime.objects.get(bot=bot).lease_owner == ("" if sent < began else "one")


def test_the_answer_to_one_attempt_says_nothing_about_the_next():
    world = World()
    bot = planned_bot(world)
    late = list(Order.objects.filter(bot=bot).select_related("market", "bot").order_by("id"))
    Order.objects.filter(bot=bot).update(status="sending", sent_at=timezone.now())
    accounts_reconcile(settle=NOW, lookups=1)
    assert set(Order.objects.filter(bot=bot).values_list("status", "attempt")) == {("planned", 2)}
    working, rejected, _ = late
    reports = [
        OrderReport(working.client_order_id, "1", "working", Decimal(0)),
        OrderReport(rejected.client_order_id, "2", "rejected", Decimal(0), "no"),
    ]
    reports_apply(late, reports)
    assert set(Order.objects.filter(bot=bot).values_list("status", "attempt")) == {("planned", 2)}


def test_a_cancel_that_could_not_be_sent_is_sent_again():
    world = World()
    bot = world.bot()
    Order.objects.filter(bot=bot, slot="grid:0:buy").update(cancel_why="cancelled")
    with pytest.raises(VenueUnavailable):
        orders_send(bot, Down(world.account))
    run_once()
    order = Order.objects.get(bot=bot, slot="grid:0:buy")
    assert order.status == "cancelled"
    assert BotInput.objects.filter(bot=bot, kind="closed", payload__slot="grid:0:buy").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_fill_that_could_not_be_booked_is_booked_at_the_next_price():
    world = World()
    bot = world.bot()
    with connection.execute_wrapper(cut):
        world.price(100.0, run=False)
    assert not Fill.objects.exists()
    assert world.account.paper_orders.filter(status="filled").count() == 1
    assert list(world.pipeline._unbooked) == [world.account.pk]
    world.pipeline._unbooked = dict.fromkeys(world.pipeline._unbooked, 0.0)  # a second later
    world.price(100.0)
    assert Fill.objects.filter(bot=bot).count() == 1
    assert not world.pipeline._unbooked
    check_books(world.account)


def test_executions_read_twice_are_booked_once():
    world = World()
    bot = world.bot()
    world.price(100.0)
    VenueCursor.objects.update(executions=0)
    executions_book(world.account, PaperVenue(world.account))
    assert Fill.objects.filter(bot=bot).count() == 1
    check_books(world.account)


def test_a_cancel_that_comes_too_late_books_the_fill():
    world = World()
    bot = world.bot()
    world.price(100.0)
    Order.objects.filter(bot=bot, slot="grid:1:buy").update(cancel_why="cancelled")
    world.pipeline.price_apply(world.market, _bar(world, 95.0), 0)
    orders_send(bot, PaperVenue(world.account))
    order = Order.objects.get(bot=bot, slot="grid:1:buy", gen=1)
    assert order.status == "filled"
    run_once()
    check_books(world.account)


def _bar(world: World, price: float):
    return Bar(world.ts_ms + 500, price, price, price, price)


def test_a_cancel_of_an_order_that_the_venue_does_not_know_yet_leaves_its_fate_open():
    """The send may still be on its way: "no such order" is no proof before it has settled."""
    world = World()
    bot = planned_bot(world)
    with pytest.raises(OutcomeUnknown):
        orders_send(bot, NeverArrives(world.account))
    Order.objects.filter(bot=bot, slot="grid:0:buy").update(cancel_why="cancelled")
    orders_send(bot, PaperVenue(world.account))
    order = Order.objects.get(bot=bot, slot="grid:0:buy")
    assert (order.status, order.closed_at) == ("unknown", None)
    accounts_reconcile(settle=timedelta(seconds=30))
    order.refresh_from_db()
    assert order.status == "unknown"
    accounts_reconcile(settle=NOW, lookups=1)
    order.refresh_from_db()
    assert (order.status, order.reason) == ("cancelled", "it never reached the venue")
    assert BotInput.objects.get(bot=bot, kind="closed").payload["why"] == "cancelled"


def cut(execute, sql, params, many, context):
    if sql.startswith('INSERT INTO "bots_botinput"'):
        raise OperationalError("the worker dies here")
    return execute(sql, params, many, context)


@pytest.mark.django_db(transaction=True)
def test_an_order_cancelled_before_it_was_sent_is_never_ended_without_telling_its_bot():
    world = World()
    bot = planned_bot(world)
    Order.objects.filter(bot=bot, slot="grid:0:buy").update(cancel_why="cancelled")
    with pytest.raises(OperationalError), connection.execute_wrapper(cut):
        orders_send(bot, PaperVenue(world.account))
    orders_send(bot, PaperVenue(world.account))
    order = Order.objects.get(bot=bot, slot="grid:0:buy")
    assert order.status == "cancelled"
    assert order.closed_at is not None
    assert BotInput.objects.get(bot=bot, kind="closed").payload["why"] == "cancelled"


def test_an_order_in_doubt_of_a_bot_that_was_left_alone_does_not_hold_its_coins_for_ever():
    world = World()
    bot = planned_bot(world)
    with pytest.raises(OutcomeUnknown):
        orders_send(bot, NeverArrives(world.account))
    bot.refresh_from_db()
    bot_stop(bot=bot, mode="leave", by=None)
    run_once()
    accounts_reconcile(settle=NOW, lookups=1)
    assert not live_orders(bot)
    assert leftovers_release() == 1
    assert free_balance(world.account, "USDT") == 10000
    check_books(world.account)


def test_a_price_that_the_venue_left_as_it_was_is_not_taken_for_changed():
    world = World()
    bot = world.bot()
    order = live_orders(bot)["grid:0:buy"]
    wanted = order.price - 1
    amended = {"amend_qty": order.qty, "amend_price": wanted, "amend_want": order.want}
    Order.objects.filter(pk=order.pk).update(**amended)
    orders_send(bot, Keeps(world.account))
    kept = Order.objects.get(pk=order.pk)
    assert (kept.price, kept.amend_price) == (order.price, wanted)
    Order.objects.update(amend_after=None)  # its back-off is over
    orders_send(bot, PaperVenue(world.account))
    kept = Order.objects.get(pk=order.pk)
    assert (kept.price, kept.amend_price) == (wanted, None)
