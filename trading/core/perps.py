"""Margin of a perpetual position, isolated and at average cost: exact, for backtest, paper venue and books alike.

A position of quantity q (signed, base) entered at average price E with leverage L locks |q| E / L of the quote as
margin. It is worth margin + q (price - E). It is bankrupt where that is 0, and liquidated a little before: where it
falls to the maintenance share m of the notional at that price, margin + q (P - E) = m |q| P. Solved for P (Binance's
"How to calculate the liquidation price of USD-M futures contracts" for one isolated position in one maintenance tier):

    long   bankruptcy E (1 - 1/L)    liquidation E (1 - 1/L) / (1 - m)
    short  bankruptcy E (1 + 1/L)    liquidation E (1 + 1/L) / (1 + m)
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from trading.core.rounding import exact_product, exact_ratio, money, notional, to_grid
from trading.core.types import Perpetual

ONE = Decimal(1)


class LiquidationLevels(NamedTuple):
    """Prices in quote: touching `liquidation` closes the whole position at `bankruptcy`."""

    liquidation: Decimal
    bankruptcy: Decimal


def initial_margin(qty: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
    """Return the quote that opening `qty` (any sign) at `price` locks."""
    return money(exact_ratio(exact_product(qty.copy_abs(), price), leverage))


def margin_released(margin: Decimal, closed: Decimal, held: Decimal) -> Decimal:
    """Return the part of `margin` that comes back with closing `closed` of `held` (both without sign): pro rata.

    All of it comes back with the last piece, so that no crumb stays locked.
    """
    return margin if closed >= held else money(exact_ratio(exact_product(margin, closed), held))


def bankruptcy_price(avg: Decimal, leverage: Decimal, long: bool) -> Decimal:
    """Return the price at which the loss equals the margin; 0 for a long without leverage."""
    return money(exact_ratio(exact_product(avg, leverage - ONE if long else leverage + ONE), leverage))


def liquidation_price(avg: Decimal, leverage: Decimal, maintenance_rate: Decimal, long: bool) -> Decimal:
    """Return the price at which what is left of the margin is the maintenance share of the notional."""
    share = leverage - ONE if long else leverage + ONE
    kept = ONE - maintenance_rate if long else ONE + maintenance_rate
    return money(exact_ratio(exact_product(avg, share), exact_product(leverage, kept)))


def liquidation_levels(
    avg: Decimal, leverage: Decimal, rules: Perpetual, tick: Decimal, long: bool
) -> LiquidationLevels:
    """Return both prices on the tick, rounded towards the entry: never later, and never at a loss above the margin."""
    rounding = ROUND_CEILING if long else ROUND_FLOOR
    return LiquidationLevels(
        to_grid(liquidation_price(avg, leverage, rules.maintenance_rate, long), tick, rounding),
        to_grid(bankruptcy_price(avg, leverage, long), tick, rounding),
    )


def funding_amount(qty: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """Return what a position of `qty` (signed) gets at a funding: longs pay a positive rate, shorts get it."""
    return notional(exact_product(qty, rate), price).copy_negate()


def funding_times(after_ms: int, until_ms: int, interval_ms: int) -> range:
    """Return the times (UTC ms) of fundings with after < time <= until: full multiples of the interval since 1970."""
    return range((after_ms // interval_ms + 1) * interval_ms, until_ms + 1, interval_ms)
