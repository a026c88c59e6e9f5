"""The grid where a candle's volume fills its orders in parts, and gaps leap many lines, against a plain list of cells.

A touch fills no more of an order than the candle's volume, at least one unit; the rest may fill from the next on.
Cells have nothing to do with each other: each is walked alone along the four prices.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bots.strategies.grid.params import GridParams
from bots.strategies.grid.strategy import Grid
from trading.core.candles import Candles
from trading.core.simoptions import SimOptions
from trading.core.simulation import simulate
from trading.core.types import MarketRules

RULES = MarketRules("BTC", "USDT", Decimal(1), Decimal(1))
QTY = 10
Fill = tuple[int, int, str, float, int]  # candle, cell, side, price, units


@dataclass
class PlainCell:
    """Buys QTY at the lower line, sells what it holds at the upper one, each in whatever pieces it gets.

    The first piece is offered at once. What comes after it is added to the offer when the buy is done.
    """

    number: int
    lower: float
    upper: float
    bidding: int = 0
    offered: int = 0
    held: int = 0
    bid_from: int = 0
    offer_from: int = 0
    fills: list[Fill] = field(default_factory=list)

    def settle(self, candle: int) -> None:
        if self.offered and self.held and not self.bidding:
            self.held, self.offered = self.held + self.offered, 0
        if self.offered:
            return
        if self.held:
            self.offered, self.held, self.offer_from = self.held, 0, candle
        elif not self.bidding:
            self.bidding, self.bid_from = QTY, candle

    def move(self, candle: int, price: float, most: int, *, gap: bool) -> None:
        """Go to a price: the open, or the end of a leg, which passes every price on its way."""
        while True:
            if self.bidding and self.bid_from <= candle and price <= self.lower:
                part = min(most, self.bidding)
                self.bidding, self.held, self.bid_from = self.bidding - part, self.held + part, candle + 1
                self.fills.append((candle, self.number, "buy", price if gap else self.lower, part))
            elif self.offered and self.offer_from <= candle and price >= self.upper:
                part = min(most, self.offered)
                self.offered, self.offer_from = self.offered - part, candle + 1
                self.fills.append((candle, self.number, "sell", price if gap else self.upper, part))
            else:
                return
            self.settle(candle)


def candles_like(seed: int) -> Candles:
    """Whole prices around the grid, now and then a leap over several lines; volumes from none to plenty."""
    rng = random.Random(seed)
    close, rows = float(rng.randint(95, 165)), []
    for _ in range(rng.randint(5, 150)):
        opened = max(40.0, close + (rng.randint(-45, 45) if rng.random() < 0.2 else 0))
        close = max(40.0, opened + rng.randint(-14, 14))
        high, low = max(opened, close) + rng.randint(0, 12), min(opened, close) - rng.randint(0, 12)
        rows.append((opened, float(high), max(20.0, float(low)), close, float(rng.randint(0, 14))))
    return Candles.of([minute * 60_000 for minute in range(len(rows))], *zip(*rows, strict=True))


def plain_fills(candles: Candles, lines: list[float]) -> list[Fill]:
    price = float(candles.open[0])
    empty = min(range(len(lines)), key=lambda i: (abs(lines[i] - price), i))
    cells = [PlainCell(k, *pair) for k, pair in enumerate(pairwise(lines))]
    for cell in cells:
        cell.held = QTY if cell.number >= empty else 0
        cell.settle(0)
    for i, bar in enumerate(candles.bars()):
        if not bar.volume:
            continue  # nothing was traded
        most = int(bar.volume)
        low_first = bar.open - bar.low <= bar.high - bar.open
        corners = (bar.low, bar.high) if low_first else (bar.high, bar.low)
        for cell in cells:
            cell.move(i, bar.open, most, gap=True)
            for corner in (*corners, bar.close):
                cell.move(i, corner, most, gap=False)
    return sorted(fill for cell in cells for fill in cell.fills)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([5, 10]), st.integers(4, 10))
def test_a_grid_filled_in_parts_and_over_gaps_trades_like_the_plain_cells(seed: int, step: int, levels: int):
    candles = candles_like(seed)
    params = GridParams(lower=100, upper=100 + step * (levels - 1), levels=levels, quantity_per_level=QTY)
    options = SimOptions(liquidity_ratio=1.0)
    result = simulate(
        Grid(), params, candles, cash=Decimal(1_000_000), fee=Decimal("0.001"), rules=RULES, options=options
    )
    fills = result.fills
    rows = zip(
        fills.candle.tolist(), fills.slot, fills.side.tolist(), fills.price.tolist(), fills.qty.tolist(), strict=True
    )
    got = sorted(
        (candle, int(slot.split(":")[1]), "buy" if side > 0 else "sell", price, int(qty))
        for candle, slot, side, price, qty in rows
        if slot.split(":")[1].isdigit()
    )
    assert got == plain_fills(candles, [100.0 + step * k for k in range(levels)])
    books = result.books()
    assert books.equity(Decimal(100)) == 1_000_000 + books.holding.total(Decimal(100))


def test_the_random_candles_fill_in_parts_and_leap_lines():
    parts = leaps = 0
    for seed in range(20):
        fills = plain_fills(candles_like(seed), [100.0 + 5 * k for k in range(10)])
        parts += sum(units < QTY for *_, units in fills)
        leaps += len({(fill[0], fill[3]) for fill in fills if fill[3] % 5})
    assert (parts > 500, leaps > 50) == (True, True)
