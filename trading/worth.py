"""What a position is worth and what it holds back: one formula for pages, equity and decisions."""

from __future__ import annotations

from decimal import Decimal

from trading.core.accounting import Holding
from trading.core.perps import initial_margin, liquidation_levels, margin_released
from trading.core.ports import Execution
from trading.core.rounding import notional, to_float
from trading.core.types import Side
from trading.models import Position


def unrealised_at(position: Position, price: Decimal) -> Decimal:
    value: Decimal = notional(position.qty, price) - position.cost
    return value


def total_at(position: Position, price: Decimal) -> Decimal:
    """Return the profit of a position at this price: realised + unrealised - fees + funding."""
    total: Decimal = position.realised + unrealised_at(position, price) - position.fees + position.funding
    return total


def liquidation_price(position: Position) -> float | None:
    """Return where a perpetual position would be liquidated, None for spot and when flat."""
    rules = position.market.rules.perpetual
    if rules is None or not position.qty:
        return None
    average = Holding(position.qty, position.cost).avg_price
    levels = liquidation_levels(average, position.leverage, rules, position.market.tick, position.qty > 0)
    return to_float(levels.liquidation)


def margin_after(position: Position, execution: Execution, leverage: Decimal) -> Decimal:
    """Return the margin that a perpetual position holds after a fill: pro rata less what closes, more what opens."""
    opposite = (position.qty > 0) == (execution.side is Side.SELL)
    closing = min(execution.qty, abs(position.qty)) if position.qty and opposite else Decimal(0)
    margin: Decimal = position.margin
    if closing:
        margin -= margin_released(margin, closing, abs(position.qty))
    return margin + initial_margin(execution.qty - closing, execution.price, leverage)
