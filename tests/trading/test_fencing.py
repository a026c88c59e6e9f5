"""Several workers, zombies, messages that come twice or never: each order once, and nothing by who lost the lease."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from bots.models import Bot, BotInput
from bots.services import bot_start
from exchanges.models import PaperOrder
from exchanges.paper import PaperVenue
from tests.trading.live_rules import committed, scripted
from tests.trading.scripted import buy
from tests.trading.test_lost_answers import planned_bot
from tests.trading.test_unknown_orders import over
from tests.trading.world import World, check_books
from trading import tasks
from trading.clock import WALL
from trading.core.types import Decision, Woken
from trading.leases import lease_take
from trading.models import Order, Runtime
from trading.runtime import tick
from trading.services.sending import orders_send
from trading.services.waking import bots_due

PRICES = (96.0, 91.0, 99.0, 104.0, 109.0, 95.0)


def taken_over(bot: Bot):
    """Return the lease of a worker that has slept through it, and that of the worker that came after."""
    stale = lease_take(bot.pk)
    Runtime.objects.filter(bot=bot).update(lease_until=timezone.now() - timedelta(seconds=1))
    fresh = lease_take(bot.pk)
    assert stale is not None
    assert fresh is not None
    return stale, fresh


@pytest.mark.django_db
def test_a_zombie_places_nothing_of_what_its_successor_planned():
    world = World()
    bot = planned_bot(world)
    stale, fresh = taken_over(bot)
    orders_send(bot, PaperVenue(world.account), stale)
    assert not world.account.paper_orders.exists()
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"planned"}
    orders_send(bot, PaperVenue(world.account), fresh)
    assert world.account.paper_orders.count() == 3


@pytest.mark.django_db
def test_a_zombie_changes_nothing_that_its_successor_wants_changed():
    def decide(state, view):
        told = bool(state) or any(isinstance(item, Woken) for item in view.inbox)
        return Decision(told, {"a": buy(90.0, 2.0 if told else 1.0)})

    with scripted(decide) as (world, bot, _):
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        committed(bot)
        stale, fresh = taken_over(bot)
        before = PaperOrder.objects.get().qty
        wanted = Order.objects.get(bot=bot).amend_qty
        assert wanted not in (None, before)
        orders_send(bot, PaperVenue(world.account), stale)
        assert PaperOrder.objects.get().qty == before
        Order.objects.update(amend_after=None)
        orders_send(bot, PaperVenue(world.account), fresh)
        assert PaperOrder.objects.get().qty == wanted


@pytest.mark.django_db
def test_a_worker_that_falls_asleep_between_its_decision_and_its_send_sends_nothing_when_it_wakes():
    """SIGSTOP, the lease runs out, another one ticks, SIGCONT: the whole tick, not its parts."""
    world = World()
    bot = world.bot(start=False)
    bot_start(bot=bot, by=None)
    slept = []

    class Stopped(PaperVenue):
        def __init__(self, account) -> None:
            """The venue is made between the renewal of the lease and the decision: here the worker is stopped."""
            super().__init__(account)
            if not slept:
                slept.append(True)
                Runtime.objects.filter(bot=bot).update(lease_until=timezone.now() - timedelta(seconds=1))
                assert tick(bot.pk)

    with over(Stopped):
        tick(bot.pk)
    assert slept
    assert Runtime.objects.get(bot=bot).number == 1
    assert world.account.paper_orders.count() == 3
    bot.refresh_from_db()
    assert bot.status == "running", "whoever lost the lease says nothing about the bot"


@pytest.mark.django_db
def test_a_message_that_comes_five_times_does_what_one_does():
    world = World()
    bot = world.bot(start=False)
    bot_start(bot=bot, by=None)
    for _ in range(5):
        tasks.tick([bot.pk, bot.pk])
    assert Runtime.objects.get(bot=bot).number == 1
    assert world.account.paper_orders.count() == 3
    world.price(95.0, run=False)
    for _ in range(5):
        tasks.tick([bot.pk])
    assert not BotInput.objects.filter(bot=bot, number=None).exists()
    check_books(world.account)


@pytest.mark.django_db
def test_a_message_that_never_comes_is_found_by_the_next_sweep():
    world = World()
    bot = world.bot(start=False)
    bot_start(bot=bot, by=None)
    assert bots_due(WALL.now()) == [bot.pk]
    tick(bot.pk)
    assert bots_due(WALL.now()) == []
    world.price(95.0, run=False)  # it fills, and nobody rings
    assert bots_due(WALL.now()) == [bot.pk]


def at_once(workers: int, work: Callable[[], None]) -> None:
    """Let all of them begin at the same moment; what one of them raises fails the test."""
    gate = threading.Barrier(workers)

    def run(_: int) -> None:
        gate.wait()
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, range(workers)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", [2, 8])
def test_workers_that_tick_one_bot_through_a_day_of_prices_trade_as_one_does(workers):
    """F20 and F22: every worker gets every message, three times."""
    if connection.vendor == "sqlite":
        pytest.skip("several workers are promised on PostgreSQL only; SQLite in memory has one connection")
    alone = World()
    one = alone.bot()
    for price in PRICES:
        alone.price(price)
    world = World(market=alone.market)
    bot = world.bot(start=False)
    bot_start(bot=bot, by=None)
    for price in (100.0, *PRICES):
        if price != 100.0 or world.account.paper_orders.exists():
            world.price(price, run=False)
        at_once(workers, lambda: [tasks.tick([bot.pk]) for _ in range(3)] and None)
        tick(bot.pk)
    wished = Order.objects.filter(bot=bot).values_list("slot", "gen")
    assert len(set(wished)) == len(wished)
    sent = world.account.paper_orders.values_list("client_order_id", flat=True)
    assert sorted(sent) == sorted(Order.objects.filter(bot=bot).values_list("client_order_id", flat=True))
    assert set(Order.objects.filter(bot=bot).values_list("attempt", flat=True)) == {1}
    assert Order.objects.filter(bot=one).exists()
    check_books(world.account)
