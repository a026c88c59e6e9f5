"""An advised bot: asks an adviser for a direction now and then, and lets the answer act within fixed limits.

The adviser may say buy, sell or hold, how sure it is and how much to put in. Buying happens only without a position,
for at most the largest allocation, and not when the answer is less sure than asked for; each purchase has its stop at
once. Answers that are late, missing or absurd change nothing: what is held keeps its stop, and the next question goes
out at its time. So the worst that an adviser can do is to trade often, never to risk more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from bots.strategies.adviser.commands import COMMANDS
from bots.strategies.adviser.machine import FIGURES, Machine, blank
from bots.strategies.adviser.notes import explain
from bots.strategies.adviser.params import AdviserParams
from bots.strategies.adviser.preview import preview
from trading.core.commands import CommandSpec
from trading.core.needs import MarketRef, Needs, SignalSpec
from trading.core.previews import MarketFacts, Preview
from trading.core.types import Decision, PriceWake, View, Wake

WARMUP = 51  # candles that the slowest of the figures needs


class Adviser:
    """Acts on advice within limits; its state is described in `machine`."""

    key: ClassVar[str] = "adviser"
    title: ClassVar[str] = "Advised bot"
    summary: ClassVar[str] = "Asks an adviser for a direction and follows it within limits that no answer can raise."
    version: ClassVar[int] = 1
    params: ClassVar[type[BaseModel]] = AdviserParams
    commands: ClassVar[Mapping[str, CommandSpec]] = COMMANDS

    def needs(self, params: AdviserParams) -> Needs:
        return _NEEDS

    def decide(self, params: AdviserParams, state: Any, view: View) -> Decision:
        machine = Machine(params, blank() if state is None else state, view)
        machine.read()
        machine.trade()
        asks = machine.ask()
        notes = explain(machine) if view.explain else ()
        return Decision(machine.answer(), machine.desk.orders(), _wake(machine), notes, asks=asks)

    def adopt(self, old_params: AdviserParams, params: AdviserParams, state: Any, view: View) -> Any:
        """New limits count at once, also for the stop of what is held; the next question goes out at its new time."""
        if state is None or old_params.every_minutes == params.every_minutes:
            return state
        return {**state, "next": (view.now_ms // params.every_ms + 1) * params.every_ms}

    def upgrade(self, version: int, state: Any) -> Any:
        return state

    def preview(self, params: AdviserParams, markets: Mapping[str, MarketFacts]) -> Preview:
        return preview(params, markets["main"])


_NEEDS = Needs(
    markets={"main": MarketRef("")},
    signals={name: SignalSpec("main", value) for name, value in FIGURES.items()},
    warmup=WARMUP,
    advice=("direction",),
)


def _wake(machine: Machine) -> Wake:
    take = machine.state["take"]
    prices = () if take is None else (PriceWake("main", take, above=True),)
    times = [machine.state["next"], machine.desk.retry_at]
    return Wake(prices, at_ms=min(time for time in times if time is not None))
