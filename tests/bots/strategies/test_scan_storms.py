"""The scan in bad weather: never more deals than allowed opened, never without a stop, never a coin left behind."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from fake_engine import FakeEngine
from fake_market import FakeMarket
from storms import Storm, storm_test

from bots.strategies.scan.params import ScanParams
from bots.strategies.scan.strategy import Scan
from trading.core.types import Command, Kind, MarketRules, SlotStatus

NAMES = ("AAA/USDT", "BBB/USDT", "CCC/USDT", "DDD/USDT", "EEE/USDT")


def rules(symbol: str) -> MarketRules:
    base, quote = symbol.split("/")
    return MarketRules(base, quote, Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1))


def params(rng: random.Random) -> ScanParams:
    return ScanParams(
        symbols=NAMES,
        entry="rsi(14) < 30",
        exit=rng.choice(["", "rsi(14) > 70"]),
        max_deals=rng.randint(1, 3),
        quote_per_deal=rng.randint(20, 90),
        stop_percent=rng.choice([2, 5]),
        trailing_percent=rng.choice([None, 1]),
        take_profit_percent=rng.choice([None, 1, 3]),
        cooldown_minutes=rng.choice([0, 10]),
    )


class ScanStorm(Storm):
    def build(self, rng: random.Random) -> FakeEngine:
        markets = {name: FakeMarket(rules(name), 50.0) for name in NAMES}
        return FakeEngine.on(Scan(), params(rng), markets, cash=300)

    def edits(self, rng: random.Random) -> list[ScanParams]:
        same = {"exit": self.engine.params.exit, "max_deals": self.engine.params.max_deals}
        return [params(rng).model_copy(update=same)]

    def commands(self, rng: random.Random) -> list[Command]:
        return [Command("close", {"market": rng.choice(NAMES)}), Command("close"), Command("resume")]

    def signal_values(self, name: str) -> list[Any]:
        return [True, True, False, None]

    def check(self) -> None:
        made = self.engine
        # More than dust that a risen price has made tradeable again: that is sold, and is nobody's new deal.
        held = {alias for alias, market in made.markets.items() if market.qty * market.price > 2}
        buying = {made.slots[s].want.market for s in made.working() if s.endswith(":entry")}
        assert len(held | buying) <= made.params.max_deals, f"{held} and {buying} at once"

    def end(self) -> None:
        for name in sorted(self.engine.needs.signals):
            self.engine.signal(name, False)

    def calmed(self) -> None:
        """No entry is met any more: what is held has its stop working, or is sold."""
        made = self.engine
        for alias, market in made.markets.items():
            if market.flat:
                continue
            exit_order = made.slots.get(f"{alias}:exit")
            assert exit_order is not None
            assert exit_order.status is SlotStatus.WORKING
            assert exit_order.want.kind in (Kind.STOP, Kind.TRAILING)
            assert abs(made.left(f"{alias}:exit") - market.qty) < 1e-9


TestScanStorm = storm_test(ScanStorm)
