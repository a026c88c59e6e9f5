"""The spot grid: buys at each line below, sells one line higher, again and again, while the price stays in its range.

Rules: the line nearest to the price starts without an order; cells above it start held through one opening market buy,
cells below it start with a buy. A buy filled at its line is sold one line higher, in the quantity that was filled; a
sold cell buys at its line again. A stop or take-profit price ends the grid: all orders go, everything held is sold at
market. A price outside the range is no special case: above all lines nothing is held, below them everything.

Partial fills: the filled part of a buy is sold as soon as it makes an order; what comes in later joins that sell once
the buy has ended. Orders that a person cancelled stay away until a resume, an edit or a start; refused ones are asked
again after a minute, then at growing distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import BaseModel

from bots.strategies.grid import phases
from bots.strategies.grid.machine import Machine
from bots.strategies.grid.notes import explain
from bots.strategies.grid.params import GridParams
from bots.strategies.grid.preview import preview
from bots.strategies.grid.state import DONE, EXIT, REBUILD, RUN, blank
from trading.core.errors import InvalidInput
from trading.core.needs import MarketRef, Needs
from trading.core.previews import MarketFacts, Preview
from trading.core.types import Decision, MarketRules, PriceWake, View, Wake

LOOK_MS = 3_600_000  # a grid whose orders a person has cancelled looks around this often


class Grid:
    """A spot grid on one market; its state is described in `state`."""

    key: ClassVar[str] = "grid"
    title: ClassVar[str] = "Spot grid"
    summary: ClassVar[str] = "Buys low and sells one line higher, over and over, while the price moves within a range."
    version: ClassVar[int] = 1
    params: ClassVar[type[BaseModel]] = GridParams

    def needs(self, params: GridParams) -> Needs:
        return Needs(markets={"main": MarketRef("")})

    def decide(self, params: GridParams, state: Any, view: View) -> Decision:
        if state is None:
            refuse_perpetual(view.markets["main"].rules)
        machine = Machine(blank() if state is None else state, view)
        machine.read()
        phases.obey(params, machine)
        phases.check_exits(machine)
        phase = machine.state["phase"]
        if phase == RUN:
            machine.settle()
        elif phase == REBUILD:
            phases.rebuild(params, machine)
        elif phase == EXIT:
            phases.leave(machine)
        return _answer(machine)

    def adopt(self, old_params: GridParams, params: GridParams, state: Any, view: View) -> Any:
        """Take new parameters: other exits at once; another grid once all orders have ended, keeping what is held."""
        if state is None or state["phase"] in (EXIT, DONE):
            return state
        levels = phases.exit_levels(params)
        none = {"stop_price": None, "take_profit_price": None}
        if old_params.model_copy(update=none) == params.model_copy(update=none):
            return {**state, **levels}
        return {**state, **levels, "phase": REBUILD}

    def upgrade(self, version: int, state: Any) -> Any:
        return state

    def preview(self, params: GridParams, markets: Mapping[str, MarketFacts]) -> Preview:
        facts = markets["main"]
        refuse_perpetual(facts.rules, facts.symbol)
        return preview(params, facts.price, facts.rules, facts.fees)


def refuse_perpetual(rules: MarketRules, symbol: str = "") -> None:
    """Raise InvalidInput for a perpetual future: what a grid sells there without holding it would open a short."""
    if rules.perpetual is not None:
        text = f"{symbol or rules.base} is a perpetual future: this grid trades on spot markets only."
        raise InvalidInput(text, field="market", value=symbol or rules.base, code="not_spot")


def _answer(machine: Machine) -> Decision:
    state = machine.state
    live = state["phase"] in (RUN, REBUILD)
    at_ms = state["retry_at"]
    if not machine.orders and not at_ms and not machine.in_flight():
        at_ms = machine.view.now_ms + LOOK_MS
    wake = _wake(state["stop"] if live else None, state["take"] if live else None, at_ms)
    notes = explain(state, machine.orders) if machine.view.explain else ()
    return Decision(state, machine.orders, wake, notes, state["why"] if state["phase"] == DONE else "")


@lru_cache(maxsize=4096)
def _wake(stop: float | None, take: float | None, at_ms: int) -> Wake:
    below = () if stop is None else (PriceWake("main", stop, above=False),)
    above = () if take is None else (PriceWake("main", take, above=True),)
    return Wake(prices=below + above, at_ms=at_ms or None)
