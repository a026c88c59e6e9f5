"""Every pre-trade rule, in the order in which they are asked. One line a rule."""

from __future__ import annotations

from risk.rules.budget import Budget
from risk.rules.halted import Halted
from risk.rules.max_order import MaxOrder
from risk.rules.max_orders import MaxOrders
from risk.rules.max_position import MaxPosition
from risk.rules.price_deviation import PriceDeviation
from risk.rules.stale_price import StalePrice
from trading.core.ports import RiskRule

RULES: tuple[RiskRule, ...] = (
    Halted(),
    StalePrice(),
    PriceDeviation(),
    MaxOrder(),
    Budget(),
    MaxPosition(),
    MaxOrders(),
)
