"""Figures of a run: the hash that proves two runs traded alike, drawdown, and what a report prints.

`fills_sha256` is the SHA-256 over one line a fill, in booking order (see docs/strategies.md); the other figures are
computed from exact books, except ratios, which are float64.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from trading.core.rounding import plain
from trading.core.types import Side


def fill_line(ts: int, slot: str, gen: int, side: Side, price: Decimal, qty: Decimal, fee: Decimal) -> str:
    """Return the line of one fill; `ts` = open time (ms) of the candle in which it filled."""
    return f"{ts},{slot},{gen},{side.value},{plain(price)},{plain(qty)},{plain(fee)}\n"


def fills_sha256(lines: Iterable[str]) -> str:
    """Return the hex digest over the lines, UTF-8, each ending with a newline."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()


def equity_at_closes(
    candle: NDArray[np.int64],
    base: NDArray[np.float64],
    quote: NDArray[np.float64],
    close: NDArray[np.float64],
    cash: float,
) -> NDArray[np.float64]:
    """Return the equity at each candle's close, without a fee for leaving the position.

    `candle` is the index of the candle of each fill, rising; `base` and `quote` what each fill adds to the position and
    to the cash, fee included. Shape of the answer: that of `close`.
    """
    equity = np.full(len(close), cash)
    if len(candle):
        at = np.searchsorted(candle, np.arange(len(close)), side="right")
        position = np.concatenate(([0.0], np.cumsum(base)))[at]
        equity += np.concatenate(([0.0], np.cumsum(quote)))[at]
        equity += position * close
    return equity


def drawdown_ratios(equity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each point stands below the highest one before it, as a share of that."""
    peak = np.maximum.accumulate(equity)
    return np.divide(peak - equity, peak, out=np.zeros_like(equity), where=peak > 0)


def max_drawdown_ratio(equity: NDArray[np.float64]) -> float:
    """Return the deepest fall from an earlier peak as a share of that peak: 0 for a series that never falls."""
    return float(drawdown_ratios(equity).max(initial=0.0))
