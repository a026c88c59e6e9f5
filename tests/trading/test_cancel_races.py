"""Cancels that are cut off, come too late or cross a fill: never assumed, always settled by what the venue says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import BotInput
from exchanges.models import PaperOrder
from exchanges.paper import PaperVenue
from tests.trading.live_rules import Recording, committed, scripted
from tests.trading.scripted import buy
from tests.trading.world import World, check_books, live_orders, run_once
from trading.core.errors import OutcomeUnknown
from trading.core.types import Decision, Woken
from trading.models import Fill, Order
from trading.runtime import accounts_reconcile
from trading.services.recovery import SETTLE
from trading.services.sending import orders_send

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """The process is gone."""


class DiesBefore(PaperVenue):
    def cancel(self, client_order_ids):
        raise Killed


class DiesAfter(PaperVenue):
    def cancel(self, client_order_ids):
        super().cancel(client_order_ids)
        raise Killed


class AnswerLost(PaperVenue):
    def cancel(self, client_order_ids):
        super().cancel(client_order_ids)
        raise OutcomeUnknown("read timeout")


def cancelling(world: World, bot, line: type[PaperVenue]) -> Order:
    Order.objects.filter(bot=bot, slot="grid:0:buy").update(cancel_why="cancelled")
    with pytest.raises((Killed, OutcomeUnknown)):
        orders_send(bot, line(world.account))
    return Order.objects.get(bot=bot, slot="grid:0:buy")


@pytest.mark.parametrize("line", [DiesBefore, DiesAfter, AnswerLost])
def test_a_cancel_that_was_cut_off_stays_open_until_the_venue_has_said_what_became_of_it(line):
    """F14: wherever it was cut, no order of ours is open there that has ended here."""
    world = World()
    bot = world.bot()
    order = cancelling(world, bot, line)
    assert (order.status, order.closed_at) == ("working", None), "being cancelled isn't cancelled"
    Order.objects.filter(pk=order.pk, cancel_sent_at__isnull=False).update(cancel_sent_at=timezone.now() - SETTLE)
    accounts_reconcile()
    run_once()
    order.refresh_from_db()
    assert order.status == "cancelled"
    assert PaperOrder.objects.get(client_order_id=order.client_order_id).status == "cancelled"
    check_books(world.account)


def test_a_cancel_that_is_on_its_way_is_not_sent_twice_by_a_hasty_reconciliation():
    world = World()
    bot = world.bot()
    cancelling(world, bot, DiesBefore)
    line = Recording(world.account)
    orders_send(bot, line)
    assert line.calls == []
    accounts_reconcile()
    assert PaperOrder.objects.filter(status="working").count() == 3


@pytest.mark.parametrize("line", [DiesBefore, DiesAfter])
def test_an_order_that_fills_while_its_cancel_is_open_is_booked_whole(line):
    """F15: whichever came first at the venue is what happened."""
    world = World()
    bot = world.bot()
    world.price(100.0)
    order = live_orders(bot)["grid:1:buy"]
    Order.objects.filter(pk=order.pk).update(cancel_why="cancelled")
    with pytest.raises(Killed):
        orders_send(bot, line(world.account))
    Order.objects.filter(pk=order.pk).update(cancel_sent_at=timezone.now() - SETTLE - timedelta(seconds=1))
    world.price(95.0)
    accounts_reconcile()
    run_once()
    order.refresh_from_db()
    filled = line is DiesBefore
    assert order.status == ("filled" if filled else "cancelled")
    assert Fill.objects.filter(order=order).count() == filled
    check_books(world.account)


def test_what_replaces_an_order_goes_out_only_once_that_has_ended():
    """F15: the same budget is never at work twice."""

    def decide(state, view):
        told = bool(state) or any(isinstance(item, Woken) for item in view.inbox)
        return Decision(told, {"b" if told else "a": buy(90.0, 5.0)})

    class Hangs(Recording):
        """Takes the cancel and doesn't say what becomes of it."""

        def cancel(self, client_order_ids):
            self.calls.append(("cancel", list(client_order_ids)))
            return []

    with scripted(decide, budget=500) as (world, bot, _):
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        committed(bot)
        line = Hangs(world.account)
        orders_send(bot, line)
        assert [call for call, _ in line.calls] == ["cancel"]
        assert world.account.paper_orders.count() == 1
        Order.objects.filter(bot=bot, slot="a").update(cancel_sent_at=timezone.now() - SETTLE - timedelta(seconds=1))
        accounts_reconcile()
        run_once()
        assert Order.objects.get(bot=bot, slot="a").status == "cancelled"
        assert Order.objects.get(bot=bot, slot="b").status in ("working", "denied")
        working = PaperOrder.objects.filter(status="working")
        assert working.count() <= 1
