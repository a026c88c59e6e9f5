"""The doorbell: tells a worker that bots have something to do. The database is the queue; a lost ring is only late."""

from __future__ import annotations

from collections.abc import Sequence

from celery import current_app
from django.db import transaction

from accounts.containment import contain

CHUNK = 25  # bots a message: one message a bot would cost more than the tick, one for all would keep one worker busy
EXPIRES_S = 10  # by then the sweep has found the work anyway


def ring(bot_ids: Sequence[int]) -> None:
    """Ask for a tick of these bots (primary keys) once the current transaction has been committed."""
    ids = list(bot_ids)
    if ids:
        transaction.on_commit(lambda: _send(ids))


def _send(ids: list[int]) -> None:
    with contain("doorbell"):
        for start in range(0, len(ids), CHUNK):
            part = ids[start : start + CHUNK]
            current_app.send_task("trading.tick", args=[part], ignore_result=True, expires=EXPIRES_S, retry=False)
