"""Derived series: one number made from the prices of several markets (a spread, a ratio), known where all have one.

One formula serves arrays and single prices, so that a backtest and a live bot see the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from trading.core.candles import Candles, Floats
from trading.core.errors import InvalidInput
from trading.core.needs import DerivedSpec

MOST_TERMS = 10


def check_derived(name: str, spec: DerivedSpec, aliases: Mapping[str, object]) -> None:
    """Raise InvalidInput for a derived series that can't be made from these markets."""
    if not 1 <= len(spec.terms) <= MOST_TERMS:
        text = f"the series {name} has {len(spec.terms)} terms: it needs 1 to {MOST_TERMS}"
        raise InvalidInput(text, field="derived", value=name)
    for alias, weight in spec.terms:
        if alias not in aliases:
            text = f"the series {name} is made from {alias!r}, which is no market of this bot: {', '.join(aliases)}"
            raise InvalidInput(text, field="derived", value=alias, code="unknown")
        if not math.isfinite(weight) or not weight:
            text = f"the series {name} weighs {alias} with {weight}: it must be a finite number other than 0"
            raise InvalidInput(text, field="derived", value=weight)
    if not math.isfinite(spec.offset):
        raise InvalidInput(f"the offset of {name} must be a finite number", field="derived", value=spec.offset)


def combine(spec: DerivedSpec, prices: Sequence[Floats]) -> Floats:
    """Return the series for the prices of its terms, in their order; all of the same shape (n,)."""
    total = np.full(len(prices[0]), spec.offset)
    for (_, weight), price in zip(spec.terms, prices, strict=True):
        total += weight * (np.log(price) if spec.log else price)
    return total


def derived_value(spec: DerivedSpec, prices: Mapping[str, float]) -> float | None:
    """Return the series now, None unless every market of it has a price above 0."""
    known = [prices.get(alias) for alias, _ in spec.terms]
    found = [np.array([price]) for price in known if price is not None and price > 0]
    return float(combine(spec, found)[0]) if len(found) == len(known) else None


def derived_candles(spec: DerivedSpec, candles: Mapping[str, Candles]) -> Candles:
    """Return the series at the closes at which all its markets have one, as candles without a path inside."""
    columns = [candles[alias] for alias, _ in spec.terms]
    common = columns[0].ts
    for column in columns[1:]:
        common = np.intersect1d(common, column.ts, assume_unique=True)
    values = combine(spec, [column.close[np.searchsorted(column.ts, common)] for column in columns])
    return Candles.of(common, values, values, values, values)
