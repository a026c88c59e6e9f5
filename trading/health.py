"""How the installation fares, in words: what works, what doesn't, and what to do. For operators; nobody's secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from trading.health_facts import Facts, database_facts
from trading.health_processes import (
    BAD,
    OK,
    WARN,
    Check,
    Process,
    clocks_checked,
    kinds_check,
    processes_seen,
    queues_check,
    queues_now,
)
from trading.health_work import (
    Job,
    due_check,
    errors_check,
    halts_check,
    holds_check,
    installation_checked,
    jobs_check,
    jobs_last,
    prices_check,
    sweep_check,
    unknown_check,
)


@dataclass(frozen=True, slots=True)
class Health:
    """`checks` with what is wrong first."""

    at: datetime
    checks: list[Check]
    processes: list[Process]
    jobs: list[Job]
    queues: list[tuple[str, int | None, int]]  # name, messages, workers
    facts: Facts

    @property
    def state(self) -> str:
        return self.checks[0].state

    @property
    def wrong(self) -> list[Check]:
        return [check for check in self.checks if check.state != OK]

    @property
    def headline(self) -> str:
        wrong = self.wrong
        if not wrong:
            return "Everything works"
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return f"{wrong[0].name}: {wrong[0].now}{more}"


def health(now: datetime | None = None) -> Health:
    """Look at everything once. A dozen small queries, whatever the number of bots."""
    at = now or timezone.now()
    processes = processes_seen(at)
    jobs = jobs_last(at)
    queues = queues_now(processes)
    checks = [
        *installation_checked(),
        *kinds_check(processes),
        *clocks_checked(processes),
        sweep_check(at),
        *queues_check(queues),
        due_check(at),
        prices_check(at),
        unknown_check(at),
        holds_check(),
        halts_check(),
        errors_check(),
        jobs_check(jobs),
    ]
    checks.sort(key=lambda check: (BAD, WARN, OK).index(check.state))
    return Health(at, checks, processes, jobs, queues, database_facts())
