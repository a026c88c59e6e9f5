"""The kill switch in a storm: many bots, prices that jump, workers in the middle of their work, and then the click.

F38 of the fault matrix. The small one runs with every suite; the drill has 200 bots under several workers on PostgreSQL
and prints how long it took.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from decimal import Decimal

import pytest
from django.db import connection, connections

from accounts.containment import contain
from bots.models import Bot
from bots.services import bot_start
from exchanges.models import PaperOrder
from exchanges.paper import PaperVenue
from risk.models import Halt
from tests.factories import BotFactory
from tests.trading.halts import live, pull, rearmed, sweep, target_of, venue
from tests.trading.world import GRID, World, by_hand, check_books
from trading.clock import WALL
from trading.halt_progress import progress_of
from trading.models import Order
from trading.runtime import run_due
from trading.services.claims import VALID
from trading.services.halting import halt_carry_out, halts_carry_out, kill
from trading.services.waking import bots_due

PATIENCE_S = 600
CHUNK = 10  # bots that a worker takes at once


class Logged(PaperVenue):
    """Keeps what it accepts: which order, when it was claimed by its sender, when it was on the book."""

    accepted: list[tuple[str, float, float]] = []  # noqa: RUF012  (shared by all accounts on purpose)

    def place(self, orders):
        reports = super().place(orders)
        now = time.time()
        for order, report in zip(orders, reports, strict=True):
            if report.status != "rejected" and not order.reduce:
                self.accepted.append((order.client_order_id, order.valid_until_ms / 1000 - VALID.total_seconds(), now))
        return reports


def fleet(world: World, count: int) -> list[Bot]:
    bots = [
        BotFactory(
            account=world.account, market=world.market, name=f"Storm {n}", params=dict(GRID), budget=Decimal(1005)
        )
        for n in range(count)
    ]
    for bot in bots:
        bot_start(bot=bot, by=None)
    return bots


def accepted_adding() -> list[tuple[str, float, float]]:
    names = [name for name, _, _ in Logged.accepted]
    adding = set(
        Order.objects.filter(client_order_id__in=names, reduce=False).values_list("client_order_id", flat=True)
    )
    return [row for row in Logged.accepted if row[0] in adding]


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(3))
def test_after_the_click_nothing_is_accepted_whatever_was_on_its_way(seed):
    rng = random.Random(seed)
    world = World(cash="1000000")
    bots = fleet(world, 20)
    foreign = by_hand(world)
    with venue(Logged):
        Logged.accepted.clear()
        for _ in range(4):
            world.price(round(rng.uniform(91, 109), 2), run=False)
            run_due(bot_ids=[bot.pk for bot in rng.sample(bots, 12)])  # the others have it still before them
        assert accepted_adding()
        Logged.accepted.clear()
        halt = pull(bots[0], "workspace")
        for _ in range(3):
            world.price(round(rng.uniform(91, 109), 2), run=False)
            halts_carry_out()
            run_due(bot_ids=[bot.pk for bot in rng.sample(bots, 12)])
        sweep()
        assert Logged.accepted == []
    assert live(*bots) == []
    halt.incident.refresh_from_db()
    progress = progress_of(halt, halt.workspace)
    assert progress.done
    assert progress.asked == progress.confirmed > 0
    foreign.refresh_from_db()
    assert foreign.status == "working"
    assert PaperOrder.objects.filter(account=world.account, status="working").count() == 1
    assert not Bot.objects.filter(status="running").exists()
    world.price(99.0)
    sweep()
    assert live(*bots) == [], "nothing comes back by itself"
    assert rearmed(halt, resume=True) == (20, [])
    run_due()
    assert live(*bots)
    check_books(world.account)


class Workers:
    """Workers that tick what is due until they are told to end; what they complain about is kept."""

    def __init__(self, number: int, world: World, rng: random.Random) -> None:
        self.over = threading.Event()
        self.faults: list[str] = []
        self.threads = [threading.Thread(target=self._loop, args=(self._tick,), daemon=True) for _ in range(number)]
        self.threads.append(threading.Thread(target=self._loop, args=(self._price,), daemon=True))
        self.world, self.rng = world, rng
        for thread in self.threads:
            thread.start()

    def _loop(self, work) -> None:
        while not self.over.is_set():
            with contain("worker") as outcome:
                work()
            if outcome.error is not None:
                self.faults.append(repr(outcome.error))
        connections.close_all()

    def _tick(self) -> None:
        """As the sweep and the doorbell do it: what is due, in parts that somebody takes."""
        halts_carry_out()
        due = bots_due(WALL.now())
        if not run_due(bot_ids=self.rng.sample(due, min(CHUNK, len(due)))):
            self.over.wait(0.05)

    def _price(self) -> None:
        self.world.price(round(self.rng.uniform(91, 109), 2), run=False)
        self.over.wait(0.2)

    def end(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE_S)


@pytest.mark.drill
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="several workers are promised on PostgreSQL only")
def test_two_hundred_bots_under_several_workers(capsys):
    world = World(cash="1000000")
    bots = fleet(world, 200)
    foreign = by_hand(world)
    with venue(Logged):
        Logged.accepted.clear()
        run_due()
        world.price(100.0)
        before = len(live(*bots))
        Logged.accepted.clear()
        workers = Workers(4, world, random.Random(7))
        storm_began = time.time()
        while len(accepted_adding()) < 300 and time.time() < storm_began + PATIENCE_S:
            workers.over.wait(0.5)
        resting = len(live(*bots))
        clicked = time.time()
        halt = kill(target=target_of(bots[0], "workspace"), reason="storm", by=None)
        committed = time.time()
        halt_carry_out(halt)
        while not progress_of(halt, None).done and time.time() < committed + PATIENCE_S:
            workers.over.wait(0.1)
        cancelled = time.time()
        workers.over.wait(5)  # the storm goes on
        workers.end()
    assert progress_of(Halt.objects.get(pk=halt.pk), None).done
    late = [row for row in accepted_adding() if row[2] > committed]
    assert [row for row in late if row[1] > committed] == [], "claimed after the click was committed"
    assert live(*bots) == []
    foreign.refresh_from_db()
    assert foreign.status == "working"
    assert set(Bot.objects.values_list("status", flat=True)) == {"paused"}
    assert Halt.objects.get().rearmed_at is None, "no program re-arms"
    check_books(world.account)
    with capsys.disabled():
        last = max((row[2] for row in accepted_adding()), default=clicked)
        sys.stdout.write(
            f"\n{len(bots)} bots, {before} orders at first, {resting} resting at the click; "
            f"{len(accepted_adding()) - len(late)} accepted before the commit, {len(late)} after it (claimed before)\n"
            f"click to commit {committed - clicked:.3f} s, click to last accepted {last - clicked:+.3f} s, "
            f"click to all cancelled {cancelled - clicked:.2f} s; complaints of workers: {len(workers.faults)}\n"
        )
    assert workers.faults == []
