"""The grid's life around its cells: commands of people, the exits, and the ways from one plan to the next.

RUN: cells trade. REBUILD: all orders are withdrawn, then the grid is laid out anew with what is held. EXIT: all orders
are withdrawn, then everything is sold at market. DONE: nothing is wanted any more.
"""

from __future__ import annotations

from typing import Any

from bots.strategies.desk import RESUMES
from bots.strategies.grid.machine import Machine
from bots.strategies.grid.params import GridParams
from bots.strategies.grid.plan import lots_needed, make_plan
from bots.strategies.grid.state import (
    BUY_PARKED,
    CLOSE,
    DONE,
    EXIT,
    FLAGS,
    REBUILD,
    REFUSED,
    RUN,
    SELL,
    SELL_PARKED,
    lay_out,
    lots_of,
    qty_of,
    total_held,
)
from trading.core.rounding import to_decimal
from trading.core.types import Kind, Side, Want

LEVELS_MOVE = frozenset({"start", "edit"})


def obey(params: GridParams, machine: Machine) -> None:
    """Do what people asked: a start lays the grid out anew, a resume or an edit forgets what was parked."""
    state = machine.state
    if "start" in machine.commands or (not state["buy"] and state["phase"] == REBUILD):
        state.update(phase=REBUILD, resync=1, **exit_levels(params))
    if not RESUMES.isdisjoint(machine.commands):
        state["retry_at"] = 0
        machine.unblock(BUY_PARKED | SELL_PARKED | REFUSED)
        machine.everything = True
    elif state["retry_at"] and machine.view.now_ms >= state["retry_at"]:
        state["retry_at"] = 0
        machine.unblock(REFUSED)
        machine.everything = True


def exit_levels(params: GridParams) -> dict[str, Any]:
    """Return the state's entries for the two exit prices."""
    stop, take = params.stop_price, params.take_profit_price
    return {"stop": None if stop is None else float(stop), "take": None if take is None else float(take)}


def check_exits(machine: Machine) -> None:
    """Begin the exit when the price is, or has been since the last decision, at the stop or the take-profit price."""
    state = machine.state
    stop, take = state["stop"], state["take"]
    if (stop is None and take is None) or state["phase"] not in (RUN, REBUILD):
        return
    market = machine.view.markets["main"]
    low = high = market.last
    if LEVELS_MOVE.isdisjoint(machine.commands):  # older extremes say nothing about levels that were set just now
        low, high = min(low, market.low_since), max(high, market.high_since)
    if stop is not None and low <= stop:
        state.update(phase=EXIT, why=f"Stop price {_text(stop)} reached at {_text(low)}")
    elif take is not None and high >= take:
        state.update(phase=EXIT, why=f"Take-profit price {_text(take)} reached at {_text(high)}")


def rebuild(params: GridParams, machine: Machine) -> None:
    """Withdraw every order; once all have ended, lay the grid out at the price of that moment."""
    state, view = machine.state, machine.view
    machine.withdraw_all()
    if machine.in_flight():
        return
    market = view.markets["main"]
    plan = make_plan(params, market.last, market.rules, market.fees)
    qty = market.position.qty if state["resync"] else qty_of(total_held(state), state["unit"])
    lay_out(state, plan, lots_of(qty, list(plan.lot.as_integer_ratio())), view.slots)
    machine.begin()


def leave(machine: Machine) -> None:
    """Withdraw every order, sell everything at market as soon as no sell rests, and end when nothing is left."""
    state = machine.state
    machine.withdraw_all()
    if any(cell[FLAGS] & SELL for cell in machine.cells) or (state["resync"] and machine.in_flight()):
        return
    market = machine.view.markets["main"]
    machine.collect()
    if state["resync"]:
        machine.unit = list(market.rules.lot.as_integer_ratio())
        state.update(resync=0, unit=machine.unit, reserve=lots_of(market.position.qty, machine.unit))
    gen, live, parked = state["exit"]
    if live or parked or state["retry_at"]:
        return
    if state["reserve"] >= lots_needed(market.rules, to_decimal(market.last)):
        state["exit"] = [gen + 1, 1, 0]
        qty = qty_of(state["reserve"], machine.unit)
        machine.orders[CLOSE] = Want("main", Side.SELL, Kind.MARKET, qty, gen=gen + 1, reduce=True, tag="exit")
    elif not machine.in_flight():
        state["phase"] = DONE


def _text(value: float) -> str:
    text = f"{value:,.10f}"
    return text.rstrip("0").rstrip(".")
