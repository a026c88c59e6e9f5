"""What the prices did between two looks of a bot: the contract's `low_since` and `high_since`, live.

Three sources, none of which counts what the bot has seen before:
- the last updates in the cache, while they reach back to its last look;
- beyond them whole minutes, from the cache or, after a restart, from what is stored: all but the rest of the minute
  in which it looked;
- what woke it: an input says what touched its level, however long ago and whatever the cache has lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bots.models import BotInput
from exchanges.prices import Quote, extremes_between, minutes_known
from exchanges.selectors import candles_load
from trading.core.timeframes import MINUTE_MS
from trading.models import Runtime


class Seen(NamedTuple):
    """How far a bot has seen one market: the number of the update, and its market time."""

    seq: int
    market_ms: int


class Touched(NamedTuple):
    """The stretch of prices that fired a wake, and the number of the update that brought it."""

    market_id: int
    seq: int
    low: float
    high: float


class Missed:
    """The extremes of a bot's markets since its last decision."""

    def __init__(self, runtime: Runtime, inputs: Iterable[BotInput]) -> None:
        self._runtime = runtime
        self._touched = [Touched(*row.payload["touched"]) for row in inputs if row.payload.get("touched")]

    def extremes(self, quote: Quote) -> tuple[float, float]:
        """Return the lowest and highest price of a market up to `quote`, its last price included."""
        seen = self._seen(quote)
        if seen is None:
            return quote.last, quote.last
        found = extremes_between(quote.market_id, seen.seq, quote.seq)
        pairs = [(quote.last, quote.last), (found.low, found.high)]
        if not found.whole:
            pairs += _minutes(quote, seen.market_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS)
        mine = [one for one in self._touched if one.market_id == quote.market_id and one.seq > seen.seq]
        pairs += [(one.low, one.high) for one in mine]
        return min(low for low, _ in pairs), max(high for _, high in pairs)

    def _seen(self, quote: Quote) -> Seen | None:
        """Return what the last decision has seen of a market; None before the first one, and of a market new to it."""
        runtime = self._runtime
        if not runtime.number:
            return None
        if runtime.seen:
            row = runtime.seen.get(str(quote.market_id))
            return Seen(*row) if row else None
        return Seen(runtime.price_seq, quote.walked_ms)  # its last decision is older than this column


def seen_json(quotes: Iterable[Quote]) -> dict[str, Any]:
    """Return what a decision at these prices has seen, for its runtime row."""
    return {str(quote.market_id): [quote.seq, max(quote.market_ms, quote.walked_ms)] for quote in quotes}


def _minutes(quote: Quote, begin_ms: int) -> Sequence[tuple[float, float]]:
    """Return (low, high) of the minutes from `begin_ms` up to a price: stored ones before those in the cache."""
    known = minutes_known(quote.market_id)
    until_ms = max(quote.market_ms, quote.walked_ms)
    found = [(low, high) for ts_ms, low, high in known if begin_ms <= ts_ms <= until_ms]
    whole_ms = min((ts_ms for ts_ms, _, _ in known), default=until_ms) + MINUTE_MS
    if begin_ms < whole_ms:
        stored = candles_load(quote.market_id, MINUTE_MS, begin_ms, whole_ms)
        found += [(bar.low, bar.high) for bar in stored.bars()]
    return found
