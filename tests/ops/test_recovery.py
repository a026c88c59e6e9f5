"""Production goes on by itself after its worker, its broker or its database was away. A drill; prints the worst times.

Each fault happens TRIES times; the time counts from when it is over to the next decision of a bot.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from tests.ops.auditor import faults, read_books, unsettled
from tests.ops.production import PEOPLE_AND_MARKETS, REDIS, Production, decisions, production_of
from tests.ops.servers import Server, own_postgres, own_redis
from tests.served import until

pytestmark = pytest.mark.drill
TRIES = int(os.environ.get("TRIES", "5"))
AWAY_S = 10.0
WITHIN_S = {"worker": 30.0, "redis": 60.0, "postgres": 60.0}
CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s"
WORKERS = ("worker", "second")
PROCESSES = ("web", "worker", "second", "beat", "streams")


@dataclass
class World:
    production: Production
    broker: Server
    broker_url: str
    database: Server

    def revive(self) -> None:
        """What a supervisor does: start again what has ended."""
        for name, process in list(self.production.running.items()):
            if process.poll() is not None:
                self.production.start(name)

    def number(self) -> int:
        """Return how many decisions there have been; -1 while the database doesn't answer."""
        try:
            return decisions(read_books(self.production.database))
        except psycopg.Error:
            return -1

    def recovers(self, fault: Fault) -> float:
        """Let a fault begin and end; return how long after its end the bots decide again."""
        fault.begin()
        before = self.number()
        fault.end()
        over = time.monotonic()
        if before < 0:
            before = until(lambda: max(0, self.number()), 120, "the database answers")

        def again() -> bool:
            self.revive()
            return self.number() > before

        until(again, 300, lambda: f"bots decide again\n{self.production.log()}")
        return time.monotonic() - over

    def faults(self) -> Iterator[Fault]:
        def cut_off() -> None:
            with psycopg.connect(self.production.database, autocommit=True) as server:
                server.execute(CUT_OFF, [self.production.database.rpartition("/")[2]])

        def flush() -> None:
            with redis.Redis.from_url(f"{self.broker_url}/{REDIS[0]}") as client:
                client.flushall()

        def kill_workers() -> None:
            for name in WORKERS:
                self.production.kill(name)

        def start_workers() -> None:
            for name in WORKERS:
                self.production.start(name)

        def nothing() -> None:
            pass

        yield Fault("worker", "both workers killed", kill_workers, start_workers)
        yield Fault("redis", "Redis killed and away", lambda: _dead(self.broker), self.broker.start)
        yield Fault("redis", "Redis frozen", lambda: _frozen(self.broker), lambda: self.broker.signal(signal.SIGCONT))
        yield Fault("redis", "all of Redis lost", flush, nothing)
        yield Fault("postgres", "PostgreSQL killed and away", lambda: _dead(self.database), self.database.start)
        yield Fault("postgres", "all connections cut", cut_off, nothing)


@dataclass
class Fault:
    kind: str
    what: str
    begin: Callable[[], object]
    end: Callable[[], object]


def _dead(server: Server) -> None:
    server.kill()
    threading.Event().wait(AWAY_S)


def _frozen(server: Server) -> None:
    server.signal(signal.SIGSTOP)
    threading.Event().wait(AWAY_S)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        pytest.skip("a drill of production: set DATABASE_URL and BROKER_URL, though it starts servers of its own")
    with own_redis(tmp_path / "redis") as (broker, broker_url), own_postgres(tmp_path / "pg") as (database, address):
        monkeypatch.setenv("DATABASE_URL", address)
        monkeypatch.setenv("BROKER_URL", f"{broker_url}/0")
        with production_of(tmp_path) as production:
            production.manage("migrate", "--verbosity", "0")
            production.manage("shell", "--verbosity", "0", "--command", PEOPLE_AND_MARKETS)
            for name in PROCESSES:
                production.start(name)
            until(production.healthy, 240, production.log)
            production.start_presets("lively-grid", "steady-dca")
            made = World(production, broker, broker_url, database)
            first = made.number()
            until(lambda: made.number() > first + 3, 240, production.log)
            yield made


def test_it_goes_on_after_each_fault(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for fault in world.faults():
        took = []
        for _ in range(TRIES):
            took.append(world.recovers(fault))
            assert faults(read_books(world.production.database)) == [], fault.what
        with capsys.disabled():
            print(f"\n{fault.what}: {', '.join(f'{one:.1f}' for one in took)} s", end="")  # noqa: T201
        assert max(took) <= WITHIN_S[fault.kind], fault.what
    until(lambda: not unsettled(read_books(world.production.database)), 240, world.production.log)
