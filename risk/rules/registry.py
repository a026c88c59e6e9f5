"""Every pre-trade rule, in the order in which they are asked. One line a rule."""

from __future__ import annotations

from risk.rules.budget import Budget
from risk.rules.halted import Halted
from risk.rules.stale_price import StalePrice
from trading.core.ports import RiskRule

RULES: tuple[RiskRule, ...] = (Halted(), StalePrice(), Budget())
