"""From float64 on a grid to Decimal and back: the one place where a strategy's numbers meet money.

Prices go to the tick by kind of order, quantities to the lot, always down. A float that stands within rounding noise
of a grid point counts as that point, so that 0.1 + 0.2 with tick 0.1 is 0.3 and not 0.4.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

from trading.core.errors import InvalidInput
from trading.core.types import Kind, MarketRules, Side

MAX_STEPS = 2**52  # beyond it neighbouring grid points are no longer distinct floats
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_STORED = Decimal("1e-18")
_NOISE = Decimal(2) ** -48
_CRUMB = Decimal("1e-30")  # what a division to 60 digits may leave; no stored number stands that near beside the grid
_FLOAT_NOISE = 2.0**-48
_FLOAT_WHOLE = 2**53
_MOST_QUICK = 2.0**40
_MOST_PARTS = 10**18  # a power of ten beyond 10**22 is no exact float


def to_decimal(value: float) -> Decimal:
    """Return the shortest decimal that is this float: exact for every grid point below MAX_STEPS."""
    return Decimal(repr(value))


def to_grid(value: float | Decimal, step: Decimal, rounding: str, field: str = "price") -> Decimal:
    """Round to a multiple of `step` by one of decimal's modes. Raises InvalidInput, naming `field`, when none fits.

    Only a float is given the benefit of its noise: a Decimal is exact, and a quantity just below a lot is below it.
    """
    exact = value if isinstance(value, Decimal) else to_decimal(value)
    if not exact.is_finite():
        raise InvalidInput(f"{field} must be a finite number, not {value}", field=field, value=value)
    steps = _EXACT.divide(exact, step)
    if abs(steps) >= MAX_STEPS:
        raise InvalidInput(
            f"{field} {exact} is {steps:.3g} steps of {step}: more than a price or quantity can hold exactly",
            field=field,
            value=value,
        )
    nearest = steps.to_integral_value()
    noise = _CRUMB if isinstance(value, Decimal) else max(abs(steps) * _NOISE, Decimal("1e-9"))
    if abs(steps - nearest) > noise:
        nearest = steps.to_integral_value(rounding=rounding)
    return _EXACT.multiply(nearest, step)


def price_to_tick(price: float | Decimal, tick: Decimal, side: Side, kind: Kind = Kind.LIMIT) -> Decimal:
    """Round a price to the tick: a buy down, a sell up. Of a stop (any `kind`) that is its safe, earlier side."""
    steps = _quick_steps(price, tick, side is Side.BUY) if isinstance(price, float) else None
    if steps is not None:
        return _EXACT.multiply(Decimal(steps), tick)
    return to_grid(price, tick, ROUND_FLOOR if side is Side.BUY else ROUND_CEILING, "price")


def trigger_to_tick(level: float | Decimal, tick: Decimal, side: Side) -> Decimal:
    """Round a stop's trigger to its safe side: a sell stop up, a buy stop down, so that it never fires later."""
    return price_to_tick(level, tick, side, Kind.STOP)


def qty_to_lot(qty: float | Decimal, lot: Decimal) -> Decimal:
    """Round a quantity down to the lot."""
    return to_grid(qty, lot, ROUND_FLOOR, "qty")


def price_on_tick(price: float, rules: MarketRules, side: Side, kind: Kind = Kind.LIMIT) -> float:
    """`price_to_tick` for strategies: float in, float on the grid out."""
    quick = _quick_grid(price, rules.tick, side is Side.BUY)
    return float(price_to_tick(price, rules.tick, side, kind)) if quick is None else quick


def qty_on_lot(qty: float, rules: MarketRules) -> float:
    """`qty_to_lot` for strategies: float in, float on the grid out."""
    quick = _quick_grid(qty, rules.lot, True)
    return float(qty_to_lot(qty, rules.lot)) if quick is None else quick


@lru_cache(1000)
def _fraction(step: Decimal) -> tuple[int, int]:
    return step.as_integer_ratio()


def _quick_grid(value: float, step: Decimal, down: bool) -> float | None:
    """Return what `to_grid` does, in a tenth of its time; None where floats can't tell on which side of noise it is.

    The step is a / b in whole numbers. n x a below 2**53 and b are exact floats, so that their quotient is the float
    nearest to the exact grid point: the one that Decimal gives.
    """
    steps = _quick_steps(value, step, down)
    if steps is None:
        return None
    a, b = _fraction(step)
    return steps * a / b


def _quick_steps(value: float, step: Decimal, down: bool) -> int | None:
    """Return the steps to the grid point that `to_grid` finds; None where floats can't tell."""
    a, b = _fraction(step)
    steps = value * b / a
    if not -_MOST_QUICK < steps < _MOST_QUICK:  # not a number either
        return None
    nearest = round(steps)
    away, noise = abs(steps - nearest), max(abs(steps) * _FLOAT_NOISE, 1e-9)
    if away > noise / 2:
        if away < noise * 2:
            return None
        nearest = math.floor(steps) if down else math.ceil(steps)
    return None if abs(nearest) * a >= _FLOAT_WHOLE or b > _MOST_PARTS else nearest


def to_float(value: Decimal) -> float:
    """Return the float that stands for this number inside a strategy, in an array or in a picture; never in books."""
    return float(value)


def money(value: Decimal) -> Decimal:
    """Round to the 18 places that are stored, half to even, so that what is summed is what is kept."""
    return _EXACT.quantize(value, _STORED)


def exact_product(one: Decimal, other: Decimal) -> Decimal:
    """Multiply to 60 digits: the full product of any two numbers that are stored."""
    return _EXACT.multiply(one, other)


def exact_ratio(one: Decimal, other: Decimal) -> Decimal:
    """Divide to 60 digits; round the answer with `money` before it is kept."""
    return _EXACT.divide(one, other)


def notional(qty: Decimal, price: Decimal) -> Decimal:
    """Return qty x price as money."""
    return money(_EXACT.multiply(qty, price))


def fee_of(qty: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """Return the fee in quote on a trade's notional: a cost is positive."""
    return money(_EXACT.multiply(_EXACT.multiply(qty, price), rate))


def plain(value: Decimal) -> str:
    """Write a number without exponent and without trailing zeros ("0" for zero)."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
