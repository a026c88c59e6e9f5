"""No order that adds risk on a price that is missing or too old."""

from __future__ import annotations

from typing import ClassVar

from trading.core.ports import Allow, Deny, RiskContext, RiskOrder


class StalePrice:
    key: ClassVar[str] = "stale_price"

    def check(self, order: RiskOrder, context: RiskContext) -> Allow | Deny:
        if order.exits:
            return Allow()
        limit_ms = context.facts.get("price_max_age_ms")
        if context.price_age_ms is None or limit_ms is None:
            return Deny(self.key, "there is no price yet")
        if context.price_age_ms > limit_ms:
            # The age itself is left out: a reason that changes every second would be told every second.
            return Deny(self.key, f"the last price is older than {limit_ms / 1000:g} s")
        return Allow()
