"""The memory of DCA between two decisions: plain JSON.

A deal sits on a seat ("1" to the number of deals at a time), and the seat names its slots: "deal:1:base",
"deal:1:safety:2", "deal:1:add", "deal:1:exit". So a bot of any age has few slots, each with a rising generation.
An order that has not ended is in `live` as [generation, quantity told so far, quantity it ended with or -1]: one that
ended with more than was told stays there until the missing fills arrive.

Quantities are floats on the lot grid: after each sum they are rounded to the lot's digits, so that none drifts.
Prices go to the tick in floats too, by the rule of trading.core.rounding (a test compares them): a deal rounds ten
numbers when it opens and two at each fill, and Decimals would take half of its time.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from trading.core.rounding import to_float
from trading.core.types import MarketRules

State = dict[str, Any]
Deal = dict[str, Any]

_NOISE = 2.0**-48

GEN, TOLD, ENDED = range(3)
WORKS = -1.0  # the order has not ended

BASE, ADD, EXIT, SAFETY = "base", "add", "exit", "safety"

TAKE_PROFIT, STOP_LOSS, BY_HAND = "take profit", "stop loss", "closed by hand"
KEPT, LIQUIDATED, NOTHING = "cancelled, coins kept", "liquidated", "nothing was bought"
TOO_SMALL = "too small to sell"


def slot_of(seat: str, name: str) -> str:
    return f"deal:{seat}:{name}"


def safety_name(number: int) -> str:
    return f"{SAFETY}:{number}"


def blank() -> State:
    """Return the state of a bot that has never decided."""
    return {
        "deals": {},  # by seat
        "live": {},  # by slot
        "gens": {},  # by slot: the latest generation asked for
        "lot": [1e-8, 8],  # step and its decimals
        "tick": [1e-8, 8],
        "least": [0.0, 0.0],  # the smallest order: quantity, notional
        "started": 0,
        "ended": 0,
        "ready_ms": 0,  # no deal starts before
        "retry_ms": 0,  # what was refused is asked again then
        "retries": 0,
        "held_back": 0,  # a person paused, closed or cancelled: no new deal until a resume, an edit or a start
        "ending": "",  # why no further deal starts
        "kept": 0.0,  # held, but of no deal
        "liquidated_ms": 0,  # when the venue closed the position
        "look": 1,  # look at everything, not just at what something happened to
    }


def new_deal(number: int, long: bool, now_ms: int) -> Deal:
    """Return a deal before its base order."""
    return {
        "number": number,
        "long": 1 if long else 0,
        "since_ms": now_ms,
        "size": 0.0,  # of the base order
        "limit": None,
        "funds": 0.0,  # what percent sizes count from
        "qty": 0.0,  # held; of a short: owed
        "cost": 0.0,  # what it was bought (short: sold) for
        "fees": 0.0,
        "base_qty": 0.0,  # of all fills of the base order
        "base_cost": 0.0,
        "due": 0.0,  # of that, what has not been sold again: a take profit of the base order counts from it
        "left": 0.0,  # quantity that exits have filled
        "gain": 0.0,  # realised, after fees
        "steps": None,  # [[price, quantity], ...], once the base order has ended
        "todo": [],  # numbers of the safety orders that have not filled
        "add": 0.0,  # quantity that a person asked for and that isn't ordered yet
        "parked": [],  # names of orders that a person cancelled
        "refused": [],  # names of orders that the venue refused
        "target": None,
        "floor": None,  # where a trailing exit pays the fees
        "stop": None,
        "even": 0,  # the stop has moved to break even
        "armed": 0,  # number of the decision that set the stop
        "ending": "",  # why it is being closed
    }


def learn_market(state: State, rules: MarketRules) -> None:
    """Keep what every decision needs of the market's rules."""
    state["lot"], state["tick"] = _step(rules.lot), _step(rules.tick)
    state["least"] = [to_float(max(rules.lot, rules.min_qty)), to_float(rules.min_notional)]


def _step(step: Decimal) -> list[float]:
    exponent = step.normalize().as_tuple().exponent
    return [to_float(step), max(0, -exponent) if isinstance(exponent, int) else 0]


def on_step(value: float, step: list[float], *, up: bool = False) -> float:
    """Return the multiple of a step (its size and decimals) at or below `value`, at or above it with `up`."""
    size, digits = step
    steps = value / size
    nearest = round(steps)
    away = abs(steps - nearest)
    if away > 1e-9 and away > abs(steps) * _NOISE:
        nearest = math.ceil(steps) if up else math.floor(steps)
    return round(nearest * size, int(digits))


def base_price(deal: Deal) -> float:
    """Return the average price of the base order's fills."""
    return float(deal["base_cost"] / deal["base_qty"])
