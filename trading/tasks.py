"""Celery's part: doorbells, the metronome and its jobs. All of it may be lost, late or doubled without harm."""

from __future__ import annotations

from celery import shared_task

from accounts.containment import contain
from bots.doorbell import ring
from trading import heartbeat, signs
from trading.advice import answer_next
from trading.channel_layer import hint
from trading.clock import WALL
from trading.halt_foreign import foreign_cancel
from trading.jobs import job, pulse
from trading.monitors import limit_orders_check, missing_orders_check
from trading.repairs import health_check, markets_check
from trading.runtime import accounts_reconcile, orders_unknown_ask, run_due
from trading.services.asking import advice_due, advice_ring
from trading.services.equity import equity_snapshot
from trading.services.halting import halts_carry_out
from trading.services.ledger_check import ledger_check
from trading.services.recovery import orders_in_doubt
from trading.services.retention import rows_delete
from trading.services.stopping import leftovers_release
from trading.services.waking import bots_due

ASK_EXPIRES_S = 5  # by then the next sweep has asked anew


@shared_task(name="trading.tick", ignore_result=True)
def tick(bot_ids: list[int]) -> None:
    if run_due(bot_ids=bot_ids):
        hint()


@shared_task(name="trading.sweep", ignore_result=True)
def sweep() -> None:
    """Find whatever is due, whoever forgot to ring."""
    heartbeat.beat("sweep")
    with pulse("sweep"):
        ring(bots_due(WALL.now()))
        with contain("advice"):
            ring(advice_due(WALL.now()))
        with contain("halts"):
            halts_carry_out()
        with contain("orders in doubt"):
            if orders_in_doubt(WALL.now()):
                ask.apply_async(expires=ASK_EXPIRES_S, retry=False)


@shared_task(name="trading.halt_foreign", ignore_result=True)
def halt_foreign(halt_id: int) -> None:
    """Cancel orders that aren't ours, where the person at the kill switch chose it."""
    foreign_cancel(halt_id)


@shared_task(name="trading.ask", ignore_result=True)
def ask() -> None:
    """Ask about the orders whose outcome is unknown; a venue that is slow to answer doesn't hold up the sweep."""
    ring(orders_unknown_ask(WALL.now()))


@shared_task(name="trading.ping", ignore_result=True)
def ping() -> None:
    """Answer the question of a worker to itself: does a message reach my hands, and my hands the database?"""
    signs.worked_at_write()


@shared_task(name="trading.advise", ignore_result=True)
def advise() -> None:
    """Answer one question of a bot; on the queue "advice", whose workers may be slow."""
    if answer_next():
        advice_ring()


# --- scheduled jobs: each has a row a run (trading.jobs) --------------------------------------------------------------


@shared_task(name="trading.reconcile", ignore_result=True)
def reconcile() -> None:
    with job("reconcile"):
        accounts_reconcile()  # who has news from it is due, and the sweep finds it
        with contain("leftovers"):
            leftovers_release()


@shared_task(name="trading.limit_orders", ignore_result=True)
def limit_orders() -> None:
    with job("limit_orders") as run:
        limit_orders_check(run, WALL.now())


@shared_task(name="trading.missing_orders", ignore_result=True)
def missing_orders() -> None:
    with job("missing_orders") as run:
        missing_orders_check(run, WALL.now())


@shared_task(name="trading.markets", ignore_result=True)
def markets() -> None:
    with job("markets") as run:
        markets_check(run, WALL.now())


@shared_task(name="trading.health", ignore_result=True)
def health() -> None:
    with job("health") as run:
        health_check(run, WALL.now())


@shared_task(name="trading.equity", ignore_result=True)
def equity() -> None:
    with job("equity") as run:
        run.did = f"{equity_snapshot()} bots"


@shared_task(name="trading.retention", ignore_result=True)
def retention() -> None:
    with job("retention") as run:
        gone = rows_delete(WALL.now())
        run.did = ", ".join(f"{count} {what}" for what, count in gone.items() if count)


@shared_task(name="trading.ledger", ignore_result=True)
def ledger() -> None:
    with job("ledger") as run:
        run.did = f"{ledger_check()} accounts agree"
