"""Celery's part: doorbells and the metronome. All of it may be lost, late or doubled without harm."""

from __future__ import annotations

from celery import shared_task

from accounts.containment import contain
from bots.doorbell import ring
from trading import heartbeat
from trading.advice import answer_next
from trading.channel_layer import hint
from trading.clock import WALL
from trading.runtime import accounts_reconcile, run_due
from trading.services.asking import advice_due, advice_ring
from trading.services.equity import equity_snapshot
from trading.services.stopping import leftovers_release
from trading.services.waking import bots_due


@shared_task(name="trading.tick", ignore_result=True)
def tick(bot_ids: list[int]) -> None:
    if run_due(bot_ids=bot_ids):
        hint()


@shared_task(name="trading.sweep", ignore_result=True)
def sweep() -> None:
    """Find whatever is due, whoever forgot to ring."""
    heartbeat.beat("sweep")
    ring(bots_due(WALL.now()))
    with contain("advice"):
        ring(advice_due(WALL.now()))


@shared_task(name="trading.advise", ignore_result=True)
def advise() -> None:
    """Answer one question of a bot; on the queue "advice", whose workers may be slow."""
    if answer_next():
        advice_ring()


@shared_task(name="trading.reconcile", ignore_result=True)
def reconcile() -> None:
    accounts_reconcile()  # who has news from it is due, and the sweep finds it
    with contain("leftovers"):
        leftovers_release()


@shared_task(name="trading.equity", ignore_result=True)
def equity() -> None:
    equity_snapshot()
