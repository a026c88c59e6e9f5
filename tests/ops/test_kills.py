"""SIGKILL of the embedded process at random moments: everything stands as it was, nothing twice, bots go on."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.ops.auditor import LIVE, Books, faults, lost, read_books, unsettled
from tests.served import Served, until

pytestmark = [pytest.mark.embedded, pytest.mark.drill]
KILLS = int(os.environ.get("KILLS", "10"))
SEED = int(os.environ.get("KILL_SEED") or random.randrange(10**6))


def _moment(server: Served, moments: random.Random, busy: bool) -> None:
    """Let a random time pass; a busy moment is one of the milliseconds after something has been written."""
    pause = threading.Event()
    if not busy:
        pause.wait(moments.uniform(0.0, 5.0))
        return
    before = _written(server)
    until(lambda: _written(server) != before, 180, "something happens")
    pause.wait(moments.uniform(0.0, 0.03))


def _written(server: Served) -> int:
    with closing(sqlite3.connect(server.data / "binnacle.sqlite3", timeout=20)) as database:
        return int(database.execute("SELECT sum(last) FROM accounts_eventcounter").fetchone()[0])


def _kill_and_look(server: Served) -> tuple[int, Books]:
    """Kill, and read the books of the dead process before the launcher may start the next one."""
    server.launcher.send_signal(signal.SIGSTOP)
    dead = server.kill_process()
    until(lambda: (process := server.process()) is None or process.status() == "zombie", 60, "it is dead")
    books = read_books(server.data)
    server.launcher.send_signal(signal.SIGCONT)
    return dead, books


def _decisions(books: Books) -> dict[int, int]:
    return {row["bot_id"]: row["number"] for row in books["runtimes"]}


def _settled(server: Served) -> Books:
    """Wait until our books and the venue's agree in one consistent reading."""
    seen: list[str] = []

    def look() -> Books | None:
        books = read_books(server.data)
        seen[:] = unsettled(books)
        return None if seen else books

    return until(look, 240, lambda: f"the books agree: {seen}\n{server.log()[-3000:]}")


def test_kills_lose_nothing_and_double_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moments, open_states = random.Random(SEED), Counter[str]()
    with Served(tmp_path / "data", DEMO_SPEED="60") as server:
        server.ready()
        server.start_presets("lively-grid", "calm-grid", "trend")
        until(lambda: read_books(server.data)["fills"], 300, lambda: f"a first fill\n{server.log()[-3000:]}")
        for kill in range(KILLS):
            _moment(server, moments, busy=kill % 2 == 1)
            dead, before = _kill_and_look(server)
            open_states.update(row["status"] for row in before["orders"] if row["status"] in LIVE)
            assert faults(before) == [], f"kill {kill} of seed {SEED}"
            server.back(dead)
            after = _settled(server)
            assert lost(before, after) == [], f"kill {kill} of seed {SEED}"
            until(
                lambda: sum(_decisions(read_books(server.data)).values()) > sum(_decisions(before).values()),  # noqa: B023
                180,
                lambda: f"a bot decides again after kill {kill} of seed {SEED}\n{server.log()[-3000:]}",  # noqa: B023
            )
        final = _settled(server)
    assert {row["status"] for row in final["bots"]} == {"running"}
    assert len(final["fills"]) > KILLS
    with capsys.disabled():
        counts = ", ".join(f"{len(final[name])} {name}" for name in ("orders", "fills", "journals", "events"))
        print(f"\n{KILLS} kills (seed {SEED}): {counts}; found {dict(open_states)}")  # noqa: T201
