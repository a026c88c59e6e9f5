"""The pair in bad weather: one leg failing, late, partial, liquidated. In the end both legs stand, or none."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from fake_engine import FakeEngine
from fake_market import FakeMarket
from storms import Storm, storm_test

from bots.strategies.pair.params import PairParams
from bots.strategies.pair.strategy import Pair
from trading.core.types import Command, MarketRules, Perpetual

Y = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1), Perpetual())
X = MarketRules("ETH", "USDT", Decimal("0.01"), Decimal("0.01"), Decimal("0.01"), Decimal(1), Perpetual())


def params(rng: random.Random, **same: Any) -> PairParams:
    values = {
        "hedge_ratio": rng.choice(["0.5", "1", "1.5"]),
        "leg_quote": rng.randint(50, 200),
        "leverage": rng.choice([1, 2, 5]),
        "max_hold_minutes": rng.choice([None, 5]),
        "complete_within_s": rng.choice([5, 60]),
        "max_imbalance_percent": rng.choice([5, 20]),
    }
    return PairParams(symbol="ETH/USDT:USDT", **{**values, **same})


class PairStorm(Storm):
    def build(self, rng: random.Random) -> FakeEngine:
        markets = {"main": FakeMarket(Y, 100.0), "other": FakeMarket(X, 40.0)}
        made = FakeEngine.on(Pair(), params(rng), markets, cash=1000)
        self.z(made, 0.0)
        return made

    def z(self, made: FakeEngine, value: float | None) -> None:
        """Let all signals agree with one z-score."""
        known = value is not None
        made.signals |= {
            "z": value,
            "deviation": 0.01 if known else None,
            "close": 1.0 + 0.01 * value if known else None,
            "high": value >= 2 if known else None,
            "low": value <= -2 if known else None,
            "calm": abs(value) <= 0.5 if known else None,
        }

    def edits(self, rng: random.Random) -> list[PairParams]:
        old = self.engine.params
        return [params(rng, hedge_ratio=old.hedge_ratio, leverage=old.leverage)]

    def commands(self, rng: random.Random) -> list[Command]:
        return [Command("close"), Command("resume"), Command("resume")]

    def signal_values(self, name: str) -> list[Any]:
        value = self.rng.choice([None, 0.0, 0.3, 1.5, 2.2, 3.0, 4.5, -2.2, -3.0, -4.5])
        self.z(self.engine, value)
        return [self.engine.signals[name]]

    def end(self) -> None:
        self.engine.inbox.append(Command("resume"))

    def calmed(self) -> None:
        made = self.engine
        legs = [made.markets["main"], made.markets["other"]]
        if all(leg.flat for leg in legs):
            return
        target = made.state["target"]
        parts = [leg.qty / target[alias] for alias, leg in made.markets.items()]
        assert made.state["phase"] == "hold", made.state
        assert min(parts) > 0
        assert (max(parts) - min(parts)) / max(parts) <= float(made.params.max_imbalance_percent) / 100 + 1e-9


TestPairStorm = storm_test(PairStorm)
