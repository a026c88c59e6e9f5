"""A deal as a table: each order with the average, the target, the stop and the funds once it has filled. All exact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from bots.strategies.dca.ladder import (
    Held,
    Step,
    break_even_price,
    least_exit,
    recipe_of,
    steps_of,
    stop_price,
    target_price,
)
from bots.strategies.dca.params import DcaParams
from trading.core.errors import InvalidInput
from trading.core.perps import bankruptcy_price, liquidation_price
from trading.core.previews import MarketFacts
from trading.core.rounding import MAX_STEPS, plain, price_to_tick, qty_to_lot, to_decimal, to_float
from trading.core.types import MarketRules, Side

EXACT = Context(prec=50)
CENT = Decimal("0.01")
CUSHION = Decimal("1.005")  # a base order at market fills a little off the preview


@dataclass(frozen=True, slots=True)
class Row:
    """One order, and the deal once it and all before it have filled. Money in quote; `profit` is after all fees."""

    price: Decimal
    qty: Decimal
    total_qty: Decimal
    cost: Decimal  # of all fills, without fees
    fees: Decimal
    funds: Decimal  # what the deal ties: cost or margin, and fees
    average: Decimal
    target: Decimal
    break_even: Decimal
    profit: Decimal
    stop: Decimal | None
    liquidation: Decimal | None


@dataclass(frozen=True, slots=True)
class Table:
    """A deal at one price. `budget` is what percent sizes were counted from, else 0."""

    rows: tuple[Row, ...]
    rules: MarketRules
    long: bool
    budget: Decimal
    worst_loss: Decimal

    @property
    def spot(self) -> bool:
        return self.rules.perpetual is None


def make_table(params: DcaParams, facts: MarketFacts) -> Table:
    """Work out a deal at this price. Raises InvalidInput for one that this market or its fees don't allow."""
    _check_market(params, facts.rules)
    long, now = params.direction == "long", to_decimal(facts.price)
    steps = (Step(Decimal(0), params.base_order), *steps_of(params))
    prices = [_price(params, now, step.percent, facts.rules) for step in steps]
    budget = Decimal(0)
    if params.size_in == "percent":
        _check_share(params, facts)
        budget = _budget(params, steps, prices, facts)
    rows: list[Row] = []
    for number, (step, price) in enumerate(zip(steps, prices, strict=True)):
        qty = _quantity(params, number, step, price, budget, facts.rules)
        _check_size(params, number, step, price, qty, facts)
        rows.append(_row(params, facts, rows, price, qty))
    _check_profit(params, rows)
    return Table(tuple(rows), facts.rules, long, budget, _worst_loss(params, rows[-1], facts))


def _check_market(params: DcaParams, rules: MarketRules) -> None:
    if rules.perpetual is None:
        if params.direction == "short":
            text = "A spot market can't be sold short: choose long, or a perpetual market."
            raise InvalidInput(text, field="direction", value=params.direction, code="market")
        if params.leverage != 1:
            text = f"A spot market has no leverage: 1, not {plain(params.leverage)}."
            raise InvalidInput(text, field="leverage", value=params.leverage, code="market")
    elif params.leverage > rules.perpetual.max_leverage:
        most = plain(rules.perpetual.max_leverage)
        text = f"This market allows a leverage of {most} at most, not {plain(params.leverage)}."
        raise InvalidInput(text, field="leverage", value=params.leverage, code="range")


def _price(params: DcaParams, now: Decimal, away: Decimal, rules: MarketRules) -> Decimal:
    if not away and params.base_order_type == "market":
        return now
    long = params.direction == "long"
    price = now * (1 - away / 100 if long else 1 + away / 100)
    field = "custom_steps" if params.custom_steps else "deviation_percent"
    if price / rules.tick >= MAX_STEPS:
        text = (
            f"An order {percent(away / 100)} % away from {plain(now)} is more ticks than can be counted: choose less."
        )
        raise InvalidInput(text, field=field, value=getattr(params, field), code="tick")
    price = price_to_tick(price, rules.tick, Side.BUY if long else Side.SELL)
    if price <= 0:
        text = f"An order {percent(away / 100)} % away from {plain(now)} is below one tick ({plain(rules.tick)})."
        raise InvalidInput(text, field=field, value=getattr(params, field), code="tick")
    return price


def _quantity(
    params: DcaParams, number: int, step: Step, price: Decimal, budget: Decimal, rules: MarketRules
) -> Decimal:
    qty = step.size
    if params.size_in != "base":
        qty = (step.size * budget / 100 if params.size_in == "percent" else step.size) / price
    if qty / rules.lot >= MAX_STEPS:
        text = f"A size of {plain(step.size)} is more lots of {plain(rules.lot)} than can be counted: choose less."
        raise InvalidInput(text, field=_size_field(params, number), value=step.size, code="lot")
    return qty_to_lot(qty, rules.lot)


def least_qty(price: Decimal, rules: MarketRules) -> Decimal:
    """Return the smallest order that the market takes at this price."""
    least = max(rules.lot, rules.min_qty, rules.min_notional / price)
    return (least / rules.lot).to_integral_value(ROUND_CEILING) * rules.lot


def _exit_level(params: DcaParams, number: int, price: Decimal, facts: MarketFacts) -> Decimal:
    """Return the price at which an order must still be large enough: the base order's lowest exit; a safety order joins
    what is held."""
    if number:
        return price
    recipe = recipe_of(params)
    level = least_exit(recipe, to_float(price), facts.fees)
    return max(facts.rules.tick, price_to_tick(level, facts.rules.tick, Side.SELL if recipe.long else Side.BUY))


def _budget(params: DcaParams, steps: tuple[Step, ...], prices: list[Decimal], facts: MarketFacts) -> Decimal:
    """Return what percent sizes are counted from: the bot's budget, or the smallest that works if that is more."""
    levels = [_exit_level(params, number, price, facts) for number, price in enumerate(prices)]
    least_of = [least_qty(level, facts.rules) for level in levels]
    needed = [qty * price * 100 / step.size for step, price, qty in zip(steps, prices, least_of, strict=True)]
    least = (max(needed) * Decimal("1.001")).quantize(CENT, ROUND_CEILING)
    given = facts.budget
    return least if given is None or not given.is_finite() else max(least, given)


def _check_share(params: DcaParams, facts: MarketFacts) -> None:
    """Raise InvalidInput where percent sizes of all deals, fees and a cushion included, need more than the budget."""
    maker, taker = to_decimal(facts.fees.maker), to_decimal(facts.fees.taker)
    safety = sum((step.size for step in steps_of(params)), Decimal(0))
    total, unit = params.base_order + safety, 1 / params.leverage
    first = params.base_order * (unit + (maker if params.base_order_type == "limit" else taker))
    needed = (first + safety * (unit + maker)) * params.max_active_deals * CUSHION
    if needed <= 100:
        return
    text = (
        f"With fees and half a percent more, all orders of all deals need "
        f"{plain(needed.quantize(CENT, ROUND_CEILING))} % of the budget: the sizes of a deal are {plain(total)} % in "
        f"sum and may be {plain((total * 100 / needed).quantize(CENT, ROUND_FLOOR))} % at most."
    )
    raise InvalidInput(text, field="base_order", value=params.base_order, code="range")


def _size_field(params: DcaParams, number: int) -> str:
    if not number:
        return "base_order"
    return "custom_steps" if params.custom_steps else "safety_order"


def _check_size(params: DcaParams, number: int, step: Step, price: Decimal, qty: Decimal, facts: MarketFacts) -> None:
    rules, level = facts.rules, _exit_level(params, number, price, facts)
    least = least_qty(level, rules)
    if qty >= least:
        return
    name, field = f"Safety order {number}" if number else "The base order", _size_field(params, number)
    unit = rules.base if params.size_in == "base" else rules.quote
    enough = least if params.size_in == "base" else (least * price).quantize(CENT, ROUND_CEILING)
    where = f" at its exit, {plain(level)}" if level != price else ""
    text = (
        f"{name} of {plain(step.size)} {unit} at {plain(price)} is {plain(qty)} {rules.base}; this market takes no "
        f"order below {plain(least)} {rules.base}{where}: {plain(enough)} {unit} would do."
    )
    raise InvalidInput(text, field=field, value=getattr(params, field), code="minimum")


def _row(params: DcaParams, facts: MarketFacts, before: list[Row], price: Decimal, qty: Decimal) -> Row:
    rules, fees, long = facts.rules, facts.fees, params.direction == "long"
    recipe, sign = recipe_of(params), 1 if long else -1
    maker, taker = to_decimal(fees.maker), to_decimal(fees.taker)
    rate = maker if before or recipe.limit else taker
    total = qty + (before[-1].total_qty if before else 0)
    cost = qty * price + (before[-1].cost if before else 0)
    paid = qty * price * rate + (before[-1].fees if before else 0)
    first = before[0].cost if before else cost
    held = Held(to_float(total), to_float(cost), to_float(paid), to_float(first))
    leaving = fees.maker if recipe.trail is None else fees.taker
    target = price_to_tick(target_price(recipe, long, held, leaving), rules.tick, Side.SELL if long else Side.BUY)
    stop = stop_price(recipe, long, held, to_float(before[0].price if before else price))
    average, perpetual = cost / total, rules.perpetual
    return Row(
        price=price, qty=qty, total_qty=total, cost=cost, fees=paid, funds=cost / params.leverage + paid,
        average=average, target=target, break_even=to_decimal(break_even_price(long, held, leaving)),
        profit=sign * (target * total - cost) - paid - target * total * to_decimal(leaving),
        stop=None if stop is None else to_decimal(stop),
        liquidation=None if perpetual is None
        else liquidation_price(average, params.leverage, perpetual.maintenance_rate, long),
    )  # fmt: skip


def _check_profit(params: DcaParams, rows: list[Row]) -> None:
    """Raise InvalidInput for a target that doesn't pay its fees: possible only where they are not in it."""
    worst = min(rows, key=lambda row: row.profit)
    if worst.profit > 0:
        return
    if params.take_profit_of == "base":
        advice = f" with {rows.index(worst) + 1} orders filled: take more, or count after fees"
    else:
        needed = (abs(worst.break_even / worst.average - 1) * 100).quantize(Decimal("0.001"), ROUND_CEILING)
        advice = f": it must be above {plain(needed)} %, or count after fees"
    text = f"A take profit of {plain(params.take_profit_percent)} % before fees doesn't pay them{advice}."
    raise InvalidInput(text, field="take_profit_percent", value=params.take_profit_percent, code="fees")


def _worst_loss(params: DcaParams, last: Row, facts: MarketFacts) -> Decimal:
    """Return what is lost with everything filled: at the stop, else at a price of 0 or at the liquidation."""
    long, taker = params.direction == "long", to_decimal(facts.fees.taker)
    if last.stop is not None:
        at = last.stop
    elif facts.rules.perpetual is None:
        at = Decimal(0)
    else:
        at = bankruptcy_price(last.average, params.leverage, long)
    sign = 1 if long else -1
    loss = sign * (last.cost - at * last.total_qty) + last.fees + at * last.total_qty * taker
    return max(Decimal(0), loss)


def percent(ratio: Decimal) -> str:
    """Write a ratio as percent with three digits after the point at most."""
    return plain((ratio * 100).quantize(Decimal("0.001")))
