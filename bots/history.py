"""What is stored of a market's candles, as far as a bot that is about to start must know."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.cache import cache
from pydantic import BaseModel

from bots.markets import field_of
from exchanges.models import Market
from exchanges.selectors import candles_window
from trading.core.errors import InvalidInput
from trading.core.needs import MarketRef, Needs

CLOSES = 1_000  # that a preview may look at
FEW_MARKETS = 4  # with more of them it gets what the strategy asks for as warm-up, and no more
REMEMBERED_S = 60
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"))


def closes_of(market: Market, timeframe_ms: int, limit: int) -> list[float]:
    """Return the latest closes, oldest first, a minute old at most: pages ask for them again and again."""
    key = f"closes:{market.pk}:{timeframe_ms}:{limit}"
    known: list[float] | None = cache.get(key)
    if known is None:
        known = [float(value) for value in candles_window(market, timeframe_ms, limit).close]
        cache.set(key, known, REMEMBERED_S)
    return known


def closes_wanted(needs: Needs) -> int:
    return max(needs.warmup, CLOSES if len(needs.markets) <= FEW_MARKETS else 0)


def history_faults(
    needs: Needs, closes: Mapping[str, list[float]], symbols: Mapping[str, str], timeframe_ms: int, params: BaseModel
) -> list[InvalidInput]:
    """Return a fault for each market that has fewer closed candles than the strategy needs before it decides."""
    return [
        _too_little(symbols[alias], len(found), needs, timeframe_ms, _field(needs.markets[alias], params))
        for alias, found in closes.items()
        if len(found) < needs.warmup
    ]


def _field(ref: MarketRef, params: BaseModel) -> str:
    return field_of(ref.symbol, params)


def _too_little(symbol: str, stored: int, needs: Needs, timeframe_ms: int, field: str) -> InvalidInput:
    frame = timeframe_word(timeframe_ms)
    wait = duration((needs.warmup - stored) * timeframe_ms)
    text = f"It needs {needs.warmup} closed {frame} candles of {symbol}, {stored} are stored; ready in {wait}"
    return InvalidInput(text, field=field, value=stored, code="too_little_history")


def timeframe_word(timeframe_ms: int) -> str:
    """Write 3,600,000 as "1h"."""
    for size, unit in _UNITS:
        if timeframe_ms % size == 0:
            return f"{timeframe_ms // size}{unit}"
    return f"{timeframe_ms // 1000}s"


def duration(ms: int) -> str:
    """Write a length of time in its two largest units: "2 d 5 h"."""
    parts = []
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "less than a minute"
