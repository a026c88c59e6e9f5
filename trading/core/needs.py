"""What a strategy watches: markets, signals on their closed candles, series made from several of them. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class MarketRef:
    """A market by its symbol ("BTC/USDT"); `venue` is empty for the bot's own account."""

    symbol: str
    venue: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A number, flag or object at the last closed candle: an indicator or a column of the candles themselves.

    `name` is a key of trading.core.indicators.INDICATORS ("ema", "rsi", ...) or open, high, low, close, volume;
    `output` picks one of an indicator with several ("signal" of macd).
    """

    name: str
    args: tuple[float, ...] = ()
    output: str = ""


@dataclass(frozen=True, slots=True)
class Const:
    value: float


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison of two values; "crosses_above" is true at the one candle at which left rises above right."""

    left: Value | Const
    op: Literal[">", ">=", "<", "<=", "crosses_above", "crosses_below"]
    right: Value | Const


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class On:
    """A condition looked at on candles of another length: as of the last one of those that has closed."""

    timeframe_ms: int
    part: Condition


Condition = Compare | AllOf | AnyOf | On


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """A value or condition computed once per market, timeframe and arguments from closed candles, for all bots.

    A condition without a value yet (warm-up of any part) is None, not False.
    """

    market: str  # alias in Needs.markets or a name in Needs.derived
    of: Value | Condition
    timeframe_ms: int = 0  # 0 = the timeframe on which the bot runs


@dataclass(frozen=True, slots=True)
class DerivedSpec:
    """A series made from several markets: offset + the sum of weight x price, or x ln(price) where `log`.

    It has a value at the end of each bar (a candle in a backtest or replay, an update of a live feed) at which all its
    markets have one, and no path inside the bar: nobody knows how the extremes of two markets met.
    """

    terms: tuple[tuple[str, float], ...]  # (alias, weight)
    log: bool = False
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Needs:
    """What a strategy watches. `warmup` = closed candles that must exist before its first decision.

    `leverage` counts on perpetual markets only. `advice` names the kinds of questions that it may ask.
    """

    markets: Mapping[str, MarketRef]
    signals: Mapping[str, SignalSpec] = field(default_factory=dict)
    derived: Mapping[str, DerivedSpec] = field(default_factory=dict)
    warmup: int = 0
    advice: tuple[str, ...] = ()
    leverage: float = 1.0
