"""The fundings of a run's perpetual markets: when they are due, and what they came to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from trading.core.book import BookMarket
from trading.core.candles import Candles
from trading.core.positions import Funds, MarginPosition
from trading.core.rounding import to_decimal


class Paid(NamedTuple):
    """One funding of one market: what was received in quote (paid: negative)."""

    candle: int
    market: int
    amount: Decimal


class FundingClock:
    """Pays at each full multiple of a market's interval, before the open of the candle in which it lies, at its open.

    A candle longer than the interval pays several times at once.
    """

    def __init__(self, markets: Sequence[BookMarket], candles: Candles) -> None:
        self.paid: list[Paid] = []
        self._markets: list[tuple[BookMarket, MarginPosition, dict[int, int], list[int]]] = []
        for market in markets:
            position = market.margined
            if position is None:
                continue
            interval = position.terms.funding_interval_ms
            before = (candles.ts - 1) // interval
            times = (candles.ts + candles.timeframe_ms - 1) // interval - before
            due = np.flatnonzero(times)
            counts = dict(zip(due.tolist(), times[due].tolist(), strict=True))
            self._markets.append((market, position, counts, due.tolist()))
        self.any = bool(self._markets)

    def next_candle(self, i: int) -> int:
        """Return the first candle from `i` on at which a position of now pays or gets funding."""
        found = 2**62
        for _, position, _, due in self._markets:
            k = bisect_left(due, i) if position.qty else len(due)
            if k < len(due):
                found = min(found, due[k])
        return found

    def pay(self, free: Funds, i: int) -> None:
        """Pay what is due at candle `i`."""
        for market, position, counts, _ in self._markets:
            if position.qty and i in counts:
                price = to_decimal(float(market.candles.open[i]))
                self.paid.append(Paid(i, market.index, position.pay_funding(free, price, counts[i])))
