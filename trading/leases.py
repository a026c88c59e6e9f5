"""Who may tick a bot: one holder at a time, by conditional UPDATE, with a token that fences every later write."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from bots.models import Bot
from trading.models import Runtime
from trading.signs import here

LEASE = timedelta(seconds=10)


@dataclass
class Lease:
    bot_id: int
    token: int
    renewed: float  # monotonic


def owner_name() -> str:
    """Name this worker thread, below the place whose sign of life it shares; not for the fencing."""
    return f"{here()}:{threading.get_ident() % 100_000}"[:64]


def lease_take(bot_id: int) -> Lease | None:
    """Take the bot's lease, or None when somebody holds it. Wall time on purpose: a replay's clock may stand still."""
    runtimes = Runtime.objects.filter(bot_id=bot_id)
    token = runtimes.values_list("lease_token", flat=True).first()
    if token is None:
        if not Bot.objects.filter(pk=bot_id).exists():
            return None
        token = Runtime.objects.get_or_create(bot_id=bot_id)[0].lease_token
    now = timezone.now()
    # The token is in the condition: read afterwards, it might be that of somebody who took the lease since.
    free = runtimes.filter(Q(lease_until=None) | Q(lease_until__lt=now), lease_token=token)
    if not free.update(lease_owner=owner_name(), lease_token=token + 1, lease_until=now + LEASE):
        return None
    return Lease(bot_id, token + 1, time.monotonic())


def lease_renew(lease: Lease) -> bool:
    """Hold it for another stretch when a third of it is gone; False when it was lost meanwhile."""
    if time.monotonic() - lease.renewed < LEASE.total_seconds() / 3:
        return True
    lease.renewed = time.monotonic()
    mine = Runtime.objects.filter(bot_id=lease.bot_id, lease_token=lease.token)
    return bool(mine.update(lease_until=timezone.now() + LEASE))


def lease_release(lease: Lease) -> None:
    Runtime.objects.filter(bot_id=lease.bot_id, lease_token=lease.token).update(lease_until=None, lease_owner="")


def leases_forget(began: datetime) -> None:
    """Free the leases that were taken before this process began; in embedded mode nobody alive can hold one of them."""
    if settings.EMBEDDED:
        Runtime.objects.filter(lease_until__lt=began + LEASE).update(lease_until=None, lease_owner="")
