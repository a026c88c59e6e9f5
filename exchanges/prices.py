"""The last prices, shared by all processes through the cache.

A loss is harmless: whoever finds no quote knows nothing and acts on nothing until the next update. The number of an
update (`seq`) starts from wall time, so that it goes on rising after a restart with an empty cache.

Beside the newest price of a market stand the extremes of its last updates and, coarser, of its last minutes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from typing import Any, NamedTuple

from django.core.cache import cache

from trading.core.timeframes import MINUTE_MS
from trading.core.types import Bar

RING = 300  # updates remembered for `extremes_since`: half a minute at the fastest pace
MINUTES = 120  # remembered of each market: whoever looks more often needs no stored candles
_ENTRY = struct.Struct("<qdd")  # seq, or open time of a minute; low, high
_NEWEST = 1 << 62


@dataclass(frozen=True, slots=True)
class Quote:
    """The newest update of one market: the prices since the update before it."""

    market_id: int
    seq: int
    market_ms: int  # open time of the update, in the market's own time
    received_ms: int  # wall time
    open: float
    high: float
    low: float
    last: float
    ended: float  # the price at the end of the last whole bar: `last`, but for a replay inside a candle
    walked_ms: int = 0  # market time of the newest update, also of one that came too late to be a price of now


class Extremes(NamedTuple):
    """The lowest and highest price of some updates, (inf, -inf) of none; `whole`: they are all that were asked for."""

    low: float
    high: float
    whole: bool


def _quote_key(market_id: int) -> str:
    return f"quote:{market_id}"


def _ring_key(market_id: int) -> str:
    return f"quote-ring:{market_id}"


def _minutes_key(market_id: int) -> str:
    return f"quote-minutes:{market_id}"


def quote_put(market_id: int, bar: Bar, received_ms: int, ended: float | None = None) -> Quote:
    """Make `bar` the market's newest update. One writer a market, as feeds have it."""
    known = _known(market_id)
    seq = _next_seq(known, market_id, received_ms)
    quote = Quote(
        market_id,
        seq,
        bar.ts_ms,
        received_ms,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.close if ended is None else ended,
        bar.ts_ms,
    )
    _remember(known, market_id, bar, quote, seq)
    return quote


def past_put(market_id: int, bar: Bar, received_ms: int) -> int:
    """Remember an update of the past, which is no price that anybody may act on; returns its number.

    The newest price stays as it is, but whoever sees it from now on has seen the extremes of this update, too.
    """
    known = _known(market_id)
    seq = _next_seq(known, market_id, received_ms)
    before = known.get(_quote_key(market_id))
    quote = replace(Quote(*before), seq=seq, walked_ms=bar.ts_ms) if before else None
    _remember(known, market_id, bar, quote, seq)
    return seq


def _known(market_id: int) -> dict[str, Any]:
    found: dict[str, Any] = cache.get_many([_quote_key(market_id), _ring_key(market_id), _minutes_key(market_id)])
    return found


def _next_seq(known: dict[str, Any], market_id: int, received_ms: int) -> int:
    before = known.get(_quote_key(market_id))
    ring = known.get(_ring_key(market_id))
    newest = max(before[1] if before else -1, _ENTRY.unpack_from(ring)[0] if ring else -1)
    return max(received_ms, newest + 1)


def _remember(known: dict[str, Any], market_id: int, bar: Bar, quote: Quote | None, seq: int) -> None:
    ring: bytes = _ENTRY.pack(seq, bar.low, bar.high) + known.get(_ring_key(market_id), b"")
    values: dict[str, Any] = {
        _ring_key(market_id): ring[: RING * _ENTRY.size],
        _minutes_key(market_id): _minutes_with(known.get(_minutes_key(market_id), b""), bar),
    }
    if quote is not None:
        values[_quote_key(market_id)] = astuple(quote)
    cache.set_many(values, timeout=None)


def _minutes_with(minutes: bytes, bar: Bar) -> bytes:
    """Return the minutes, newest first, with an update taken in; it never reaches over the edge of a minute."""
    minute_ms, low, high = bar.ts_ms // MINUTE_MS * MINUTE_MS, bar.low, bar.high
    if minutes:
        newest_ms, lowest, highest = _ENTRY.unpack_from(minutes)
        if newest_ms == minute_ms:
            low, high, minutes = min(low, lowest), max(high, highest), minutes[_ENTRY.size :]
        elif newest_ms > minute_ms:  # time ran back: what was remembered belongs to another time
            minutes = b""
    return (_ENTRY.pack(minute_ms, low, high) + minutes)[: MINUTES * _ENTRY.size]


def quote_get(market_id: int) -> Quote | None:
    """Return the newest update, None when nobody knows."""
    return quotes_get([market_id]).get(market_id)


def quotes_get(market_ids: Iterable[int]) -> dict[int, Quote]:
    """Return the newest update of each market that has one, with one read of the cache."""
    found = cache.get_many([_quote_key(market_id) for market_id in market_ids])
    return {row[0]: Quote(*row) for row in found.values()}


def extremes_since(market_id: int, seq: int) -> tuple[float, float] | None:
    """Return the lowest and highest price of the updates after `seq`; None when they aren't all remembered.

    Nothing newer than `seq` gives the last price twice.
    """
    found = extremes_between(market_id, seq)
    if not found.whole:
        return None
    if found.low > found.high:
        quote = quote_get(market_id)
        return (quote.last, quote.last) if quote else None
    return found.low, found.high


def extremes_between(market_id: int, after: int, until: int = _NEWEST) -> Extremes:
    """Return the extremes of the updates with after < seq <= until, as far as they are remembered."""
    ring: bytes = cache.get(_ring_key(market_id), b"")
    low, high = float("inf"), float("-inf")
    for number, below, above in _ENTRY.iter_unpack(ring):
        if number <= after:
            return Extremes(low, high, whole=True)
        if number <= until:
            low, high = min(low, below), max(high, above)
    return Extremes(low, high, whole=False)


def minutes_known(market_id: int) -> list[tuple[int, float, float]]:
    """Return (open time, low, high) of the last minutes, newest first; the oldest of them may lack its beginning."""
    minutes: bytes = cache.get(_minutes_key(market_id), b"")
    return list(_ENTRY.iter_unpack(minutes))
