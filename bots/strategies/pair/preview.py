"""What a pair would do, before anything is started: sizes, margin, fees, and whether the two belong together."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal

import numpy as np

from bots.strategies.holding import whole_lots
from bots.strategies.pair.params import PairParams
from bots.strategies.pair.statistics import LEAST, Kinship, kinship
from trading.core.errors import InvalidInput
from trading.core.previews import Figure, MarketFacts, Preview
from trading.core.rounding import plain, to_decimal, to_float

_CUSHION = Decimal("1.02")  # market orders, and funding of the legs
_PLACES = Decimal("1e-8")
_WORTH_IT = 1.5  # times the fees that the way back to the exit should bring


def preview(params: PairParams, y: MarketFacts, x: MarketFacts) -> Preview:
    """Return figures, warnings and funds. Raises InvalidInput for a leg that is too small or a leverage not offered."""
    _check_leverage(params, y, x)
    qty_y, qty_x = _leg(params, y, Decimal(1)), _leg(params, x, params.hedge_ratio)
    quote = y.rules.quote
    value = params.leg_quote * (1 + params.hedge_ratio)
    rates = to_decimal(y.fees.taker) + params.hedge_ratio * to_decimal(x.fees.taker)
    fees = 2 * params.leg_quote * rates
    funds = Decimal(plain(((value / params.leverage + fees) * _CUSHION).quantize(_PLACES, ROUND_CEILING)))
    figures = [
        Figure("first", "First leg", qty_y, y.rules.base, "Rounded down to the lot."),
        Figure("second", "Second leg", qty_x, x.rules.base, "On the other side, rounded down to the lot."),
        Figure("value", "Value of both legs", _places(value), quote, ""),
        Figure("fees", "Fees of a round", _places(fees), quote, "Both legs, opened and closed at market."),
        Figure("funds", "To reserve", funds, quote, "Margin, fees and a cushion of 2 %."),
    ]
    found = _kinship(params, y, x)
    if found is None:
        text = _unknown(y, x)
        return Preview(tuple(figures), warnings=(text,), funds={quote: funds})
    figures += _kin_figures(found)
    ratio = to_float(fees / params.leg_quote)
    return Preview(tuple(figures), warnings=tuple(_warnings(params, found, ratio)), funds={quote: funds})


def _check_leverage(params: PairParams, y: MarketFacts, x: MarketFacts) -> None:
    for facts in (y, x):
        perpetual = facts.rules.perpetual
        if perpetual is not None and params.leverage > perpetual.max_leverage:
            most = plain(perpetual.max_leverage)
            text = f"A leverage of {plain(params.leverage)} is more than {facts.symbol} offers: at most {most}."
            raise InvalidInput(text, field="leverage", value=params.leverage, code="range")


def _leg(params: PairParams, facts: MarketFacts, ratio: Decimal) -> Decimal:
    """Return the quantity of a leg. Raises InvalidInput when it is below the smallest order."""
    rules, price = facts.rules, to_decimal(facts.price)
    qty = whole_lots(params.leg_quote * ratio / price, rules, "leg_quote", params.leg_quote)
    if qty > 0 and qty >= rules.min_qty and qty * price >= rules.min_notional:
        return qty
    least = max(rules.min_qty * price, rules.lot * price, rules.min_notional + rules.lot * price)
    needed = (least / ratio).quantize(Decimal("0.01"), ROUND_CEILING)
    text = (
        f"A first leg of {plain(params.leg_quote)} {rules.quote} makes an order of {plain(qty)} {rules.base} on "
        f"{facts.symbol or rules.base}, which is too small: give it at least {plain(needed)} {rules.quote}."
    )
    raise InvalidInput(text, field="leg_quote", value=params.leg_quote, code="minimum")


def _kinship(params: PairParams, y: MarketFacts, x: MarketFacts) -> Kinship | None:
    count = min(len(y.closes), len(x.closes))
    if count < LEAST:
        return None
    closes = [np.asarray(list(facts.closes)[-count:], dtype=np.float64) for facts in (y, x)]
    return kinship(closes[0], closes[1], to_float(params.hedge_ratio))


def _unknown(y: MarketFacts, x: MarketFacts) -> str:
    """Say why nothing can be said of the two."""
    count = min(len(y.closes), len(x.closes))
    if count < LEAST:
        return f"{count} closes of both markets are stored; whether they belong together can be said from {LEAST} on."
    return (
        f"Over {count} stored closes one of the two markets, or their spread, has not moved at all: whether they "
        "belong together can't be said, and without a spread that moves the pair never opens."
    )


def _kin_figures(found: Kinship) -> Iterator[Figure]:
    rows = [
        ("closes", "Closes looked at", float(found.count), "", ""),
        (
            "correlation",
            "Correlation",
            found.correlation,
            "",
            "Of the changes from close to close; above 0.8 is usual.",
        ),
        ("fitted_ratio", "Hedge ratio by least squares", found.ratio, "", "Over these closes."),
        ("half_life", "Half-life of the spread", found.half_life, "candles", "From 1 to half the window is usual."),
        ("dickey_fuller", "Dickey-Fuller t", found.t, "", f"Below {found.critical:.2f} the spread comes back (5 %)."),
        ("deviation", "Deviation of the spread", found.deviation, "ratio", ""),
    ]
    for key, label, value, unit, hint in rows:
        if value is not None and np.isfinite(value):
            yield Figure(key, label, _places(to_decimal(_rounded(value))), unit, hint)


def _rounded(value: float) -> float:
    """Three digits are all that a statistic is good for; of a whole number no digit is lost."""
    return value if value.is_integer() else float(f"{value:.3g}")


def _warnings(params: PairParams, found: Kinship, fees: float) -> Iterator[str]:
    """Say what speaks against this pair; `fees` is a round's, as a share of the first leg."""
    if not found.comes_back:
        yield (
            f"Over {found.count} closes the spread doesn't show that it comes back: Dickey-Fuller t {found.t:.2f}, "
            f"below {found.critical:.2f} would."
        )
    if found.correlation < 0.8:
        yield f"The two markets move little alike: correlation {found.correlation:.2f}, 0.8 or more is usual."
    half_life = found.half_life
    if half_life is not None and not 1 <= half_life <= params.window / 2:
        yield f"The spread's half-life of {half_life:.1f} candles should be from 1 to {params.window / 2:.0f}."
    ratio = to_float(params.hedge_ratio)
    if abs(found.ratio - ratio) > 0.25 * ratio:
        yield f"Least squares over these closes give a hedge ratio of {found.ratio:.2f}, not {ratio:.2f}."
    way = to_float(params.entry - params.exit) * found.deviation
    if way < _WORTH_IT * fees:
        yield f"The way from opening to closing is {way:.3%} of the first leg, the fees of a round are {fees:.3%}."


def _places(value: Decimal) -> Decimal:
    return Decimal(plain(value.quantize(_PLACES)))
