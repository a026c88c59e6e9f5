"""Which processes are alive and work, and whether every queue has somebody who works on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from trading.models import ProcessSign
from trading.services.clocks import MOST_MS
from trading.signs import DEAD_S

OK, WARN, BAD = "ok", "warn", "bad"
GONE = "gone without a goodbye"
QUEUE_LONG = 1000  # messages
KINDS = ("embedded",) if settings.EMBEDDED else ("web", "worker", "beat", "streams")
REMEDIES = {
    "web": "Start “daphne config.asgi:application”; see its log.",
    "worker": "Start “celery -A config worker”; until then no bot decides. Resting orders stay as they are.",
    "beat": "Start “celery -A config beat”; until then nothing is looked after.",
    "streams": "Start “manage.py streams”; until then there are no prices, and nothing that adds risk is sent.",
    "embedded": "Start it again with “make run”.",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at: how it is now and, unless it is well, what to do."""

    name: str
    state: str
    now: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    sign: ProcessSign
    state: str
    said: str


def processes_seen(now: datetime) -> list[Process]:
    found = []
    for sign in ProcessSign.objects.order_by("kind", "-seen_at")[:100]:
        if (now - sign.seen_at).total_seconds() > DEAD_S:
            found.append(Process(sign, WARN, GONE))
        elif abs(sign.clock_offset_ms or 0) > MOST_MS:
            found.append(Process(sign, BAD, "its clock is wrong"))
        elif sign.worked_at is not None and (now - sign.worked_at).total_seconds() > 2 * DEAD_S and sign.kind != "web":
            found.append(Process(sign, WARN, "seen, but it does nothing"))
        else:
            found.append(Process(sign, OK, "alive"))
    return found


def alive(processes: list[Process]) -> list[Process]:
    return [one for one in processes if one.said != GONE]


def kinds_check(processes: list[Process]) -> list[Check]:
    checks = []
    for kind in KINDS:
        running = [one for one in alive(processes) if one.sign.kind == kind]
        idle = [one for one in running if one.state != OK]
        name = f"Processes: {kind}"
        if not running:
            checks.append(Check(name, BAD, "none is running", REMEDIES[kind]))
        elif len(idle) == len(running):
            checks.append(Check(name, WARN, idle[0].said, "It ends itself if it stays so; look at its log."))
        else:
            checks.append(Check(name, OK, f"{len(running)} running"))
    return checks


def clocks_checked(processes: list[Process]) -> list[Check]:
    off = [one.sign for one in alive(processes) if abs(one.sign.clock_offset_ms or 0) > MOST_MS]
    todo = "Let that machine keep its time by NTP. Its bots' accounts are held until then."
    return [
        Check("Clock", BAD, f"{sign.name} is {(sign.clock_offset_ms or 0) / 1000:+.1f} s off the database's", todo)
        for sign in off
    ]


def queues_now(processes: list[Process]) -> list[tuple[str, int | None, int]]:
    """Return each queue with its waiting messages (None: the broker doesn't answer) and its living workers."""
    names = list(settings.CELERY_TASK_QUEUES)
    served = [set(one.sign.queues.split(",")) for one in alive(processes)]
    try:
        with current_app.connection_for_read() as broker:
            channel: Any = broker.default_channel
            depths = {name: channel.queue_declare(queue=name, durable=True).message_count for name in names}
    except OperationalError:
        depths = {}
    advisers = 1 if settings.EMBEDDED else 0  # threads of the one process
    return [
        (name, depths.get(name), sum(name in queues for queues in served) + (advisers if name == "advice" else 0))
        for name in names
    ]


def queues_check(queues: list[tuple[str, int | None, int]]) -> list[Check]:
    if all(depth is None for _, depth, _ in queues):
        todo = "Start Redis. Nothing is lost: the database is the queue, and the next sweep finds all that is due."
        return [Check("Broker", BAD, "it doesn't answer", todo)]
    checks = []
    for name, depth, workers in queues:
        if not workers and (depth or name != "advice"):
            checks.append(Check(f"Queue {name}", BAD, "nobody works on it", f"Start a worker with -Q {name}."))
        elif depth is not None and depth > QUEUE_LONG:
            checks.append(Check(f"Queue {name}", WARN, f"{depth} waiting", f"Start another worker with -Q {name}."))
    waiting = sum(depth or 0 for _, depth, _ in queues)
    return checks or [Check("Queues", OK, f"each has a worker, {waiting} waiting")]
