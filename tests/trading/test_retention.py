"""What is old goes, in batches; what is young, unseen or money stays."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Event
from accounts.services import event_append
from bots.models import BotInput
from tests.factories import alice, bot_of, workspace_of
from tests.trading.world import World, check_books
from trading.models import EquityPoint, Fill, JobRun, ProcessSign
from trading.services import retention
from trading.services.retention import DAY_MS, HOUR_MS, equity_thin, rows_delete

pytestmark = pytest.mark.django_db
YEARS = timedelta(days=800)


def test_old_events_go_and_young_ones_stay():
    workspace = workspace_of(alice())
    for number in range(2 * retention.BATCH + 5):
        event_append(workspace=workspace, kind="note", text=str(number))
    young = event_append(workspace=workspace, kind="note", text="young")
    Event.objects.exclude(pk=young.pk).update(created_at=timezone.now() - YEARS)
    assert rows_delete(timezone.now())["events"] == 2 * retention.BATCH + 5
    assert list(Event.objects.all()) == [young]


def test_an_input_that_nobody_has_seen_is_never_deleted():
    bot = bot_of(alice())
    seen = BotInput.objects.create(bot=bot, kind="command", number=1)
    unseen = BotInput.objects.create(bot=bot, kind="command")
    BotInput.objects.update(created_at=timezone.now() - YEARS)
    assert rows_delete(timezone.now())["inputs"] == 1
    assert not BotInput.objects.filter(pk=seen.pk).exists()
    assert BotInput.objects.filter(pk=unseen.pk).exists()


def test_quiet_job_runs_go_after_a_day_and_others_later():
    then = timezone.now() - timedelta(days=2)
    JobRun.objects.create(name="health", status="done", started_at=then)
    JobRun.objects.create(name="health", status="done", repairs=1, started_at=then)
    JobRun.objects.create(name="health", status="failed", started_at=then)
    rows_delete(timezone.now())
    assert sorted(JobRun.objects.values_list("status", "repairs")) == [("done", 1), ("failed", 0)]
    rows_delete(timezone.now() + YEARS)
    assert not JobRun.objects.exists()


def test_a_process_that_is_gone_for_a_day_is_forgotten():
    now = timezone.now()
    for name, ago in (("old", 2), ("young", 0)):
        seen = now - timedelta(days=ago)
        ProcessSign.objects.create(name=name, kind="web", started_at=seen, seen_at=seen)
    rows_delete(now)
    assert ProcessSign.objects.get().name == "young"


def test_old_points_are_thinned_to_hours_and_days_and_the_newest_stay():
    bot = bot_of(alice())
    newest = 200 * DAY_MS
    stretches = (newest - 30 * 60_000, newest - 8 * DAY_MS, newest - 92 * DAY_MS)
    times = [start + 600_000 * step for start in stretches for step in range(12)]  # two hours each, every 10 minutes
    points = [EquityPoint(bot=bot, ts_ms=ts, equity=Decimal(ts), hold=Decimal(1)) for ts in times]
    EquityPoint.objects.bulk_create(points)
    equity_thin()
    left = list(EquityPoint.objects.order_by("ts_ms").values_list("ts_ms", flat=True))
    newest = max(times)
    week = [ts for ts in left if newest - 9 * DAY_MS < ts < newest - 7 * DAY_MS]
    quarter = [ts for ts in left if ts < newest - 90 * DAY_MS]
    assert len(left) - len(week) - len(quarter) == 12
    assert len(week) == len({ts // HOUR_MS for ts in week}) >= 2
    assert len(quarter) == 1
    assert max(ts for ts in times if ts < newest - 90 * DAY_MS) in quarter
    equity_thin()
    assert list(EquityPoint.objects.order_by("ts_ms").values_list("ts_ms", flat=True)) == left


def test_money_is_never_deleted():
    world = World()
    world.bot()
    world.price(94.0)
    world.price(101.0)
    fills = Fill.objects.count()
    rows_delete(timezone.now() + YEARS)
    assert Fill.objects.count() == fills > 0
    check_books(world.account)
