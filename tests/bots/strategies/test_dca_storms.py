"""DCA in bad weather: long on spot and short on a perpetual, several deals, trailing exits, people in between.

The harness holds what holds for every strategy; here: the books of the deals and the position are the same, and after
a person has closed everything and the weather is calm nothing is left but dust.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from fake_engine import FakeEngine
from fake_market import FakeMarket
from storms import Storm, storm_test

from bots.strategies.dca.params import DcaParams
from bots.strategies.dca.strategy import Dca
from trading.core.errors import InvalidInput
from trading.core.types import Command, MarketRules, Perpetual

FINE = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal("0.0005"), Decimal("0.05"))
COARSE = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.01"), Decimal("0.05"), Decimal(5))
PERPETUAL = MarketRules(
    "BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1), perpetual=Perpetual()
)


def any_params(rng: random.Random, **fixed: Any) -> DcaParams:
    """Parameters of any kind that fit together."""
    while True:
        steps = rng.choice([0, 1, 3, 6])
        start = rng.choice(["immediately", "immediately", "price_drop", "condition", "signal"])
        wish = {
            "size_in": rng.choice(["quote", "base", "percent"]),
            "base_order_type": rng.choice(["market", "limit"]),
            "safety_orders": steps,
            "deviation_percent": rng.choice(["0.5", "1", "3"]),
            "step_scale": rng.choice(["0.8", "1", "1.5"]),
            "volume_scale": rng.choice(["1", "1.5"]),
            "active_safety_orders": rng.choice([None, 1, 2]),
            "take_profit_percent": rng.choice(["0.6", "1.5", "4"]),
            "take_profit_of": rng.choice(["total", "base"]),
            "take_profit_after_fees": rng.choice([True, False]),
            "trailing_profit_percent": rng.choice([None, None, "0.5"]),
            "stop_loss_percent": rng.choice([None, "8", "20"]),
            "stop_reference": rng.choice(["average", "base"]),
            "break_even_percent": rng.choice([None, "0.5"]),
            "after_stop": "continue",
            "start": start,
            "drop_percent": "1",
            "start_condition": "close > 1",
            "cooldown_minutes": rng.choice([1, 5]),
            "max_active_deals": rng.choice([1, 1, 3]),
            "stop_after_deals": rng.choice([None, None, None, 4]),
        }
        size = {"quote": 50, "base": 1, "percent": 8}[str(wish["size_in"])]
        wish |= {"base_order": size, "safety_order": size if steps else None}
        wish["trailing_stop"] = wish["stop_loss_percent"] is not None and rng.random() < 0.4
        with suppress(InvalidInput):  # what doesn't go together: another wish
            return DcaParams.model_validate(wish | fixed)


class DcaStorm(Storm):
    """What holds for DCA alone, on any market."""

    weights = {"delay": 3, "deliver": 6}  # noqa: RUF012 - never written to
    fixed: dict[str, Any]

    def edits(self, rng: random.Random) -> Sequence[Any]:
        return [any_params(rng, **self.fixed)]

    def commands(self, rng: random.Random) -> Sequence[Command]:
        return [
            Command("signal"),
            Command("signal"),
            Command("resume"),
            Command("add_funds", {"deal": "1", "quote": "30"}),
            Command("close", {"deal": rng.choice(["1", "2"])}),
            Command("close"),
            Command("cancel_deal", {"deal": "1"}),
        ]

    def signal_values(self, name: str) -> Sequence[Any]:
        price = self.engine.price
        return (True, False, None) if name == "condition" else (None, price * 0.95, price * 1.05)

    def check(self) -> None:
        """Once every fill has been told, the deals and the position hold the same."""
        made = self.engine
        if not self.all_told() or not made.state or made.state["look"]:
            return
        sign = 1 if self.fixed.get("direction", "long") == "long" else -1
        held = sum(deal["qty"] for deal in made.state["deals"].values()) + sign * made.state["kept"]
        assert held == pytest.approx(sign * made.base, abs=1e-9)

    def end(self) -> None:
        self.engine.inbox.append(Command("close"))

    def kept(self, alias: str) -> float:
        return abs(float(self.engine.state["kept"]))

    def calmed(self) -> None:
        made = self.engine
        assert made.state["deals"] == {}, made.state
        assert made.working() == []
        assert abs(made.base) == pytest.approx(self.kept("main"), abs=1e-9)


class LongSpotStorm(DcaStorm):
    fixed: dict[str, Any] = {}  # noqa: RUF012 - never written to

    def build(self, rng: random.Random) -> FakeEngine:
        market = FakeMarket(rng.choice([FINE, COARSE]), 100.0)
        return FakeEngine.on(Dca(), any_params(rng), {"main": market}, cash=rng.choice([150.0, 600.0, 5000.0]))


class ShortPerpetualStorm(DcaStorm):
    fixed: dict[str, Any] = {"direction": "short", "leverage": "3"}  # noqa: RUF012 - never written to

    def build(self, rng: random.Random) -> FakeEngine:
        market = FakeMarket(PERPETUAL, 100.0)
        params = any_params(rng, **self.fixed)
        return FakeEngine.on(Dca(), params, {"main": market}, cash=rng.choice([80.0, 300.0, 3000.0]))


TestLongOnSpot = storm_test(LongSpotStorm)
TestShortOnAPerpetual = storm_test(ShortPerpetualStorm)
