"""No limit far on the wrong side of the market: a buy high above it or a sell deep below it fills at once, and badly.

Orders that rest away from the market on their own side (the lines of a grid, a take-profit) are what they should be and
pass at any distance. A stop is compared with its trigger: until that is touched, the last price says nothing of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from trading.core.ports import Allow, Deny, RiskContext, RiskOrder
from trading.core.rounding import plain
from trading.core.types import Side


class PriceDeviation:
    key: ClassVar[str] = "price_deviation"

    def check(self, order: RiskOrder, context: RiskContext) -> Allow | Deny:
        limit = context.limits.max_deviation
        if order.exits or limit is None:
            return Allow()
        at = order.reference
        if at is None or at <= 0:
            return Deny(self.key, "there is no price that its own could be compared with")
        worse = order.price - at if order.side is Side.BUY else at - order.price
        if worse <= at * limit:
            return Allow()
        where = "above" if order.side is Side.BUY else "below"
        text = f"its price of {plain(order.price)} stands more than {_percent(limit)} {where} the market"
        return Deny(self.key, text)


def _percent(ratio: Decimal) -> str:
    return f"{plain(ratio * 100)} %"
