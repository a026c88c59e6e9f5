"""Windowed indicators that TA-Lib lacks, or where its running sums lose digits that a spread needs.

Each sum is made anew at each candle, oldest first, so that it doesn't depend on where a pass begins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading.core.candles import Floats
from trading.core.indicators.base import Arg
from trading.core.indicators.windows import Windowed

HLC = ("high", "low", "close")


def rolling_sum(values: Floats, period: int) -> Floats:
    """Return the sum of the last `period` values at each place; zeros before there are as many. Shape (n,)."""
    total = np.zeros(len(values))
    count = len(values) - period + 1
    inside = total[period - 1 :]
    for step in range(period):
        inside += values[step : step + count]
    return total


def _deviation(values: Floats, period: int) -> tuple[Floats, Floats]:
    """Return (mean, population standard deviation) of the last `period` values, in two passes.

    Where they are all equal the deviation is 0: their mean may be an ulp beside them.
    """
    mean = rolling_sum(values, period) / period
    count = len(values) - period + 1
    inside = np.zeros(count)
    for step in range(period):
        inside += (values[step : step + count] - mean[period - 1 :]) ** 2
    spread = np.zeros(len(values))
    spread[period - 1 :] = np.sqrt(inside / period)
    spread[rolling_extreme(values, period, np.maximum) == rolling_extreme(values, period, np.minimum)] = 0.0
    return mean, spread


def _std(close: Floats, period: float) -> tuple[Floats, ...]:
    return (_deviation(close, int(period))[1],)


def _zscore(close: Floats, period: float) -> tuple[Floats, ...]:
    mean, spread = _deviation(close, int(period))
    return (np.divide(close - mean, spread, out=np.zeros(len(close)), where=spread > 0),)


def _vwap(high: Floats, low: Floats, close: Floats, volume: Floats, period: float) -> tuple[Floats, ...]:
    typical = (high + low + close) / 3.0
    traded = rolling_sum(volume, int(period))
    plain = rolling_sum(typical, int(period)) / period
    return (np.divide(rolling_sum(typical * volume, int(period)), traded, out=plain, where=traded > 0),)


def rolling_extreme(values: Floats, period: int, extreme: Any) -> Floats:
    """Return np.maximum or np.minimum over the last `period` values at each place; what is before them counts not."""
    reach = 1
    found: NDArray[np.float64] = values.copy()
    while reach < period:  # doubled stretches overlap, which an extreme doesn't mind
        step = min(reach, period - reach)
        found[step:] = extreme(found[step:], found[:-step].copy())
        reach += step
    return found


def _highest(high: Floats, period: float) -> tuple[Floats, ...]:
    return (rolling_extreme(high, int(period), np.maximum),)


def _lowest(low: Floats, period: float) -> tuple[Floats, ...]:
    return (rolling_extreme(low, int(period), np.minimum),)


def _donchian(high: Floats, low: Floats, period: float) -> tuple[Floats, ...]:
    upper, lower = np.zeros(len(high)), np.zeros(len(low))
    upper[1:] = rolling_extreme(high, int(period), np.maximum)[:-1]
    lower[1:] = rolling_extreme(low, int(period), np.minimum)[:-1]
    return upper, (upper + lower) / 2.0, lower


def _row(name: str, title: str, columns: tuple[str, ...], compute: Any, low: int) -> Windowed:
    return Windowed(name, title, (Arg("period", low),), columns, compute, lambda n: n - 1)


OWN: tuple[Windowed, ...] = (
    _row("highest", "Highest high of the last candles, this one included", ("high",), _highest, 1),
    _row("lowest", "Lowest low of the last candles, this one included", ("low",), _lowest, 1),
    Windowed("donchian", "Channel of the candles before this one: highest high, middle, lowest low",
             (Arg("period", 1),), ("high", "low"), _donchian, lambda n: n, outputs=("upper", "middle", "lower")),
    _row("std", "Standard deviation of the close (of the whole population)", ("close",), _std, 2),
    _row("zscore", "How many standard deviations the close is above its average; 0 when nothing moved",
         ("close",), _zscore, 2),
    _row("vwap", "Average price weighted by volume (typical prices; plain average without volume)",
         (*HLC, "volume"), _vwap, 1),
)  # fmt: skip
