"""Amendments to the venue: absolute numbers, one of each order on its way at a time.

A second one goes out only when the first has been answered or can't arrive any more: out of order, the older one would
have the last word at the venue, and nobody here would know. One that the venue refuses is asked for again after a
back-off (`trading.services.answers`), or at once in another form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.crashpoints import crashpoint
from bots.models import BotInput
from trading.core.control import urgency
from trading.core.ports import Amendment, Venue
from trading.halted import halts_on
from trading.held import in_its_own_house, unheld
from trading.leases import Lease
from trading.models import Order
from trading.services.answers import reports_apply
from trading.services.booking import executions_book
from trading.services.claims import ENGINE, VALID, fenced, trading_statuses, valid_until_ms

KEPT_BACK = timedelta(seconds=1)  # what may not be sent now is looked at again after that


def amends_unsent() -> Q:
    """Select the amendments that are wanted and may be sent now."""
    now = timezone.now()
    arrived = Q(amend_sent_at=None) | Q(amend_sent_at__lt=now - VALID)
    due = Q(amend_after=None) | Q(amend_after__lte=now)
    return arrived & due & Q(cancel_why="", amend_qty__isnull=False, status=Order.Status.WORKING)


def amends_send(orders: Sequence[Order], venue: Venue, lease: Lease | None = None) -> None:
    """Amend working orders. The new numbers are absolute, so an answer that is lost may be asked for again.

    One that was decided before a fill that nobody has looked at yet is left: the next decision says it anew. So is one
    of a bot that was paused, stopped or held meanwhile, unless it does nothing but make the order smaller.
    """
    if not orders:
        return
    unseen = BotInput.objects.filter(bot=OuterRef("bot"), kind="filled", number=None)
    asked = Order.objects.filter(~Exists(unseen), pk__in=[order.pk for order in orders])
    fresh = list(asked.select_related("market", "bot", "account"))
    fresh.sort(key=lambda order: urgency(order.slot, order.kind))  # as decided: an amendment takes a new place
    mine = [order for order in fresh if _may_change(order) and _claim(order, lease)]
    kept_back = [order.pk for order in fresh if order not in mine]
    Order.objects.filter(amends_unsent(), pk__in=kept_back).update(amend_after=timezone.now() + KEPT_BACK)
    claimed = _in_time(mine)
    if not claimed:
        return
    crashpoint("amend-claimed")
    reports = venue.amend([_amendment(order) for order in claimed])
    crashpoint("amend-answered")
    executions_book(claimed[0].account, venue)
    reports_apply(claimed, reports, amended=True)


def _claim(order: Order, lease: Lease | None) -> bool:
    """Compare and set: it is still what is wanted, and no other one is on its way."""
    wanted = Order.objects.filter(
        amends_unsent(),
        in_its_own_house(order.account),
        fenced(lease),
        pk=order.pk,
        amend_qty=order.amend_qty,
        amend_price=order.amend_price,
        amend_trigger=order.amend_trigger,
    )
    if not (order.reduce or _only_less(order)):
        wanted = wanted.filter(unheld(), ~Exists(halts_on(order.bot, order.account)))
    order.amend_sent_at = timezone.now()
    return bool(wanted.update(amend_sent_at=order.amend_sent_at))


def _in_time(claimed: Iterable[Order]) -> list[Order]:
    """Leave out what was claimed too long ago to be sent: another one may be on its way already."""
    since = timezone.now() - VALID
    return [order for order in claimed if order.amend_sent_at is not None and order.amend_sent_at >= since]


def _may_change(order: Order) -> bool:
    """Say whether the bot may still trade (an exit also while it is paused), or the order only becomes smaller."""
    return _only_less(order) or order.slot.startswith(ENGINE) or order.bot.status in trading_statuses(order)


def _only_less(order: Order) -> bool:
    less = order.amend_qty is not None and order.amend_qty <= order.qty
    return less and (order.amend_price, order.amend_trigger) == (order.price, order.trigger)


def _amendment(order: Order) -> Amendment:
    qty = order.qty if order.amend_qty is None else order.amend_qty
    return Amendment(
        order.client_order_id, qty, order.amend_price, order.amend_trigger, valid_until_ms(order.amend_sent_at)
    )
