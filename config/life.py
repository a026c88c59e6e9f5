"""Life of the processes of production: each shows its sign, a deaf worker ends itself, an ending one leaves nothing.

A worker can be connected to its broker and yet hear nothing: no check of the connection sees that. So each worker has
a queue of its own in which it asks itself every 5 s whether a message still reaches its hands and the database. When
the broker takes these questions and no answer has come for WORKER_DEAF_S, the process ends and its supervisor starts
the next one. While the broker can't be reached, or a task is being worked on, it is not deaf but waiting.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from celery.signals import (
    after_task_publish,
    beat_init,
    celeryd_after_setup,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from celery.worker import state as worker_state
from django.conf import settings
from kombu.exceptions import OperationalError

from accounts.containment import contain, failure_counts
from trading.models import ProcessSign
from trading.repairs import leases_give_back
from trading.signs import Shown, Sign, here, start

log = logging.getLogger(__name__)
DEAF = 70  # EX_SOFTWARE
BUSY_S = 150.0  # a running task excuses silence for so long: twice the time limit of a task, and some
ASKED_LEAST = 3  # questions without an answer, however little WORKER_DEAF_S is
_signs: list[Shown] = []


class Ears:
    """Whether a worker still hears: what was asked, what was answered. `ask` raises OperationalError without a broker.

    All times are monotonic.
    """

    def __init__(self, ask: Callable[[], object], limit_s: float) -> None:
        self._ask, self._limit_s = ask, limit_s
        self._answer: object = None
        self._since: float | None = None  # the first question that is still open
        self._asked = 0

    def deaf(self, answer: object, now: float, *, busy: bool) -> bool:
        """Take the latest answer (anything that changes with each), ask again; True once it is certain."""
        if answer != self._answer or self._since is None:
            self._answer, self._since, self._asked = answer, now, 0
        limit = max(self._limit_s, BUSY_S) if busy else self._limit_s
        if self._asked >= ASKED_LEAST and now - self._since > limit:
            return True
        try:
            self._ask()
        except OperationalError:
            self._since, self._asked = None, 0  # the broker is away: no fault of this worker
        else:
            self._asked += 1
        return False


# --- workers ---------------------------------------------------------------------------------------------------------


@celeryd_after_setup.connect
def _listen(instance: Any, **_: Any) -> None:
    """Before the children are forked: name the place that they share, and hear what this worker asks itself."""
    instance.app.amqp.queues.select_add(_own_queue())


@worker_ready.connect
def _worker_ready(sender: Any, **_: Any) -> None:
    if settings.EMBEDDED:
        return
    app, pool = sender.app, sender.pool
    queues = sorted(set(app.amqp.queues.consume_from) - {_own_queue()})
    sign = Sign("worker", queues=",".join(queues), progress=_taken, pinged=True, facts=_worker_facts)
    ears = Ears(
        lambda: app.send_task("trading.ping", queue=_own_queue(), expires=10, retry=False), settings.WORKER_DEAF_S
    )

    def look() -> None:
        answered = ProcessSign.objects.filter(name=sign.name).values_list("worked_at", flat=True).first()
        if ears.deaf(answered, time.monotonic(), busy=bool(worker_state.active_requests)):
            _end_deaf(pool)

    _signs.append(start(sign, look))


def _own_queue() -> str:
    return f"ping.{here()}"


def _taken() -> int:
    return sum(worker_state.total_count.values())


def _worker_facts() -> dict[str, Any]:
    return {"running": len(worker_state.active_requests), "failures": sum(failure_counts().values())}


def _end_deaf(pool: Any) -> None:
    """End this process and its children at once: starting is recovering."""
    log.critical("Ending this worker: it is connected and hears nothing")
    for child in (getattr(pool, "info", None) or {}).get("processes", ()):
        with contain(f"end of child {child}"):
            os.kill(child, signal.SIGKILL)
    logging.shutdown()
    os._exit(DEAF)


@worker_shutting_down.connect
def _worker_ends(**_: Any) -> None:
    """From here on it takes nothing new, so it needn't hear; what runs is finished."""
    for shown in _signs:
        shown.end(0)


@worker_shutdown.connect
def _worker_ended(**_: Any) -> None:
    if settings.EMBEDDED:
        return
    with contain("leases of this worker"):
        leases_give_back(here())


# --- beat ------------------------------------------------------------------------------------------------------------


@beat_init.connect
def _beat_begins(**_: Any) -> None:
    if settings.EMBEDDED:
        return
    sign = Sign("beat")
    after_task_publish.connect(lambda **_: sign.worked(), weak=False)
    _signs.append(start(sign))
