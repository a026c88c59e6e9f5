"""The grid's arithmetic: lines, order prices, the quantity of a cell, and whether the grid pays its fees.

All of it is exact (Decimal); the machine takes the results as floats on the market's grid. With lines P_0..P_n, cell i
buys at P_i and sells at P_i+1. The line nearest to the price stays empty: cells above it start held (bought at the
price), cells below it start with a buy. Quantity per cell:
q = investment / (sum of P_i below * (1 + maker) + cells above * price * (1 + taker)), rounded down to the lot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext

from bots.strategies.grid.params import GridParams
from trading.core.errors import InvalidInput
from trading.core.rounding import MAX_STEPS, plain, price_to_tick, to_decimal
from trading.core.types import Fees, MarketRules, Side

EXACT = Context(prec=50)


@dataclass(frozen=True, slots=True)
class GridPlan:
    """One grid at one price. `lots` is the quantity of a cell in lots, `empty` the line without an order."""

    price: Decimal
    lines: tuple[Decimal, ...]  # exact, before the tick
    buys: tuple[Decimal, ...]  # buy price of each cell, on the tick
    sells: tuple[Decimal, ...]  # sell price of each cell, on the tick
    empty: int
    lots: int
    min_lots: int  # what an order needs at least, at the lowest line
    lot: Decimal
    maker: Decimal
    taker: Decimal

    @property
    def cells(self) -> int:
        return len(self.buys)

    @property
    def above(self) -> int:
        """Cells that start held."""
        return self.cells - self.empty

    @property
    def qty(self) -> Decimal:
        return self.lots * self.lot

    def net(self, cell: int) -> Decimal:
        """Profit of one round of a cell after both fees, in quote."""
        gain = self.sells[cell] * (1 - self.maker) - self.buys[cell] * (1 + self.maker)
        return self.qty * gain

    def net_ratio(self, cell: int) -> Decimal:
        """Profit of one round of a cell after both fees, as a share of what its buy costs."""
        return self.sells[cell] * (1 - self.maker) / (self.buys[cell] * (1 + self.maker)) - 1

    @property
    def funds(self) -> Decimal:
        """Quote that the opening buy and all resting buys cost, fees included."""
        return self.qty * cost_per_unit(self.buys[: self.empty], self.above, self.price, self.maker, self.taker)


def make_plan(params: GridParams, price: float, rules: MarketRules, fees: Fees) -> GridPlan:
    """Work out the grid at this price. Raises InvalidInput for one that this market or its fees don't allow."""
    with localcontext(EXACT):
        now = to_decimal(price)
        maker, taker = to_decimal(fees.maker), to_decimal(fees.taker)
        lines = grid_lines(params)
        _check_ticks(params, lines, rules)
        buys = tuple(price_to_tick(line, rules.tick, Side.BUY) for line in lines[:-1])
        sells = tuple(price_to_tick(line, rules.tick, Side.SELL) for line in lines[1:])
        _check_fees(params, buys, sells, maker)
        empty = nearest_line(lines, now)
        unit = cost_per_unit(buys[:empty], len(buys) - empty, now, maker, taker)
        min_lots = lots_needed(rules, buys[0])
        lots = _lots_per_cell(params, unit, rules)
        if lots < min_lots:
            raise _too_small(params, unit, lots, min_lots, rules)
        return GridPlan(now, lines, buys, sells, empty, lots, min_lots, rules.lot, maker, taker)


def grid_lines(params: GridParams) -> tuple[Decimal, ...]:
    """Return the lines from lower to upper: equal steps (arithmetic) or equal ratios (geometric)."""
    with localcontext(EXACT):
        last = params.levels - 1
        if params.spacing == "geometric":
            ratio = (params.upper / params.lower) ** (Decimal(1) / last)
            inner = [params.lower * ratio**i for i in range(last)]
        else:
            inner = [params.lower + (params.upper - params.lower) * i / last for i in range(last)]
        return (*inner, params.upper)


def nearest_line(lines: Sequence[Decimal], price: Decimal) -> int:
    """Return the index of the line nearest to the price; of two equally near ones the lower."""
    return min(range(len(lines)), key=lambda i: (abs(lines[i] - price), i))


def cost_per_unit(below: Sequence[Decimal], above: int, price: Decimal, maker: Decimal, taker: Decimal) -> Decimal:
    """Return the quote needed for one base unit in every cell: limit buys below, one market buy for those above."""
    return sum(below, Decimal(0)) * (1 + maker) + above * price * (1 + taker)


def lots_needed(rules: MarketRules, price: Decimal) -> int:
    """Return the smallest quantity, in lots, that the market takes as an order at this price."""
    with localcontext(EXACT):
        by_notional = (rules.min_notional / (price * rules.lot)).to_integral_value(ROUND_CEILING)
        by_qty = (rules.min_qty / rules.lot).to_integral_value(ROUND_CEILING)
        return max(1, int(by_notional), int(by_qty))


# --- what makes a grid impossible -----------------------------------------------------------------------------------


def _check_ticks(params: GridParams, lines: Sequence[Decimal], rules: MarketRules) -> None:
    if params.lower < rules.tick:
        text = f"The lower price {plain(params.lower)} is below one tick ({plain(rules.tick)}) of this market."
        raise InvalidInput(text, field="lower", value=params.lower, code="tick")
    if params.upper / rules.tick >= MAX_STEPS:
        text = f"The upper price {plain(params.upper)} is too many ticks of {plain(rules.tick)}: choose a lower one."
        raise InvalidInput(text, field="upper", value=params.upper, code="tick")
    step = lines[1] - lines[0]  # the narrowest in both spacings
    if step < rules.tick:
        text = (
            f"{params.levels} lines between {plain(params.lower)} and {plain(params.upper)} are closer than one tick "
            f"({plain(rules.tick)}): use fewer lines or a wider range."
        )
        raise InvalidInput(text, field="levels", value=params.levels, code="tick")


def _check_fees(params: GridParams, buys: Sequence[Decimal], sells: Sequence[Decimal], fee: Decimal) -> None:
    ratio = min(sell / buy for buy, sell in zip(buys, sells, strict=True))
    needed = break_even_ratio(fee)
    if ratio > needed:
        return
    most = _most_lines(params, fee)
    advice = f"at most {most} lines or a wider range" if most >= 3 else "a wider range"
    text = (
        f"With {params.levels} lines the narrowest step is {percent(ratio - 1)} %, and two fees of {percent(fee)} % "
        f"need more than {percent(needed - 1)} %: every round would lose money. Use {advice}."
    )
    raise InvalidInput(text, field="levels", value=params.levels, code="fees")


def break_even_ratio(fee: Decimal) -> Decimal:
    """Return the ratio between two lines at which a round earns exactly its two fees."""
    return (1 + fee) / (1 - fee)


def _most_lines(params: GridParams, fee: Decimal) -> int:
    """Return about how many lines the range can bear (before the tick) so that each step pays its fees."""
    if fee <= 0:
        return params.levels
    if params.spacing == "geometric":
        cells = float((params.upper / params.lower).ln() / break_even_ratio(fee).ln())
    else:
        cells = float((params.upper - params.lower) * (1 + fee) / (2 * fee * params.upper))
    return math.ceil(cells)


def _lots_per_cell(params: GridParams, unit: Decimal, rules: MarketRules) -> int:
    field = "investment" if params.quantity_per_level is None else "quantity_per_level"
    qty = params.quantity_per_level
    if qty is None:
        qty = (params.investment or Decimal(0)) / unit
    lots = (qty / rules.lot).to_integral_value(ROUND_FLOOR)
    if lots >= MAX_STEPS:
        value = getattr(params, field)
        text = f"{plain(value)} makes more lots of {plain(rules.lot)} a cell than can be counted: choose less."
        raise InvalidInput(text, field=field, value=value, code="lot")
    return int(lots)


def _too_small(params: GridParams, unit: Decimal, lots: int, min_lots: int, rules: MarketRules) -> InvalidInput:
    have, least = lots * rules.lot, min_lots * rules.lot
    asked = f"{rules.base}; this market takes no order below {plain(least)} {rules.base} at the lowest line"
    if params.quantity_per_level is not None:
        text = f"A quantity per cell of {plain(params.quantity_per_level)} is {plain(have)} {asked}."
        return InvalidInput(text, field="quantity_per_level", value=params.quantity_per_level, code="minimum")
    needed = (least * unit).quantize(Decimal("0.01"), ROUND_CEILING)
    text = (
        f"An investment of {plain(params.investment or Decimal(0))} over {params.levels} lines gives a cell only "
        f"{plain(have)} {asked}. Invest at least {plain(needed)} {rules.quote}, or use fewer lines."
    )
    return InvalidInput(text, field="investment", value=params.investment, code="minimum")


def percent(ratio: Decimal) -> str:
    """Write a ratio as percent with three digits after the point at most."""
    return plain((ratio * 100).quantize(Decimal("0.001")))
