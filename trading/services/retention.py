"""What is kept for how long: old rows go in bounded batches, oldest first, so that no run holds the database for long.

Orders, fills and the ledger are never deleted.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, Model, QuerySet

from accounts.idempotency import REMEMBERED
from accounts.models import Event, IdempotentCall
from bots.models import Bot, BotInput
from trading.models import EquityPoint, JobRun, ProcessSign

BATCH = 1000
BATCHES = 100  # a run and table; what is left goes with the next run
DAY = timedelta(days=1)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
LOOK_BACK_MS = 8 * DAY_MS  # of points that may not be thinned yet: runs may have been missed for a week


def rows_delete(now: datetime) -> dict[str, int]:
    """Delete what has been kept long enough; returns how many rows of each kind."""
    keep = settings.KEEP_DAYS
    quiet = JobRun.objects.filter(status=JobRun.Status.DONE, repairs=0)
    return {
        "events": _delete(Event.objects.all(), "created_at", now - keep["events"] * DAY),
        "inputs": _delete(BotInput.objects.exclude(number=None), "created_at", now - keep["inputs"] * DAY),
        "calls": _delete(IdempotentCall.objects.all(), "created_at", now - REMEMBERED),
        "quiet job runs": _delete(quiet, "started_at", now - DAY),
        "job runs": _delete(JobRun.objects.all(), "started_at", now - keep["jobs"] * DAY),
        "processes": _delete(ProcessSign.objects.all(), "seen_at", now - DAY),
        "equity points": equity_thin(),
    }


def _delete(rows: QuerySet[Any], field: str, before: datetime) -> int:
    """Delete the oldest rows up to the first that is younger: ids rise with time, so that needs no index of its own."""
    deleted, after = 0, 0
    model: type[Model] = rows.model
    for _ in range(BATCHES):
        batch = list(rows.filter(pk__gt=after).order_by("pk").values_list("pk", field)[:BATCH])
        old = [pk for pk, at in batch if at < before]
        if old:
            model._default_manager.filter(pk__in=old).delete()
            deleted += len(old)
        if len(old) < BATCH:
            break
        after = batch[-1][0]
    return deleted


def equity_thin() -> int:
    """Keep one point an hour of what is older than a week, and one a day beyond three months, in market time."""
    thinned = 0
    bots = Bot.objects.annotate(newest=Max("equity_points__ts_ms")).filter(newest__isnull=False)
    for bot_id, newest in bots.values_list("pk", "newest").iterator():
        week, quarter = newest - 7 * DAY_MS, newest - 90 * DAY_MS
        thinned += _thin(bot_id, week - LOOK_BACK_MS, week, HOUR_MS)
        thinned += _thin(bot_id, quarter - LOOK_BACK_MS, quarter, DAY_MS)
    return thinned


def _thin(bot_id: int, since_ms: int, until_ms: int, every_ms: int) -> int:
    """Keep the last point of each stretch: the one that says how it ended."""
    points = EquityPoint.objects.filter(bot_id=bot_id, ts_ms__gte=since_ms, ts_ms__lt=until_ms)
    rows = list(points.order_by("ts_ms", "pk").values_list("pk", "ts_ms"))
    last = {ts_ms // every_ms: pk for pk, ts_ms in rows}
    extra = [pk for pk, ts_ms in rows if last[ts_ms // every_ms] != pk]
    for start in range(0, len(extra), BATCH):
        EquityPoint.objects.filter(pk__in=extra[start : start + BATCH]).delete()
    return len(extra)
