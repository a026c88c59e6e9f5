"""An operator confirms a copied or restored database: its orders go on under ids that no other copy ever uses."""

from __future__ import annotations

from django.db import transaction

from accounts.installation import installation_confirm
from accounts.models import Installation, User
from trading.ids import order_id
from trading.models import Order


@transaction.atomic
def copy_confirm(*, by: User | None = None) -> Installation:
    """Let this database send again, in a new epoch. What it had planned and not sent gets ids of that epoch.

    What it had sent keeps its ids: the venue is asked about it as after any other start. Raises InvalidInput when there
    is nothing to confirm.
    """
    row = installation_confirm(by=by)
    unsent = Order.objects.select_for_update(of=("self",)).filter(
        status__in=(Order.Status.PLANNED, Order.Status.DENIED)
    )
    for order in unsent.select_related("bot").order_by("id"):
        order.client_order_id = order_id(order.bot, order.slot, order.gen, order.attempt)
        order.save(update_fields=["client_order_id"])
    return row
