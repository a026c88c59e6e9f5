"""The advised bot in bad weather: whatever is answered, whenever, it never holds more than its limit."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any, ClassVar

from fake_engine import FakeEngine
from fake_market import FakeMarket
from storms import Storm, storm_test

from bots.advisors.simulated import ABSURD
from bots.strategies.adviser.params import AdviserParams
from bots.strategies.adviser.strategy import Adviser
from trading.core.types import Command, Kind, MarketRules, SlotStatus

RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1))
FIGURES = {"close": 100.0, "ema_fast": 101.0, "ema_slow": 100.0, "rsi": 55.0, "natr": 1.0, "roc": 0.5}


def params(rng: random.Random) -> AdviserParams:
    every = rng.choice([1, 5])
    return AdviserParams(
        every_minutes=every,
        deadline_minutes=rng.choice([1, every]),
        investment=400,
        max_allocation_percent=rng.choice([20, 50]),
        min_confidence=rng.choice(["0", "0.6"]),
        stop_percent=rng.choice([1, 5]),
        take_profit_percent=rng.choice([None, 2]),
    )


class AdviserStorm(Storm):
    weights: ClassVar = {"advise": 12}

    def build(self, rng: random.Random) -> FakeEngine:
        made = FakeEngine.on(Adviser(), params(rng), {"main": FakeMarket(RULES, 100.0)}, cash=500)
        made.signals |= FIGURES
        self.most = 0.5
        return made

    def edits(self, rng: random.Random) -> list[AdviserParams]:
        return [params(rng)]

    def commands(self, rng: random.Random) -> list[Command]:
        return [Command("close"), Command("resume")]

    def signal_values(self, name: str) -> list[Any]:
        return [FIGURES[name], FIGURES[name] * 1.1] * 20 + [None]

    def answers(self, ask: Any) -> list[Any]:
        buy = {"side": "buy", "confidence": 0.9, "allocation_ratio": 1.0}
        return [*[buy] * 12, {**buy, "side": "sell"}, {**buy, "side": "hold"}, {**buy, "confidence": 0.1}, *ABSURD]

    def advise(self, rng: random.Random) -> None:
        """Mostly the newest question is answered, now and then one that was given up long ago."""
        made = self.engine
        if made.asks and rng.random() < 0.8:
            ask = list(made.asks.values())[-1]
            error = rng.choice(["", "", "", "deadline", "failed"])
            made.answer(ask.id, None if error else rng.choice(self.answers(ask)), error)
        else:
            super().advise(rng)

    def check(self) -> None:
        made = self.engine
        buys = sum(made.left(slot) for slot in made.working() if slot == "entry")
        cost = made.first.cost + buys * made.price
        assert cost <= 400 * self.most * 1.5, f"{cost} at stake"  # gaps move the price of what is under way

    def calmed(self) -> None:
        made = self.engine
        if made.first.flat:
            return
        known = made.slots["exit"]
        assert known.status is SlotStatus.WORKING
        assert known.want.kind is Kind.STOP
        assert abs(made.left("exit") - made.base) < 1e-9


TestAdviserStorm = storm_test(AdviserStorm)
