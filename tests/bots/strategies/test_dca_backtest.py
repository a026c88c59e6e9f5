"""DCA in a backtest against the plainest DCA there can be: one deal walked along the four prices, in exact numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.strategies.dca.params import DcaParams
from bots.strategies.dca.strategy import Dca
from trading.core.candles import Candles
from trading.core.result import SimulationResult
from trading.core.simulation import simulate
from trading.core.types import MarketRules, Perpetual

FEE, TICK = Decimal("0.001"), Decimal("0.01")
RULES = MarketRules("BTC", "USDT", TICK, Decimal("0.001"))
SWAP = MarketRules("BTC", "USDT", TICK, Decimal("0.001"), perpetual=Perpetual(funding_rate=Decimal(0)))
BASE, SIZES = Decimal(2), (Decimal(1), Decimal(2), Decimal(4), Decimal("5.5"))
Fill = tuple[int, str, float, float]


def on_tick(price: Decimal, rounding: str) -> Decimal:
    return (price / TICK).to_integral_value(rounding=rounding) * TICK


@dataclass
class PlainDca:
    """One deal at a time: safety orders as a list, one target, one stop. `sign` is 1 for long deals, -1 for short."""

    sign: int
    steps: tuple[Decimal, ...]
    profit: Decimal
    stop: Decimal
    after_fees: bool
    active: int
    wait: int  # candles until the next deal
    ready: int = 0
    held: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    safety: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)

    @property
    def target(self) -> Decimal:
        average = self.cost / self.held
        if self.after_fees:  # every fill so far has paid its fee on its cost
            average *= (1 + self.sign * FEE) / (1 - self.sign * FEE)
        return on_tick(average * (1 + self.sign * self.profit), self.exit_rounding)

    @property
    def floor(self) -> Decimal:
        return on_tick(self.cost / self.held * (1 - self.sign * self.stop), self.exit_rounding)

    @property
    def exit_rounding(self) -> str:
        return ROUND_CEILING if self.sign > 0 else ROUND_FLOOR

    def add(self, candle: int, price: Decimal, qty: Decimal) -> None:
        self.held, self.cost = self.held + qty, self.cost + qty * price
        self.fills.append((candle, "buy" if self.sign > 0 else "sell", float(price), float(qty)))

    def leave(self, candle: int, price: Decimal) -> None:
        self.fills.append((candle, "sell" if self.sign > 0 else "buy", float(price), float(self.held)))
        self.held = self.cost = Decimal(0)
        self.safety, self.ready = [], candle + self.wait

    def stand(self, candle: int, price: Decimal) -> None:
        """Everything that happens at one point of the path."""
        while True:
            if not self.held:
                if candle < self.ready:
                    return
                self.add(candle, price, BASE)
                rounding = ROUND_FLOOR if self.sign > 0 else ROUND_CEILING
                levels = [on_tick(price * (1 - self.sign * step), rounding) for step in self.steps]
                self.safety = list(zip(levels, SIZES, strict=False))
            elif self.safety and self.beyond(self.safety[0][0], price):
                self.add(candle, price, self.safety.pop(0)[1])
                if self.beyond(self.floor, price):
                    self.leave(candle, price)
            elif self.beyond(price, self.target) or self.beyond(self.floor, price):
                self.leave(candle, price)
            else:
                return

    def beyond(self, one: Decimal, other: Decimal) -> bool:
        """Say whether `one` is as good as `other` or better for the deal."""
        return (one - other) * self.sign >= 0

    def walk(self, candle: int, opened: Decimal, high: Decimal, low: Decimal, close: Decimal) -> None:
        self.stand(candle, opened)
        at = opened
        corners = (low, high, close) if opened - low <= high - opened else (high, low, close)
        for corner in corners:
            while at != corner:
                at = self.next_point(at, corner)
                self.stand(candle, at)

    def next_point(self, at: Decimal, corner: Decimal) -> Decimal:
        if not self.held:
            return corner
        levels = [self.target, self.floor, *(level for level, _ in self.safety[: self.active])]
        if corner > at:
            return min([corner, *(level for level in levels if level > at)])
        return max([corner, *(level for level in levels if level < at)])


def candles_like(seed: int, *, wild: float = 1.0) -> Candles:
    rng = random.Random(seed)
    close, rows = 10_000, []
    for _ in range(rng.randint(5, 300)):
        opened = close + (rng.randint(-900, 900) if rng.random() < 0.05 * wild else 0)
        opened = max(3000, opened)
        close = max(3000, opened + rng.randint(-150, 150))
        high, low = max(opened, close) + rng.randint(0, 80), min(opened, close) - rng.randint(0, 80)
        rows.append((opened / 100, high / 100, low / 100, close / 100))
    return Candles.of([minute * 60_000 for minute in range(len(rows))], *zip(*rows, strict=True))


def run(params: DcaParams, candles: Candles) -> SimulationResult:
    rules = RULES if params.direction == "long" else SWAP
    return simulate(Dca(), params, candles, cash=Decimal(1_000_000), fee=FEE, rules=rules)


def fills_of(result: SimulationResult) -> list[Fill]:
    fills = result.fills
    sides = ["buy" if side > 0 else "sell" for side in fills.side]
    return list(zip(fills.candle.tolist(), sides, fills.price.tolist(), fills.qty.tolist(), strict=True))


def params_of(steps: tuple[Decimal, ...], profit: Decimal, stop: Decimal, **changes: Any) -> DcaParams:
    custom = [f"{step * 100}:{size}" for step, size in zip(steps, SIZES, strict=False)]
    wish: dict[str, Any] = {
        "size_in": "base",
        "base_order": BASE,
        "safety_orders": 0,
        "custom_steps": custom,
        "take_profit_percent": profit * 100,
        "stop_loss_percent": stop * 100,
    }
    return DcaParams.model_validate(wish | changes)


@pytest.mark.parametrize("direction", ["long", "short"])
@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 4),
    step=st.sampled_from(["0.005", "0.0125", "0.03"]),
    profit=st.sampled_from(["0.004", "0.015", "0.05"]),
    stop=st.sampled_from(["0.14", "0.2"]),
    after_fees=st.booleans(),
    active=st.integers(1, 4),
    wait=st.integers(0, 2),
)
def test_a_backtest_fills_like_the_plain_dca(
    direction: str, seed: int, count: int, step: str, profit: str, stop: str, after_fees: bool, active: int, wait: int
):
    candles = candles_like(seed)
    steps = tuple(Decimal(step) * n for n in range(1, count + 1))
    params = params_of(
        steps, Decimal(profit), Decimal(stop), take_profit_after_fees=after_fees, active_safety_orders=active,
        cooldown_minutes=wait, direction=direction,
    )  # fmt: skip
    sign = 1 if direction == "long" else -1
    plain = PlainDca(sign, steps, Decimal(profit), Decimal(stop), after_fees, active, wait)
    for i, bar in enumerate(candles.bars()):
        plain.walk(i, *(Decimal(repr(price)) for price in (bar.open, bar.high, bar.low, bar.close)))
    assert fills_of(run(params, candles)) == plain.fills


TRAILING = {
    "trailing_profit_percent": "0.5",
    "trailing_stop": True,
    "break_even_percent": "0.3",
    "start": "price_drop",
    "drop_percent": "1",
    "drop_candles": 10,
    "max_active_deals": 3,
    "cooldown_minutes": 4,
}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.data())
def test_cutting_off_the_future_changes_no_fill_before_it(seed: int, data: st.DataObject):
    candles = candles_like(seed)
    cut = data.draw(st.integers(2, len(candles)))
    params = params_of((Decimal("0.01"), Decimal("0.025")), Decimal("0.01"), Decimal("0.1"), **TRAILING)
    whole = [fill for fill in fills_of(run(params, candles)) if fill[0] < cut]
    assert fills_of(run(params, candles.slice(0, cut))) == whole


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_without_gaps_and_a_stop_no_trailing_deal_loses(seed: int):
    candles = candles_like(seed, wild=0)
    params = DcaParams.model_validate(
        {"size_in": "base", "base_order": 2, "safety_order": 1, "take_profit_percent": 1, "trailing_profit_percent": 3}
    )
    result = run(params, candles)
    deals, cost = 0, 0.0
    for side, price, qty in zip(result.fills.side, result.fills.price, result.fills.qty, strict=True):
        cost += side * price * qty + price * qty * float(FEE)
        if side < 0:
            assert cost <= 1e-6, "a deal ended with a loss"
            deals, cost = deals + 1, 0.0
    assert result.fills.slot[0] == "deal:1:base"
    assert len([slot for slot in result.fills.slot if slot.endswith(":exit")]) == deals


def test_the_random_candles_reach_every_kind_of_fill():
    seen: dict[str, int] = {}
    params = params_of((Decimal("0.01"), Decimal("0.025")), Decimal("0.01"), Decimal("0.1"), **TRAILING)
    for seed in range(60):
        for slot in run(params, candles_like(seed)).fills.slot:
            seen[slot.split(":", 2)[2]] = seen.get(slot.split(":", 2)[2], 0) + 1
    assert all(seen.get(name, 0) > 20 for name in ("base", "safety:1", "safety:2", "exit")), seen


def test_deals_start_only_so_far_below_the_recent_high():
    params = params_of((), Decimal("0.01"), Decimal("0.1"), start="price_drop", drop_percent=2, drop_candles=20)
    started = 0
    for seed in range(20):
        candles = candles_like(seed)
        fills = run(params, candles).fills
        for candle, slot, price in zip(fills.candle.tolist(), fills.slot, fills.price.tolist(), strict=True):
            if slot == "deal:1:base":
                assert candle >= 20
                assert price <= candles.high[candle - 20 : candle].max() * 0.98 + 1e-9
                started += 1
    assert started > 20


def test_deals_start_only_while_their_condition_held_at_the_last_close():
    params = params_of(
        (), Decimal("0.01"), Decimal("0.1"), start="condition", start_condition="close < sma(10) and close > open"
    )
    started = 0
    for seed in range(10):
        candles = candles_like(seed)
        fills = run(params, candles).fills
        for candle, slot in zip(fills.candle.tolist(), fills.slot, strict=True):
            if slot == "deal:1:base":
                last = candle - 1
                assert candles.open[last] < candles.close[last] < candles.close[last - 9 : last + 1].mean()
                started += 1
    assert started > 20


@pytest.mark.parametrize("size_in", ["quote", "percent"])
def test_sizes_in_quote_and_in_percent_follow_the_price(size_in: str):
    size = {"quote": "1000", "percent": "0.1"}[size_in]
    params = DcaParams(size_in=size_in, base_order=Decimal(size), safety_orders=0, take_profit_percent=Decimal(50))
    fills = fills_of(run(params, candles_like(3)))
    assert fills[0][2] * fills[0][3] == pytest.approx(1000, abs=fills[0][2] * 0.001)
