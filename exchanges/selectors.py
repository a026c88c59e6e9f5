"""Reads of markets and candles. They belong to everybody: a market is no tenant's."""

from __future__ import annotations

from datetime import date

import numpy as np
from django.core.cache import cache
from django.db.models import QuerySet

from exchanges.candle_store import DAY_MS, Rows, aggregate, candles_of, day_of, ms_of, rows_of, unpack
from exchanges.demo import demo_source, market_now
from exchanges.models import CandleBlock, DemoClock, Market
from trading.core.candles import Candles
from trading.core.errors import InvalidInput
from trading.core.timeframes import MINUTE_MS
from trading.core.types import Bar

MOST_CANDLES = 5000
REPLAY = "replay"  # how the source of a replay's market begins
_LONG_MS = 15 * MINUTE_MS
_REMEMBERED_S = 600
_MOST_COMPUTED_MS = 31 * DAY_MS  # of demo ticks in one call: half a second of work


def market_get(source: str, symbol: str) -> Market:
    """Return the market. Raises InvalidInput naming those that exist."""
    market = Market.objects.filter(source=source, symbol=symbol).first()
    if market is None:
        known = ", ".join(Market.objects.filter(source=source).order_by("symbol").values_list("symbol", flat=True)[:20])
        nothing = f"nothing of {source} is stored here yet: the demo market comes with the first “make run”"
        there = f"it has {known}" if known else nothing
        raise InvalidInput(f"{source} has no market {symbol}; {there}", field="market", value=symbol, code="unknown")
    return market


def markets_of(source: str) -> QuerySet[Market]:
    """Return the active markets of a source of prices."""
    return Market.objects.filter(source=source, active=True).order_by("id")


def markets_shown() -> QuerySet[Market]:
    """Return the markets that people may look at: all but those of replays, which come and go with their run."""
    return Market.objects.exclude(source__startswith=REPLAY)


def demo_clock_get() -> DemoClock | None:
    return DemoClock.objects.first()


def speed_of(market: Market) -> int:
    """Return how much of a market's time passes in a unit of wall time: 1, but for a demo market that was sped up."""
    clock = demo_clock_get() if market.is_demo else None
    return clock.speed if clock is not None else 1


def candles_load(market: Market | int, timeframe_ms: int, start_ms: int, end_ms: int) -> Candles:
    """Return the stored candles with start <= open time < end, with one query.

    A timeframe that isn't stored is made from the stored minutes: whole candles only.
    """
    first, last = day_of(start_ms), day_of(end_ms + timeframe_ms)
    blocks = CandleBlock.objects.filter(
        market=market, timeframe_ms__in=_frames(timeframe_ms), day__gte=first, day__lte=last
    )
    found: dict[int, list[Rows]] = {}
    for frame, data in blocks.order_by("day").values_list("timeframe_ms", "data"):
        found.setdefault(frame, []).append(unpack(bytes(data)))
    if timeframe_ms in found:
        rows = np.concatenate(found[timeframe_ms])
    else:
        rows = aggregate(np.concatenate([np.zeros((0, 6)), *found.get(MINUTE_MS, [])]), timeframe_ms)
    return candles_of(rows[(rows[:, 0] >= start_ms) & (rows[:, 0] < end_ms)])


def _frames(timeframe_ms: int) -> set[int]:
    """Return the stored timeframes that the wanted one can come from."""
    return {timeframe_ms} if timeframe_ms % MINUTE_MS else {timeframe_ms, MINUTE_MS}


def candles_window(market: Market, timeframe_ms: int, limit: int, before_ms: int | None = None) -> Candles:
    """Return the newest `limit` closed candles that open before `before_ms`, at most MOST_CANDLES.

    The demo market's are computed, those before its first start too; of very long candles it returns fewer.
    """
    limit = max(0, min(limit, MOST_CANDLES))
    clock = demo_clock_get() if market.is_demo else None
    if clock is None:
        return _newest_stored(market, timeframe_ms, limit, before_ms)
    closed_ms = market_now(clock) // timeframe_ms * timeframe_ms
    end_ms = closed_ms if before_ms is None else min(before_ms, closed_ms)
    count = min(limit, _MOST_COMPUTED_MS // timeframe_ms)
    start_ms = (-(-end_ms // timeframe_ms) - count) * timeframe_ms
    if timeframe_ms < _LONG_MS:
        return demo_source(clock).candles(market.symbol, timeframe_ms, start_ms, end_ms)
    return _remembered(clock, market, timeframe_ms, start_ms, end_ms)


def _remembered(clock: DemoClock, market: Market, timeframe_ms: int, start_ms: int, end_ms: int) -> Candles:
    """Compute long demo candles once in a while only: a thousand hours take half a second, and closed ones stay."""
    key = f"demo-candles:{clock.seed}:{clock.epoch_ms}:{market.pk}:{timeframe_ms}:{start_ms}:{end_ms}"
    rows = cache.get(key)
    if rows is None:
        candles = demo_source(clock).candles(market.symbol, timeframe_ms, start_ms, end_ms)
        rows = rows_of(candles)
        cache.set(key, rows, _REMEMBERED_S)
    return candles_of(rows)


def _newest_stored(market: Market, timeframe_ms: int, limit: int, before_ms: int | None) -> Candles:
    """Find the day from which on enough candles stand, then load from there."""
    end_ms = 2**53 if before_ms is None else before_ms
    days = CandleBlock.objects.filter(market=market, timeframe_ms__in=_frames(timeframe_ms), day__lte=day_of(end_ms))
    stored = list(days.order_by("-day").values_list("timeframe_ms", "day", "count"))
    native = any(frame == timeframe_ms for frame, _, _ in stored)
    wanted = limit if native else limit * (timeframe_ms // MINUTE_MS)
    start: date | None = None
    for frame, day, count in stored:
        if frame != (timeframe_ms if native else MINUTE_MS):
            continue
        start, full = day, wanted <= 0
        if full:  # one more day than counted: `before_ms` may cut into the newest one
            break
        wanted -= count
    if start is None:
        return candles_of(np.zeros((0, 6)))
    candles = candles_load(market, timeframe_ms, ms_of(start), end_ms)
    return candles.slice(max(0, len(candles) - limit))


def candle_forming(market: Market, timeframe_ms: int) -> Bar | None:
    """Return the demo market's unfinished candle, as far as it has come; None for other markets."""
    clock = demo_clock_get() if market.is_demo else None
    if clock is None:
        return None
    now_ms = market_now(clock)
    start_ms = now_ms // timeframe_ms * timeframe_ms
    return demo_source(clock).bar(market.symbol, start_ms, now_ms)


def candles_page(
    market: Market, timeframe_ms: int, limit: int, before_ms: int | None = None
) -> tuple[Candles, Bar | None]:
    """Return a page of closed candles and, with the newest one, the unfinished candle that joins on to it.

    That one is looked at first: so no candle is in both, or in neither, when one closes between two looks at the clock.
    """
    forming = candle_forming(market, timeframe_ms) if before_ms is None else None
    return candles_window(market, timeframe_ms, limit, before_ms if forming is None else forming.ts_ms), forming


def candles_stored_until(market: Market, timeframe_ms: int) -> int | None:
    """Return the close time of the newest stored candle, None when none is stored."""
    newest = CandleBlock.objects.filter(market=market, timeframe_ms=timeframe_ms).order_by("-day").first()
    return int(unpack(bytes(newest.data))[-1, 0]) + timeframe_ms if newest else None
