"""A bot that fails is marked with its reason and stops alone; a person can try it again."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection

from accounts.models import Event
from bots.models import Bot
from bots.services import bot_resume, bot_stop
from tests.trading.world import World, check_books, live_orders, run_once
from trading.leases import lease_take
from trading.models import Runtime
from trading.runtime import _failed
from trading.selectors import why

pytestmark = pytest.mark.django_db


def broken(world: World) -> Bot:
    """A running bot whose stored state its strategy can't make sense of."""
    bot = world.bot()
    world.price(100.0)
    Runtime.objects.filter(bot=bot).update(state={"phase": "run", "cells": "none"})
    return bot


def test_a_broken_bot_stops_alone_and_says_why():
    world = World()
    bad, good = broken(world), world.bot()
    world.price(95.0)
    bad.refresh_from_db()
    good.refresh_from_db()
    assert bad.status == Bot.Status.ERROR
    assert "its strategy failed" in bad.status_reason
    assert good.status == Bot.Status.RUNNING
    assert "grid:1:sell" in live_orders(good)
    assert why(bad).headline.startswith("Halted by an error")
    assert Event.objects.filter(kind="bot.error", bot=bad.public_id).count() == 1
    check_books(world.account)


def broken_database(execute, sql, params, many, context):
    if sql.startswith('INSERT INTO "trading_order"'):
        raise OperationalError("deadlock detected")
    return execute(sql, params, many, context)


def test_a_database_that_is_away_for_a_moment_stops_no_bot():
    world = World()
    with connection.execute_wrapper(broken_database):
        bot = world.bot()
    assert not bot.orders.exists()
    bot.refresh_from_db()
    assert bot.status == Bot.Status.RUNNING
    assert run_once() == 1, "it is still due"
    assert set(live_orders(bot)) == {"grid:0:buy", "grid:1:buy", "grid:open"}


def test_a_worker_that_lost_the_lease_does_not_stop_the_bot_of_its_successor():
    bot = World().bot()
    late = lease_take(bot.pk)
    assert late is not None
    Runtime.objects.filter(bot=bot).update(lease_until=None)
    now = lease_take(bot.pk)
    assert now is not None
    _failed(late, ValueError("late"))
    bot.refresh_from_db()
    assert bot.status == Bot.Status.RUNNING
    _failed(now, ValueError("now"))
    bot.refresh_from_db()
    assert bot.status == Bot.Status.ERROR


def test_its_resting_orders_are_still_booked_and_it_can_be_resumed():
    world = World()
    bad = broken(world)
    state = Runtime.objects.get(bot=bad).state
    world.price(95.0)
    assert Runtime.objects.get(bot=bad).state == state, "a failed decision changes nothing"
    world.price(90.0)
    assert bad.fills.count() == 3
    check_books(world.account)
    bad.refresh_from_db()
    bot_resume(bot=bad, by=None)
    run_once()
    bad.refresh_from_db()
    assert bad.status == Bot.Status.ERROR, "the same state fails again"
    bot_stop(bot=bad, mode="sell", by=None)
    run_once()
    world.price(90.0)
    bad.refresh_from_db()
    assert bad.status == Bot.Status.STOPPED
    assert bad.positions.get().qty == 0
    check_books(world.account)
