"""Scheduled jobs: each run is contained, and its row says when it ran, what it did and repaired, or why it failed.

A job may run twice, late or not at all: beat is a metronome, and what a job has to do stands in the database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.utils import timezone

from accounts.containment import contain
from trading.models import JobRun

TEXT_MAX = 300
PULSE_EVERY_S = 10.0  # what runs each second tells so only this often

_told: dict[str, float] = {}
_lock = threading.Lock()


@dataclass(slots=True)
class Run:
    """What a job says of itself while it runs."""

    did: str = ""
    repairs: int = 0


@contextmanager
def job(name: str) -> Iterator[Run]:
    """Record one run of a job; a job that fails doesn't raise, its row says why."""
    run, row = Run(), None
    with contain(f"the record of job {name}"):  # a database that is away: the job itself will say so
        row = JobRun.objects.create(name=name, started_at=timezone.now())
    with contain(f"job {name}") as outcome:
        yield run
    if row is not None:
        with contain(f"the record of job {name}"):
            _end(row, run, outcome.error)


@contextmanager
def pulse(name: str) -> Iterator[None]:
    """Run a job of every second: one row says when it last went well, and only failures get rows of their own."""
    began = timezone.now()
    with contain(f"job {name}") as outcome:
        yield
    with contain(f"the record of job {name}"):
        if outcome.error is not None:
            _end(JobRun(name=name, started_at=began), Run(), outcome.error)
        elif _is_time(name):
            rolling = JobRun.objects.filter(name=name, status=JobRun.Status.DONE)
            if not rolling.update(started_at=began, ended_at=timezone.now()):
                _end(JobRun(name=name, started_at=began), Run(), None)


def pulse_forget() -> None:
    """Let the next pulse of every job be told at once."""
    with _lock:
        _told.clear()


def _is_time(name: str) -> bool:
    with _lock:
        now = time.monotonic()
        due = now - _told.get(name, float("-inf")) >= PULSE_EVERY_S
        if due:
            _told[name] = now
        return due


def _end(row: JobRun, run: Run, error: Exception | None) -> None:
    row.ended_at = timezone.now()
    row.status = JobRun.Status.DONE if error is None else JobRun.Status.FAILED
    row.did, row.repairs = run.did[:TEXT_MAX], run.repairs
    row.error = "" if error is None else f"{type(error).__name__}: {error}"[:TEXT_MAX]
    row.save()
