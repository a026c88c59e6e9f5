"""What a deal would do at this price, before anything is started: every order, the sums, and what could go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, localcontext

from bots.strategies.dca.params import DcaParams
from bots.strategies.dca.table import CUSHION, EXACT, Table, make_table, percent
from trading.core.errors import InvalidInput
from trading.core.previews import Figure, Level, MarketFacts, Preview
from trading.core.rounding import plain

THIN = Decimal("0.001")  # a profit below this share is worth a warning
_PLACES = Decimal("1e-8")


def preview(params: DcaParams, facts: MarketFacts) -> Preview:
    """Return orders, figures, warnings and the funds to reserve. Raises InvalidInput for what cannot work."""
    with localcontext(EXACT):
        table = make_table(params, facts)
        _check_liquidation(params, table)
        needed = table.rows[-1].funds * params.max_active_deals * CUSHION
        least = table.budget if table.budget != facts.budget else Decimal(0)  # percent sizes of no budget, or too small
        funds = max(needed, least).quantize(_PLACES, ROUND_CEILING)
        first = table.rows[0]
        return Preview(
            figures=tuple(_figures(params, table, funds)),
            levels=tuple(_levels(table)),
            warnings=tuple(_warnings(params, table, facts.budget)),
            funds={facts.rules.quote: Decimal(plain(funds))},
            stop_price=first.stop,
            take_profit_price=first.target,
        )


def _levels(table: Table) -> Iterator[Level]:
    role = "buy" if table.long else "sell"
    for number, row in enumerate(table.rows):
        name = f"safety order {number}" if number else "base order"
        note = f"{name}: average {_short(row.average)}, take profit {_short(row.target)}, funds {_short(row.funds)}"
        yield Level(row.price, row.qty, role, note)


def _short(value: Decimal) -> str:
    """Write a number with six digits after the first one, at most eight after the point."""
    places = max(-8, min(0, value.adjusted() - 6)) if value else 0
    return plain(value.quantize(Decimal(1).scaleb(places), ROUND_HALF_EVEN))


def _figures(params: DcaParams, table: Table, funds: Decimal) -> Iterator[Figure]:
    first, last, quote, base = table.rows[0], table.rows[-1], table.rules.quote, table.rules.base
    rows: list[tuple[str, str, Decimal | None, str, str]] = [
        ("orders", "Orders of a deal", Decimal(len(table.rows)), "", "Base order and safety orders."),
        ("base_quantity", "Base order", first.qty, base, "Rounded down to the lot."),
        ("quantity_full", "Held, all filled", last.total_qty, base, ""),
        ("average_full", "Average, all filled", last.average, quote, ""),
        ("reach", "Reach of the safety orders", abs(1 - last.price / first.price), "ratio", "From the base order."),
        ("target_first", "Take profit after the base order", first.target, quote, ""),
        ("target_full", "Take profit, all filled", last.target, quote, ""),
        ("profit_first", "Profit with the base order alone", first.profit, quote, "After all fees."),
        ("profit_full", "Profit, all filled", last.profit, quote, "After all fees."),
        ("break_even_full", "Break-even price, all filled", last.break_even, quote, "After all fees."),
        ("funds_deal", "Funds of a deal, all filled", last.funds, quote, "Fees included; the margin on a perpetual."),
        ("deals", "Deals at a time", Decimal(params.max_active_deals), "", ""),
        ("funds", "To reserve", funds, quote, "For all deals at a time, and half a percent more."),
        ("stop_first", "Stop after the base order", first.stop, quote, ""),
        ("stop_full", "Stop, all filled", last.stop, quote, ""),
        ("worst_loss", "Worst loss of a deal", table.worst_loss, quote, _worst_words(params, table)),
        ("liquidation_full", "Liquidation price, all filled", last.liquidation, quote, "Funding isn't counted."),
    ]
    for key, label, value, unit, hint in rows:
        if value is not None:
            yield Figure(key, label, Decimal(plain(value.quantize(_PLACES, ROUND_HALF_EVEN))), unit, hint)


def _worst_words(params: DcaParams, table: Table) -> str:
    if params.stop_loss_percent is not None:
        return "Everything filled, then closed at the stop."
    return "Without a stop: everything filled, then " + ("a price of 0." if table.spot else "liquidated.")


def _check_liquidation(params: DcaParams, table: Table) -> None:
    """Raise InvalidInput where the position is liquidated before a safety order, or before the stop."""
    sign = 1 if table.long else -1
    for number, (row, after) in enumerate(zip(table.rows, table.rows[1:], strict=False), 1):
        if row.liquidation is not None and (after.price - row.liquidation) * sign <= 0:
            text = (
                f"With leverage {plain(params.leverage)} the position is liquidated at {_short(row.liquidation)}, "
                f"before safety order {number} at {plain(after.price)}: lower the leverage or bring the orders closer."
            )
            raise InvalidInput(text, field="leverage", value=params.leverage, code="liquidation")
    last = table.rows[-1]
    if last.liquidation is not None and last.stop is not None and (last.stop - last.liquidation) * sign <= 0:
        text = (
            f"The stop at {_short(last.stop)} comes after the liquidation at {_short(last.liquidation)} with leverage "
            f"{plain(params.leverage)}: lower the leverage or bring the stop closer."
        )
        raise InvalidInput(text, field="stop_loss_percent", value=params.stop_loss_percent, code="liquidation")


def _warnings(params: DcaParams, table: Table, budget: Decimal | None) -> Iterator[str]:
    first = table.rows[0]
    if params.size_in == "percent" and table.budget != budget:
        yield (
            f"Sizes follow the budget: the table shows the smallest one that works, "
            f"{plain(table.budget)} {table.rules.quote}."
        )
    if first.profit < THIN * first.cost:
        yield f"A deal earns only {percent(first.profit / first.cost)} % after fees."
    if params.stop_loss_percent is None:
        yield "There is no stop loss: a deal whose safety orders are all filled waits for as long as it takes."
    if not table.spot:
        yield "Funding is paid on top while a deal is open; neither the target nor the losses shown here count it."
    if params.trailing_profit_percent is not None and params.trailing_profit_percent >= params.take_profit_percent:
        yield "The price may fall by more than the take profit while it trails: then only the fees are earned back."
