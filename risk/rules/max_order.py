"""No single order that adds more than the limit of one order: a misplaced decimal point must not become a position."""

from __future__ import annotations

from typing import ClassVar

from trading.core.ports import Allow, Deny, RiskContext, RiskOrder
from trading.core.rounding import plain


class MaxOrder:
    key: ClassVar[str] = "max_order"

    def check(self, order: RiskOrder, context: RiskContext) -> Allow | Deny:
        limit = context.limits.max_order
        if order.exits or limit is None or order.added <= limit:
            return Allow()
        text = f"an order of {plain(order.added)} {order.quote}; the limit of one order is {plain(limit)} {order.quote}"
        return Deny(self.key, text)
