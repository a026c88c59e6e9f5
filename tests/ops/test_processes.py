"""The processes of production, on PostgreSQL and Redis: web, worker, beat and streams trade as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.auditor import Books, faults, read_books, unsettled
from tests.ops.production import PEOPLE_AND_MARKETS, Production, decisions, production_of
from tests.served import until


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Production]:
    with production_of(tmp_path) as made:
        yield made


def test_they_trade_as_one_and_outlive_a_killed_worker(production: Production) -> None:
    production.manage("migrate", "--verbosity", "0")
    production.manage("shell", "--verbosity", "0", "--command", PEOPLE_AND_MARKETS)
    for name in ("web", "worker", "beat", "streams"):
        production.start(name)
    until(production.healthy, 240, production.log)
    production.start_presets("lively-grid", "trend")
    first = len(until(lambda: read_books(production.database)["fills"], 240, production.log))

    production.kill("worker")
    dead = read_books(production.database)
    assert faults(dead) == []
    production.start("worker")
    # Fills are booked by the streams too; only a worker decides.
    until(lambda: decisions(read_books(production.database)) > decisions(dead) + 1, 240, production.log)
    until(lambda: len(read_books(production.database)["fills"]) > first, 240, production.log)

    seen: list[str] = []

    def settled() -> Books | None:
        books = read_books(production.database)
        seen[:] = unsettled(books)
        return None if seen else books

    books = until(settled, 240, lambda: f"the books agree: {seen}\n{production.log()}")
    assert {row["status"] for row in books["bots"]} == {"running"}
    assert set(production.end().values()) == {0}, production.log()
