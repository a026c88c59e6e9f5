"""Amendments whose answer is lost, late or overtaken: the venue's word ends the order, and no fill or coin is lost."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bots.models import Bot, BotInput
from bots.services import bot_pause, bot_stop
from exchanges.demo import wall_now_ms
from exchanges.models import PaperOrder
from exchanges.paper import PaperVenue
from exchanges.paper_match import Terms, walk
from tests.trading.live_rules import committed, scripted
from tests.trading.storm_checks import check_now
from tests.trading.world import World, check_books, run_once
from trading.core.errors import OutcomeUnknown
from trading.core.ports import Amendment
from trading.core.types import Bar, Decision, Kind, Side, Want, Woken
from trading.models import Fill, Order
from trading.runtime import accounts_reconcile
from trading.selectors import free_balance
from trading.services.booking import executions_book
from trading.services.claims import VALID
from trading.services.recovery import account_reconcile
from trading.services.sending import orders_send, orders_unsent
from trading.situation import free_funds

pytestmark = pytest.mark.django_db
NOW = timedelta(0)
THIN = Terms(1, 1.0)


class AnswerLost(PaperVenue):
    """Takes amendments, and then the line is cut."""

    def amend(self, amendments):
        super().amend(amendments)
        raise OutcomeUnknown("read timeout")


class NeverArrives(PaperVenue):
    def amend(self, amendments):
        raise OutcomeUnknown("connection reset")


class Keeps(PaperVenue):
    """Keeps amendments back: they are on their way, until `arrive`."""

    def __init__(self, account) -> None:
        super().__init__(account)
        self.kept: list[Amendment] = []

    def amend(self, amendments):
        self.kept += amendments
        raise OutcomeUnknown("read timeout")

    def arrive(self) -> None:
        with suppress(OutcomeUnknown):
            super().amend(self.kept)


def limit(price: float, qty: float, side: Side = Side.BUY) -> Want:
    return Want("main", side, Kind.LIMIT, qty, price=price)


def steps(*wanted: Want):
    """Wants the next of these each time it is told to."""

    def answer(state, view):
        number = (state or 0) + sum(isinstance(item, Woken) for item in view.inbox)
        return Decision(number, {"a": wanted[min(number, len(wanted) - 1)]})

    return answer


@contextmanager
def amending(venue_class, *wanted: Want, world: World | None = None):
    """A bot that has sent an amendment from the first of these wants to the second, over this line."""
    with scripted(steps(*(wanted or (limit(90.0, 1.0), limit(90.0, 2.0)))), world) as (world, bot, _):
        tell(bot)
        venue = venue_class(world.account)
        with pytest.raises(OutcomeUnknown):
            orders_send(bot, venue)
        yield world, bot, venue


def tell(bot: Bot) -> None:
    """The bot's strategy takes its next step, which is written down and not sent."""
    BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
    committed(bot)


def order_of(bot: Bot) -> Order:
    return Order.objects.get(bot=bot, slot="a")


def closures(bot: Bot) -> list[tuple[str, float]]:
    rows = BotInput.objects.filter(bot=bot, kind="closed").order_by("id")
    return [(row.payload["why"], row.payload["filled_qty"]) for row in rows]


def free(bot: Bot) -> Decimal:
    return free_funds(bot, list(Order.objects.filter(bot=bot, status__in=Order.LIVE).select_related("market")))["USDT"]


def later(bot: Bot) -> None:
    """Whatever was sent has arrived by now, or never will."""
    Order.objects.filter(bot=bot).update(amend_sent_at=timezone.now() - VALID - timedelta(seconds=1))


# --- a fill of the old quantity


def test_an_order_that_may_have_become_larger_is_not_over_with_its_old_quantity():
    with amending(AnswerLost, world=World(terms=THIN)) as (world, bot, _):
        world.price(90.0, volume=1.0, run=False)
        order = order_of(bot)
        assert (order.status, order.filled_qty, order.closed_at, closures(bot)) == ("working", 1, None, [])
        assert order.locked >= Decimal("90.09"), "the other half is still paid for"
        accounts_reconcile(settle=timedelta(seconds=30))
        order = order_of(bot)
        assert (order.status, order.qty, order.amend_qty, order.locked) == ("working", 2, None, Decimal("90.09"))
        world.price(90.0, volume=1.0)
        order = order_of(bot)
        assert (order.status, order.filled_qty, order.locked) == ("filled", 2, 0)
        assert closures(bot) == [("filled", 2.0)]
        check_books(world.account)
        check_now(world.account, [bot])


def test_two_fills_that_come_before_anybody_has_asked_are_both_the_orders_own():
    with amending(AnswerLost) as (world, bot, _):
        world.price(90.0, run=False)
        order = order_of(bot)
        assert (order.status, order.qty, order.filled_qty, order.amend_qty) == ("filled", 2, 2, None)
        assert closures(bot) == [("filled", 2.0)]
        check_now(world.account, [bot])


def test_an_amendment_that_was_not_taken_ends_its_filled_order_as_soon_as_that_is_known():
    with amending(NeverArrives) as (world, bot, _):
        world.price(90.0, run=False)
        order = order_of(bot)
        assert (order.status, order.qty, order.filled_qty, order.locked) == ("filled", 1, 1, 0)
        assert (order.amend_qty, order.amend_sent_at, closures(bot)) == (None, None, [("filled", 1.0)])
        check_now(world.account, [bot])
        run_once()
        assert not orders_unsent().filter(bot=bot).exists()
        check_books(world.account)


@pytest.mark.parametrize("line", [AnswerLost, NeverArrives])
def test_the_fill_is_booked_first_and_the_reconciliation_says_what_became_of_the_amendment(line):
    """Nobody ticks the bot: it is paused. The reconciliation alone has to settle it."""
    with amending(line, world=World(terms=THIN)) as (world, bot, _):
        bot_pause(bot=bot, by=None)
        fill(world, 1.0)
        executions_book(world.account, PaperVenue(world.account))
        assert order_of(bot).status == "working"
        check_now(world.account, [bot])
        accounts_reconcile(settle=timedelta(seconds=30))
        taken = line is AnswerLost
        order = order_of(bot)
        assert (order.status, order.qty) == (("working", 2) if taken else ("filled", 1))
        assert order.amend_sent_at is None
        check_now(world.account, [bot])


def fill(world: World, volume: float) -> None:
    """The venue fills, and nobody here looks yet."""
    world.ts_ms += 1000
    walk(world.market, Bar(world.ts_ms, 90.0, 90.0, 90.0, 90.0, volume), terms=THIN)


def test_an_order_that_became_smaller_is_over_once_the_venue_says_so():
    with amending(AnswerLost, limit(90.0, 2.0), limit(90.0, 1.0)) as (world, bot, _):
        world.price(90.0, run=False)
        order = order_of(bot)
        assert (order.status, order.qty, order.filled_qty, order.locked) == ("filled", 1, 1, 0)
        assert closures(bot) == [("filled", 1.0)]
        check_now(world.account, [bot])


def test_a_fill_before_the_amendment_is_sent_ends_the_order_at_its_old_quantity():
    with scripted(steps(limit(90.0, 1.0), limit(90.0, 2.0))) as (world, bot, _):
        tell(bot)
        world.price(90.0, run=False)
        order = order_of(bot)
        assert (order.status, order.qty, order.amend_qty, closures(bot)) == ("filled", 1, None, [("filled", 1.0)])
        run_once()
        assert not orders_unsent().filter(bot=bot).exists()
        check_now(world.account, [bot])


def test_a_partial_fill_leaves_the_larger_form_paid_for():
    with scripted(steps(limit(90.0, 1.0), limit(90.0, 2.0)), World(terms=THIN)) as (world, bot, _):
        tell(bot)
        world.price(90.0, volume=0.5, run=False)
        run_once()
        order = order_of(bot)
        assert (order.qty, order.filled_qty, order.amend_qty) == (2, Decimal("0.5"), None)
        assert order.locked == Decimal("1.5") * 90 * Decimal("1.001")
        check_now(world.account, [bot])


def test_what_is_wanted_anew_while_the_answer_is_out_frees_nothing_that_the_venue_may_take():
    """The larger form is under way; the strategy goes back to the smaller one, and a fill comes."""
    wants = (limit(90.0, 1.0), limit(90.0, 2.0), limit(90.0, 1.0))
    with amending(AnswerLost, *wants, world=World(terms=THIN)) as (world, bot, _):
        tell(bot)
        assert order_of(bot).amend_qty == 1
        fill(world, 0.5)
        executions_book(world.account, PaperVenue(world.account))
        assert order_of(bot).locked >= Decimal("1.5") * 90 * Decimal("1.001")
        before = free(bot)
        fill(world, 1.5)
        executions_book(world.account, PaperVenue(world.account))
        order = order_of(bot)
        assert (order.status, order.filled_qty, order.qty) == ("working", 2, 2)
        assert free(bot) == before
        check_now(world.account, [bot])
        accounts_reconcile(settle=timedelta(seconds=30))
        assert order_of(bot).status == "filled"
        check_books(world.account)


@pytest.mark.parametrize("line", [AnswerLost, NeverArrives])
def test_a_bot_that_is_stopped_meanwhile_ends_and_gives_all_back(line):
    with amending(line, world=World(terms=THIN)) as (world, bot, _):
        fill(world, 1.0)
        executions_book(world.account, PaperVenue(world.account))
        bot_stop(bot=bot, mode="sell", by=None)
        run_once()
        world.price(90.0, volume=9.0)
        world.price(90.0, volume=9.0)
        bot.refresh_from_db()
        assert (bot.status, order_of(bot).is_live) == ("stopped", False)
        assert not PaperOrder.objects.filter(status="working").exists()
        assert free_balance(world.account, "BTC") == 0
        check_books(world.account)


def test_a_lookup_that_is_older_than_what_is_booked_settles_nothing():
    with amending(AnswerLost, world=World(terms=THIN)) as (world, bot, _):

        class Old(PaperVenue):
            """Its answer was made before the amendment arrived, and comes after the fill."""

            def lookup(self, client_order_ids):
                now = super().lookup(client_order_ids)
                return [replace(report, qty=Decimal(1), filled_qty=Decimal(0)) for report in now]

        fill(world, 1.5)
        account_reconcile(world.account, Old(world.account), settled=timezone.now() - timedelta(seconds=30))
        assert order_of(bot).status == "working"
        accounts_reconcile(settle=timedelta(seconds=30))
        assert (order_of(bot).status, order_of(bot).qty) == ("working", 2)


# --- one at a time


def test_an_older_amendment_cant_undo_a_newer_one():
    wants = (limit(90.0, 1.0), limit(80.0, 1.0), limit(85.0, 1.0))
    with amending(Keeps, *wants) as (world, bot, line):
        tell(bot)
        orders_send(bot, PaperVenue(world.account))
        assert PaperOrder.objects.get().price == 90, "the first one may still be on its way"
        assert not orders_unsent().filter(bot=bot).exists(), "so nobody is due for the second one"
        line.arrive()
        accounts_reconcile(settle=timedelta(seconds=30))
        assert (order_of(bot).price, order_of(bot).amend_price) == (80, 85)
        run_once()
        assert (order_of(bot).price, order_of(bot).amend_price, PaperOrder.objects.get().price) == (85, None, 85)


def test_an_amendment_that_comes_too_late_has_no_effect():
    wants = (limit(90.0, 1.0), limit(80.0, 1.0), limit(85.0, 1.0))
    with amending(Keeps, *wants) as (world, bot, line):
        tell(bot)
        later(bot)
        orders_send(bot, PaperVenue(world.account))
        assert (order_of(bot).price, PaperOrder.objects.get().price) == (85, 85)
        (kept,) = line.kept
        sent_ms = int(timezone.now().timestamp() * 1000)
        assert sent_ms < kept.valid_until_ms <= sent_ms + VALID.total_seconds() * 1000
        line.kept = [replace(kept, valid_until_ms=wall_now_ms() - 1)]
        line.arrive()
        assert PaperOrder.objects.get().price == 85


def test_the_paper_venue_changes_nothing_after_the_time_of_an_amendment():
    with scripted(steps(limit(90.0, 1.0))) as (world, bot, _):
        name, venue = order_of(bot).client_order_id, PaperVenue(world.account)
        with pytest.raises(OutcomeUnknown):
            venue.amend([Amendment(name, Decimal(2), Decimal(91), None, wall_now_ms() - 1)])
        assert (PaperOrder.objects.get().qty, PaperOrder.objects.get().price) == (1, 90)
        venue.amend([Amendment(name, Decimal(2), Decimal(91), None, wall_now_ms() + 60_000)])
        assert (PaperOrder.objects.get().qty, PaperOrder.objects.get().price) == (2, 91)


def test_the_answer_to_an_amendment_says_nothing_about_the_next_one():
    """A sender gets its answer so late that another one has sent a newer amendment since."""
    wants = (limit(90.0, 1.0), limit(80.0, 1.0), limit(85.0, 1.0))

    class Slow(PaperVenue):
        def amend(self, amendments):
            reports = super().amend(amendments)
            tell(bot)
            later(bot)
            with suppress(OutcomeUnknown):
                orders_send(bot, NeverArrives(world.account))
            return reports

    with scripted(steps(*wants)) as (world, bot, _):
        tell(bot)
        orders_send(bot, Slow(world.account))
        order = order_of(bot)
        assert (order.price, order.amend_price) == (90, 85)
        assert order.amend_sent_at is not None
        later(bot)
        run_once()
        assert (order_of(bot).price, order_of(bot).amend_price, PaperOrder.objects.get().price) == (85, None, 85)


def test_what_was_wanted_anew_meanwhile_is_sent_next():
    """The answer comes in time, and the strategy wants something else already."""
    wants = (limit(90.0, 1.0), limit(80.0, 2.0), limit(85.0, 3.0))

    class Busy(PaperVenue):
        def amend(self, amendments):
            tell(bot)
            return super().amend(amendments)

    with scripted(steps(*wants)) as (world, bot, _):
        tell(bot)
        orders_send(bot, Busy(world.account))
        order = order_of(bot)
        assert (order.qty, order.price, order.amend_qty, order.amend_price) == (2, 80, 3, 85)
        assert order.amend_sent_at is None
        run_once()
        assert (order_of(bot).qty, order_of(bot).amend_qty, PaperOrder.objects.get().qty) == (3, None, 3)
        check_now(world.account, [bot])


def test_an_amendment_that_never_arrived_is_sent_again_after_its_time():
    with amending(NeverArrives) as (_, bot, _):
        accounts_reconcile(settle=timedelta(seconds=30))
        run_once()
        assert (PaperOrder.objects.get().qty, order_of(bot).amend_qty) == (1, 2)
        accounts_reconcile(settle=NOW)
        assert order_of(bot).amend_sent_at is None
        run_once()
        assert (PaperOrder.objects.get().qty, order_of(bot).amend_qty, order_of(bot).qty) == (2, None, 2)
        assert Fill.objects.count() == 0
