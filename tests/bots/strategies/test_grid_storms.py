"""The grid in bad weather: random fills, partial and out of order, lost races, refusals, denials, hands of people.

Beyond what the harness holds for every strategy: no coin is lost from the books of the cells, and in the end no cell
stands still without a reason; a stop or take profit leaves nothing but dust; an edit keeps every coin.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from fake_engine import FakeEngine
from storms import Storm, storm_test

from bots.strategies.grid.params import GridParams
from bots.strategies.grid.plan import make_plan
from bots.strategies.grid.state import BUY, FLAGS, RUN, SELL, WAIT, qty_of, total_held
from bots.strategies.grid.strategy import Grid
from trading.core.types import Command, Fees, MarketRules, SlotStatus

RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal("0.0005"), Decimal("0.05"))
COARSE = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal("0.08"), Decimal(5))


def any_params(rng: random.Random, **fixed: Any) -> GridParams:
    size = {"investment": rng.randint(500, 5000)} if rng.random() < 0.7 else {"quantity_per_level": rng.random() + 0.1}
    lower = rng.randint(50, 150)
    return GridParams.model_validate(
        {
            "lower": lower,
            "upper": lower + rng.randint(20, 100),
            "levels": rng.randint(3, 12),
            "spacing": rng.choice(["arithmetic", "geometric"]),
            **size,
            **fixed,
        }
    )


class GridStorm(Storm):
    weights = {"edit": 0, "delay": 3, "deliver": 6}  # noqa: RUF012 - never written to
    exits: dict[str, Any] = {}  # noqa: RUF012
    least_price = 5.0

    def build(self, rng: random.Random) -> FakeEngine:
        params = any_params(rng, **self.exits)
        price = round(rng.uniform(float(params.lower) * 0.95, float(params.upper) * 1.05), 2)
        rules = rng.choice([RULES, COARSE])
        funds = make_plan(params, price, rules, Fees()).funds
        return FakeEngine(Grid(), params, rules, price, float(funds) * 1.005)

    def commands(self, rng: random.Random) -> Sequence[Command]:
        return [Command("resume")]

    def check(self) -> None:
        """Coins in the grid's books and coins in the position are the same, once every fill has been told."""
        made = self.engine
        if made.state["resync"] or not self.all_told() or made.finish:
            return
        assert qty_of(total_held(made.state), made.state["unit"]) == pytest.approx(made.base, abs=1e-9)

    def kept(self, alias: str) -> float:
        """What belongs to no cell, as an edit may leave it: it stays until the grid ends."""
        return qty_of(self.engine.state["reserve"], self.engine.state["unit"])

    def calmed(self) -> None:
        made = self.engine
        if made.state["phase"] != RUN:
            return
        opening = made.slots.get("grid:open")
        for index, cell in enumerate(made.state["cells"]):
            if cell[FLAGS] == WAIT and opening is not None and opening.status is SlotStatus.DENIED:
                continue  # the price has run away from what the opening may cost: denied, shown, and asked again
            assert cell[FLAGS] in (BUY, SELL, BUY | SELL), f"cell {index} stands still: {cell}"
            for flag, side, also in ((BUY, "buy", SlotStatus.DENIED), (SELL, "sell", SlotStatus.WORKING)):
                status = made.slots[f"grid:{index}:{side}"].status if cell[FLAGS] & flag else SlotStatus.WORKING
                assert status in (SlotStatus.WORKING, also), f"cell {index} has no {side}: {cell}"


class StoppedGridStorm(GridStorm):
    """In the end the price is beyond an exit: everything is sold, and the grid ends."""

    exits = {"stop_price": 30, "take_profit_price": 400}  # noqa: RUF012

    def end(self) -> None:
        if not self.engine.finish:
            self.engine.jump(self.rng.choice([29.0, 401.0]))

    def calmed(self) -> None:
        made = self.engine
        assert made.finish.startswith(("Stop price", "Take-profit price"))
        assert made.working() == []
        assert made.first.flat, "more than dust was left"


class EditedGridStorm(GridStorm):
    """Edits in between, each to a grid of another size, with money enough for it."""

    weights = {"edit": 3}  # noqa: RUF012

    def build(self, rng: random.Random) -> FakeEngine:
        params = any_params(rng, investment=None, quantity_per_level="0.5")
        made = FakeEngine(Grid(), params, RULES, float(params.lower + params.upper) / 2, 20_000.0)
        assert make_plan(params, made.price, RULES, Fees()).lots
        return made

    def edits(self, rng: random.Random) -> Sequence[Any]:
        return [any_params(rng, investment=None, quantity_per_level=rng.choice(["0.3", "0.5", "1"]))]

    def calmed(self) -> None:
        super().calmed()
        assert self.engine.state["phase"] == RUN
        assert len(self.engine.state["cells"]) == self.engine.params.levels - 1


TestEveryCellWorksAfterAStorm = storm_test(GridStorm, examples=20)
TestAnExitSellsEverythingInAnyStorm = storm_test(StoppedGridStorm, examples=20)
TestAnEditKeepsEveryCoinInAnyStorm = storm_test(EditedGridStorm, examples=20)
