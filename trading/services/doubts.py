"""Doubts about single orders and accounts that hold bots back: outcomes, missing fills, a venue that can't be asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from accounts.models import Account
from trading.core.ports import OrderReport, Venue
from trading.core.rounding import plain
from trading.models import Hold, Order
from trading.services.answers import order_words
from trading.services.booking import executions_book
from trading.services.holds import hold_set, holds_settle

ZERO = Decimal(0)
IN_DOUBT = (Order.Status.SENDING, Order.Status.UNKNOWN)
HELD_AFTER = timedelta(seconds=60)


def unknown_orders_hold(account: Account, now: datetime) -> list[str]:
    """Hold the bots whose orders have been in doubt for too long; returns the ids of those orders."""
    doubtful = Order.objects.filter(account=account, status__in=IN_DOUBT).select_related("market", "bot__account")
    late = [order for order in doubtful.order_by("id") if now - (_since(order) or now) >= HELD_AFTER]
    for order in late:
        hold_set(
            account=account,
            bot=order.bot,
            cause=Hold.Cause.UNKNOWN_ORDER,
            ref=order.client_order_id,
            reason=f"Nobody knows yet whether the {order_words(order)} was placed: it was sent at "
            f"{_since(order):%H:%M:%S} UTC, and the venue doesn't say what became of it. Until it does, the bot places "
            "nothing that adds risk; it still cancels and closes. If it lasts, look for the order on the venue's page",
            now=now,
        )
    return [order.client_order_id for order in late]


def _since(order: Order) -> datetime | None:
    since: datetime | None = order.unknown_at or order.sent_at
    return since


def unknown_holds_settle(account: Account, now: datetime) -> None:
    """Hold the bots whose orders have been in doubt for too long, and let go those whose orders no longer are."""
    standing: dict[str, list[str]] = {Hold.Cause.UNKNOWN_ORDER: unknown_orders_hold(account, now)}
    holds_settle(account, standing)


def fills_hold(account: Account, asked: Sequence[Order], reports: Sequence[OrderReport]) -> None:
    """Hold the bots of orders of which the venue has filled more than its executions say, which have been booked."""
    said = {report.client_order_id: report.filled_qty for report in reports}
    doubtful = [order for order in asked if said.get(order.client_order_id, ZERO) > order.filled_qty]
    if not doubtful:
        return
    booked = dict(Order.objects.filter(pk__in=[order.pk for order in doubtful]).values_list("pk", "filled_qty"))
    for order in doubtful:
        filled = said[order.client_order_id]
        if filled > booked.get(order.pk, ZERO):
            hold_set(
                account=account,
                bot=order.bot,
                cause=Hold.Cause.FILLS,
                ref=order.client_order_id,
                reason=f"The venue has filled more of the {order_words(order)} than the fills that it lists: "
                f"{plain(filled)} {order.market.base}. The bot places nothing that adds risk until the missing fills "
                "are booked; they are asked for again and again",
            )


def fills_missing(account: Account, venue: Venue) -> list[str]:
    """Return the orders held for missing fills that still miss some."""
    held = Hold.objects.filter(account=account, cause=Hold.Cause.FILLS, lifted_at=None)
    names = list(held.values_list("ref", flat=True))
    if not names:
        return []
    reports = venue.lookup(names)
    executions_book(account, venue)
    rows = Order.objects.filter(account=account, client_order_id__in=names)
    booked = dict(rows.values_list("client_order_id", "filled_qty"))
    return [one.client_order_id for one in reports if one.filled_qty > booked.get(one.client_order_id, ZERO)]


def unreachable_hold(account: Account, since: datetime) -> None:
    hold_set(
        account=account,
        cause=Hold.Cause.RECONCILE,
        reason=f"The account can't be compared with its venue since {since:%H:%M} UTC. What happens there meanwhile "
        "isn't known here, so no bot of this account places anything that adds risk until the venue answers again",
    )
