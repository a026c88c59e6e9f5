"""Workers of production: a deaf one ends itself, an ending one finishes and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config.life import DEAF
from tests.ops.auditor import faults, read_books, unsettled
from tests.ops.production import BIN, PEOPLE_AND_MARKETS, Production, decisions, production_of
from tests.served import ROOT, until

BOTS = """
from accounts.models import Account, User
from bots.presets import preset_start
from exchanges.models import Market
from exchanges.prices import quotes_get
from tests.served import until
markets = list(Market.objects.filter(active=True).values_list("pk", flat=True))
until(lambda: len(quotes_get(markets)) == len(markets), 240, "prices have come")
account = Account.objects.get()
for key in ("lively-grid", "trend"):
    preset_start(workspace=account.workspace, account=account, key=key, by=User.objects.get())
"""
WORKED = "SELECT name, queues FROM trading_processsign WHERE kind = 'worker' AND worked_at IS NOT NULL"


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Production]:
    with production_of(tmp_path) as made:
        made.manage("migrate", "--verbosity", "0")
        yield made


def test_a_worker_that_is_connected_and_deaf_ends_itself(production: Production) -> None:
    production.environ["WORKER_DEAF_S"] = "10"
    production.start("worker")
    ((name, queues),) = until(lambda: production.rows(WORKED), 120, production.log)
    assert queues == "jobs,market,orders,ticks"
    worker = psutil.Process(production.running["worker"].pid)
    children = worker.children(recursive=True)
    own = f"ping.{str(name).partition('@')[2]}"
    control = [BIN / "celery", "-A", "config", "control", "cancel_consumer", own]
    subprocess.run(control, cwd=ROOT, env=production.environ, check=True, timeout=120, stdout=subprocess.DEVNULL)
    # It goes on showing its sign, and its pings are taken by the broker and never read.
    assert production.running.pop("worker").wait(180) == DEAF, production.log()
    assert "hears nothing" in production.log()
    psutil.wait_procs(children, timeout=60)
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


def test_a_worker_whose_children_stand_still_ends_itself(production: Production) -> None:
    production.environ["WORKER_DEAF_S"] = "10"
    production.start("worker")
    until(lambda: production.rows(WORKED), 120, production.log)
    worker = psutil.Process(production.running["worker"].pid)
    for child in worker.children(recursive=True):
        child.send_signal(signal.SIGSTOP)
    assert production.running.pop("worker").wait(180) == DEAF, production.log()


def test_a_rolling_restart_loses_nothing(production: Production) -> None:
    production.manage("shell", "--verbosity", "0", "--command", PEOPLE_AND_MARKETS)
    for name in ("worker", "beat", "streams"):
        production.start(name)
    quoted = until(lambda: production.rows(WORKED), 120, production.log)
    production.manage("shell", "--verbosity", "0", "--command", BOTS)
    until(lambda: len(read_books(production.database)["fills"]) > 2, 240, production.log)

    production.start("second")
    until(lambda: len(production.rows(WORKED)) == 2, 120, production.log)
    old = production.running.pop("worker")
    old.terminate()
    assert old.wait(120) == 0, production.log()
    place = str(quoted[0][0]).partition("@")[2]
    assert f"worker@{place}" not in {name for (name,) in production.rows("SELECT name FROM trading_processsign")}
    owners = production.rows("SELECT lease_owner FROM trading_runtime")
    assert [owner for (owner,) in owners if str(owner).startswith(f"{place}:")] == []

    books = read_books(production.database)
    assert faults(books) == []
    then = decisions(books)
    until(lambda: decisions(read_books(production.database)) > then + 1, 240, production.log)
    until(lambda: not unsettled(read_books(production.database)), 240, production.log)
    assert set(production.end().values()) == {0}, production.log()
