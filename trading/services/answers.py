"""What a venue says of our orders, written down: it accepts, changes and ends them. Fills come from executions alone.

An amendment whose answer is out (`Order.amend_sent_at`) leaves open which quantity the order has. While it does, no
fill ends the order: the venue's word does, whether it is asked about that order or about all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts.crashpoints import crashpoint
from accounts.services import EventDraft, events_append
from trading.core.ports import OrderReport
from trading.core.rounding import fee_of, money, notional, plain, to_float
from trading.core.types import Closed, Kind
from trading.inbox import input_row
from trading.models import Order

AMENDMENT = ("amend_want", "amend_qty", "amend_price", "amend_trigger")
AMEND_AGAIN, AMEND_AGAIN_MAX = timedelta(seconds=1), timedelta(seconds=60)  # after the venue has refused one
_REFUSAL = ("amend_tries", "amend_after", "reason")


def reports_apply(
    orders: Sequence[Order], reports: Sequence[OrderReport], *, amended: bool = False, settled: datetime | None = None
) -> None:
    """Write down what the venue says of each order. Status only moves on.

    `amended`: these are the answers to the amendments that these orders want. `settled`: an amendment that was sent
    until then has arrived by now, or never will.
    """
    said = {report.client_order_id: report for report in reports}
    accepted: list[Order] = []
    for order in orders:
        report = said.get(order.client_order_id)
        if report is None:
            continue
        if report.status == "rejected":
            order_close(order, "rejected", Order.Status.REJECTED, report.reason)
            continue
        if report.status != "cancelled" and _accept(order, report):
            accepted.append(order)
        if order.amend_sent_at is not None:
            definite = settled is not None and order.amend_sent_at <= settled
            _amendment_settle(order, report, amended=amended, definite=definite or report.status != "working")
        if report.status != "working":
            _ended(order, report)
    _events_placed(accepted)


def _accept(order: Order, report: OrderReport) -> bool:
    sent = Order.objects.filter(
        pk=order.pk,
        client_order_id=order.client_order_id,  # not the next attempt's, of which this says nothing
        status__in=(Order.Status.SENDING, Order.Status.UNKNOWN, Order.Status.PLANNED),
    )
    known = {"exchange_order_id": report.exchange_order_id, "unknown_at": None, "lookups": 0}
    return bool(sent.update(status=Order.Status.WORKING, **known))


def _ended(order: Order, report: OrderReport) -> None:
    """An order that the venue ended is closed here once all its fills are booked; until then it stays as it is."""
    booked = Order.objects.values_list("filled_qty", flat=True).get(pk=order.pk)
    if booked < report.filled_qty:
        return
    if report.status == "filled":
        order_close(order, "filled", Order.Status.FILLED)
    else:
        order_close(order, order.cancel_why or _why(order, report), Order.Status.CANCELLED, report.reason)


def _why(order: Order, report: OrderReport) -> str:
    """Name why the venue ended an order by itself, in the contract's words."""
    if report.reason in ("expired", "liquidated"):
        return report.reason
    began = order.kind == Kind.MARKET and report.filled_qty > 0  # and found too little to trade with
    return "remainder" if began or order.tif in ("ioc", "fok") else "rejected"


# --- amendments -----------------------------------------------------------------------------------------------------


@transaction.atomic(savepoint=False)
def _amendment_settle(order: Order, report: OrderReport, *, amended: bool, definite: bool) -> None:
    """Learn from the venue which form an order has whose amendment was sent; `order` is as it was before it was asked.

    One amendment of an order is on its way at a time. So a form that isn't the one that we know proves that it has
    arrived; the known one proves that it hasn't only in the answer to it, or once it can't arrive any more
    (`definite`).
    """
    # Not after somebody has sent another one since: of that, this says nothing.
    sent = Order.objects.select_for_update(of=("self",), no_key=True).filter(
        pk=order.pk, status__in=Order.LIVE, amend_sent_at=order.amend_sent_at
    )
    row = sent.select_related("market", "bot").first()
    if row is None:
        return
    older = report.filled_qty < row.filled_qty  # than what is booked: perhaps than the amendment, too
    changed = _form_of(report, row.qty, row.price) != (row.qty, row.price) and not older
    if not (amended or definite or changed):
        return
    wanted = (order.amend_qty, order.amend_price)
    taken = (amended or changed) and _form_of(report, *wanted) == wanted
    if taken:
        row.qty, row.price, row.trigger, row.want = *wanted, order.amend_trigger, order.amend_want
    else:
        row.qty, row.price = _form_of(report, row.qty, row.price)
    row.qty, row.amend_sent_at = max(row.qty, row.filled_qty), None
    if (row.amend_qty, row.amend_price, row.amend_trigger) == (row.qty, row.price, row.trigger):
        row.amend_want = row.amend_qty = row.amend_price = row.amend_trigger = None
        row.locked = rest_locked(row)
    refused = amended and not taken and (row.amend_qty, row.amend_price) == wanted
    told = _amendment_refused(row, report) if refused else None
    if taken:
        row.amend_tries, row.amend_after, row.reason = 0, None, ""
    row.save(update_fields=["qty", "price", "trigger", "want", "locked", "amend_sent_at", *AMENDMENT, *_REFUSAL])
    if row.filled_qty >= row.qty and report.status != "cancelled":
        order_close(row, "filled", Order.Status.FILLED)
    elif taken:
        events_append(row.workspace_id, [order_event(row, "order.amended", f"Changed: {order_words(row)}")])
    elif told is not None:
        events_append(row.workspace_id, [told])


def _amendment_refused(row: Order, report: OrderReport) -> EventDraft | None:
    """Ask for it again after a while only, a longer one each time; returns what is told, which is each reason once."""
    row.amend_tries += 1
    row.amend_after = timezone.now() + min(AMEND_AGAIN_MAX, AMEND_AGAIN * 2 ** min(row.amend_tries - 1, 10))
    before, row.reason = row.reason, f"not changed: {report.reason or 'the venue left it as it was'}"[:300]
    if row.reason == before:
        return None
    return order_event(row, "order.kept", f"Not changed ({row.slot}): {report.reason or 'no reason given'}", "warning")


def _form_of(report: OrderReport, qty: Decimal | None, price: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """Return quantity and price as the venue has them, and those given where it doesn't tell."""
    return report.qty if report.qty is not None else qty, report.price if report.price is not None else price


def rest_locked(order: Order) -> Decimal:
    """Return what the unfilled rest of an order holds, at its own level."""
    rest = max(Decimal(0), order.qty - order.filled_qty)
    level = order.price or order.trigger
    if level is None or order.lock_coin == order.market.base:
        held: Decimal = order.locked
        return rest if order.lock_coin == order.market.base else held
    rate: Decimal = order.market.maker_fee if order.kind == Kind.LIMIT else order.market.taker_fee
    return money(min(order.locked, notional(rest, level) / order.leverage + fee_of(rest, level, rate)))


# --- an order's end, and what is told -------------------------------------------------------------------------------


@transaction.atomic(savepoint=False)
def order_close(order: Order, why: str, status: str, reason: str = "", at: datetime | None = None) -> bool:
    """End a live order for good, tell its bot and the page; returns False when it had ended already."""
    ending = Order.objects.filter(pk=order.pk, client_order_id=order.client_order_id).filter(
        status__in=(*Order.LIVE, status), closed_at=None
    )
    closed_at = at or timezone.now()
    ended = {"status": status, "reason": reason[:300], "closed_at": closed_at, "locked": Decimal(0)}
    if not ending.update(**ended, **dict.fromkeys(AMENDMENT), amend_sent_at=None):
        return False
    crashpoint("order-closing")
    order.refresh_from_db(fields=["status", "reason", "filled_qty", "closed_at"])
    input_row(order.bot_id, Closed(order.slot, order.gen, why, to_float(order.filled_qty))).save()
    refused = status == Order.Status.REJECTED
    verb = "Refused" if refused else "Done" if status == Order.Status.FILLED else "Cancelled"
    text = f"{verb}: {order_words(order)}" + (f" ({reason})" if reason else "")
    events_append(
        order.workspace_id,
        [
            order_event(
                order, "order.rejected" if refused else "order.cancelled", text, "warning" if refused else "info"
            )
        ],
    )
    return True


def _events_placed(orders: Sequence[Order]) -> None:
    if not orders:
        return
    drafts = [order_event(order, "order.placed", f"Placed: {order_words(order)}") for order in orders]
    events_append(orders[0].workspace_id, drafts)


def order_words(order: Order) -> str:
    """Name an order as people do: what it is, how much, and at which price."""
    price = f" at {plain(order.price)} {order.market.quote}" if order.price is not None else ""
    return f"{order.kind} {order.side} of {plain(order.qty)} {order.market.base}{price}"


def order_event(order: Order, kind: str, text: str, level: str = "info") -> EventDraft:
    data = {
        "slot": order.slot,
        "gen": order.gen,
        "side": order.side,
        "kind": order.kind,
        "price": None if order.price is None else plain(order.price),
        "qty": plain(order.qty),
        "reason": order.reason,
    }
    return EventDraft(kind, text, level, order.bot.public_id, data)
