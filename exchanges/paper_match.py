"""The paper venue's matcher: prices walk over its book through the core's `advance`, uncompiled.

Live, `walk` takes one bar over the whole book of a market and fills whatever it touches. A replay walks several markets
in lock-step and stops at each event (`exchanges.paper_lockstep`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from math import inf
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from exchanges.models import Market, PaperOrder, PaperPosition
from exchanges.paper_books import EVERYWHERE, Books, lock_accounts
from exchanges.paper_fills import (
    EXPIRED,
    LIQUIDATED,
    NOTHING_TO_REDUCE,
    fill_order,
    fund,
    liquidate,
    liquidity,
    trigger,
)
from exchanges.paper_path import Liquidation, Met, Path, TrailWatch, liquidation_of, watch_of
from exchanges.paper_positions import reducible
from exchanges.trails import Followed, Trails, stood_at
from trading.core.matching import STOP
from trading.core.perps import funding_times
from trading.core.rounding import to_decimal
from trading.core.types import Bar, Kind, Side

__all__ = [
    "WHOLE",
    "Reach",
    "Terms",
    "Walked",
    "expire",
    "late_orders",
    "markets_waiting",
    "meet",
    "pay_funding",
    "walk",
    "watch_position",
]

MARKETS_A_QUERY = 50
_ACCOUNTS_AT_ONCE = 200
_CANCELLED = PaperOrder.Status.CANCELLED
_TRAILS = "orders"


class Terms(NamedTuple):
    """How a walk fills: `span_ms` is the length of its bars (funding within a bar is paid at its open), and at one
    touch a limit order fills at most `liquidity_ratio` of the bar's volume; None: whole."""

    span_ms: int = 1
    liquidity_ratio: float | None = None


WHOLE = Terms()


class Walked:
    """How far a bar has been taken over a market's book, for whoever may come with the same bar again.

    Taken twice over an account, it would meet what its first time has triggered, trailed or had ordered. `received_ms`
    tells it from another one that is like it: in a quiet market that is no rarity.
    """

    def __init__(self, bar: Bar, received_ms: int | None = None) -> None:
        self.came = (bar, received_ms)
        self.accounts: set[int] = set()
        self.changed = 0
        self.whole = False


def late_orders(path: Path) -> list[PaperOrder]:
    """Return the orders whose time is over when the bars open."""
    timed = [row for row in path.rows if isinstance(row, PaperOrder) and row.expires_ms is not None]
    return [order for order in timed if (order.expires_ms or 0) <= path.bars[order.market_id].ts_ms]


def expire(books: Books, path: Path) -> bool:
    """End the orders whose time is over before the bars open; returns whether there were any."""
    late = late_orders(path)
    for order in late:
        path.drop(path.rows.index(order))
        books.close(order, _CANCELLED, EXPIRED)
    return bool(late)


def pay_funding(books: Books, path: Path, account_id: int, market: Market, terms: Terms) -> None:
    """Pay the funding that is due within a bar, before it opens and at its open."""
    bar = path.bars[market.pk]
    position = books.positions.get(account_id, market.pk)
    if position.qty:
        until_ms = bar.ts_ms + terms.span_ms - 1
        for ts_ms in funding_times(position.funded_ms, until_ms, market.funding_interval_ms):
            fund(books, market, account_id, bar.open, ts_ms)


def meet(books: Books, path: Path, met: Met, terms: Terms) -> bool:
    """Do to the books what the walk met; returns whether an order ended without filling whole, or a position did."""
    row, market, bar = path.rows[met.row], met.market, path.bars[met.market.pk]
    if isinstance(row, TrailWatch):
        raise TypeError("a wake is not booked")
    if isinstance(row, Liquidation):
        path.drop(met.row)
        liquidate(books, market, row.account_id, bar)
        _close_reducing(books, path, row.account_id, market, LIQUIDATED)
        return True
    price = to_decimal(met.price)
    path.drop(met.row)
    triggers = row.kind == Kind.STOP_LIMIT and not row.triggered
    if triggers:
        trigger(books, row, price)
    else:
        fill_order(books, market, row, price, bar, terms.span_ms, liquidity(market, bar, terms.liquidity_ratio))
    if row.status == PaperOrder.Status.WORKING:
        path.add(row, rests=not triggers)  # a part has filled, or there was nothing to fill it with
    ended = row.status == _CANCELLED
    if not market.perpetual:
        return ended
    watch_position(books, path, row.account_id, market)
    return _close_reducing(books, path, row.account_id, market, NOTHING_TO_REDUCE) or ended


def watch_position(books: Books, path: Path, account_id: int, market: Market) -> None:
    """Let the walk meet the position where it is liquidated now."""
    for place, row in enumerate(path.rows):
        if isinstance(row, Liquidation) and (row.account_id, row.market_id) == (account_id, market.pk):
            path.drop(place)
            break
    level = liquidation_of(books.positions.get(account_id, market.pk))
    if level is not None:
        path.add(level)


def _close_reducing(books: Books, path: Path, account_id: int, market: Market, reason: str) -> bool:
    """Close the reducing orders that have nothing left to reduce; returns whether there were any."""
    position = books.positions.get(account_id, market.pk)
    closed = False
    for place in reversed(range(len(path.rows))):
        row = path.rows[place]
        if not isinstance(row, PaperOrder) or (row.account_id, row.market_id) != (account_id, market.pk):
            continue
        if row.reduce and not reducible(position, Side(row.side)):
            path.drop(place)
            books.close(row, _CANCELLED, reason)
            closed = True
    return closed


# --- live -----------------------------------------------------------------------------------------------------------


class Reach(NamedTuple):
    """How far prices reach: their extremes, and the open time of the last of their bars."""

    low: float
    high: float
    until_ms: int

    def with_bar(self, bar: Bar) -> Reach:
        return Reach(min(self.low, bar.low), max(self.high, bar.high), max(self.until_ms, bar.ts_ms))


ANY_PRICE = Reach(-inf, inf, 1 << 62)


def markets_waiting(market_ids: Collection[int], reach: Mapping[int, Reach] | None = None) -> set[int]:
    """Return those of these markets that `walk` has anything to do in: with orders in `reach`, or with positions.

    Where no reach is given any price counts. One query over the index for up to MARKETS_A_QUERY markets.
    """
    ids = list(market_ids)
    held = PaperPosition.objects.filter(Q(below__isnull=False) | Q(above__isnull=False), market__in=ids)
    found = set(held.values_list("market_id", flat=True).distinct()) if ids else set()
    for begin in range(0, len(ids), MARKETS_A_QUERY):
        part = ids[begin : begin + MARKETS_A_QUERY]
        met = Q(*(_met(pk, (reach or {}).get(pk, ANY_PRICE)) for pk in part), _connector=Q.OR)
        working = PaperOrder.objects.filter(met, status=PaperOrder.Status.WORKING)
        found.update(working.values_list("market_id", flat=True).distinct())
    return found


def _met(market_id: int, reach: Reach) -> Q:
    if reach is ANY_PRICE:
        return Q(market_id=market_id)
    at_price = Q(below__gte=reach.low) | Q(above__lte=reach.high)
    return Q(market_id=market_id) & (at_price | Q(expires_ms__lte=reach.until_ms))


def walk(
    market: Market, bar: Bar, trails: Trails | None = None, terms: Terms = WHOLE, walked: Walked | None = None
) -> int:
    """Take `bar` over the book of a market: fills and closes what it touches, returns how much that changed.

    One query over its indexes when nothing is touched (two on a perpetual). All accounts at once, at most 200 in a
    transaction. `trails` remembers the peaks of trailing orders from bar to bar; `walked`, of this bar, what is done
    already and what is done now.
    """
    trails, walked = trails or Trails(), walked or Walked(bar)
    orders = _orders_in_reach(market, bar)
    followed = _follow(market, bar, trails, [pk for pk, _, kind, _ in orders if kind == Kind.TRAILING])
    fired = {watch.id for watch in followed.fired}
    touched: dict[int, list[int]] = {}
    for pk, account_id, kind, expires_ms in orders:
        late = expires_ms is not None and expires_ms <= bar.ts_ms
        if kind != Kind.TRAILING or late or ("order", pk) in fired:
            touched.setdefault(account_id, []).append(pk)
    for account_id in _accounts_in_reach(market, bar, terms) if market.perpetual else ():
        touched.setdefault(account_id, [])
    accounts = iter(sorted(touched.keys() - walked.accounts))
    while chunk := list(islice(accounts, _ACCOUNTS_AT_ONCE)):
        pks = [pk for account in chunk for pk in touched[account]]
        walked.changed += _walk_accounts(market, bar, chunk, pks, trails, terms)
        walked.accounts.update(chunk)
    trails.keep(market, followed, _TRAILS)
    walked.whole = True
    return walked.changed


def _orders_in_reach(market: Market, bar: Bar) -> list[tuple[int, int, str, int | None]]:
    """Return (id, account, kind, expiry) of the orders that the bar may touch or end."""
    working = PaperOrder.objects.filter(market=market, status=PaperOrder.Status.WORKING)
    columns = ("id", "account_id", "kind", "expires_ms")
    below, above = working.filter(below__gte=bar.low), working.filter(above__lte=bar.high)
    late = working.filter(expires_ms__lte=bar.ts_ms)
    return list(below.values_list(*columns).union(above.values_list(*columns), late.values_list(*columns)))


def _accounts_in_reach(market: Market, bar: Bar, terms: Terms) -> list[int]:
    """Return the accounts whose position is liquidated in this bar, or has funding to pay or to get."""
    until_ms = bar.ts_ms + terms.span_ms - 1
    due_ms = until_ms // market.funding_interval_ms * market.funding_interval_ms
    held = PaperPosition.objects.filter(Q(below__isnull=False) | Q(above__isnull=False), market=market)
    rows = [held.filter(below__gte=bar.low), held.filter(above__lte=bar.high), held.filter(funded_ms__lt=due_ms)]
    first, *rest = (part.values_list("account_id", flat=True) for part in rows)
    return list(first.union(*rest))


def _follow(market: Market, bar: Bar, trails: Trails, pks: Sequence[int]) -> Followed:
    """Take the bar over the trailing orders; one that it arms is in reach of all prices from then on."""
    if not pks:
        return Followed()
    orders = {watch_of(order): order for order in PaperOrder.objects.filter(pk__in=pks)}
    unarmed = {watch for watch, order in orders.items() if order.below != EVERYWHERE}
    followed = trails.follow(market, bar, orders, _TRAILS, unarmed)
    armed = [orders[watch].pk for watch in unarmed if followed.best.get(watch) is not None]
    if armed:
        PaperOrder.objects.filter(pk__in=armed).update(below=EVERYWHERE, above=None)
    return followed


@transaction.atomic
def _walk_accounts(
    market: Market, bar: Bar, account_ids: Sequence[int], order_ids: Sequence[int], trails: Trails, terms: Terms
) -> int:
    lock_accounts(account_ids)
    working = PaperOrder.objects.filter(status=PaperOrder.Status.WORKING)
    if market.perpetual:  # a liquidation or an exit ends orders that the bar itself doesn't touch
        orders = working.filter(Q(pk__in=order_ids) | Q(market=market, account__in=account_ids, reduce=True))
    else:
        orders = working.filter(pk__in=order_ids)
    own: dict[int, list[PaperOrder]] = {account_id: [] for account_id in account_ids}
    for order in orders.order_by("seq", "id"):
        order.market = market
        own[order.account_id].append(order)
    books = Books(account_ids, [market])
    for account_id, rows in own.items():
        _walk_account(books, market, bar, account_id, rows, trails, terms)
    changed = books.changes
    books.save()
    return changed


def _walk_account(
    books: Books,
    market: Market,
    bar: Bar,
    account_id: int,
    orders: Sequence[PaperOrder],
    trails: Trails,
    terms: Terms,
) -> None:
    path = Path([market])
    path.start([bar], stood_at(market) if any(order.kind == Kind.TRAILING for order in orders) else ())
    for order in orders:
        armed = order.kind == Kind.TRAILING and order.below == EVERYWHERE
        path.add(order, trails.best(market, watch_of(order), bar.ts_ms, _TRAILS) if armed else None)
    expire(books, path)
    if market.perpetual:
        pay_funding(books, path, account_id, market, terms)
        watch_position(books, path, account_id, market)
    while (met := path.advance()).event != STOP:
        meet(books, path, met, terms)
