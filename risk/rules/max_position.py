"""No order that could carry the position on its market, with all that is open there, over the limit."""

from __future__ import annotations

from typing import ClassVar

from trading.core.ports import Allow, Deny, RiskContext, RiskOrder
from trading.core.rounding import plain


class MaxPosition:
    """Long and short are counted apart: a sell never makes room for buys before it has filled."""

    key: ClassVar[str] = "max_position"

    def check(self, order: RiskOrder, context: RiskContext) -> Allow | Deny:
        limit = context.limits.max_position
        if order.exits or limit is None:
            return Allow()
        standing = context.exposure.get((order.market, order.side))
        if standing is None:
            return Deny(self.key, "it is not known how much the bot holds and has open on this market")
        if standing + order.added <= limit:
            return Allow()
        # What is held moves with the price; told with each tick, the reason would be a new one every second.
        return Deny(self.key, f"with it the position could grow past the limit of {plain(limit)} {order.quote}")
