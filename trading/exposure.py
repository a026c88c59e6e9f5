"""What a bot's position is worth by market and direction, with all that its open orders may still add to it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from trading.core.types import Side
from trading.models import Order

if TYPE_CHECKING:
    from trading.situation import Situation

ZERO = Decimal(0)
Place = tuple[str, Side]  # alias of the market, direction


def exposure_of(situation: Situation) -> dict[Place, Decimal]:
    """Return the exposure in quote, one entry for each market and direction. Exits don't count: they only take away."""
    found: dict[Place, Decimal] = {}
    aliases = {one.market.pk: alias for alias, one in situation.markets.items()}
    for alias, one in situation.markets.items():
        found[alias, Side.BUY] = max(ZERO, one.qty) * one.last
        found[alias, Side.SELL] = max(ZERO, -one.qty) * one.last
    for order in situation.live:
        name = aliases.get(order.market_id, "")
        if name and not order.reduce:
            found[name, Side(order.side)] += order_adds(order, situation.markets[name].last)
    return found


def order_adds(order: Order, last: Decimal) -> Decimal:
    """Return what an open order may still add: in the larger of its forms while an amendment is out."""
    if order.reduce:
        return ZERO
    rest = max(order.qty, order.amend_qty or ZERO) - order.filled_qty
    level = max((price for price in (order.price, order.amend_price) if price is not None), default=None)
    value: Decimal = max(ZERO, rest) * (level or order.trigger or last)
    return value
