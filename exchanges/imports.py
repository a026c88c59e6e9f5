"""Candles from files into the store and back: whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from django.db import transaction

from exchanges.candle_store import DAY_MS
from exchanges.demo import SOURCE
from exchanges.models import Market
from exchanges.selectors import candles_load
from exchanges.services import candles_save, market_create
from trading.core.candles import Candles, fill_gaps, find_gaps, refuse_gaps
from trading.core.errors import BadCandles, InvalidInput
from trading.core.rounding import MAX_STEPS, plain, to_decimal
from trading.core.types import MarketRules

LAST_MS = 253_402_300_800_000  # the end of the calendar
RULES = {"tick": Decimal("0.01"), "lot": Decimal("0.00000001"), "min_qty": Decimal(0), "min_notional": Decimal(0)}
DEFAULT_FEE = Decimal("0.001")


@transaction.atomic
def candles_import(
    *, source: str, symbol: str, candles: Candles, given: Mapping[str, Decimal], fill: bool = False
) -> tuple[Market, int]:
    """Store a file's candles; makes the market by the `given` rules (tick, lot, min_qty, min_notional, fee) if need be.

    `candles` has passed `validate_candles`. Raises BadCandles naming the row, or InvalidInput; then nothing is changed.
    """
    if source == SOURCE:
        raise InvalidInput("the demo market makes its own prices; choose another source", field="source", value=source)
    _check_times(candles)
    if fill:
        candles = fill_gaps(candles)
    else:
        refuse_gaps(candles, "with --fill-gaps they become flat candles with volume 0")
    market = _market(source, symbol, given)
    _check_steps(candles, market.tick)
    candles_save(market=market, timeframe_ms=candles.timeframe_ms, candles=candles)
    return market, len(candles)


def _check_times(candles: Candles) -> None:
    step = min(candles.timeframe_ms, DAY_MS)
    bad = (candles.ts < 0) | (candles.ts >= LAST_MS)
    if bad.any():
        row = int(np.argmax(bad)) + 1
        ts = int(candles.ts[row - 1])
        raise BadCandles(f"row {row}: ts {ts} is no time in ms since 1970", row=row, field="ts", value=ts)
    bad = candles.ts % step != 0
    if bad.any():
        row = int(np.argmax(bad)) + 1
        ts = int(candles.ts[row - 1])
        text = f"row {row}: ts {ts} is not at the start of a candle: it must be a multiple of {step} ms"
        raise BadCandles(text, row=row, field="ts", value=ts)


def _check_steps(candles: Candles, tick: Decimal) -> None:
    highest = to_decimal(float(candles.high.max()))
    if highest / tick >= MAX_STEPS:
        text = f"a tick of {plain(tick)} is too fine for prices up to {plain(highest)}: at most 2^52 steps fit"
        raise InvalidInput(text, field="tick", value=tick)


def _market(source: str, symbol: str, given: Mapping[str, Decimal]) -> Market:
    """Find the market, or make it. Rules of one that exists aren't changed by an import."""
    market = Market.objects.filter(source=source, symbol=symbol).first()
    if market is None:
        return market_create(
            source=source, symbol=symbol, rules=_rules(symbol, given), fee=given.get("fee", DEFAULT_FEE)
        )
    known = {**{name: getattr(market, name) for name in RULES}, "fee": market.taker_fee}
    for name, value in given.items():
        if value != known[name]:
            text = f"{market} exists with {name} {plain(known[name])}; leave --{name.replace('_', '-')} out to keep it"
            raise InvalidInput(text, field=name, value=value)
    return market


def _rules(symbol: str, given: Mapping[str, Decimal]) -> MarketRules:
    base, _, quote = symbol.partition("/")
    if not base or not quote or "/" in quote or len(symbol) > 40 or max(len(base), len(quote)) > 16:
        text = f"a symbol reads BASE/QUOTE (BTC/USDT), each at most 16 characters long; not {symbol}"
        raise InvalidInput(text, field="symbol", value=symbol)
    tick, lot, min_qty, min_notional = (given.get(name, default) for name, default in RULES.items())
    return MarketRules(base, quote, tick, lot, min_qty, min_notional)


@transaction.atomic
def gaps_fill(*, market: Market, timeframe_ms: int) -> int:
    """Fill the gaps of a stored series with flat candles of volume 0; returns how many were missing."""
    candles = candles_load(market, timeframe_ms, 0, LAST_MS)
    if not find_gaps(candles):
        return 0
    filled = fill_gaps(candles)
    candles_save(market=market, timeframe_ms=timeframe_ms, candles=filled)
    return len(filled) - len(candles)
