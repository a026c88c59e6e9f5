"""Writes of markets, candles and the demo market's clock."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction

from exchanges.adapters.demo.specs import SPECS
from exchanges.candle_store import DAY_MS, day_of, merge, pack, rows_of, unpack
from exchanges.demo import SOURCE, SPEEDS, clock_text, demo_source, market_now, market_time, same_market, wall_now_ms
from exchanges.models import CandleBlock, DemoClock, Market
from trading.core.candles import Candles
from trading.core.errors import InvalidInput
from trading.core.rounding import money, plain
from trading.core.timeframes import MINUTE_MS
from trading.core.types import MarketRules

_MOST = 10**12  # of a step or a minimum
HISTORY_MS = DAY_MS  # of minutes that a fresh demo market has behind it


@transaction.atomic
def demo_clock_ensure(*, speed: int | None = None) -> DemoClock:
    """Return the demo market's clock: made at the first start, with a new anchor when the speed has changed.

    `speed` defaults to the setting DEMO_SPEED. Raises InvalidInput for a speed that doesn't exist.
    """
    wanted: int = settings.DEMO_SPEED if speed is None else speed
    if wanted not in SPEEDS:
        text = f"the demo market runs at x{', x'.join(map(str, SPEEDS))}, not x{wanted}"
        raise InvalidInput(text, field="DEMO_SPEED", value=wanted)
    now_ms = wall_now_ms()
    clock = DemoClock.objects.select_for_update().first()
    if clock is None:
        return DemoClock.objects.create(
            seed=settings.DEMO_SEED, speed=wanted, epoch_ms=now_ms // MINUTE_MS * MINUTE_MS, wall_ms=now_ms
        )
    if clock.speed != wanted:
        clock.market_ms, clock.wall_ms, clock.speed = market_time(clock, now_ms), now_ms, wanted
        clock.save(update_fields=["market_ms", "wall_ms", "speed"])
    return clock


CLOCK_PARTS = ("seed", "speed", "epoch_ms", "wall_ms", "market_ms")


@transaction.atomic
def demo_clock_adopt(*, text: str) -> DemoClock:
    """Give this installation the demo market of another one, as its clock's text says it ("7:1:...").

    Nothing happens if it has it already. Raises InvalidInput when it has another one, or runs at another speed.
    """
    parts = text.split(":")
    if len(parts) != len(CLOCK_PARTS) or not all(part.isascii() and part.isdecimal() for part in parts):
        wanted = ":".join(CLOCK_PARTS)
        raise InvalidInput(f"a demo market's clock is told as {wanted}, not {text!r}", field="clock", value=text)
    theirs = DemoClock(**dict(zip(CLOCK_PARTS, map(int, parts), strict=True)))
    if theirs.speed != settings.DEMO_SPEED:
        wrong = f"the other demo market runs at x{theirs.speed}: set DEMO_SPEED={theirs.speed} here, too"
        raise InvalidInput(wrong, field="DEMO_SPEED", value=settings.DEMO_SPEED)
    clock = DemoClock.objects.select_for_update().first()
    if clock is None:
        theirs.walked_ms = market_time(theirs)
        theirs.save()
        return theirs
    if not same_market(clock, theirs):
        wrong = f"this installation has another demo market: {clock_text(clock)}, not {text}"
        raise InvalidInput(wrong, field="clock", value=text)
    return clock


def demo_walked(*, clock: DemoClock, market_ms: int) -> None:
    """Remember up to which market time the prices have been walked through the book; it never goes back."""
    DemoClock.objects.filter(pk=clock.pk, walked_ms__lt=market_ms).update(walked_ms=market_ms)


@transaction.atomic
def demo_markets_ensure() -> list[Market]:
    """Make the demo markets, each with a day of candles behind it: before the first start, or, where an older
    installation lacks a market, before now. Done again it changes nothing."""
    clock = demo_clock_ensure()
    start_ms = max(clock.epoch_ms, market_now(clock) // MINUTE_MS * MINUTE_MS)
    markets = []
    for symbol, spec in SPECS.items():
        values = _market_values(spec.rules, spec.fee)
        market, made = Market.objects.get_or_create(source=SOURCE, symbol=symbol, defaults=values)
        if made:
            history = demo_source(clock).candles(symbol, MINUTE_MS, start_ms - HISTORY_MS, start_ms)
            candles_save(market=market, timeframe_ms=MINUTE_MS, candles=history)
        markets.append(market)
    return markets


def _market_values(rules: MarketRules, fee: Decimal) -> dict[str, Any]:
    """Return a market's columns for these rules."""
    values: dict[str, Any] = {
        "base": rules.base,
        "quote": rules.quote,
        "tick": rules.tick,
        "lot": rules.lot,
        "min_qty": rules.min_qty,
        "min_notional": rules.min_notional,
        "maker_fee": fee,
        "taker_fee": fee,
        "perpetual": rules.perpetual is not None,
    }
    if rules.perpetual is not None:
        values |= asdict(rules.perpetual)
    return values


def market_create(*, source: str, symbol: str, rules: MarketRules, fee: Decimal) -> Market:
    """Make a market for imported candles. Raises InvalidInput for rules that no order could keep."""
    steps = (("tick", rules.tick), ("lot", rules.lot))
    for field, value in (*steps, ("min_qty", rules.min_qty), ("min_notional", rules.min_notional), ("fee", fee)):
        if not value.is_finite() or value < 0 or ((field, value) in steps and not value):
            least = "above 0" if (field, value) in steps else "0 or more"
            raise InvalidInput(f"{field} must be {least}, not {value}", field=field, value=value)
        if value >= _MOST or money(value) != value:
            text = f"{field} must be below {_MOST} with at most 18 decimals, not {value}"
            raise InvalidInput(text, field=field, value=value)
    if fee >= 1:
        raise InvalidInput(f"fee is a ratio (0.001 = 0.1 %), {plain(fee)} is 100 % or more", field="fee", value=fee)
    return Market.objects.create(source=source, symbol=symbol, **_market_values(rules, fee))


@transaction.atomic
def candles_save(*, market: Market, timeframe_ms: int, candles: Candles) -> int:
    """Store candles, over those of the same times; returns how many came in."""
    if not len(candles):
        return 0
    if timeframe_ms <= 0:
        raise InvalidInput(f"a timeframe must be above 0, not {timeframe_ms}", field="timeframe_ms", value=timeframe_ms)
    Market.objects.select_for_update(no_key=True).get(pk=market.pk)  # one writer of a market's blocks at a time
    rows = rows_of(candles)
    parts: dict[date, list[int]] = defaultdict(list)
    edges = np.flatnonzero(np.diff(candles.ts // DAY_MS)) + 1
    for part in np.split(np.arange(len(rows)), edges):
        parts[day_of(int(candles.ts[part[0]]))] += part.tolist()
    known = {
        block.day: block
        for block in CandleBlock.objects.filter(market=market, timeframe_ms=timeframe_ms, day__in=list(parts))
    }
    fresh = []
    for day, index in parts.items():
        block = known.get(day) or CandleBlock(market=market, timeframe_ms=timeframe_ms, day=day)
        merged = merge(unpack(bytes(block.data)), rows[index]) if day in known else rows[index]
        block.count, block.data = len(merged), pack(merged)
        fresh.append(block)
    CandleBlock.objects.bulk_create([block for block in fresh if block.day not in known], batch_size=100)
    CandleBlock.objects.bulk_update([block for block in fresh if block.day in known], ["count", "data"], batch_size=100)
    return len(rows)
