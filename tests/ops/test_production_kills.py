"""SIGKILL in production: workers, whole processes, exact places in the code; the venue moves on and answers get lost.

The venue is a process of its own with its own database; the auditor reads that one and ours and knows none of our code.
As a drill: `KILLS=1000 KILL_SEED=7 make drill ARGS=tests/ops/test_production_kills.py`.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from accounts.crashpoints import POINTS
from tests.exchanges.venue_process import SECRET, VenueProcess, running
from tests.ops.auditor import LIVE, Books, faults, lost, read_books, unsettled
from tests.ops.production import Production, production_of
from tests.served import until

KILLS = int(os.environ.get("KILLS", "200"))
SEED = int(os.environ.get("KILL_SEED") or random.randrange(10**6))
A_FEW = 8
PROCESSES = ("web", "worker", "second", "beat", "streams")
SAVED_FROM = ("worker", "second")  # whose children are killed
WHOLE_TREE = 0.05  # of all kills
BY_HAND = 0.4  # at a random instruction; the rest at a crash point
REACHED_S = 15.0  # in which a crash point is reached, or the order is taken back
PRESETS = ("lively-grid", "calm-grid", "trend", "steady-dca", "careful-dca")
PEOPLE = """
from accounts.services import user_create
user_create(email="trader@example.org", password="correct horse battery staple", name="Trader")
"""
LOSSES = [  # of the answers of a venue, all the time
    {"fault": "drop_before", "calls": ["place", "cancel", "amend"], "count": None, "probability": 0.02, "seed": 1},
    {"fault": "drop_after", "calls": ["place", "cancel", "amend"], "count": None, "probability": 0.03, "seed": 2},
    {"fault": "gateway_after", "calls": ["place", "cancel", "amend"], "count": None, "probability": 0.01, "seed": 3},
    {"fault": "lag", "calls": ["lookup"], "count": None, "probability": 0.05, "seconds": 5, "seed": 4},
    {"fault": "duplicated", "calls": ["executions"], "count": None, "probability": 0.05, "seed": 5},
]


class Drill:
    """Production and its venue, killed again and again by dice of one seed."""

    def __init__(self, production: Production, venue: VenueProcess, crashes: Path, seed: int) -> None:
        self.production, self.venue, self.crashes = production, venue, crashes
        self.dice = random.Random(seed)
        self.killed: Counter[str] = Counter()

    def prepare(self) -> None:
        self.production.manage("migrate", "--verbosity", "0")
        self.production.manage("shell", "--verbosity", "0", "--command", PEOPLE)
        who = ("--user", self.production.email, "--venue", "process", "--balance", "1000000")
        self.production.manage("create_paper_account", *who)
        for name in PROCESSES:
            self.production.start(name)
        until(self.production.healthy, 240, self.production.log)
        token = self.production.sign_in()
        known = {one["key"] for one in self.production.api("GET", "/presets/", token=token)}
        self.production.start_presets(*(key for key in PRESETS if key in known))
        until(lambda: self.books()["fills"], 240, lambda: f"a first fill\n{self.log()}")

    def books(self) -> Books:
        return read_books(self.production.database, self.venue.data)

    def log(self) -> str:
        return f"{self.production.log()}\n--- venue\n{self.venue.log()[-1500:]}"

    def kill(self) -> None:
        """Kill something, once, and have everything run again."""
        draw = self.dice.random()
        if draw < WHOLE_TREE:
            name = self.dice.choice(PROCESSES)
            self.production.kill(name)
            self.production.start(name)
            self.killed[f"all of {name}"] += 1
        elif draw < WHOLE_TREE + BY_HAND:
            self._kill_child()
        else:
            self._kill_at(self.dice.choice(sorted(POINTS)))
        self.revive()

    def _kill_child(self) -> None:
        threading.Event().wait(self.dice.uniform(0.0, 1.0))
        parent = psutil.Process(self.production.running[self.dice.choice(SAVED_FROM)].pid)
        children = parent.children()
        if children:
            self.dice.choice(children).kill()
            self.killed["a child"] += 1

    def _kill_at(self, point: str) -> None:
        """Order a kill at an exact place; one that isn't reached is taken back and doesn't count."""
        order = self.crashes / point
        order.touch()
        pause, waited = threading.Event(), 0.0
        while order.exists() and waited < REACHED_S:
            pause.wait(0.05)
            waited += 0.05
        try:
            order.unlink()
        except FileNotFoundError:
            self.killed[point] += 1

    def revive(self) -> None:
        """What a supervisor does: start again what has ended."""
        for name, process in list(self.production.running.items()):
            if process.poll() is not None:
                self.production.start(name)

    def settled(self) -> Books:
        """Wait until all bots have ended, and our books and the venue's agree."""
        seen: list[object] = []

        def look() -> Books | None:
            self.revive()
            books = self.books()
            live = [f"order {row['id']} {row['status']}" for row in books["orders"] if row["status"] in LIVE]
            seen[:] = unsettled(books) or live or [row["name"] for row in books["bots"] if row["status"] != "stopped"]
            return None if seen else books

        return until(look, 300, lambda: f"the books agree: {seen}\n{self.log()}")

    def stop_bots(self) -> None:
        token = self.production.sign_in()
        for bot in self.production.api("GET", "/bots/", token=token)["results"]:
            self.production.api("POST", f"/bots/{bot['id']}/stop/", {"mode": "keep"}, token)

    def told(self) -> str:
        books = self.books()
        counts = ", ".join(f"{len(books[name])} {name}" for name in ("orders", "fills", "journals", "events", "holds"))
        attempts = Counter(row["attempt"] for row in books["orders"])
        return f"{sum(self.killed.values())} kills {dict(self.killed)}; {counts}; attempts {dict(attempts)}"


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    crashes = tmp_path / "crashes"
    crashes.mkdir()
    with (
        production_of(tmp_path, CRASH_DIR=str(crashes), PAPER_VENUE_KEY=SECRET) as production,
        running(tmp_path, feed="demo", DEMO_SPEED="60") as venue,
    ):
        production.environ["PAPER_VENUE_URL"] = venue.url
        yield Drill(production, venue, crashes, SEED)


def _survive(drill: Drill, kills: int) -> Books:
    drill.prepare()
    drill.venue.control("faults", LOSSES)
    before = drill.books()
    while sum(drill.killed.values()) < kills:
        drill.kill()
        if sum(drill.killed.values()) % 5 == 0:
            books = drill.books()
            assert faults(books) == [], f"after {drill.killed} of seed {SEED}"
            assert lost(before, books) == [], f"after {drill.killed} of seed {SEED}"
            before = books
    drill.venue.control("clear", None)
    until(drill.production.healthy, 240, drill.log)
    more = len(drill.books()["fills"])
    until(lambda: len(drill.books()["fills"]) > more, 240, lambda: f"they trade again\n{drill.log()}")
    drill.stop_bots()
    return drill.settled()


def test_a_few_kills(drill: Drill) -> None:
    assert _survive(drill, A_FEW)["fills"]


@pytest.mark.drill
def test_kills_lose_nothing_double_nothing_and_invent_nothing(drill: Drill, capsys: pytest.CaptureFixture[str]) -> None:
    books = _survive(drill, KILLS)
    assert len(books["fills"]) > KILLS
    with capsys.disabled():
        print(f"\nseed {SEED}: {drill.told()}")  # noqa: T201
