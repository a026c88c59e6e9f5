"""DCA: a deal opens with a base order, buys more as the price falls, and sells all a little above its average.

Rules (long; a short is the mirror image): safety orders are laid out from the base order's average price once it has
ended, and rest all or a few at a time. One exit works for everything that a deal holds: a limit at the target or a
trailing order from it on; each fill moves it. The stop is a price that the engine watches, for on spot the coins are
in the exit: when it is reached, every order of the deal is withdrawn and what it holds goes at market. What fills late,
while a deal closes, is sold too. A deal ends flat (or with dust, or with its coins kept when a person cancels it).

Fills at one point come before the stop there: a gap through safety orders and stop buys the first and then looks at
the stop of the new average.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import BaseModel

from bots.strategies.dca import deals, starts
from bots.strategies.dca.commands import COMMANDS
from bots.strategies.dca.ladder import recipe_of
from bots.strategies.dca.machine import Machine
from bots.strategies.dca.notes import explain
from bots.strategies.dca.params import DcaParams
from bots.strategies.dca.preview import preview
from bots.strategies.dca.state import BASE, Deal, blank, slot_of
from trading.core.commands import CommandSpec
from trading.core.conditions import parse_condition
from trading.core.needs import MarketRef, Needs, SignalSpec, Value
from trading.core.previews import MarketFacts, Preview
from trading.core.rounding import to_float
from trading.core.timeframes import MINUTE_MS
from trading.core.types import Decision, PriceWake, Side, Trail, TrailWake, View, Wake

LOOK_MS = 60 * MINUTE_MS  # a bot that waits for a person alone looks around this often


class Dca:
    """Base order, safety orders, one exit from the average; several deals at a time, long or short."""

    key: ClassVar[str] = "dca"
    title: ClassVar[str] = "DCA"
    summary: ClassVar[str] = "Buys in steps as the price falls and sells all of it a little above the average."
    version: ClassVar[int] = 2
    params: ClassVar[type[BaseModel]] = DcaParams
    commands: ClassVar[Mapping[str, CommandSpec]] = COMMANDS

    def needs(self, params: DcaParams) -> Needs:
        signals = {}
        if params.start == "price_drop":
            name = "highest" if params.direction == "long" else "lowest"
            signals[starts.EXTREME] = SignalSpec("main", Value(name, (params.drop_candles,)))
        elif params.start == "condition":
            signals[starts.CONDITION] = SignalSpec("main", parse_condition(params.start_condition))
        return Needs({"main": MarketRef("")}, signals, leverage=to_float(params.leverage))

    def decide(self, params: DcaParams, state: Any, view: View) -> Decision:
        machine = Machine(recipe_of(params), blank() if state is None else state, view)
        machine.read()
        if machine.commands or machine.everything or machine.state["retry_ms"]:
            starts.obey(machine)
        _look(machine)
        starts.open_deal(machine)
        machine.state["look"] = 0
        notes = explain(machine) if view.explain else ()
        finish = machine.state["ending"] if not machine.deals and not machine.live else ""
        return Decision(machine.state, machine.orders, _wake_of(machine), notes, finish)

    def adopt(self, old_params: DcaParams, params: DcaParams, state: Any, view: View) -> Any:
        """Sizes, steps and start count for new deals. The exits of running deals (take profit, stop, trailing, break
        even) and how many safety orders rest at a time change at once; another direction waits for their end."""
        return None if state is None else {**state, "look": 1, "ending": ""}

    def upgrade(self, version: int, state: Any) -> Any:
        """From 1: a deal knows what its exits have left of the base order."""
        if state is None or version >= 2:
            return state
        return {**state, "deals": {seat: {**deal, "due": _due(deal)} for seat, deal in state["deals"].items()}}

    def preview(self, params: DcaParams, markets: Mapping[str, MarketFacts]) -> Preview:
        return preview(params, markets["main"])


def _due(deal: Deal) -> float:
    """Return what is held of the base order's worth, as if all sales had come after all purchases."""
    bought = deal["qty"] + deal["left"]
    return float(deal["base_cost"] * deal["qty"] / bought) if bought else 0.0


def _look(machine: Machine) -> None:
    """Bring the deals that something happened to, or all, to what they should want now."""
    if machine.everything:
        for seat in machine.deals:
            machine.deal(seat)
    for seat, deal in machine.touched.items():
        deals.aim(machine, seat, deal)
    if machine.recipe.stop is not None or machine.recipe.even is not None:
        oldest = _oldest(machine) if machine.trail_fired else ""
        for seat in machine.deals:
            deals.check_stop(machine, seat, oldest)
    now_ms, wait_ms = machine.view.now_ms, machine.recipe.wait_ms
    for seat, deal in tuple(machine.deals.items()):
        if seat in machine.touched or (deal["steps"] is None and now_ms >= deal["since_ms"] + wait_ms):
            deals.settle(machine, seat)


def _oldest(machine: Machine) -> str:
    """Return the deal whose trailing stop has fired: no peak is known here, but all trail at one distance, so that the
    one armed first has seen the best price; unless the price is at the floor of some, which then end by that."""
    last = machine.market.last
    waiting = {}
    for seat, deal in machine.deals.items():
        if not machine.recipe.trailing_stop or deal["stop"] is None or deal["ending"] or not deal["qty"]:
            continue
        if (last <= deal["stop"]) if deal["long"] else (last >= deal["stop"]):
            return ""
        waiting[seat] = deal["armed"]
    return min(waiting, key=lambda seat: (waiting[seat], seat), default="")


# --- what it waits for ----------------------------------------------------------------------------------------------


def _wake_of(machine: Machine) -> Wake:
    recipe, state = machine.recipe, machine.state
    prices: list[PriceWake] = []
    trails: list[TrailWake] = []
    times = [state["retry_ms"]] if state["retry_ms"] else []
    for seat, deal in machine.deals.items():
        if slot_of(seat, BASE) in machine.live:
            times.append(deal["since_ms"] + recipe.wait_ms)
        if deal["qty"] and not deal["ending"]:
            _watch(machine, deal, prices, trails)
    signals: tuple[str, ...] = ()
    if starts.has_room(machine):
        if machine.view.now_ms < state["ready_ms"]:
            times.append(state["ready_ms"])
        elif recipe.start == "price_drop":
            signals = (starts.EXTREME,)
            level = starts.start_level(machine)
            if level is not None:
                prices.append(PriceWake("main", level, above=not recipe.long))
        elif recipe.start == "condition":
            signals = (starts.CONDITION,)
    at_ms = min((at for at in times if at > machine.view.now_ms), default=None)
    if at_ms is None and not (prices or trails or signals or machine.any_works()):
        at_ms = machine.view.now_ms + LOOK_MS
    return _wake(tuple(prices), signals, at_ms, tuple(trails))


def _watch(machine: Machine, deal: Deal, prices: list[PriceWake], trails: list[TrailWake]) -> None:
    """Watch a deal's stop, and the price from which on it moves to break even."""
    recipe, long, stop = machine.recipe, bool(deal["long"]), deal["stop"]
    if stop is not None:
        if recipe.trailing_stop and recipe.stop is not None:
            trails.append(TrailWake("main", Side.SELL if long else Side.BUY, Trail(None, recipe.stop, floor=stop)))
        else:
            prices.append(PriceWake("main", stop, above=not long))
    level = deals.even_level(recipe, deal)
    if level is not None:
        prices.append(PriceWake("main", level, above=long))


@lru_cache(maxsize=4096)
def _wake(
    prices: tuple[PriceWake, ...], signals: tuple[str, ...], at_ms: int | None, trails: tuple[TrailWake, ...]
) -> Wake:
    return Wake(prices, signals, at_ms, trails)
