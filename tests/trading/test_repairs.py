"""The health monitor: stuck bots come free, late ones are rung again, and owners are told of silence once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Event
from bots.models import BotInput
from tests.factories import priced
from tests.trading.world import World
from trading.jobs import Run
from trading.leases import lease_take
from trading.models import JobRun, ProcessSign, Runtime
from trading.repairs import (
    bots_late,
    health_check,
    jobs_end,
    leases_free,
    leases_give_back,
    markets_check,
    silent_tell,
)
from trading.signs import Sign, here

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def _sign(name: str, seen_ago_s: float) -> None:
    seen = timezone.now() - timedelta(seconds=seen_ago_s)
    ProcessSign.objects.create(name=name, kind=name.partition("@")[0], started_at=seen, seen_at=seen)


def test_the_lease_of_a_dead_process_is_freed_and_that_of_a_living_one_is_not():
    world = World()
    bot = world.bot()
    assert lease_take(bot.pk) is not None
    _sign(f"worker@{here()}", 1)
    assert leases_free() == 0
    assert lease_take(bot.pk) is None
    ProcessSign.objects.update(seen_at=timezone.now() - MINUTE)
    assert leases_free() == 1
    assert lease_take(bot.pk) is not None


def test_a_lease_that_reaches_far_into_the_future_is_freed():
    world = World()
    bot = world.bot()
    lease_take(bot.pk)
    assert leases_free() == 0
    Runtime.objects.update(lease_until=timezone.now() + timedelta(hours=1))  # its holder's clock was wrong
    assert leases_free() == 1
    assert lease_take(bot.pk) is not None


def test_a_process_that_ends_gives_its_leases_back():
    world = World()
    bot = world.bot()
    lease_take(bot.pk)
    assert leases_give_back("elsewhere:1") == 0
    assert leases_give_back(here()) == 1
    assert lease_take(bot.pk) is not None


def test_a_bot_that_is_due_and_not_ticked_is_late():
    world = World()
    bot = world.bot()
    now = timezone.now()
    Runtime.objects.filter(bot=bot).update(due_at=now)
    assert bots_late(now + timedelta(seconds=20)) == []
    assert bots_late(now + timedelta(seconds=40)) == [bot.pk]
    Runtime.objects.filter(bot=bot).update(not_before=now + MINUTE)  # it waits on purpose
    assert bots_late(now + timedelta(seconds=40)) == []


def test_a_bot_with_an_unseen_input_is_late():
    world = World()
    bot = world.bot()
    Runtime.objects.filter(bot=bot).update(due_at=None)
    row = BotInput.objects.create(bot=bot, kind="command")
    later = timezone.now() + timedelta(seconds=40)
    assert bots_late(later) == [bot.pk]
    lease_take(bot.pk)  # somebody is at it
    assert bots_late(later) == []
    row.number = 1
    row.save()
    Runtime.objects.update(lease_until=None)
    assert bots_late(later) == []


def test_late_bots_are_rung_and_counted():
    world = World()
    bot = world.bot()
    now = timezone.now()
    Runtime.objects.filter(bot=bot).update(due_at=now)
    run = Run()
    health_check(run, now + timedelta(seconds=40))
    assert run.repairs == 1
    assert run.did == "1 late bots rung again"


def test_the_owner_of_a_silent_bot_is_told_once():
    world = World()
    bot = world.bot()
    now = timezone.now()
    Runtime.objects.filter(bot=bot).update(due_at=now)
    assert silent_tell(now + MINUTE) == 0
    assert silent_tell(now + 6 * MINUTE) == 1
    assert silent_tell(now + 7 * MINUTE) == 0
    event = Event.objects.get(kind="bot.silent")
    assert event.bot == bot.public_id
    assert event.level == "warning"
    assert bot.name in event.text


def test_a_market_without_a_price_is_told_to_the_bots_on_it():
    world = World()
    bot = world.bot()
    priced(world.market)
    now = timezone.now()
    run = Run()
    markets_check(run, now)
    assert run.did == ""
    priced(world.market, age_s=7200)
    markets_check(run, now)
    assert "BTC/USDT" in run.did
    assert Event.objects.get(kind="bot.no_price").bot == bot.public_id
    markets_check(run, now)
    assert Event.objects.filter(kind="bot.no_price").count() == 1


def test_a_job_that_never_ended_is_closed():
    now = timezone.now()
    JobRun.objects.create(name="equity", started_at=now - timedelta(hours=1))
    JobRun.objects.create(name="equity", started_at=now)
    assert jobs_end(now) == 1
    assert sorted(JobRun.objects.values_list("status", flat=True)) == ["failed", "running"]


def test_a_sign_moves_and_its_work_only_with_work():
    sign = Sign("web")
    sign.show()
    first = ProcessSign.objects.get()
    assert first.name == f"web@{here()}"
    assert first.worked_at is None
    sign.worked()
    sign.show()
    second = ProcessSign.objects.get()
    assert second.done == 1
    assert second.worked_at is not None
    sign.show()
    third = ProcessSign.objects.get()
    assert third.worked_at == second.worked_at
    assert third.seen_at >= second.seen_at
