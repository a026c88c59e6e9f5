"""A bot spends only what it has: its free quote for buys, its free coins for sells."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from trading.core.perps import initial_margin
from trading.core.ports import Allow, Deny, RiskContext, RiskOrder
from trading.core.rounding import fee_of, notional, plain
from trading.core.types import Side


def funds_needed(order: RiskOrder) -> tuple[str, Decimal]:
    """Return the coin and the amount that an order locks.

    Spot: a buy its notional and fee, a sell its quantity. A perpetual: margin and fee of the part that opens; what
    closes gives its margin back and pays its fee from that.
    """
    if order.leverage is not None:
        opens = order.qty - order.exit_qty
        fee = fee_of(opens, order.price, order.fee_rate)
        return order.quote, initial_margin(opens, order.price, order.leverage) + fee
    if order.side is Side.BUY:
        return order.quote, notional(order.qty, order.price) + fee_of(order.qty, order.price, order.fee_rate)
    return order.base, order.qty


class Budget:
    key: ClassVar[str] = "budget"

    def check(self, order: RiskOrder, context: RiskContext) -> Allow | Deny:
        coin, needed = funds_needed(order)
        free = context.free.get(coin)
        if free is None:
            return Deny(self.key, f"it is not known how much {coin} the bot has free")
        if needed > free:
            return Deny(self.key, f"needs {plain(needed)} {coin}, the bot has {plain(free)} free")
        return Allow()
