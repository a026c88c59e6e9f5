"""The standard indicators, as TA-Lib computes them. It is loaded when the first of them is asked for.

Averages are TA-Lib's: an EMA begins with the simple average of its first period, Wilder's averages likewise. What
they begin with has no weight any more in a settled window (trading.core.indicators.windows).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from trading.core.indicators.base import Arg
from trading.core.indicators.windows import Windowed, ema_settle, wilder_settle

HLC = ("high", "low", "close")
OHLC = ("open", "high", "low", "close")
EMA_SEED = "simple average, settled"
WILDER_SEED = "simple average (Wilder), settled"


@cache
def _library() -> Any:
    from talib import _ta_lib

    return _ta_lib


class _Call:
    """One function of TA-Lib: so many columns of floats, then whole numbers and factors."""

    def __init__(self, name: str, columns: int, *fixed: int) -> None:
        self._name = name
        self._columns = columns
        self._fixed = fixed

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        columns, args = values[: self._columns], values[self._columns :]
        found = getattr(_library(), self._name)(*columns, *(int(arg) for arg in args), *self._fixed)
        return found if isinstance(found, tuple) else (found,)


def _bands(close: Any, period: float, width: float) -> tuple[Any, ...]:
    found: tuple[Any, ...] = _library().BBANDS(close, int(period), width, width)
    return found


def _stochastic(high: Any, low: Any, close: Any, period: float, slowing: float, smoothing: float) -> tuple[Any, ...]:
    found: tuple[Any, ...] = _library().STOCH(high, low, close, int(period), int(slowing), 0, int(smoothing), 0)
    return found


class _Pattern:
    """A candle pattern: 1 where it is bullish, -1 where it is bearish, else 0."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *columns: Any) -> tuple[Any, ...]:
        return (np.sign(getattr(_library(), self._name)(*columns)).astype(np.float64),)


def _period(low: int = 2) -> tuple[Arg, ...]:
    return (Arg("period", low),)


def _average(name: str, title: str, low: int = 1) -> Windowed:
    return Windowed(name, title, _period(low), ("close",), _Call(name.upper(), 1), lambda n: n - 1)


def _change(name: str, title: str) -> Windowed:
    return Windowed(name, title, _period(1), ("close",), _Call(name.upper(), 1), lambda n: n)


def _wilder(name: str, title: str) -> Windowed:
    return Windowed(name, title, _period(), HLC, _Call(name.upper(), 3), lambda n: n, wilder_settle, seed=WILDER_SEED)


def _pattern(name: str, title: str, talib_name: str, lookback: int) -> Windowed:
    return Windowed(name, title, (), OHLC, _Pattern(talib_name), lambda: lookback)


_MACD = (Arg("fast", 2), Arg("slow", 3), Arg("signal", 1))
_STOCH = (Arg("period", 1), Arg("slowing", 1), Arg("smoothing", 1))
_STOCHRSI = (Arg("rsi period", 2), Arg("period", 1), Arg("smoothing", 1))

STANDARD: tuple[Windowed, ...] = (
    _average("sma", "Simple moving average of the close", low=2),
    _average("wma", "Linearly weighted moving average of the close", low=2),
    Windowed("ema", "Exponential moving average of the close, alpha = 2 / (period + 1)", _period(), ("close",),
             _Call("EMA", 1), lambda n: n - 1, ema_settle, seed=EMA_SEED),
    Windowed("rsi", "Relative strength index, 0 to 100", _period(), ("close",),
             _Call("RSI", 1), lambda n: n, wilder_settle, seed=WILDER_SEED),
    Windowed("macd", "Difference of two EMAs, its own EMA, and the difference of these", _MACD, ("close",),
             _Call("MACD", 1), lambda fast, slow, signal: slow + signal - 2,
             lambda fast, slow, signal: ema_settle(slow) + ema_settle(signal),
             ("macd", "signal", "hist"), EMA_SEED, rising=True),
    Windowed("bbands", "Bollinger bands: simple average and so many standard deviations around it",
             (Arg("period", 2), Arg("width", 0.01, 100, whole=False)), ("close",), _bands,
             lambda n, width: n - 1, outputs=("upper", "middle", "lower")),
    _wilder("atr", "Average true range"),
    _wilder("natr", "Average true range in percent of the close"),
    Windowed("adx", "Average directional movement index, 0 to 100", _period(), HLC, _Call("ADX", 3),
             lambda n: 2 * n - 1, lambda n: 2 * wilder_settle(n), seed=WILDER_SEED),
    _wilder("plus_di", "Plus directional indicator, 0 to 100"),
    _wilder("minus_di", "Minus directional indicator, 0 to 100"),
    Windowed("stoch", "Stochastic: where the close stands in the range, 0 to 100, smoothed; and its average", _STOCH,
             HLC, _stochastic, lambda n, slowing, smoothing: n + slowing + smoothing - 3, outputs=("k", "d")),
    Windowed("stochrsi", "Stochastic of the RSI, 0 to 100, and its average", _STOCHRSI, ("close",),
             _Call("STOCHRSI", 1), lambda rsi, n, smoothing: rsi + n + smoothing - 2,
             lambda rsi, n, smoothing: wilder_settle(rsi), ("k", "d"), WILDER_SEED),
    Windowed("cci", "Commodity channel index", _period(), HLC, _Call("CCI", 3), lambda n: n - 1),
    Windowed("mfi", "Money flow index, 0 to 100", _period(), (*HLC, "volume"), _Call("MFI", 4), lambda n: n),
    Windowed("willr", "Williams %R, -100 to 0", _period(), HLC, _Call("WILLR", 3), lambda n: n - 1),
    _change("roc", "Change of the close over the period in percent"),
    _change("mom", "Change of the close over the period"),
    _pattern("engulfing", "Engulfing candle: 1 bullish, -1 bearish, 0 none", "CDLENGULFING", 2),
    _pattern("hammer", "Hammer: 1 or 0", "CDLHAMMER", 11),
    _pattern("shooting_star", "Shooting star: -1 or 0", "CDLSHOOTINGSTAR", 11),
    _pattern("doji", "Doji: 1 or 0", "CDLDOJI", 10),
    _pattern("harami", "Harami: 1 bullish, -1 bearish, 0 none", "CDLHARAMI", 11),
    _pattern("morning_star", "Morning star: 1 or 0", "CDLMORNINGSTAR", 12),
    _pattern("evening_star", "Evening star: -1 or 0", "CDLEVENINGSTAR", 12),
)  # fmt: skip
