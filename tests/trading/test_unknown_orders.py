"""Orders whose outcome is unknown: asked about soon and several times, judged on proof, and held when nobody knows."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Event
from bots.models import BotInput
from exchanges.paper import PaperVenue
from tests.trading.test_lost_answers import AnswerLost, NeverArrives, planned_bot
from tests.trading.world import World, check_books, run_once
from trading.core.errors import OutcomeUnknown, RateLimited, VenueUnavailable
from trading.models import Fill, Hold, Order, Runtime
from trading.runtime import VENUES, accounts_reconcile, orders_unknown_ask
from trading.services.recovery import LOOKUPS, SETTLE, account_ask, orders_in_doubt
from trading.services.sending import orders_send

pytestmark = pytest.mark.django_db
S = timedelta(seconds=1)


class Mute(PaperVenue):
    """Takes orders and answers no question about them."""

    def lookup(self, client_order_ids):
        raise VenueUnavailable("504 Gateway Time-out")


class Busy(PaperVenue):
    def lookup(self, client_order_ids):
        raise RateLimited("429", retry_after_s=40)


@contextmanager
def over(venue_class):
    """Every call to the paper venue goes over this line."""
    before = VENUES["paper"]
    VENUES["paper"] = venue_class
    try:
        yield
    finally:
        VENUES["paper"] = before


def in_doubt(world: World, line: type[PaperVenue] = NeverArrives, age: timedelta = 0 * S):
    """A bot whose three orders were sent so long ago over a line that was cut."""
    bot = planned_bot(world)
    with pytest.raises(OutcomeUnknown):
        orders_send(bot, line(world.account))
    then = timezone.now() - age
    Order.objects.filter(bot=bot).update(sent_at=then, unknown_at=then)
    return bot


def statuses(bot) -> set[tuple[str, int]]:
    return set(Order.objects.filter(bot=bot).values_list("status", "attempt"))


def ask_until(now, until) -> None:
    """The sweep, once a second."""
    while now <= until:
        orders_unknown_ask(now)
        now += S


def test_a_lost_answer_is_asked_about_within_seconds():
    world = World()
    bot = in_doubt(world, AnswerLost)
    sent = Order.objects.filter(bot=bot).first().unknown_at
    assert sent is not None
    assert orders_in_doubt(sent) == {}
    orders_unknown_ask(sent + 2 * S)
    assert statuses(bot) == {("working", 1)}
    assert world.account.paper_orders.count() == 3
    check_books(world.account)


def test_an_order_that_filled_and_went_before_the_first_question_is_found_by_its_execution():
    world = World()
    bot = in_doubt(world, AnswerLost)
    world.price(100.0, run=False)
    orders_unknown_ask(timezone.now() + 2 * S)
    assert Fill.objects.filter(bot=bot, order__slot="grid:open").count() == 1
    assert Order.objects.get(bot=bot, slot="grid:open").status == "filled"
    check_books(world.account)


def test_one_order_is_not_placed_only_after_several_answers_and_the_settle_time():
    world = World()
    bot = in_doubt(world)
    sent = Order.objects.filter(bot=bot).first().sent_at
    ask_until(sent, sent + SETTLE - S)
    assert statuses(bot) == {("unknown", 1)}
    assert min(Order.objects.filter(bot=bot).values_list("lookups", flat=True)) >= LOOKUPS
    ask_until(sent + SETTLE, sent + SETTLE + 3 * S)
    assert statuses(bot) == {("planned", 2)}
    run_once()
    assert statuses(bot) == {("working", 2)}
    assert world.account.paper_orders.count() == 3


def test_however_late_a_single_answer_is_no_proof():
    """F07: the venue reads from a copy of its books that lags behind."""
    world = World()
    bot = in_doubt(world, age=timedelta(minutes=10))
    for looked in range(1, LOOKUPS):
        accounts_reconcile()
        assert statuses(bot) == {("unknown", 1)}, f"after {looked} answers"
    accounts_reconcile()
    assert statuses(bot) == {("planned", 2)}


def test_an_acknowledged_order_isnt_given_up_for_one_answer_without_it():
    world = World()
    bot = world.bot()
    Order.objects.filter(bot=bot).update(sent_at=timezone.now() - SETTLE - S)

    class Blind(PaperVenue):
        def lookup(self, client_order_ids):
            return []

    with over(Blind):
        accounts_reconcile()
    assert statuses(bot) == {("working", 1)}
    accounts_reconcile()
    assert set(Order.objects.filter(bot=bot).values_list("lookups", flat=True)) == {0}, "it is known again"


def test_questions_that_fail_prove_nothing_and_the_bot_is_held_after_a_minute():
    world = World()
    bot = in_doubt(world)
    sent = Order.objects.filter(bot=bot).first().sent_at
    with over(Mute):
        ask_until(sent, sent + 59 * S)
        assert not Hold.objects.exists()
        ask_until(sent + 60 * S, sent + 90 * S)
    assert statuses(bot) == {("unknown", 1)}
    assert set(Order.objects.filter(bot=bot).values_list("lookups", flat=True)) == {0}
    holds = Hold.objects.filter(bot=bot, cause="unknown_order", lifted_at=None)
    assert set(holds.values_list("ref", flat=True)) == set(
        Order.objects.filter(bot=bot).values_list("client_order_id", flat=True)
    )
    told = Event.objects.filter(bot=bot.public_id, kind="hold.set")
    assert told.count() == 3, "once an order, not once a question"
    assert "Nobody knows yet" in told.first().text


def test_a_hold_is_lifted_by_itself_once_the_order_is_settled_and_its_bot_wakes():
    world = World()
    bot = in_doubt(world, AnswerLost, age=timedelta(seconds=70))
    with over(Mute):
        orders_unknown_ask(timezone.now())
    assert Hold.objects.filter(lifted_at=None).count() == 3
    BotInput.objects.filter(bot=bot).delete()
    Runtime.objects.filter(bot=bot).update(due_at=None)
    orders_unknown_ask(timezone.now() + 3 * S)
    assert statuses(bot) == {("unknown", 1)}, "the venue is left alone for a while after it couldn't answer"
    accounts_reconcile()
    assert statuses(bot) == {("working", 1)}
    assert not Hold.objects.filter(lifted_at=None).exists()
    assert BotInput.objects.filter(bot=bot, kind="woken", number=None).exists()
    assert Event.objects.filter(bot=bot.public_id, kind="hold.lifted").count() == 3
    world.price(100.0)
    check_books(world.account)


def test_a_venue_that_asks_for_patience_gets_it():
    world = World()
    bot = in_doubt(world)
    sent = Order.objects.filter(bot=bot).first().sent_at
    asked = []

    class Counting(Busy):
        def lookup(self, client_order_ids):
            asked.append(client_order_ids)
            return super().lookup(client_order_ids)

    with over(Counting):
        ask_until(sent, sent + 30 * S)
    assert len(asked) == 1


def test_what_a_dead_worker_was_sending_is_in_doubt_once_it_cant_have_any_effect():
    world = World()
    bot = in_doubt(world, AnswerLost)
    sent = timezone.now()
    Order.objects.filter(bot=bot).update(status="sending", sent_at=sent, unknown_at=None)
    assert orders_in_doubt(sent + 9 * S) == {}
    orders_unknown_ask(sent + 12 * S)
    assert statuses(bot) == {("working", 1)}


def test_two_that_ask_at_once_count_one_answer():
    world = World()
    bot = in_doubt(world, age=10 * S)
    ids = list(Order.objects.filter(bot=bot).values_list("pk", flat=True))
    settled = timezone.now() - SETTLE

    class Twice(PaperVenue):
        """While the first one waits for its answer, another one asks and is answered."""

        def lookup(self, client_order_ids):
            account_ask(world.account, PaperVenue(world.account), ids, settled=settled)
            return super().lookup(client_order_ids)

    account_ask(world.account, Twice(world.account), ids, settled=settled)
    assert set(Order.objects.filter(bot=bot).values_list("lookups", flat=True)) == {1}


def test_a_fill_that_comes_between_question_and_judgement_keeps_its_order():
    """The venue doesn't know the id yet, and its executions do."""
    world = World()
    bot = in_doubt(world, AnswerLost, age=timedelta(minutes=5))
    Order.objects.filter(bot=bot).update(lookups=LOOKUPS, cancel_why="cancelled")

    class Lags(PaperVenue):
        def lookup(self, client_order_ids):
            world.price(100.0, run=False)
            return []

    ids = list(Order.objects.filter(bot=bot, slot="grid:open").values_list("pk", flat=True))
    account_ask(world.account, Lags(world.account), ids, settled=timezone.now())
    order = Order.objects.get(bot=bot, slot="grid:open")
    assert (order.status, order.reason) == ("filled", "")


def test_nothing_in_doubt_costs_one_query():
    world = World()
    for _ in range(3):
        world.bot()
    with CaptureQueriesContext(connection) as queries:
        assert orders_unknown_ask(timezone.now()) == []
    assert len(queries) == 1
