"""Whether the work gets done: the sweep, bots that are due, prices, orders in doubt, what is held, scheduled jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from accounts.installation import blocked_reason
from bots.models import Bot
from exchanges.prices import quotes_get
from risk.models import Halt
from trading.health_processes import BAD, OK, WARN, Check
from trading.models import Hold, JobRun, Order
from trading.repairs import bots_late, markets_dark, markets_live
from trading.services.waking import TICKED, bots_due

SWEEP_LATE_S = 30.0
UNKNOWN_LONG = timedelta(minutes=2)
DUE_MOST = 500  # looked at


def sweep_check(now: datetime) -> Check:
    """Whether the metronome beats: without it whatever nobody rings for stays undone."""
    last = JobRun.objects.filter(name="sweep", status=JobRun.Status.DONE).order_by("-started_at").first()
    if last is None or last.ended_at is None:
        return Check("Sweep", WARN, "it has not run yet", "It begins a few seconds after beat and a worker have.")
    age_s = (now - last.ended_at).total_seconds()
    if age_s > SWEEP_LATE_S:
        return Check("Sweep", BAD, f"the last one ended {age_s:.0f} s ago", "See whether beat and a worker run.")
    return Check("Sweep", OK, f"it runs each second, and said so {max(age_s, 0):.0f} s ago")


def due_check(now: datetime) -> Check:
    due, late = len(bots_due(now, DUE_MOST)), len(bots_late(now))
    alive = Bot.objects.filter(status__in=TICKED).count()
    text = f"{alive} alive, {due}{'+' if due == DUE_MOST else ''} due now"
    if late:
        todo = "Start more workers with -Q ticks. Late bots are rung again every 30 s, and their owners are told."
        return Check("Bots", BAD, f"{text}, {late} of them for more than 30 s", todo)
    return Check("Bots", OK, text)


def prices_check(now: datetime) -> Check:
    dark = markets_dark(now, settings.PRICE_MAX_AGE_MS)
    markets = markets_live()
    if dark:
        names = ", ".join(str(market) for market in dark[:5])
        todo = "See the log of the streams. Bots on these markets add no risk until prices come again."
        return Check("Prices", BAD, f"none of now for {len(dark)} of {len(markets)} markets: {names}", todo)
    if not markets:
        return Check("Prices", OK, "no bot waits for any")
    quotes = quotes_get([market.pk for market in markets])
    oldest = max((now.timestamp() * 1000 - quote.received_ms for quote in quotes.values()), default=None)
    age = f", the oldest {max(oldest, 0) / 1000:.1f} s old" if oldest is not None else ""
    return Check("Prices", OK, f"of {len(markets)} markets with live bots{age}")


def unknown_check(now: datetime) -> Check:
    unknown = Order.objects.filter(status=Order.Status.UNKNOWN)
    count, old = unknown.count(), unknown.filter(unknown_at__lt=now - UNKNOWN_LONG).count()
    if old:
        todo = "Their bots are held, and the venue is asked again and again. See whether it can be reached."
        return Check("Orders", BAD, f"the outcome of {old} has been unknown for more than 2 minutes", todo)
    return Check("Orders", OK, f"{count} being asked about" if count else "the outcome of all of them is known")


def holds_check() -> Check:
    held = Hold.objects.filter(lifted_at=None)
    count, people = held.count(), held.filter(needs_person=True).count()
    if not count:
        return Check("Holds", OK, "none")
    text = f"{count} open" + (f", {people} of them wait for a person" if people else "")
    return Check("Holds", WARN, text, "Each says on its bot's page what happened; the admin lists them all.")


def installation_checked() -> list[Check]:
    """A copied or restored database sends nothing: the one thing to know then."""
    reason = blocked_reason()
    if not reason:
        return []
    return [
        Check(
            "Installation",
            BAD,
            reason,
            "When no other copy runs: “manage.py confirm_installation --no-other-copy-runs”.",
        )
    ]


def halts_check() -> Check:
    count = Halt.objects.filter(rearmed_at=None).count()
    text = f"{count} kill switch{'' if count == 1 else 'es'} pulled"
    return (
        Check("Halts", WARN, text, "Nothing adds risk there until a person re-arms it.")
        if count
        else Check("Halts", OK, "none")
    )


def errors_check() -> Check:
    count = Bot.objects.filter(status=Bot.Status.ERROR).count()
    if not count:
        return Check("Failed bots", OK, "none")
    return Check(
        "Failed bots", WARN, f"{count} stopped by themselves", "Their pages say why; their owners resume them."
    )


@dataclass(frozen=True, slots=True)
class Job:
    name: str
    state: str
    last: JobRun | None
    said: str


def jobs_last(now: datetime) -> list[Job]:
    """Return each scheduled job with its last run."""
    found = []
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        schedule: Any = entry["schedule"]
        every: timedelta = schedule.run_every
        last = JobRun.objects.filter(name=name).order_by("-started_at").first()
        found.append(Job(name.replace("_", " "), *job_state(last, every, now)))
    return found


def job_state(last: JobRun | None, every: timedelta, now: datetime) -> tuple[str, JobRun | None, str]:
    if last is None:
        return OK, None, "hasn't been due yet"
    if last.status == JobRun.Status.FAILED:
        return BAD, last, last.error
    if now - last.started_at > 3 * every + timedelta(seconds=60):
        return WARN, last, "it should have run since"
    words = [last.did] if last.did else []
    words += [f"{last.repairs} repairs"] if last.repairs else []
    return OK, last, "; ".join(words) or ("running" if last.status == JobRun.Status.RUNNING else "nothing to mend")


def jobs_check(jobs: list[Job]) -> Check:
    failed = [job.name for job in jobs if job.state == BAD]
    late = [job.name for job in jobs if job.state == WARN]
    if failed:
        return Check("Jobs", BAD, f"{', '.join(failed)} failed", "Its error stands below and in the worker's log.")
    if late:
        todo = "See whether beat and a worker of its queue run."
        return Check("Jobs", WARN, f"{', '.join(late)} should have run since", todo)
    return Check("Jobs", OK, "all in time")
