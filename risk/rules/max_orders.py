"""No more open orders of a bot than the limit; one that is being cancelled counts until the exchange has said so."""

from __future__ import annotations

from typing import ClassVar

from trading.core.ports import Allow, Deny, RiskContext, RiskOrder


class MaxOrders:
    key: ClassVar[str] = "max_orders"

    def check(self, order: RiskOrder, context: RiskContext) -> Allow | Deny:
        limit = context.limits.max_orders
        if order.exits or limit is None:
            return Allow()
        if context.open_orders is None:
            return Deny(self.key, "it is not known how many orders the bot has open")
        if context.open_orders < limit:
            return Allow()
        return Deny(self.key, f"the bot already has as many open orders as its limit allows: {limit}")
