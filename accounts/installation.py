"""Which installation a database belongs to: a copied or restored one sends nothing until an operator has said so.

The id stands in the database and outside of it (`settings.INSTALLATION_ID`). A process compares the two once, before it
sends anything; what one process finds stands in the database and stops all of them.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Exists, Q
from django.utils import timezone

from accounts.models import Installation, User
from trading.core.errors import InvalidInput

COPIED = (
    "This database was copied or restored: it belongs to another installation than the one that has it now. Nothing is "
    "sent to any venue until the operator has made sure that no other copy runs, and confirms it"
)
KEPT_S = 1  # how long a process may go by what it read last
_KEY = "installation"
_compared: set[str] = set()  # what this process has compared already


def installation_check() -> None:
    """Compare the id outside with the one in the database, which takes it over when it has none yet."""
    outside = settings.INSTALLATION_ID
    if not outside:
        return
    with transaction.atomic():
        row = Installation.objects.select_for_update().order_by("id").first()
        if row is None:
            Installation.objects.get_or_create(pk=1, defaults={"installation_id": UUID(outside)})
        elif str(row.installation_id) != outside and not row.blocked:
            Installation.objects.filter(pk=row.pk).update(blocked=COPIED)
    cache.delete(_KEY)


def installation_now() -> tuple[int, str]:
    """Return the epoch of new order ids, and why nothing may be sent (empty: nothing against it)."""
    if settings.INSTALLATION_ID not in _compared:
        installation_check()
        _compared.add(settings.INSTALLATION_ID)
    known: tuple[int, str] | None = cache.get(_KEY)
    if known is None:
        known = Installation.objects.order_by("id").values_list("epoch", "blocked").first() or (1, "")
        if not known[1]:  # one that is blocked is read anew each time: its next epoch counts from the first id on
            cache.set(_KEY, known, KEPT_S)
    return known


def blocked_reason() -> str:
    return installation_now()[1]


def unblocked() -> Q:
    """Select everything, or nothing while this installation may not send: for a compare-and-set."""
    return ~Q(Exists(Installation.objects.exclude(blocked="")))


@transaction.atomic
def installation_confirm(*, by: User | None = None) -> Installation:
    """An operator says that this database is the one that trades: it takes the id outside, and a new epoch."""
    row = Installation.objects.select_for_update().order_by("id").first()
    if row is None or not row.blocked:
        raise InvalidInput("This installation isn't blocked: there is nothing to confirm", code="not_blocked")
    if settings.INSTALLATION_ID:
        row.installation_id = UUID(settings.INSTALLATION_ID)
    row.epoch, row.blocked, row.confirmed_at, row.confirmed_by = row.epoch + 1, "", timezone.now(), by
    row.save()
    transaction.on_commit(lambda: cache.delete(_KEY))
    return row
