"""What restarts and lost answers leave behind: orders whose fate must be asked, never guessed."""

from __future__ import annotations

from datetime import datetime, timedelta

from accounts.models import Account
from bots.models import Bot
from trading.core.ports import Venue
from trading.ids import order_id
from trading.models import Order
from trading.services.answers import order_close, reports_apply
from trading.services.booking import executions_book, funding_book
from trading.services.sending import cancels_send

SETTLE = timedelta(seconds=25)  # a send younger than this may be on its way; a busy database holds one for 20 s


def account_reconcile(account: Account, venue: Venue, *, settled: datetime) -> set[int]:
    """Ask the venue about every live order of ours and book what it executed and paid; returns the bots with news.

    An order that the venue doesn't know counts as never placed only if it was sent before `settled`; it is then planned
    again under the same wish, with the next attempt's id. An amendment of which nothing is to be seen counts as never
    arrived from then on, too.
    """
    funding_book(account, venue)
    touched = executions_book(account, venue)
    asked = list(
        Order.objects.filter(account=account, status__in=Order.LIVE)
        .exclude(status=Order.Status.PLANNED)
        .select_related("market", "bot", "account")
        .order_by("id")
    )
    reports = venue.lookup([order.client_order_id for order in asked]) if asked else []
    touched |= executions_book(account, venue)  # whatever filled between the two questions
    known = {report.client_order_id for report in reports}
    reports_apply(asked, reports, settled=settled)
    for order in asked:
        if order.client_order_id not in known and order.sent_at is not None and order.sent_at <= settled:
            _not_placed(order)
    stuck = [o for o in asked if o.cancel_why and o.cancel_sent_at is not None and o.cancel_sent_at <= settled]
    cancels_send([order for order in stuck if Order.objects.filter(pk=order.pk, status__in=Order.LIVE)], venue)
    return touched | {order.bot_id for order in asked}


def closures_book(account: Account, venue: Venue) -> set[int]:
    """Ask about the orders that a venue may have ended by itself; returns their bots.

    That is all but resting limits, and those too whose quantity an amendment without an answer leaves open.
    """
    asked = list(
        Order.objects.filter(account=account, status__in=(Order.Status.WORKING, Order.Status.UNKNOWN))
        .exclude(
            kind="limit",
            tif__in=("gtc", "post_only"),
            expires_ms=None,
            market__perpetual=False,
            amend_sent_at=None,
        )
        .select_related("market", "bot")
        .order_by("id")
    )
    if asked:
        reports_apply(asked, venue.lookup([order.client_order_id for order in asked]))
    return {order.bot_id for order in asked}


def _not_placed(order: Order) -> None:
    """The venue never saw the order: plan it again, unless nobody wants it any more or it had been acknowledged."""
    if order.status not in (Order.Status.SENDING, Order.Status.UNKNOWN):
        order_close(order, "cancelled", Order.Status.CANCELLED, "the venue no longer knows it")
    elif order.cancel_why or order.bot.status == Bot.Status.STOPPED:
        order_close(order, order.cancel_why or "cancelled", Order.Status.CANCELLED, "it never reached the venue")
    else:
        attempt = order.attempt + 1
        Order.objects.filter(pk=order.pk, status=order.status, attempt=order.attempt).update(
            status=Order.Status.PLANNED,
            attempt=attempt,
            client_order_id=order_id(order.bot, order.slot, order.gen, attempt),
            sent_at=None,
        )
