"""Whether two price series belong together: correlation, least-squares ratio, half-life, Dickey-Fuller test.

Enough for a word of warning before a start; research wants a statistics package. Inputs are float64 arrays (n,).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST = 30  # closes below which nothing is said


@dataclass(frozen=True, slots=True)
class Kinship:
    """What the closes say of a pair. `half_life` is None when the spread doesn't come back at all."""

    count: int
    correlation: float  # of the changes of ln(price)
    ratio: float  # least squares of ln(y) on ln(x)
    deviation: float  # of the spread, population
    half_life: float | None  # candles
    t: float  # Dickey-Fuller, of the spread
    critical: float  # 5 %: below it the spread is taken to come back

    @property
    def comes_back(self) -> bool:
        return self.t < self.critical


def kinship(y: Floats, x: Floats, ratio: float) -> Kinship | None:
    """Judge ln(y) - ratio x ln(x) over closes of equal length; None when they are too few or don't move."""
    count = len(y)
    log_y, log_x = np.log(y), np.log(x)
    spread = log_y - ratio * log_x
    if count < LEAST or min(np.ptp(log_y), np.ptp(log_x), np.ptp(spread)) <= 0:
        return None
    slope, t = dickey_fuller(spread)
    correlation = float(np.corrcoef(np.diff(log_y), np.diff(log_x))[0, 1])
    fitted = float(np.polyfit(log_x, log_y, 1)[0])
    half_life = -math.log(2.0) / slope if slope < 0 else None
    return Kinship(count, correlation, fitted, float(spread.std()), half_life, t, critical_value(count - 1))


def dickey_fuller(series: Floats) -> tuple[float, float]:
    """Return (slope, t statistic) of the regression of the changes on a constant and the value before.

    Without lagged changes: closes of candles of one market are close to uncorrelated, and the result is a warning only.
    Dickey and Fuller (1979), "Distribution of the estimators for autoregressive time series with a unit root".
    """
    before, change = series[:-1], np.diff(series)
    centred = before - before.mean()
    square = float(centred @ centred)
    slope = float(centred @ change) / square
    rest = change - change.mean() - slope * centred
    variance = float(rest @ rest) / (len(change) - 2)
    error = math.sqrt(variance / square)
    return slope, slope / error if error > 0 else -math.inf


def critical_value(count: int) -> float:
    """Return the 5 % critical value for `count` changes: two variables, a constant, as in Engle and Granger's test.

    It allows for a ratio that was itself fitted to the data, and so is the stricter one. MacKinnon (2010), "Critical
    values for cointegration tests", Queen's Economics Department working paper 1227, table 2.
    """
    return -3.33613 - 6.1101 / count - 6.823 / count**2
