"""What happens to an order where the walk meets it: it fills, triggers, is clipped, or ends; and to a position."""

from __future__ import annotations

import uuid
from decimal import ROUND_DOWN, Context, Decimal

from exchanges.models import Market, PaperExecution, PaperOrder, PaperPosition
from exchanges.paper_books import ZERO, Books, acts_as, fee_rate, funds_for, is_immediate, own_price, set_range
from exchanges.paper_positions import levels_of, reducible, traded
from trading.core.rounding import (
    exact_product,
    exact_ratio,
    fee_of,
    money,
    notional,
    plain,
    to_decimal,
    to_float,
)
from trading.core.rows import touch_of
from trading.core.types import Bar, Kind, Side, Tif

_EXACT = Context(prec=60)
_WORKING, _FILLED, _CANCELLED = PaperOrder.Status.WORKING, PaperOrder.Status.FILLED, PaperOrder.Status.CANCELLED
NOTHING_TO_REDUCE = "there is no position left to reduce"
TOO_DEAR = "insufficient funds at the price it would fill at"
LEFTOVER = "not filled at once"
EXPIRED = "expired"
LIQUIDATED = "liquidated"


def liquidity(market: Market, bar: Bar, ratio: float | None) -> Decimal | None:
    """Return how much of a limit order one touch in this bar may fill: a share of its volume, a lot at least.

    Nothing where nothing was traded.
    """
    if ratio is None:
        return None
    if not bar.volume:
        return ZERO
    lot: Decimal = market.lot
    lots = (to_decimal(ratio * bar.volume) / lot).to_integral_value(rounding=ROUND_DOWN)
    return max(lots, Decimal(1)) * lot


def trigger(books: Books, order: PaperOrder, price: Decimal) -> None:
    """Let a stop-limit rest as a limit from now on, behind all others.

    A post-only one that would trade at once ends, and so does an immediate one that wouldn't.
    """
    order.triggered = True
    crosses = _reaches(order, price)
    if crosses and order.tif == Tif.POST_ONLY:
        books.close(order, _CANCELLED, "post-only: it would have traded at once")
        return
    if not crosses and is_immediate(order):
        books.close(order, _CANCELLED, LEFTOVER)
        return
    order.maker = not crosses
    newest = PaperOrder.objects.filter(account=order.account_id).order_by("-seq").values_list("seq", flat=True).first()
    order.seq = books.place_last(order.account_id, newest or 0)
    set_range(order, touch_of(Kind.LIMIT, Side(order.side)), to_float(order.price))
    books.touch(order)


def _reaches(order: PaperOrder, price: Decimal) -> bool:
    """Say whether a limit order may trade at `price`."""
    limit: Decimal = order.price
    return limit >= price if order.side == Side.BUY else limit <= price


def fill_order(
    books: Books, market: Market, order: PaperOrder, price: Decimal, bar: Bar, span_ms: int, most: Decimal | None
) -> None:
    """Fill a working order at `price`, or end it when it can't be: nothing to reduce, not enough liquidity or money.

    Only an order whose price wasn't known when it was placed can fall short of money: a market order, a stop in a gap,
    or an order on a perpetual whose position has changed.
    """
    if is_immediate(order) and not _reaches(order, price):
        books.close(order, _CANCELLED, LEFTOVER)
        return
    rest = _EXACT.subtract(order.qty, order.filled_qty)
    position = books.positions.get(order.account_id, market.pk) if market.perpetual else None
    if position is not None and order.reduce:
        rest = min(rest, reducible(position, Side(order.side)))
        if not rest:
            books.close(order, _CANCELLED, NOTHING_TO_REDUCE)
            return
    qty = rest if most is None or acts_as(order) is not Kind.LIMIT else min(rest, most)
    if qty < rest and order.tif == Tif.FOK:
        books.close(order, _CANCELLED, LEFTOVER)
    elif not qty:
        pass
    elif position is None:
        _fill_spot(books, market, order, qty, price, bar.ts_ms)
    else:
        _fill_perpetual(books, market, order, position, qty, price, bar.ts_ms, bar.ts_ms + span_ms - 1)
    if order.status == _WORKING and is_immediate(order):
        books.close(order, _CANCELLED, LEFTOVER)


def _fill_spot(books: Books, market: Market, order: PaperOrder, qty: Decimal, price: Decimal, ts_ms: int) -> None:
    coin, cost = funds_for(market, order, qty, price, None)
    bought = order.side == Side.BUY
    freed = _EXACT.subtract(order.locked, _lock_of_rest(market, order, qty, None))
    above = order.max_quote is not None and bought and cost > order.max_quote
    if above or cost > _EXACT.add(books.wallets.free(order.account_id, coin), freed):
        books.close(order, _CANCELLED, TOO_DEAR)
        return
    value, fee = notional(qty, price), fee_of(qty, price, fee_rate(market, maker=order.maker))
    coins, paid = (qty, value.copy_negate()) if bought else (qty.copy_negate(), value)
    _took(books, market, order, qty, None)
    books.wallets.move(order.account_id, market.base, total=coins)
    books.wallets.move(order.account_id, market.quote, total=_EXACT.subtract(paid, fee))
    _executed(books, market, order, qty, price, fee, ts_ms)


def _fill_perpetual(
    books: Books,
    market: Market,
    order: PaperOrder,
    position: PaperPosition,
    qty: Decimal,
    price: Decimal,
    ts_ms: int,
    funded_ms: int,
) -> None:
    account, quote, leverage = order.account_id, market.quote, order.leverage
    after = traded(position, Side(order.side), qty, price, leverage)
    fee = fee_of(qty, price, fee_rate(market, maker=order.maker))
    freed = _EXACT.subtract(order.locked, _lock_of_rest(market, order, qty, position))
    margin = _EXACT.subtract(after.margin, position.margin)
    free = _EXACT.add(books.wallets.free(account, quote), freed)
    left = _EXACT.subtract(_EXACT.add(free, after.gain), margin)  # before the fee
    if after.opening and leverage != position.leverage and position.qty and after.opening == qty:
        books.close(order, _CANCELLED, f"the position has another leverage: {plain(position.leverage)}")
        return
    cost = _EXACT.subtract(_EXACT.add(margin, fee), after.gain)
    if after.opening and (left < fee or (order.max_quote is not None and cost > order.max_quote)):
        books.close(order, _CANCELLED, TOO_DEAR)
        return
    fee = min(fee, max(left, ZERO))  # an exit is always possible: what isn't there isn't paid
    _took(books, market, order, qty, position)
    books.wallets.move(account, quote, total=_EXACT.subtract(after.gain, fee), locked=margin)
    books.positions.change(position, after, leverage, funded_ms)
    _executed(books, market, order, qty, price, fee, ts_ms)


def _lock_of_rest(market: Market, order: PaperOrder, qty: Decimal, position: PaperPosition | None) -> Decimal:
    """Return what the order goes on locking once `qty` more of it has filled: of a perpetual its share."""
    rest = _EXACT.subtract(order.qty, _EXACT.add(order.filled_qty, qty))
    if not rest or not order.locked:
        return ZERO
    if position is not None:
        before = _EXACT.subtract(order.qty, order.filled_qty)
        return money(exact_ratio(exact_product(order.locked, rest), before))
    lock: Decimal = order.locked
    return min(lock, funds_for(market, order, rest, own_price(order), None)[1])


def _took(books: Books, market: Market, order: PaperOrder, qty: Decimal, position: PaperPosition | None) -> None:
    """Count what filled; the order ends with it, or goes on with a smaller lock."""
    lock = _lock_of_rest(market, order, qty, position)
    order.filled_qty = _EXACT.add(order.filled_qty, qty)
    if order.filled_qty >= order.qty:
        books.close(order, _FILLED)
    else:
        books.lock(order, order.lock_coin, lock)
        books.touch(order)


def _executed(
    books: Books, market: Market, order: PaperOrder, qty: Decimal, price: Decimal, fee: Decimal, ts_ms: int
) -> None:
    number = 1 if order.filled_qty == qty else 1 + _executions_of(books, order)
    books.executions.append(_execution(market, order, f"{order.pk}-{number}", qty, price, fee, ts_ms))


def _executions_of(books: Books, order: PaperOrder) -> int:
    fresh = sum(execution.order is order for execution in books.executions)
    return PaperExecution.objects.filter(order=order).count() + fresh


def liquidate(books: Books, market: Market, account_id: int, bar: Bar) -> None:
    """Close a whole position at the price at which its margin is gone; what the account can't pay isn't taken."""
    position = books.positions.get(account_id, market.pk)
    price = levels_of(position, market).bankruptcy
    side = Side.SELL if position.long else Side.BUY
    qty = abs(position.qty)
    after = traded(position, side, qty, price, position.leverage)
    has = _EXACT.add(books.wallets.free(account_id, market.quote), after.released)
    gain = max(after.gain, has.copy_negate())
    fee = min(fee_of(qty, price, market.taker_fee), _EXACT.add(has, gain))
    total = _EXACT.subtract(gain, fee)
    books.wallets.move(account_id, market.quote, total=total, locked=after.released.copy_negate())
    books.positions.change(position, after, position.leverage, bar.ts_ms)
    order = PaperOrder(
        account_id=account_id,
        market=market,
        client_order_id=f"liquidation-{uuid.uuid4().hex[:24]}",
        side=side,
        kind=Kind.MARKET,
        qty=qty,
        filled_qty=qty,
        status=_FILLED,
        reduce=True,
        leverage=position.leverage,
        placed_ms=bar.ts_ms,
    )
    books.add_liquidation(order, _execution(market, order, order.client_order_id, qty, price, fee, bar.ts_ms))


def _execution(
    market: Market, order: PaperOrder, exec_id: str, qty: Decimal, price: Decimal, fee: Decimal, ts_ms: int
) -> PaperExecution:
    return PaperExecution(
        account_id=order.account_id,
        order=order,
        exec_id=exec_id,
        price=price,
        qty=qty,
        fee=fee,
        fee_coin=market.quote,
        maker=order.maker,
        liquidation=order._state.adding,  # only the venue's own orders are made with their fill
        ts_ms=ts_ms,
    )


def fund(books: Books, market: Market, account_id: int, price: float, ts_ms: int) -> None:
    """Pay or take one funding of an open position at `price`."""
    position = books.positions.get(account_id, market.pk)
    free = books.wallets.free(account_id, market.quote)
    amount = books.positions.fund(position, to_decimal(price), ts_ms, free)
    books.wallets.move(account_id, market.quote, total=amount)
