"""No order that adds risk while the bot is paused or something above it is halted."""

from __future__ import annotations

from typing import ClassVar

from trading.core.ports import Allow, Deny, RiskContext, RiskOrder


class Halted:
    key: ClassVar[str] = "halted"

    def check(self, order: RiskOrder, context: RiskContext) -> Allow | Deny:
        if context.halted and not order.exits:
            return Deny(self.key, context.halted)
        return Allow()
