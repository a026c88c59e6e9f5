"""One worker at a time ticks a bot, and whoever lost the lease writes nothing."""

from __future__ import annotations

import threading
from copy import copy
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.db.models import F
from django.utils import timezone

from bots.models import Bot, BotInput
from bots.services import bot_start
from tests.trading.world import World, check_books, live_orders
from trading.clock import WALL
from trading.core.types import Decision
from trading.leases import lease_release, lease_take
from trading.models import Order, Runtime
from trading.runtime import run_due, tick
from trading.services.decisions import LeaseLost, decision_commit
from trading.services.waking import bots_due
from trading.situation import situation_of


@pytest.mark.django_db
def test_a_lease_is_held_by_one_until_it_is_released_or_runs_out():
    bot = World().bot(start=False)
    first = lease_take(bot.pk)
    assert first is not None
    assert lease_take(bot.pk) is None
    lease_release(first)
    second = lease_take(bot.pk)
    assert second is not None
    assert second.token == first.token + 1
    Runtime.objects.filter(bot=bot).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert lease_take(bot.pk) is not None
    lease_release(second)
    assert lease_take(bot.pk) is None, "a lease that was lost can't be released by its old holder"


@pytest.mark.django_db
def test_a_worker_that_slept_while_it_took_the_lease_has_no_token_of_its_successor():
    bot = World().bot(start=False)
    lease = lease_take(bot.pk)
    assert lease is not None
    lease_release(lease)

    def overtaken(execute, sql, params, many, context):
        if sql.startswith('SELECT "trading_runtime"."lease_token"'):
            until = timezone.now() + timedelta(seconds=10)
            Runtime.objects.filter(bot=bot).update(lease_token=F("lease_token") + 1, lease_until=until)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(overtaken):
        mine = lease_take(bot.pk)
    assert mine is None or mine.token != Runtime.objects.get(bot=bot).lease_token


@pytest.mark.django_db
def test_a_ring_is_heard_however_many_others_are_due():
    world = World()
    bot = world.bot(start=False)
    others = [copy(bot) for _ in range(501)]
    for other in others:
        other.pk, other.public_id, other.status = None, uuid4(), "running"
    Bot.objects.bulk_create(others)
    BotInput.objects.bulk_create(BotInput(bot=other, kind="woken", payload={"by": "price"}) for other in others)
    assert len(bots_due(WALL.now())) == 500
    last = max(other.pk for other in others)
    assert run_due(bot_ids=[last]) == 1
    assert bots_due(WALL.now(), among=[last]) == []


@pytest.mark.django_db
def test_a_worker_that_slept_through_its_lease_writes_nothing():
    world = World()
    bot = world.bot()
    stale = lease_take(bot.pk)
    assert stale is not None
    situation = situation_of(bot, Runtime.objects.get(bot=bot), WALL.now())
    assert situation is not None
    Runtime.objects.filter(bot=bot).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert lease_take(bot.pk) is not None
    number = Runtime.objects.get(bot=bot).number
    with pytest.raises(LeaseLost):
        decision_commit(stale, situation, Decision(None, {}))
    assert Runtime.objects.get(bot=bot).number == number
    assert not Order.objects.filter(bot=bot).exclude(cancel_why="").exists()


@pytest.mark.django_db(transaction=True)
def test_eight_workers_at_once_place_each_order_once():
    if connection.vendor == "sqlite":
        pytest.skip("several workers are promised on PostgreSQL only; SQLite in memory has one connection")
    world = World()
    bot = world.bot(start=False)
    bot_start(bot=bot, by=None)
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        for _ in range(3):
            tick(bot.pk)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(live_orders(bot)) == {"grid:0:buy", "grid:1:buy", "grid:open"}
    assert world.account.paper_orders.count() == 3
    assert Runtime.objects.get(bot=bot).number == 1
    check_books(world.account)
