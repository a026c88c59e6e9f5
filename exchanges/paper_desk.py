"""The paper venue's order desk: accepts and amends orders, or refuses with a reason as an exchange would.

Funds are locked at the order's own price; a market order's at the last price, and it is judged again when it fills.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from accounts.models import Account
from exchanges import paper_log
from exchanges.models import Market, PaperOrder, PaperPosition
from exchanges.paper_books import ZERO, Books, acts_as, book_changes, funds_for, is_immediate, own_price, set_range
from exchanges.paper_form import check_form, check_prices, check_qty
from exchanges.paper_path import level_of
from exchanges.paper_positions import reducible
from exchanges.prices import Quote, quotes_get
from trading.core.errors import InsufficientFunds, OrderRejected
from trading.core.ports import Amendment, OrderReport, OrderRequest
from trading.core.rounding import notional, plain, to_decimal
from trading.core.rows import touch_of
from trading.core.types import Kind, Side, Tif, Trail

WOULD_CROSS = "would_cross"
_NO_TRAIL = Trail(None)
_AMENDED = ["qty", "price", "trigger", "seq"]


class Desk:
    """Judges the orders of one call, one after the other, under the account's lock."""

    def __init__(self, account: Account, symbols: Collection[str]) -> None:
        self._account = account
        self._markets = {row.symbol: row for row in Market.objects.filter(source=account.feed, symbol__in=symbols)}
        self._quotes = quotes_get([row.pk for row in self._markets.values()])
        self._books = Books([account.pk], list(self._markets.values()))
        self._rows: list[PaperOrder] = []
        self._amended: list[PaperOrder] = []
        newest = PaperOrder.objects.filter(account=account).order_by("-seq").values_list("seq", flat=True).first()
        self._seq = newest or 0

    def accept(self, order: OrderRequest) -> PaperOrder | OrderReport:
        """Return the order's row in the book (perhaps as rejected), or a bare refusal for what no book can hold."""
        market = self._markets.get(order.symbol)
        if market is None:
            return self._refuse(order, f"{self._account.feed} has no market {order.symbol}")
        try:
            check_form(market, order)
        except OrderRejected as error:
            return self._refuse(order, error.reason)
        row = self._row(market, order)
        try:
            self._check(market, row)
        except OrderRejected as error:
            row.status, row.reason = PaperOrder.Status.REJECTED, error.reason
        self._rows.append(row)
        return row

    def amend(self, row: PaperOrder, change: Amendment) -> str:
        """Change a working order, which then stands behind all others; returns why it stays as it is, if it does.

        A post-only one that would trade at once ends: it can't be what is wanted, and real venues end it, too.
        """
        wanted = (change.qty, change.price, change.trigger)
        if wanted == (row.qty, row.price, row.trigger):
            return ""
        if change.qty <= row.filled_qty:
            row.qty = row.filled_qty
            self._books.close(row, PaperOrder.Status.FILLED)
            self._amended.append(row)
            return ""
        before = (row.qty, row.price, row.trigger, row.maker)
        market = self._markets[row.market.symbol]
        try:
            check_qty(market, change.qty)
            row.qty, row.price, row.trigger = wanted
            check_prices(market, Kind(row.kind), Side(row.side), row.price, row.trigger)
            self._check(market, row)
        except OrderRejected as error:
            row.qty, row.price, row.trigger, row.maker = before
            if error.code == WOULD_CROSS:
                self._books.close(row, PaperOrder.Status.CANCELLED, error.reason)
            return error.reason
        self._place_last(row, self._quotes.get(market.pk))
        self._books.touch(row)
        self._amended.append(row)
        return ""

    def save(self) -> None:
        PaperOrder.objects.bulk_create(self._rows)
        PaperOrder.objects.bulk_update(self._amended, _AMENDED, 200)
        paper_log.placed(self._rows, self._amended)
        self._books.save()
        for row in self._rows:
            book_changes[row.market_id] += 1

    def _refuse(self, order: OrderRequest, reason: str) -> OrderReport:
        paper_log.refused(self._account, order, reason)
        return OrderReport(order.client_order_id, "", "rejected", ZERO, reason)

    def _row(self, market: Market, order: OrderRequest) -> PaperOrder:
        quote, trail = self._quotes.get(market.pk), order.trail or _NO_TRAIL
        row = PaperOrder(
            account=self._account,
            market=market,
            client_order_id=order.client_order_id,
            side=order.side,
            kind=order.kind,
            tif=order.tif,
            reduce=order.reduce,
            qty=order.qty,
            price=order.price,
            trigger=order.trigger,
            max_quote=order.max_quote,
            filled_qty=ZERO,
            locked=ZERO,
            leverage=order.leverage,
            activation=trail.activation,
            offset_ratio=trail.offset_ratio,
            offset=trail.offset,
            floor=trail.floor,
            placed_ms=quote.market_ms if quote else 0,
            expires_ms=order.expires_ms,
        )
        self._place_last(row, quote)
        return row

    def _place_last(self, row: PaperOrder, quote: Quote | None) -> None:
        """Give an order its place and the range of prices that concerns it."""
        self._seq += 1
        row.seq = self._seq
        set_range(row, touch_of(acts_as(row), Side(row.side)), level_of(row), quote.last if quote else None)

    def _check(self, market: Market, row: PaperOrder) -> None:
        """Refuse what would cross, is too small or isn't paid for; lock the funds of the rest."""
        quote = self._quotes.get(market.pk)
        last = to_decimal(quote.last) if quote else None
        _check_crossing(row, last)
        own = own_price(row)
        _check_size(market, row.qty, own or last)
        position = self._position(market, row)
        rest = row.qty - row.filled_qty
        coin, amount = funds_for(market, row, rest, own or last, position)
        free = self._books.wallets.free(self._account.pk, coin) + row.locked
        if amount > free:
            raise InsufficientFunds(f"needs {plain(amount)} {coin}, {plain(free)} is free")
        self._books.lock(row, coin, amount)

    def _position(self, market: Market, row: PaperOrder) -> PaperPosition | None:
        """Return the position that an order on a perpetual meets; refuses what doesn't go with it."""
        if not market.perpetual:
            return None
        position = self._books.positions.get(self._account.pk, market.pk)
        closable = reducible(position, Side(row.side))
        if row.reduce and not closable:
            raise OrderRejected("there is no position to reduce", code="reduce")
        if position.qty and not closable and row.leverage != position.leverage:
            text = f"the position has leverage {plain(position.leverage)}, the order {plain(row.leverage)}"
            raise OrderRejected(text, code="leverage")
        return position


def _check_crossing(row: PaperOrder, last: Decimal | None) -> None:
    """Decide whether a limit rests before it fills. Raises OrderRejected for a post-only one that wouldn't."""
    limit = acts_as(row) is Kind.LIMIT
    price = row.price
    crosses = limit and last is not None and (price >= last if row.side == Side.BUY else price <= last)
    if crosses and row.tif == Tif.POST_ONLY:
        raise OrderRejected(f"post-only at {plain(price)} would trade at once", code=WOULD_CROSS)
    row.maker = limit and not crosses and not is_immediate(row)


def _check_size(market: Market, qty: Decimal, price: Decimal | None) -> None:
    if qty < market.min_qty:
        raise OrderRejected(f"{plain(qty)} {market.base} is below the minimum of {plain(market.min_qty)}", code="size")
    value = None if price is None else notional(qty, price)
    if value is not None and value < market.min_notional:
        text = f"{plain(value)} {market.quote} is below the minimum of {plain(market.min_notional)}"
        raise OrderRejected(text, code="size")
