"""The grid in a backtest against the plainest grid there can be: a list of cells walked along the four prices."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.strategies.grid.params import GridParams
from bots.strategies.grid.strategy import Grid
from trading.core.candles import Candles
from trading.core.simulation import simulate
from trading.core.types import MarketRules

FEE = 0.001
RULES = MarketRules("BTC", "USDT", Decimal(1), Decimal("0.001"))
Fill = tuple[int, str, str, float]


class PlainGrid:
    """Cells that either wait to buy at their line or to sell one line higher; whole numbers, one unit each."""

    def __init__(self, lines: list[float], price: float) -> None:
        self.buy, self.sell = lines[:-1], lines[1:]
        empty = min(range(len(lines)), key=lambda i: (abs(lines[i] - price), i))
        self.held = [i >= empty for i in range(len(self.buy))]
        self.at = price
        self.fills: list[Fill] = [(0, "open", "buy", price)] if any(self.held) else []

    def move(self, candle: int, price: float, *, gap: bool = False) -> None:
        for i, held in enumerate(self.held):
            line = self.sell[i] if held else self.buy[i]
            if price >= line if held else price <= line:
                self.held[i] = not held
                self.fills.append((candle, str(i), "sell" if held else "buy", price if gap else line))
        self.at = price

    def walk(self, candle: int, opened: float, high: float, low: float, close: float) -> None:
        self.move(candle, opened, gap=True)
        first_low = opened - low <= high - opened
        for price in (low, high) if first_low else (high, low):
            self.move(candle, price)
        self.move(candle, close)


def candles_like(seed: int) -> Candles:
    rng = random.Random(seed)
    close, rows = float(rng.randint(80, 220)), []
    for _ in range(rng.randint(5, 250)):
        opened = close + (rng.randint(-25, 25) if rng.random() < 0.15 else 0)
        opened = max(40.0, opened)
        close = max(40.0, opened + rng.randint(-12, 12))
        high, low = max(opened, close) + rng.randint(0, 9), min(opened, close) - rng.randint(0, 9)
        rows.append((opened, float(high), max(20.0, float(low)), close))
    return Candles.of([minute * 60_000 for minute in range(len(rows))], *zip(*rows, strict=True))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([5, 10, 20]), st.integers(3, 14))
def test_a_backtest_fills_like_the_plain_grid(seed: int, step: int, levels: int):
    candles = candles_like(seed)
    params = GridParams(lower=100, upper=100 + step * (levels - 1), levels=levels, quantity_per_level=1)
    result = simulate(Grid(), params, candles, cash=Decimal(100_000), fee=Decimal(str(FEE)), rules=RULES)

    plain = PlainGrid([100.0 + step * i for i in range(levels)], float(candles.open[0]))
    opening = sum(plain.held)
    for i, bar in enumerate(candles.bars()):
        plain.walk(i, bar.open, bar.high, bar.low, bar.close)

    fills = result.fills
    sides = ["buy" if side > 0 else "sell" for side in fills.side]
    names = [slot.split(":")[1] for slot in fills.slot]
    got = sorted(zip(fills.candle.tolist(), names, sides, fills.price.tolist(), strict=True))
    assert got == sorted(plain.fills)

    cash = held = 0.0
    for _, name, side, price in plain.fills:
        qty = opening if name == "open" else 1
        cash += (-qty if side == "buy" else qty) * price - qty * price * FEE
        held += qty if side == "buy" else -qty
    last = float(candles.close[-1])
    equity = result.books().equity(Decimal(last))
    assert float(equity) == pytest.approx(100_000 + cash + held * last, rel=1e-12)
