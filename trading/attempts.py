"""Earlier attempts of an order: ids that were proved "not placed", and that a venue may yet come up with."""

from __future__ import annotations

from collections.abc import Collection

from accounts.models import Account
from trading.ids import order_id
from trading.models import Order


def by_earlier_attempt(account: Account, client_order_ids: Collection[str]) -> dict[str, Order]:
    """Return the orders to whose earlier attempts these ids belong. Rare: the proof was wrong."""
    if not client_order_ids:
        return {}
    found: dict[str, Order] = {}
    again = Order.objects.filter(account=account, attempt__gt=1).select_related("bot__market", "market", "bot__account")
    for order in again.order_by("id"):
        for attempt in range(1, order.attempt):
            name = order_id(order.bot, order.slot, order.gen, attempt)
            if name in client_order_ids:
                found[name] = order
    return found
