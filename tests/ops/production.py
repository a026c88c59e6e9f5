"""The processes of production, each for itself, on a database and a broker of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from tests.ops.auditor import Books
from tests.served import PATIENT, ROOT, Asked

BIN = Path(sys.executable).parent
PEOPLE_AND_MARKETS = """
from decimal import Decimal
from accounts.services import paper_account_create, user_create, workspace_ensure
from exchanges.services import demo_clock_ensure, demo_markets_ensure
from trading.services.funding import paper_account_fund
demo_clock_ensure(speed=60)
demo_markets_ensure()
name, password = "trader@example.org", "correct horse battery staple"
user = user_create(email=name, password=password, name="Trader")
money = Decimal(100000)
account = paper_account_create(workspace=workspace_ensure(user).workspace, name="Paper", starting_balance=money)
paper_account_fund(account=account, coin=account.quote, amount=money)
"""
# Redis databases of their own for each of the two processes in which tests run: broker, and cache with channel layer.
REDIS = [12 + 2 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2) + n for n in (0, 1)]


class Production(Asked):
    """A database of its own, and one process of each kind."""

    email, password = "trader@example.org", "correct horse battery staple"

    def __init__(self, database: str, broker: str, logs: Path) -> None:
        self.door = socket.create_server(("127.0.0.1", 0))  # handed to daphne: nobody can take its port meanwhile
        port = self.door.getsockname()[1]
        self.url, self.database, self.logs = f"http://127.0.0.1:{port}", database, logs
        self.environ = (
            os.environ
            | PATIENT
            | {
                "DATABASE_URL": database,
                "BROKER_URL": f"{broker}/{REDIS[0]}",
                "REDIS_URL": f"{broker}/{REDIS[1]}",
                "SECRET_KEY": "only-for-this-test-0123456789-abcdefghijklmnopqrstuvwxyz",
                "DEMO_SPEED": "60",
            }
        )
        self.commands = {
            "web": [BIN / "daphne", "--fd", str(self.door.fileno()), "config.asgi:application"],
            "worker": [BIN / "celery", "-A", "config", "worker", "-Q", "ticks,orders,market,jobs", "-c", "2"],
            "second": [BIN / "celery", "-A", "config", "worker", "-c", "2", "-n", "second@%h"],
            "beat": [BIN / "celery", "-A", "config", "beat"],
            "streams": [sys.executable, "manage.py", "streams"],
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def manage(self, *command: str) -> None:
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=self.environ, check=True, timeout=300)

    def start(self, name: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.commands[name], cwd=ROOT, env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, pass_fds=(self.door.fileno(),),
            )  # fmt: skip

    def end(self) -> dict[str, int]:
        """SIGTERM all of them; return their exit codes."""
        for process in self.running.values():
            process.terminate()
        self.door.close()
        return {name: process.wait(120) for name, process in self.running.items()}

    def kill(self, name: str) -> None:
        """SIGKILL a process with everything it has forked."""
        os.killpg(self.running[name].pid, signal.SIGKILL)
        self.running.pop(name).wait(60)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.database) as server:
            return server.execute(query).fetchall()  # type: ignore[arg-type]

    def log(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-1500:]}" for path in sorted(self.logs.glob("*.log")))


@contextmanager
def _database(address: str) -> Iterator[str]:
    """A fresh database beside the one of `address`, dropped at the end."""
    name = f"binnacle_processes_{os.getpid()}"
    server = f"{address.rpartition('/')[0]}/postgres"
    with psycopg.connect(server, autocommit=True) as maker:
        maker.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{address.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as maker:
            maker.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def production_of(tmp_path: Path, **changes: str) -> Iterator[Production]:
    """Nothing started yet; whatever is running at the end is ended. Skips where the servers are missing."""
    address, broker = os.environ.get("DATABASE_URL", ""), os.environ.get("BROKER_URL", "").rpartition("/")[0]
    if not address.startswith("postgres") or not broker.startswith("redis"):
        pytest.skip("needs DATABASE_URL (PostgreSQL) and BROKER_URL (Redis): .ci/run sets both")
    for number in REDIS:
        with redis.Redis.from_url(f"{broker}/{number}") as server:
            server.flushdb()
    with ExitStack() as stack:
        made = Production(stack.enter_context(_database(address)), broker, tmp_path)
        made.environ |= changes
        stack.callback(made.end)
        yield made


def decisions(books: Books) -> int:
    return sum(row["number"] for row in books["runtimes"])
