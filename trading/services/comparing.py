"""What a venue has, held against what our books say: open orders, fills and coins. What doesn't agree is held and told.

Orders of others are never touched and never counted. An order of ours that has ended here is cancelled, and said so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from accounts.installation import blocked_reason
from accounts.models import Account
from accounts.services import EventDraft, events_append
from trading.attempts import by_earlier_attempt
from trading.core.ids import is_ours
from trading.core.ports import OrderReport, Venue
from trading.core.rounding import plain
from trading.models import Balance, Hold, Journal, Order, VenueCursor
from trading.services.answers import order_event, order_words
from trading.services.booking import executions_book
from trading.services.doubts import fills_missing, unknown_orders_hold
from trading.services.holds import hold_set, holds_settle

ZERO = Decimal(0)


def account_compare(account: Account, venue: Venue, now: datetime) -> None:
    """Hold what doesn't agree and let go what does. For an account whose executions have just been booked."""
    standing: dict[str, list[str]] = {
        Hold.Cause.UNKNOWN_ORDER: unknown_orders_hold(account, now),
        Hold.Cause.FOREIGN: _orphans(account, venue),
        Hold.Cause.FILLS: fills_missing(account, venue),
        Hold.Cause.RECONCILE: [],
    }
    short = _coins_missing(account, venue)
    if short is not None:
        standing[Hold.Cause.BALANCE] = short
    holds_settle(account, standing)


# --- orders ----------------------------------------------------------------------------------------------------------


def _orphans(account: Account, venue: Venue) -> list[str]:
    """Find open orders that bear our mark and that we don't have as living; returns those that are still open.

    The venue is asked again after our rows were read: so an order that has just ended is none of them.
    """
    listed = [report.client_order_id for report in venue.open_orders() if is_ours(report.client_order_id)]
    rows = Order.objects.filter(account=account, client_order_id__in=listed).select_related("bot", "market")
    found = {order.client_order_id: order for order in rows}
    strange = [name for name in listed if name not in found or not found[name].is_live]
    if not strange:
        return []
    strange = _open(venue.lookup(strange))
    known = {name: found[name] for name in strange if name in found}
    known |= by_earlier_attempt(account, [name for name in strange if name not in found])
    if known and not blocked_reason():
        _end(account, venue, known)
        strange = _open(venue.lookup(strange))
    for name in strange:
        hold_set(
            account=account,
            bot=known[name].bot if name in known else None,
            cause=Hold.Cause.FOREIGN,
            ref=name,
            reason=f"The venue has an open order {name} with Binnacle's mark that this database doesn't know as open. "
            "Does a copy of this installation trade on the same account? Nothing that adds risk is placed until the "
            "order is gone: end the copy, or cancel the order on the venue's page",
        )
    return strange


def _open(reports: Iterable[OrderReport]) -> list[str]:
    return [report.client_order_id for report in reports if report.status == "working"]


def _end(account: Account, venue: Venue, orphans: dict[str, Order]) -> None:
    """Cancel orders of ours that have ended here: nobody wants them any more. Their fills are booked all the same."""
    venue.cancel(list(orphans))
    executions_book(account, venue)
    drafts = [
        order_event(
            order,
            "order.orphan",
            f"The {order_words(order)} had ended here and was still open at the venue: it was cancelled there",
            "error",
        )
        for order in orphans.values()
    ]
    events_append(account.workspace_id, drafts)


# --- coins -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Books:
    """What our books say at one moment, and how far the venue's word was booked then."""

    executions: int
    funding: int
    coins: dict[str, Decimal]


@transaction.atomic
def _books(account: Account) -> _Books:
    cursor = VenueCursor.objects.filter(account=account).first()
    coins: dict[str, Decimal] = {}
    for coin, amount in Balance.objects.filter(account=account).values_list("coin", "amount"):
        coins[coin] = coins.get(coin, ZERO) + amount
    return _Books(cursor.executions if cursor else 0, cursor.funding if cursor else 0, coins)


def _coins_missing(account: Account, venue: Venue) -> list[str] | None:
    """Hold the account for coins that our books have and the venue hasn't; returns them, None when nobody can say.

    Both move while they are read. So they are compared only if nothing was booked meanwhile, nor is anything to book.
    """
    before = _books(account)
    theirs = venue.balances()
    if venue.executions(before.executions) or venue.funding(before.funding) or _books(account) != before:
        return None
    short = []
    for coin in sorted({*before.coins, *theirs}):
        ours, there = before.coins.get(coin, ZERO), theirs.get(coin, ZERO)
        if there > ours:
            _more_told(account, coin, there - ours)
        elif there < ours:
            short.append(coin)
            hold_set(
                account=account,
                cause=Hold.Cause.BALANCE,
                ref=coin,
                reason=f"The venue has {plain(there)} {coin}, our books say {plain(ours)}: the rest was withdrawn or "
                "traded by somebody else. No bot of this account places anything that adds risk until it is back",
            )
    return short


def _more_told(account: Account, coin: str, surplus: Decimal) -> None:
    """Tell of coins that no book of ours explains, each amount once. They stay out of the books: no bot has them."""
    ref = f"surplus:{coin}:{plain(surplus)}"
    if not Journal.objects.get_or_create(account=account, ref=ref, defaults={"kind": "seen"})[1]:
        return
    text = f"{account.name}: the venue has {plain(surplus)} {coin} more than our books know, from a deposit or from "
    text += "somebody else's trades. No bot uses them"
    data = {"account": str(account.public_id), "coin": coin, "amount": plain(surplus)}
    events_append(account.workspace_id, [EventDraft("balance.more", text, "info", None, data)])
