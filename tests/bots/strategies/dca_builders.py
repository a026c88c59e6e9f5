"""What the tests of DCA share: one plain bot and a look at what rests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fake_engine import FakeEngine
from fake_market import FakeMarket

from bots.strategies.dca.params import DcaParams
from bots.strategies.dca.strategy import Dca
from trading.core.types import MarketRules, Perpetual

MINUTE = 60_000
RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1))
SWAP = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1), Perpetual())
# base 1 at 100, safety orders 1, 2, 4 at 98, 95, 90; out at +1 % of the average, plainly
BASE = {
    "size_in": "base",
    "base_order": 1,
    "safety_orders": 0,
    "custom_steps": ["2:1", "5:2", "10:4"],
    "take_profit_percent": 1,
    "take_profit_after_fees": False,
    "cooldown_minutes": 1,
}


def engine(cash: float = 10_000.0, *, open_it: bool = True, rules: MarketRules = RULES, **changes: Any) -> FakeEngine:
    params = DcaParams.model_validate({**BASE, **changes})
    made = FakeEngine.on(Dca(), params, {"main": FakeMarket(rules, 100.0)}, cash)
    made.decide()
    if open_it:
        made.rest()
    return made


def resting(made: FakeEngine) -> dict[str, tuple[str, float | None, float]]:
    return {
        slot: (made.slots[slot].want.side.value, made.slots[slot].want.price, made.left(slot))
        for slot in sorted(made.working())
    }


def deal(made: FakeEngine, seat: str = "1") -> dict[str, Any]:
    found: dict[str, Any] = made.state["deals"][seat]
    return found
