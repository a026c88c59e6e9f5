"""Curves over time: equity and exposure at each candle's close, falls from a peak with their dates, months.

All float64: for pictures and ratios, never for the books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from trading.core.candles import Candles, Floats, Ints
from trading.core.metrics import drawdown_ratios, equity_at_closes
from trading.core.round_trips import FillRow, FundingRow
from trading.core.rounding import to_float
from trading.core.types import Side

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall of the equity from a peak: candle closes in ms, `recovered_ms` None when it never came back."""

    peak_ms: int
    trough_ms: int
    recovered_ms: int | None
    ratio: float  # of the peak


@dataclass(frozen=True, slots=True)
class Month:
    """One calendar month (UTC) as "2022-01", of the candles that opened in it."""

    month: str
    start_equity: float
    end_equity: float

    @property
    def profit(self) -> float:
        return self.end_equity - self.start_equity

    @property
    def return_ratio(self) -> float:
        return self.profit / self.start_equity if self.start_equity else 0.0


def gains_at_closes(candles: Candles, fills: Sequence[FillRow], fundings: Sequence[FundingRow]) -> Floats:
    """Return what one market has earned by each candle's close: fees and funding included, the position at the close.

    `fills` and `fundings` are those of this market, in order. A position on margin earns as the same coins would.
    """
    signs = [1.0 if row.side is Side.BUY else -1.0 for row in fills]
    values = [to_float(row.price) * to_float(row.qty) for row in fills]
    quote = [-sign * value - to_float(row.fee) for sign, value, row in zip(signs, values, fills, strict=True)]
    base = [sign * to_float(row.qty) for sign, row in zip(signs, fills, strict=True)]
    traded = equity_at_closes(_at(candles, fills), np.array(base), np.array(quote), candles.close, 0.0)
    paid = np.array([to_float(row.amount) for row in fundings])
    return traded + equity_at_closes(_at(candles, fundings), np.zeros(len(paid)), paid, candles.close, 0.0)


def holding_at_closes(candles: Candles, fills: Sequence[FillRow], smallest: Decimal) -> Flags:
    """Say for each candle whether a position of one market stood at its close; less than `smallest` is none."""
    held, open_after = Decimal(0), [False]
    for row in fills:
        held += row.qty if row.side is Side.BUY else -row.qty
        open_after.append(abs(held) >= smallest)
    at = np.searchsorted(_at(candles, fills), np.arange(len(candles)), side="right")
    flags: Flags = np.array(open_after)[at]
    return flags


def held_coins(markets: Mapping[str, Candles], cash: float) -> Floats:
    """Return the equity of putting the cash in equal parts into all markets at their first open, without fees."""
    share = cash / len(markets)
    parts = [candles.close * (share / candles.open[0]) for candles in markets.values()]
    total: Floats = np.sum(parts, axis=0)
    return total


def drawdowns(closes_ms: Ints, equity: Floats, most: int) -> tuple[Drawdown, ...]:
    """Return the `most` deepest falls of the equity at candle closes, deepest first."""
    below = drawdown_ratios(equity)
    under = np.concatenate(([False], below > 0, [False]))
    starts, ends = np.flatnonzero(under[:-1] < under[1:]), np.flatnonzero(under[:-1] > under[1:])
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        trough = start + int(np.argmax(below[start:end]))
        recovered = int(closes_ms[end]) if end < len(equity) else None
        found.append(Drawdown(int(closes_ms[start - 1]), int(closes_ms[trough]), recovered, float(below[trough])))
    return tuple(sorted(found, key=lambda fall: -fall.ratio)[:most])


def months(opens_ms: Ints, equity: Floats, cash: float) -> tuple[Month, ...]:
    """Return a row a month from the equity at candle closes; the first one starts with the cash."""
    names = opens_ms.astype("datetime64[ms]").astype("datetime64[M]")
    lasts = np.append(np.flatnonzero(names[1:] != names[:-1]), len(names) - 1)
    ends = equity[lasts].tolist()
    return tuple(
        Month(str(names[last]), start, end)
        for last, start, end in zip(lasts.tolist(), [cash, *ends[:-1]], ends, strict=True)
    )


def _at(candles: Candles, rows: Sequence[FillRow] | Sequence[FundingRow]) -> Ints:
    """Return the candle of each row."""
    ts = np.array([row.ts_ms for row in rows], dtype=np.int64)
    return np.searchsorted(candles.ts, ts, side="right").astype(np.int64) - 1
