"""What is an order at all on one market of the paper venue: kinds, steps, prices, trails, leverage.

All of these raise OrderRejected.
"""

from __future__ import annotations

import math
from decimal import Decimal

from exchanges.models import Market
from trading.core.errors import InvalidInput, OrderRejected
from trading.core.ports import OrderRequest
from trading.core.rounding import plain, price_to_tick, qty_to_lot
from trading.core.types import Kind, Side, Tif, Trail

_NEEDED = {  # kind -> the prices that it names
    Kind.LIMIT: ("price",),
    Kind.STOP: ("trigger",),
    Kind.STOP_LIMIT: ("price", "trigger"),
    Kind.MARKET: (),
    Kind.TRAILING: (),
}


def check_form(market: Market, order: OrderRequest) -> None:
    """Refuse what isn't an order on this market at all."""
    if not market.active:
        raise OrderRejected(f"{market} is closed", code="market_closed")
    check_qty(market, order.qty)
    check_prices(market, order.kind, order.side, order.price, order.trigger)
    if order.tif is Tif.POST_ONLY and order.kind not in (Kind.LIMIT, Kind.STOP_LIMIT):
        raise OrderRejected(f"a {order.kind} order always trades at once: it can't be post-only", code="tif")
    if order.kind is Kind.TRAILING:
        _check_trail(order.trail)
    elif order.trail is not None:
        raise OrderRejected(f"a {order.kind} order has no trail", code="trail")
    _check_leverage(market, order.leverage)


def check_qty(market: Market, qty: Decimal) -> None:
    """Refuse a quantity off the lot."""
    try:
        if qty <= 0 or qty_to_lot(qty, market.lot) != qty:
            raise OrderRejected(f"quantity {qty} must be a positive multiple of {plain(market.lot)}", code="lot")
    except InvalidInput as error:
        raise OrderRejected(error.message, code="number") from error


def check_prices(market: Market, kind: Kind, side: Side, price: Decimal | None, trigger: Decimal | None) -> None:
    """Refuse prices that are missing or off the tick."""
    values = {"price": price, "trigger": trigger}
    for name in _NEEDED[kind]:
        level = values[name]
        if level is None:
            raise OrderRejected(f"a {kind} order needs a {name}", code="price")
        try:
            if level <= 0 or price_to_tick(level, market.tick, side) != level:
                text = f"{name} {level} must be a positive multiple of {plain(market.tick)}"
                raise OrderRejected(text, code="tick")
        except InvalidInput as error:
            raise OrderRejected(error.message, code="number") from error


def _check_trail(trail: Trail | None) -> None:
    if trail is None:
        raise OrderRejected("a trailing order needs a trail", code="trail")
    if not (0 <= trail.offset_ratio < 1 and 0 <= trail.offset < math.inf):
        text = "a trail follows at a ratio of 0 to 1 or a distance of 0 or more"
        raise OrderRejected(f"{text}, not {trail.offset_ratio} and {trail.offset}", code="trail")
    for name, level in (("activation", trail.activation), ("floor", trail.floor)):
        if level is not None and not 0 < level < math.inf:
            raise OrderRejected(f"a trail's {name} must be a price above 0, not {level}", code="trail")


def _check_leverage(market: Market, leverage: Decimal) -> None:
    most = market.max_leverage if market.perpetual else Decimal(1)
    if not 1 <= leverage <= most:
        raise OrderRejected(f"the leverage on {market.symbol} is 1 to {plain(most)}, not {leverage}", code="leverage")
