"""What strategies that buy and later sell have in common: sizes that a market takes, the stop, the take profit."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from trading.core.errors import InvalidInput
from trading.core.previews import MarketFacts
from trading.core.rounding import (
    MAX_STEPS,
    plain,
    price_on_tick,
    qty_on_lot,
    qty_to_lot,
    to_decimal,
    to_float,
    trigger_to_tick,
)
from trading.core.types import Kind, MarketRules, MarketView, Side, Trail, Trigger, Want

CENT = Decimal("0.01")


def is_order(qty: float, market: MarketView) -> bool:
    """Say whether a quantity, rounded down to the lot, makes an order that this market takes at its price of now."""
    rules = market.rules
    on_lot = qty_on_lot(qty, rules)
    return on_lot > 0 and on_lot >= to_float(rules.min_qty) and on_lot * market.last >= to_float(rules.min_notional)


def buy_qty(quote: float, market: MarketView, stop_percent: Decimal) -> float:
    """Return how much this many quote coins buy at market now, fee included; 0 when that is below the smallest order,
    or would be at its stop."""
    qty = qty_on_lot(quote / (market.last * (1.0 + market.fees.taker)), market.rules)
    stops = not _sinks(qty, stop_level(market.last, market, stop_percent), market)
    return qty if stops and is_order(qty, market) else 0.0


def buy_order(alias: str, qty: float) -> Want:
    return Want(alias, Side.BUY, Kind.MARKET, qty, tag="entry")


def sell_order(alias: str, market: MarketView) -> Want:
    """Return the order that sells all that is held, at market."""
    return Want(alias, Side.SELL, Kind.MARKET, market.position.qty, reduce=True, tag="exit")


def stop_level(price: float, market: MarketView, stop_percent: Decimal) -> float:
    """Return the stop of what was bought at this price."""
    return price_on_tick(price * (1.0 - to_float(stop_percent) / 100.0), market.rules, Side.SELL, Kind.STOP)


def _sinks(qty: float, level: float, market: MarketView) -> bool:
    """Say whether a quantity is below the smallest notional at this price."""
    return qty * level < to_float(market.rules.min_notional)


def is_beyond(market: MarketView, stop_percent: Decimal) -> bool:
    """Say whether the price has passed the stop of what is held, and the market takes an order for it."""
    position = market.position
    return market.last <= stop_level(position.avg_price, market, stop_percent) and is_order(position.qty, market)


def stop_order(alias: str, market: MarketView, stop_percent: Decimal, trailing_percent: Decimal | None = None) -> Want:
    """Return the order that rests as long as something is held: a stop below the purchase price, trailing if asked.

    What was bought in part may be too small an order at its stop: it stands at the lowest price that the market takes.
    """
    position = market.position
    level = stop_level(position.avg_price, market, stop_percent)
    if _sinks(position.qty, level, market):
        least = to_float(market.rules.min_notional) / position.qty
        level = price_on_tick(least, market.rules, Side.SELL, Kind.STOP)
    if trailing_percent is None:
        return Want(alias, Side.SELL, Kind.STOP, position.qty, trigger=Trigger(level), reduce=True, tag="stop")
    trail = Trail(None, to_float(trailing_percent) / 100.0, floor=level)
    return Want(alias, Side.SELL, Kind.TRAILING, position.qty, trail=trail, reduce=True, tag="stop")


def take_price(market: MarketView, percent: Decimal | None) -> float | None:
    """Return the take-profit price of what is held, None without one."""
    if percent is None:
        return None
    return price_on_tick(market.position.avg_price * (1.0 + to_float(percent) / 100.0), market.rules, Side.SELL)


def whole_lots(qty: Decimal, rules: MarketRules, field: str, value: Decimal) -> Decimal:
    """Round down to the lot what follows from the `value` of a form's field. Raises InvalidInput naming it when that is
    more lots than can be counted."""
    if qty / rules.lot >= MAX_STEPS:
        text = f"{plain(value)} makes more lots of {plain(rules.lot)} {rules.base} than can be counted: choose less."
        raise InvalidInput(text, field=field, value=value, code="lot")
    return qty_to_lot(qty, rules.lot)


def least_quote(quote: Decimal, facts: MarketFacts, stop_percent: Decimal, field: str) -> Decimal | None:
    """Return None when `quote` pays for a purchase at this price that is still an order at its stop, else what the
    smallest such one costs, fee included. Raises InvalidInput, naming the form's field, for one beyond measure."""
    rules, price = facts.rules, to_decimal(facts.price)
    unit = price * (1 + to_decimal(facts.fees.taker))
    level = trigger_to_tick(price * (1 - stop_percent / 100), rules.tick, Side.SELL)
    qty = whole_lots(quote / unit, rules, field, quote)
    if qty > 0 and qty >= rules.min_qty and qty * level >= rules.min_notional:
        return None
    lots = (max(rules.min_qty, rules.min_notional / level) / rules.lot).to_integral_value(ROUND_CEILING)
    return (max(lots, Decimal(1)) * rules.lot * unit).quantize(CENT, ROUND_CEILING)
