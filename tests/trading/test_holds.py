"""A bot that is held adds no risk: not with what it decides, nor with what was decided before. The rest goes on."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections

from accounts.models import Event
from bots.models import Bot, BotInput
from exchanges.paper import PaperVenue
from tests.factories import alice, workspace_of
from tests.trading.live_rules import committed, scripted
from tests.trading.scripted import buy, sell
from tests.trading.test_lost_answers import planned_bot
from tests.trading.world import World, check_books, live_orders, run_once
from trading.clock import WALL
from trading.core.errors import InvalidInput
from trading.core.types import Decision, Woken
from trading.held import held_of_many, held_reason, holds_of, holds_open
from trading.models import Hold, Order
from trading.services.holds import hold_lift, hold_lift_by, hold_set, holds_settle
from trading.services.sending import orders_send, orders_unsent
from trading.services.waking import bots_due

pytestmark = pytest.mark.django_db
WHY = "something is in doubt"


def hold(bot: Bot, *, whole_account: bool = False, **values) -> Hold:
    values = {"cause": "fills", "reason": WHY, "ref": "a"} | values
    hold_set(account=bot.account, bot=None if whole_account else bot, **values)
    return Hold.objects.get(lifted_at=None, cause=values["cause"], ref=values["ref"])


@pytest.mark.parametrize("whole_account", [False, True])
def test_what_a_held_bot_wants_anew_is_denied_with_the_reason(whole_account):
    world = World()
    bot = world.bot(start=False)
    hold(bot, whole_account=whole_account)
    world.bot(start=False)
    Bot.objects.filter(pk=bot.pk).update(status="running")
    BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
    run_once()
    assert set(Order.objects.filter(bot=bot).values_list("status", "reason")) == {("denied", WHY)}
    assert not world.account.paper_orders.exists()
    assert Event.objects.filter(bot=bot.public_id, kind="order.denied").count() == 3


@pytest.mark.parametrize("whole_account", [False, True])
def test_what_was_planned_before_isnt_sent_while_the_hold_stands_and_nobody_is_due_for_it(whole_account):
    world = World()
    bot = planned_bot(world)
    row = hold(bot, whole_account=whole_account)
    assert not orders_unsent().filter(bot=bot).exists()
    assert bot.pk not in bots_due(WALL.now())
    orders_send(bot, PaperVenue(world.account))
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"planned"}
    hold_lift(hold=row, why="settled")
    assert bot.pk in bots_due(WALL.now())
    run_once()
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"working"}


def test_a_hold_that_comes_between_reading_and_sending_is_seen_by_the_send():
    world = World()
    bot = planned_bot(world)

    def meanwhile(execute, sql, params, many, context):
        if sql.startswith('UPDATE "trading_order"') and not Hold.objects.exists():
            hold(bot)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(meanwhile):
        orders_send(bot, PaperVenue(world.account))
    assert not world.account.paper_orders.exists()


def test_exits_and_cancels_of_a_held_bot_go_out():
    wants = [{"a": buy(100.0)}, {"out": sell(110.0), "more": buy(90.0)}, {}]

    def decide(state, view):
        return Decision(min((state or 0) + 1, 2), wants[state or 0])

    with scripted(decide) as (world, bot, _):
        world.price(100.0, run=False)
        hold(bot)
        run_once()
        assert set(live_orders(bot)) == {"out"}
        assert Order.objects.get(bot=bot, slot="more").reason == WHY
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        run_once()
        assert not live_orders(bot)
        check_books(world.account)


@pytest.mark.parametrize(("size", "sent"), [(3.0, 2), (1.0, 1)])
def test_what_was_to_become_larger_before_the_hold_stays_as_it_is_and_smaller_it_may_become(size, sent):
    def decide(state, view):
        told = bool(state) or any(isinstance(item, Woken) for item in view.inbox)
        return Decision(told, {"a": buy(90.0, size if told else 2.0)})

    with scripted(decide) as (world, bot, _):
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        committed(bot)
        row = hold(bot)
        orders_send(bot, PaperVenue(world.account))
        assert world.account.paper_orders.get().qty == sent
        assert not orders_unsent().filter(bot=bot).exists(), "nobody is due for it at once"
        hold_lift(hold=row, why="settled")
        Order.objects.filter(bot=bot).update(amend_after=None)  # a second later
        run_once()
        assert world.account.paper_orders.get().qty == int(size)


def test_a_hold_is_set_once_and_told_once():
    bot = World().bot()
    first = hold(bot)
    assert not hold_set(account=bot.account, bot=bot, cause="fills", ref="a", reason="said otherwise")
    again = Hold.objects.get()
    assert (again.reason, again.seen_at > first.seen_at) == (WHY, True)
    assert Event.objects.filter(kind="hold.set").count() == 1
    assert hold_set(account=bot.account, bot=bot, cause="fills", ref="b", reason=WHY)
    assert hold_set(account=bot.account, cause="fills", ref="a", reason=WHY), "the account's is another one"


def test_a_hold_is_lifted_once_and_wakes_whom_it_held():
    world = World()
    bot, other = world.bot(), world.bot()
    row = hold(bot, whole_account=True)
    assert hold_lift(hold=row, why="settled")
    assert not hold_lift(hold=row, why="settled")
    assert set(BotInput.objects.filter(kind="woken", number=None).values_list("bot", flat=True)) == {bot.pk, other.pk}
    assert held_reason(bot) == ""
    assert hold_set(account=bot.account, cause="fills", ref="a", reason=WHY), "it may be set again afterwards"


def test_only_what_no_longer_stands_lifts_itself():
    bot = World().bot()
    for ref in ("a", "b"):
        hold(bot, ref=ref)
    hold(bot, ref="c", needs_person=True)
    hold(bot, cause="balance", ref="a")
    assert holds_settle(bot.account, {"fills": ["b"]}) == 1
    assert set(Hold.objects.filter(lifted_at=None).values_list("cause", "ref")) == {
        ("fills", "b"),
        ("fills", "c"),
        ("balance", "a"),
    }


def test_a_person_lifts_what_waits_for_one_and_stands_in_the_record():
    bot = World().bot()
    person = alice()
    row = hold(bot)
    with pytest.raises(InvalidInput):
        hold_lift_by(hold=row, by=person)
    row = hold(bot, ref="b", needs_person=True)
    hold_lift_by(hold=row, by=person)
    row.refresh_from_db()
    assert (row.lifted_by, row.lifted_at is not None) == (person, True)
    assert "by Alice" in Event.objects.get(kind="hold.lifted").text
    with pytest.raises(InvalidInput):
        hold_lift_by(hold=row, by=person)


def test_holds_are_read_for_bots_accounts_and_workspaces():
    world = World()
    bot, other = world.bot(), world.bot()
    hold(bot)
    assert held_of_many([bot, other]) == {bot.pk: WHY}
    hold(other, whole_account=True, reason="the account too", ref="x")
    assert held_of_many([bot, other]) == {bot.pk: WHY, other.pk: "the account too"}
    assert [row.ref for row in holds_of(bot)] == ["a", "x"]
    assert holds_open(bot.workspace).count() == 2
    assert not holds_open(workspace_of(alice())).exists()


@pytest.mark.django_db(transaction=True)
def test_workers_that_find_the_same_at_once_set_one_hold():
    if connection.vendor == "sqlite":
        pytest.skip("several workers are promised on PostgreSQL only; SQLite in memory has one connection")
    bot = World().bot()
    gate = threading.Barrier(4)
    found: list[bool] = []

    def work() -> None:
        gate.wait()
        found.append(hold_set(account=bot.account, bot=bot, cause="fills", ref="a", reason=WHY))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, False, False, True]
    assert Hold.objects.count() == Event.objects.filter(kind="hold.set").count() == 1
