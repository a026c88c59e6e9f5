"""What restarts and lost answers leave behind: orders whose fate must be asked, never guessed.

"Never placed" is a proof, not a guess: the venue has been asked several times, it answered each time, the last time
when nothing could be on its way any more, and neither its orders nor its executions know the id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import F, Q

from accounts.crashpoints import crashpoint
from accounts.models import Account
from bots.models import Bot
from bots.selectors import not_replayed
from trading.core.ports import Venue
from trading.ids import order_id
from trading.models import Order
from trading.services.answers import order_close, reports_apply
from trading.services.booking import executions_book, funding_book
from trading.services.claims import VALID
from trading.services.doubts import IN_DOUBT, fills_hold
from trading.services.sending import cancels_send

SETTLE = timedelta(seconds=25)  # a send younger than this may be on its way; a busy database holds one for 20 s
LOOKUPS = 3  # answers without the order that "never placed" takes at least
ASK_AT_S = (1, 4, 10, 20, 26, 35, 45, 60)  # after an outcome became unknown; and then again and again:
ASK_EVERY_S = 30
MOST_AT_ONCE = 500


def account_reconcile(account: Account, venue: Venue, *, settled: datetime, lookups: int = LOOKUPS) -> set[int]:
    """Ask the venue about every live order of ours and book what it executed and paid; returns the bots with news.

    An order that the venue doesn't know counts as never placed only if it was sent before `settled` and the venue has
    said so `lookups` times; it is then planned again under the same wish, with the next attempt's id. An amendment of
    which nothing is to be seen counts as never arrived from then on, too.
    """
    funding_book(account, venue)
    touched = executions_book(account, venue)
    asked = list(
        Order.objects.filter(account=account, status__in=Order.LIVE)
        .exclude(status=Order.Status.PLANNED)
        .select_related("market", "bot", "account")
        .order_by("id")
    )
    touched |= orders_ask(account, venue, asked, settled=settled, lookups=lookups)
    stuck = [o for o in asked if o.cancel_why and o.cancel_sent_at is not None and o.cancel_sent_at <= settled]
    cancels_send([order for order in stuck if Order.objects.filter(pk=order.pk, status__in=Order.LIVE)], venue)
    return touched | {order.bot_id for order in asked}


def orders_ask(
    account: Account, venue: Venue, asked: Sequence[Order], *, settled: datetime, lookups: int = LOOKUPS
) -> set[int]:
    """Ask about these orders and write down what the venue knows of them; returns the bots with something booked."""
    if not asked:
        return set()
    reports = venue.lookup([order.client_order_id for order in asked])
    crashpoint("lookup-answered")
    touched = executions_book(account, venue)  # whatever filled between the two questions
    known = {report.client_order_id for report in reports}
    reports_apply(asked, reports, settled=settled)
    fills_hold(account, asked, reports)
    found = [order.pk for order in asked if order.client_order_id in known and order.lookups]
    Order.objects.filter(pk__in=found).update(lookups=0)
    for order in asked:
        if order.client_order_id not in known:
            _not_known(order, settled=settled, lookups=lookups)
    return touched


def _not_known(order: Order, *, settled: datetime, lookups: int) -> None:
    """Count an answer that doesn't know the order, unless a fill or an answer has come meanwhile."""
    as_asked = Order.objects.filter(
        pk=order.pk, client_order_id=order.client_order_id, status=order.status, lookups=order.lookups
    )
    if not as_asked.update(lookups=order.lookups + 1):
        return
    order.lookups += 1
    if order.lookups >= lookups and order.sent_at is not None and order.sent_at <= settled:
        _not_placed(order)


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
    if order.status not in IN_DOUBT:
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
            unknown_at=None,
            lookups=0,
        )


# --- unknown outcomes, between two reconciliations -------------------------------------------------------------------


def orders_in_doubt(now: datetime) -> dict[int, list[int]]:
    """Return the orders whose outcome is to be asked about now, by account. One query; nothing when there are none.

    What is being sent counts once its sender can't have any effect any more.
    """
    sent = Q(status=Order.Status.SENDING, sent_at__lt=now - VALID)
    rows = Order.objects.filter(sent | Q(status=Order.Status.UNKNOWN), not_replayed("account__"))
    due: dict[int, list[int]] = {}
    for pk, account, since, sent_at, lookups in rows.order_by("id").values_list(
        "pk", "account_id", "unknown_at", "sent_at", "lookups"
    )[:MOST_AT_ONCE]:
        began = since or sent_at
        if began is None or now >= began + timedelta(seconds=_ask_at_s(lookups)):
            due.setdefault(account, []).append(pk)
    return due


def _ask_at_s(lookups: int) -> int:
    last = len(ASK_AT_S) - 1
    return ASK_AT_S[min(lookups, last)] + max(0, lookups - last) * ASK_EVERY_S


def account_ask(account: Account, venue: Venue, order_ids: Sequence[int], *, settled: datetime) -> set[int]:
    """Ask about some orders in doubt; returns the bots that may have news."""
    Order.objects.filter(pk__in=order_ids, status=Order.Status.SENDING).update(
        status=Order.Status.UNKNOWN, unknown_at=F("sent_at")
    )
    rows = Order.objects.filter(pk__in=order_ids, status=Order.Status.UNKNOWN)
    asked = list(rows.select_related("market", "bot", "account").order_by("id"))
    touched = executions_book(account, venue) if asked else set()
    touched |= orders_ask(account, venue, asked, settled=settled)
    return touched | {order.bot_id for order in asked}
