"""What an advised bot may do at most, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal

from bots.strategies.adviser.params import AdviserParams
from bots.strategies.holding import least_quote
from trading.core.errors import InvalidInput
from trading.core.previews import Figure, MarketFacts, Preview
from trading.core.rounding import plain, to_decimal

_CUSHION = Decimal("1.005")  # purchases go at market, a little off the price that is known when they are sized
_PLACES = Decimal("1e-8")


def preview(params: AdviserParams, facts: MarketFacts) -> Preview:
    """Return figures, warnings and funds. Raises InvalidInput for what cannot work on this market."""
    if facts.rules.perpetual is not None:
        text = f"{facts.symbol or facts.rules.base} is a perpetual future: an advised bot trades on spot markets only."
        raise InvalidInput(text, field="market", value=facts.symbol, code="not_spot")
    quote, taker = facts.rules.quote, to_decimal(facts.fees.taker)
    most = params.investment * params.max_allocation_percent / 100
    least = least_quote(most, facts, params.stop_percent, "investment")
    if least is not None:
        text = (
            f"The largest purchase, {plain(params.max_allocation_percent)} % of {plain(params.investment)} {quote}, is "
            f"below the smallest order of this market that can still be sold at the stop, "
            f"{plain(params.stop_percent)} % lower: that costs about {plain(least)} {quote}."
        )
        raise InvalidInput(text, field="investment", value=params.investment, code="minimum")
    worst = most * (params.stop_percent / 100 + 2 * taker)
    asked = Decimal(24 * 60) / params.every_minutes
    funds = Decimal(plain((most * _CUSHION).quantize(_PLACES, ROUND_CEILING)))
    figures = (
        Figure("most", "Largest purchase", _places(most), quote, "Whatever the adviser says."),
        Figure("worst", "Loss of a purchase at its stop", _places(worst), quote, "Fees included, without a gap."),
        Figure("asks_a_day", "Questions a day", asked.quantize(Decimal("0.1")), "", ""),
        Figure(
            "worst_day",
            "Loss if every answer were wrong, a day",
            min(_places(worst * asked), funds),
            quote,
            "Each stopped out; what is reserved is the most that can be lost.",
        ),
        Figure("funds", "To reserve", funds, quote, "The largest purchase and a cushion of 0.5 %."),
    )
    return Preview(figures, warnings=tuple(_warnings(params, taker)), funds={quote: funds})


def _warnings(params: AdviserParams, taker: Decimal) -> Iterator[str]:
    take, fees = params.take_profit_percent, 200 * taker
    if take is not None and take <= fees:
        yield f"A take profit of {plain(take)} % doesn't pay the two fees of a purchase ({plain(fees)} %)."
    if params.min_confidence < Decimal("0.5"):
        yield "A least confidence below 0.5 lets answers count that are more unsure than sure."


def _places(value: Decimal) -> Decimal:
    return Decimal(plain(value.quantize(_PLACES)))
