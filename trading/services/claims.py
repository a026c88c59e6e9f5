"""Who may send something of an order, and for how long: the terms of every claim."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from bots.models import Bot
from trading.leases import Lease
from trading.models import Order, Runtime

VALID = timedelta(seconds=10)  # of a send from its claim on; well below recovery.SETTLE, when it counts as lost
ENGINE = "engine:"  # slots of the engine itself, which act while the strategy may not


def trading_statuses(order: Order) -> tuple[str, ...]:
    """Return the statuses of a bot in which this order of it may go out."""
    return (Bot.Status.RUNNING, Bot.Status.PAUSED) if order.reduce else (Bot.Status.RUNNING,)


def fenced(lease: Lease | None) -> Q:
    """Select the orders of a bot that this lease still holds; all of them where nobody needs one."""
    if lease is None:
        return Q()
    return Q(Exists(Runtime.objects.filter(bot=OuterRef("bot_id"), lease_token=lease.token)))


def valid_until_ms(claimed_at: datetime | None) -> int | None:
    """Return until when (wall time) a venue may take what was claimed then."""
    return int((claimed_at + VALID).timestamp() * 1000) if claimed_at is not None else None
