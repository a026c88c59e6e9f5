"""Orders to the venue: cancels first, then amendments, then what reduces, then what adds.

No transaction is open across a call.

A send has three outcomes: accepted, refused, unknown. An unknown order is looked up by `trading.services.recovery` and
never sent again blindly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.crashpoints import crashpoint
from accounts.installation import unblocked
from bots.models import Bot, BotInput
from exchanges.selectors import REPLAY
from trading.core.control import urgency
from trading.core.errors import OutcomeUnknown, RateLimited, VenueUnavailable
from trading.core.ports import OrderRequest, Venue
from trading.core.types import Kind, Side, Tif
from trading.halted import halts_on
from trading.held import copy_reason, in_its_own_house, unheld
from trading.inbox import want_value
from trading.leases import Lease
from trading.models import Order
from trading.services.amending import amends_send, amends_unsent
from trading.services.answers import order_close, reports_apply
from trading.services.booking import executions_book
from trading.services.claims import ENGINE, VALID, fenced, trading_statuses, valid_until_ms


def orders_unsent() -> QuerySet[Order]:
    """Return the orders, cancels and amendments that are written down and not sent (or not answered in time).

    Without those that a hold keeps back: nobody is due for them before it is lifted.
    """
    cancel = ~Q(cancel_why="") & Q(cancel_sent_at=None, closed_at=None, status__in=Order.LIVE)
    ours = unblocked() | Q(account__feed__startswith=REPLAY)
    return Order.objects.filter(ours, (Q(status=Order.Status.PLANNED) & unheld()) | cancel | amends_unsent())


def orders_send(bot: Bot, venue: Venue, lease: Lease | None = None) -> bool:
    """Bring the venue's book to what stands in the database for this bot; returns False when they agree already.

    With the lease under which that is done, nothing is placed or changed any more once somebody else has taken it.
    """
    waiting = list(orders_unsent().filter(bot=bot).select_related("market", "bot", "account"))
    waiting.sort(key=_line)
    cancels_send([order for order in waiting if order.cancel_why], venue)
    amends_send([o for o in waiting if not o.cancel_why and o.status == Order.Status.WORKING], venue, lease)
    planned = [o for o in waiting if not o.cancel_why and o.status == Order.Status.PLANNED]
    _place([order for order in planned if order.reduce], venue, lease)
    _place([order for order in planned if not order.reduce], venue, lease)
    return bool(waiting)


def _line(order: Order) -> tuple[int, bool, tuple[bool, str]]:
    """Return the sort key of sending: by decision, exits first, and then as a backtest does it."""
    return order.number, not order.reduce, urgency(order.slot, order.kind)


def cancels_send(orders: Sequence[Order], venue: Venue) -> None:
    """Cancel; an order that was never sent just ends. The venue's word is booked, its fills first."""
    for order in orders:
        with transaction.atomic():
            if Order.objects.filter(pk=order.pk, status=Order.Status.PLANNED).update(status=Order.Status.CANCELLED):
                order_close(order, order.cancel_why, Order.Status.CANCELLED)
    sent = [order for order in orders if order.status != Order.Status.CANCELLED]
    if not sent or copy_reason(sent[0].account):  # of a copy: the orders at the venue may be the other one's by now
        return
    Order.objects.filter(pk__in=[order.pk for order in sent]).update(cancel_sent_at=timezone.now())
    crashpoint("cancel-claimed")
    try:
        reports = venue.cancel([order.client_order_id for order in sent])
    except (VenueUnavailable, OutcomeUnknown):
        Order.objects.filter(pk__in=[order.pk for order in sent]).update(cancel_sent_at=None)
        raise
    crashpoint("cancel-answered")
    executions_book(sent[0].account, venue)
    # "No such order" is no proof that there will be none: the send may be on its way. The reconciliation settles it.
    reports_apply(sent, [report for report in reports if report.exchange_order_id])


def _place(orders: Sequence[Order], venue: Venue, lease: Lease | None) -> None:
    claimed = _in_time([order for order in orders if _claim(order, lease)])
    if not claimed:
        return
    crashpoint("send-claimed")
    try:
        reports = venue.place([request_of(order) for order in claimed])
    except RateLimited:
        # Nothing was accepted: the next sweep sends the same orders under the same ids.
        _set_status(claimed, Order.Status.PLANNED)
        raise
    except (VenueUnavailable, OutcomeUnknown):
        _set_status(claimed, Order.Status.UNKNOWN)
        raise
    crashpoint("send-answered")
    reports_apply(claimed, reports)
    crashpoint("send-applied")


def _in_time(claimed: Sequence[Order]) -> list[Order]:
    """Leave out what was claimed too long ago to be sent: whoever recovers it may have planned it anew already."""
    since = timezone.now() - VALID
    late = [order for order in claimed if order.sent_at is None or order.sent_at < since]
    if late:
        _set_status(late, Order.Status.UNKNOWN)
    return [order for order in claimed if order not in late]


def _set_status(orders: Iterable[Order], status: str) -> None:
    """Move what is being sent; not the next attempt of the same order, of which its sender knows nothing."""
    ids = {order.pk: order.client_order_id for order in orders}
    sending = Order.objects.filter(pk__in=list(ids), client_order_id__in=list(ids.values()))
    since = timezone.now() if status == Order.Status.UNKNOWN else None
    sending.filter(status=Order.Status.SENDING).update(status=status, unknown_at=since)


def _claim(order: Order, lease: Lease | None = None) -> bool:
    """Compare and set: still planned, the bot may still trade, and no fill came that the decision didn't see.

    What adds risk isn't sent while a hold stands, whoever set it and however long ago this was decided.

    No join: with one, PostgreSQL would not look again at a status that another sender has changed meanwhile.
    """
    claim = Order.objects.filter(
        in_its_own_house(order.account),
        unheld(),
        fenced(lease),
        pk=order.pk,
        client_order_id=order.client_order_id,
        status=Order.Status.PLANNED,
        cancel_why="",
    )
    if not order.slot.startswith(ENGINE):
        claim = claim.filter(Exists(Bot.objects.filter(pk=OuterRef("bot_id"), status__in=trading_statuses(order))))
    if not order.reduce:
        unseen = BotInput.objects.filter(bot=OuterRef("bot"), kind="filled", number=None)
        claim = claim.filter(~Exists(unseen), ~Exists(halts_on(order.bot, order.account)))
    order.sent_at = timezone.now()
    return bool(claim.update(status=Order.Status.SENDING, sent_at=order.sent_at, unknown_at=None, lookups=0))


def request_of(order: Order) -> OrderRequest:
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.market.symbol,
        side=Side(order.side),
        kind=Kind(order.kind),
        qty=order.qty,
        price=order.price,
        trigger=order.trigger,
        tif=Tif(order.tif),
        # Spot: the venue has no positions to reduce. A hedge counts as an exit and yet opens: it locks what it needs.
        reduce=order.reduce and order.market.perpetual and not order.locked,
        max_quote=order.max_quote,
        trail=want_value(order.want).trail,
        expires_ms=order.expires_ms,
        leverage=order.leverage,
        valid_until_ms=valid_until_ms(order.sent_at),
    )
