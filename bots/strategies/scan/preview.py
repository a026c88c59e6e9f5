"""What a scan would do, before anything is started: sizes, funds, and whether its exits pay their fees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, Decimal

from bots.strategies.holding import least_quote
from bots.strategies.scan.params import ScanParams
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.previews import Figure, MarketFacts, Preview
from trading.core.rounding import plain, to_decimal

_CUSHION = Decimal("1.005")  # purchases go at market, a little off the price that is known when they are sized
_PLACES = Decimal("1e-8")


def preview(params: ScanParams, markets: Mapping[str, MarketFacts]) -> Preview:
    """Return figures, warnings and funds. Raises InvalidInputs for markets on which a deal would be too small."""
    faults = [fault for alias, facts in markets.items() if (fault := _too_small(params, alias, facts))]
    if faults:
        raise InvalidInputs(faults)
    facts = next(iter(markets.values()))
    quote, taker = facts.rules.quote, max(to_decimal(one.fees.taker) for one in markets.values())
    most = params.quote_per_deal * params.max_deals
    funds = Decimal(plain((most * _CUSHION).quantize(_PLACES, ROUND_CEILING)))
    worst = params.quote_per_deal * (params.stop_percent / 100 + 2 * taker)
    round_fees = 2 * taker * params.quote_per_deal
    figures = (
        Figure("markets", "Markets watched", Decimal(len(markets)), "", "Each is looked at whenever a candle closes."),
        Figure("at_once", "Deals at once", Decimal(params.max_deals), "", ""),
        Figure("round_fees", "Fees of a deal", _places(round_fees), quote, "Purchase and sale, at market."),
        Figure("worst_deal", "Loss of a deal at its stop", _places(worst), quote, "Fees included, without a gap."),
        Figure("worst_all", "Loss when all deals are stopped", _places(worst * params.max_deals), quote, ""),
        Figure("funds", "To reserve", funds, quote, "All deals at once and a cushion of 0.5 %."),
    )
    return Preview(figures, warnings=tuple(_warnings(params, taker)), funds={quote: funds})


def _too_small(params: ScanParams, alias: str, facts: MarketFacts) -> InvalidInput | None:
    needed = least_quote(params.quote_per_deal, facts, params.stop_percent, "quote_per_deal")
    if needed is None:
        return None
    quote = facts.rules.quote
    text = (
        f"{plain(params.quote_per_deal)} {quote} is too small for a deal on {alias}: "
        f"its smallest order that can still be sold at the stop, {plain(params.stop_percent)} % lower, "
        f"costs about {plain(needed)} {quote}."
    )
    return InvalidInput(text, field="quote_per_deal", value=params.quote_per_deal, code="minimum")


def _warnings(params: ScanParams, taker: Decimal) -> Iterator[str]:
    take, fees = params.take_profit_percent, 200 * taker
    if take is not None and take <= fees:
        yield f"A take profit of {plain(take)} % doesn't pay the two fees of a deal ({plain(fees)} %)."
    if take is None and params.trailing_percent is None and not params.exit.strip():
        yield "Only the stop ends a deal: a take profit, a trailing stop or an exit condition would sell with a profit."
    trailing = params.trailing_percent
    if trailing is not None and trailing >= params.stop_percent:
        yield f"The trailing stop of {plain(trailing)} % is wider than the stop of {plain(params.stop_percent)} %."


def _places(value: Decimal) -> Decimal:
    return Decimal(plain(value.quantize(_PLACES)))
