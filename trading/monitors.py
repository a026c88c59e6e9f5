"""Monitors of orders: what ought to have happened by now and hasn't is asked about at the venue, never guessed.

Each may run twice, late or beside another: asking changes nothing, and what the answers say is booked once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db.models import F, Q

from accounts.containment import contain
from accounts.models import Account
from bots.doorbell import ring
from bots.selectors import not_replayed
from exchanges.prices import Quote, quotes_get
from trading.core.rounding import to_float
from trading.core.types import Side
from trading.jobs import Run
from trading.models import Order, Runtime
from trading.runtime import venue_for
from trading.services.answers import reports_apply
from trading.services.booking import executions_book
from trading.services.recovery import SETTLE, account_reconcile
from trading.services.waking import TICKED

PASSED_FOR = timedelta(seconds=15)  # the least age of an order of which a fill is expected
ASK_AGAIN_S = 60  # about the same order
LOOKED_AT = 2000  # orders a run; the accounts behind them come next time
UNREPORTED_FOR = timedelta(minutes=5)
MOST_REPAIRS = 200
_CURSOR = "monitor:limit-orders"


def limit_orders_check(run: Run, now: datetime) -> None:
    """Ask about resting limit orders whose price the market has passed and of which no fill has come."""
    asked = 0
    for account, orders in _working(now - PASSED_FOR):
        passed = _not_asked_lately(_passed(orders, quotes_get({order.market_id for order in orders})))
        if passed:
            asked += len(passed)
            with contain(f"limit orders of account {account.pk}"):
                run.repairs += _ask(account, passed)
    run.did = f"asked about {asked} orders whose price was passed" if asked else ""


def _working(before: datetime) -> Iterable[tuple[Account, list[Order]]]:
    """Return the working limit orders sent before then, by account: some accounts each run, in turn."""
    resting = Order.objects.filter(status=Order.Status.WORKING, kind="limit", cancel_why="", sent_at__lte=before)
    accounts = Account.objects.filter(not_replayed(), pk__in=resting.values("account_id")).order_by("id")
    after, looked = int(cache.get(_CURSOR, 0)), 0
    for account in [*accounts.filter(pk__gt=after), *accounts.filter(pk__lte=after)]:
        orders = list(resting.filter(account=account).select_related("market", "bot").order_by("id")[:LOOKED_AT])
        yield account, orders
        cache.set(_CURSOR, account.pk)
        looked += len(orders)
        if looked >= LOOKED_AT:
            return


def _passed(orders: Sequence[Order], quotes: dict[int, Quote]) -> list[Order]:
    """Return the orders that the last price lies beyond: a touch alone need not fill."""
    found = []
    for order in orders:
        quote = quotes.get(order.market_id)
        if quote is None or order.price is None:
            continue
        beyond = to_float(order.price) - quote.last
        if (beyond > 0) if order.side == Side.BUY else (beyond < 0):
            found.append(order)
    return found


def _not_asked_lately(orders: Sequence[Order]) -> list[Order]:
    return [order for order in orders if cache.add(f"monitor:asked:{order.pk}", 1, ASK_AGAIN_S)]


def _ask(account: Account, orders: Sequence[Order]) -> int:
    """Book what the venue knows of these orders; returns of how many there was news."""
    venue = venue_for(account)
    reports = venue.lookup([order.client_order_id for order in orders])
    touched = executions_book(account, venue)  # after the question: what ended there has been executed by now
    reports_apply(orders, reports)
    ring(sorted(touched))
    before = {order.pk: order.filled_qty for order in orders}
    after = Order.objects.filter(pk__in=before).values_list("pk", "status", "filled_qty")
    return sum(status != Order.Status.WORKING or filled != before[pk] for pk, status, filled in after)


def missing_orders_check(run: Run, now: datetime) -> None:
    """Find orders that ought to rest and don't: at the venue, and in the wishes of bots that nobody has told."""
    missing = 0
    ours: defaultdict[int, list[Order]] = defaultdict(list)
    working = Order.objects.filter(status=Order.Status.WORKING, sent_at__lte=now - SETTLE)
    for order in working.filter(not_replayed("account__")).order_by("account_id", "id"):
        ours[order.account_id].append(order)
    for account in Account.objects.filter(pk__in=ours).order_by("id"):
        with contain(f"missing orders of account {account.pk}"):
            gone = _not_listed(account, ours[account.pk])
            missing += len(gone)
            run.repairs += _settle(account, gone, now) if gone else 0
    unreported = wishes_unreported(now)
    run.repairs += _remind(unreported, now)
    words = [f"{missing} orders that the venue doesn't list"] if missing else []
    words += [f"{len(unreported)} bots that nobody had told of an order's end"] if unreported else []
    run.did = "; ".join(words)


def _not_listed(account: Account, orders: Sequence[Order]) -> list[Order]:
    listed = {report.client_order_id for report in venue_for(account).open_orders()}
    return [order for order in orders if order.client_order_id not in listed]


def _settle(account: Account, orders: Sequence[Order], now: datetime) -> int:
    """Reconcile the account, which asks about each order by itself; returns how many have ended by that."""
    ring(sorted(account_reconcile(account, venue_for(account), settled=now - SETTLE)))
    ids = [order.pk for order in orders]
    return Order.objects.filter(pk__in=ids).exclude(status__in=Order.LIVE).count()


def wishes_unreported(now: datetime) -> list[int]:
    """Return bots whose last decision wants an order that ended afterwards, and that haven't decided again since."""
    ended = Order.objects.filter(
        not_replayed("account__"),
        current=True,
        wanted=True,
        status__in=(Order.Status.CANCELLED, Order.Status.REJECTED),
        bot__status__in=TICKED,
        closed_at__lte=now - UNREPORTED_FOR,
        closed_at__gt=F("bot__runtime__ticked_at"),
    )
    waiting = Q(bot__runtime__not_before__gt=now) | Q(bot__runtime__due_at__lte=now)
    return sorted(set(ended.exclude(waiting).values_list("bot_id", flat=True)[:MOST_REPAIRS]))


def _remind(bot_ids: Sequence[int], now: datetime) -> int:
    """Make the bots due: their next decision sees how things stand."""
    if not bot_ids:
        return 0
    made = Runtime.objects.filter(bot_id__in=bot_ids).update(due_at=now)
    ring(bot_ids)
    return made
