"""What a grid would do at this price, before anything is started: every line, the sums, and what could go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, localcontext

from bots.strategies.grid.params import GridParams
from bots.strategies.grid.plan import EXACT, GridPlan, break_even_ratio, make_plan, percent
from trading.core.errors import InvalidInput
from trading.core.previews import Figure, Level, Preview
from trading.core.rounding import plain
from trading.core.types import Fees, MarketRules

CUSHION = Decimal("1.005")  # reserved beyond the investment: the opening buy goes at market, a little off the preview
THIN = Decimal("0.001")  # a net profit per cell below this is worth a warning
_PLACES = Decimal("1e-8")


def preview(params: GridParams, price: float, rules: MarketRules, fees: Fees) -> Preview:
    """Return levels, figures, warnings and the funds to reserve. Raises InvalidInput for a grid that cannot work."""
    plan = make_plan(params, price, rules, fees)
    _check_exits(params, plan)
    with localcontext(EXACT):
        invested = plan.funds if params.investment is None else params.investment
        funds = (invested * CUSHION).quantize(_PLACES, ROUND_CEILING).normalize()
        return Preview(
            figures=tuple(_figures(params, plan, rules, funds)),
            levels=tuple(_levels(plan)),
            warnings=tuple(_warnings(plan)),
            funds={rules.quote: Decimal(plain(funds))},
            stop_price=params.stop_price,
            take_profit_price=params.take_profit_price,
        )


def _check_exits(params: GridParams, plan: GridPlan) -> None:
    price, stop, take = plan.price, params.stop_price, params.take_profit_price
    if stop is not None and price <= stop:
        text = f"The price {plain(price)} is already at or below the stop price {plain(stop)}: it ends at once."
        raise InvalidInput(text, field="stop_price", value=stop, code="range")
    if take is not None and price >= take:
        text = f"The price {plain(price)} is already at or above the take-profit price {plain(take)}: it ends at once."
        raise InvalidInput(text, field="take_profit_price", value=take, code="range")


def _levels(plan: GridPlan) -> Iterator[Level]:
    for i in range(plan.cells + 1):
        if i < plan.empty:
            yield Level(plan.buys[i], plan.qty, "buy")
        elif i == plan.empty:
            line = plan.sells[i - 1] if i else plan.buys[0]
            yield Level(line, Decimal(0), "none", "nearest to the price: starts without an order")
        else:
            yield Level(plan.sells[i - 1], plan.qty, "sell", "bought at the start")


def _figures(params: GridParams, plan: GridPlan, rules: MarketRules, funds: Decimal) -> Iterator[Figure]:
    quote, base, cells = rules.quote, rules.base, range(plan.cells)
    gross = [plan.qty * (plan.sells[i] - plan.buys[i]) for i in cells]
    net = [plan.net(i) for i in cells]
    ratios = [plan.net_ratio(i) for i in cells]
    steps = [plan.lines[i + 1] - plan.lines[i] for i in cells]
    widths = [plan.lines[i + 1] / plan.lines[i] - 1 for i in cells]
    rows = [
        ("cells", "Cells", Decimal(plan.cells), "", "Pairs of neighbouring lines; each buys low and sells high."),
        ("step_min", "Step", min(steps), quote, "Distance between two lines, the narrowest."),
        ("step_max", "Step, widest", max(steps), quote, "Distance between two lines, the widest."),
        ("step_ratio_min", "Step in percent, narrowest", min(widths), "ratio", ""),
        ("step_ratio_max", "Step in percent, widest", max(widths), "ratio", ""),
        ("break_even_step_ratio", "Step that just pays two fees", break_even_ratio(plan.maker) - 1, "ratio", ""),
        ("quantity", "Quantity per cell", plan.qty, base, "Rounded down to the lot."),
        ("gross_min", "Profit per cell before fees", min(gross), quote, "The smallest of all cells."),
        ("gross_max", "Profit per cell before fees, largest", max(gross), quote, ""),
        ("net_min", "Profit per cell after fees", min(net), quote, "The smallest of all cells."),
        ("net_max", "Profit per cell after fees, largest", max(net), quote, ""),
        ("net_ratio_min", "Profit per cell after fees, of its cost", min(ratios), "ratio", ""),
        ("net_ratio_max", "Profit per cell after fees, of its cost, largest", max(ratios), "ratio", ""),
        ("base_at_start", "Bought at the start", plan.qty * plan.above, base, "One market buy for the cells above."),
        ("cost_at_start", "Cost of the opening buy", _opening(plan), quote, "Fee included."),
        ("cost_total", "Cost of all buys", plan.funds, quote, "Opening buy and every resting buy, fees included."),
        ("funds", "To reserve", funds, quote, "The investment and a cushion of 0.5 % for the opening buy."),
        ("break_even_price", "Break-even price", _break_even(plan, False), quote, "Of what is held after the start."),
        ("break_even_full", "Break-even, all bought", _break_even(plan, True), quote, "After every buy has filled."),
        (
            "worst_loss",
            "Worst loss at " + _floor_name(params),
            _worst(params, plan),
            quote,
            "All bought, then all sold.",
        ),
    ]
    for key, label, value, unit, hint in rows:
        yield Figure(key, label, Decimal(plain(value.quantize(_PLACES, ROUND_HALF_EVEN))), unit, hint)


def _opening(plan: GridPlan) -> Decimal:
    return plan.qty * plan.above * plan.price * (1 + plan.taker)


def _break_even(plan: GridPlan, full: bool) -> Decimal:
    """Return the price at which selling all at market gives back its cost; with nothing held: once all is bought."""
    if plan.above and not full:
        return plan.price * (1 + plan.taker) / (1 - plan.taker)
    return plan.funds / (plan.qty * plan.cells * (1 - plan.taker))


def _floor_name(params: GridParams) -> str:
    return "the lower price" if params.stop_price is None else "the stop price"


def _worst(params: GridParams, plan: GridPlan) -> Decimal:
    """Return what is lost when every buy fills and everything is sold at the stop price (or the lower one)."""
    floor = params.lower if params.stop_price is None else params.stop_price
    held = plan.cells if floor <= plan.buys[0] else plan.above
    return max(Decimal(0), plan.funds - plan.qty * held * floor * (1 - plan.taker))


def _warnings(plan: GridPlan) -> Iterator[str]:
    price, low, high = plan.price, plan.lines[0], plan.lines[-1]
    if price > high:
        yield f"The price {plain(price)} is above all lines: no buy until it falls to {plain(plan.buys[-1])}."
    elif price < low:
        yield f"The price {plain(price)} is below all lines: every cell is bought at once, at the start."
    thinnest = min(range(plan.cells), key=plan.net_ratio)
    if plan.net_ratio(thinnest) < THIN:
        net = percent(plan.net_ratio(thinnest))
        yield f"A round of the thinnest cell earns only {net} % after fees: fewer lines would leave more of each."
