"""What a strategy shows before it starts: figures, levels, funds, warnings; and what it may know for it. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from trading.core.types import Fees, MarketRules


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a preview: exact, with its unit ("USDT", "ratio", "BTC", "" for a count)."""

    key: str
    label: str
    value: Decimal
    unit: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """What a preview may know of one market.

    `closes` are its latest stored closes, oldest first (maybe none); `budget` is the bot's own in quote, None while
    nobody has said it.
    """

    price: float
    rules: MarketRules
    fees: Fees
    symbol: str = ""
    closes: Sequence[float] = ()
    budget: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """One planned order; `role` is buy, sell, or none for the line that stays empty."""

    price: Decimal
    qty: Decimal
    role: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a bot would do with these parameters at this price, before anything is started."""

    figures: tuple[Figure, ...]
    levels: tuple[Level, ...] = ()
    warnings: tuple[str, ...] = ()
    funds: Mapping[str, Decimal] = field(default_factory=dict)  # coin -> to reserve for the bot
    stop_price: Decimal | None = None
    take_profit_price: Decimal | None = None
