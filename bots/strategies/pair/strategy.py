"""A pair of perpetuals: sells the dear one and buys the cheap one when they have drifted apart, until they meet again.

The spread is ln(y) - ratio x ln(x), the ratio being one of values: the legs are worth N and ratio x N. Its z-score,
over a window of closed candles, opens both legs at +-entry (z high: short y, long x), closes them within +-exit, and
stops them beyond +-stop. The stop also looks at the spread between closes, by the mean and deviation of the last close.
After a stop, a time-out or a failure the spread must come back within +-exit before the next entry.

The legs go together: one group at the gate, and when one of them has traded the other is completed within a time, or
the first is closed again. A leg that vanishes later (a liquidation, a person's close) takes the other with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import BaseModel

from bots.strategies.pair.commands import COMMANDS
from bots.strategies.pair.machine import CLOSE, FLAT, HOLD, LEGS, Machine, blank
from bots.strategies.pair.notes import explain
from bots.strategies.pair.params import PairParams
from bots.strategies.pair.preview import preview
from trading.core.commands import CommandSpec
from trading.core.errors import InvalidInput
from trading.core.needs import AllOf, Compare, Const, DerivedSpec, MarketRef, Needs, SignalSpec, Value
from trading.core.previews import MarketFacts, Preview
from trading.core.rounding import to_float
from trading.core.types import Decision, PriceWake, View, Wake

_ENTRIES = ("high", "low")


class Pair:
    """Trades the spread of two perpetuals; its state is described in `machine`."""

    key: ClassVar[str] = "pair"
    title: ClassVar[str] = "Pair"
    summary: ClassVar[str] = "Sells the dear and buys the cheap one of two related perpetuals until they meet again."
    version: ClassVar[int] = 1
    params: ClassVar[type[BaseModel]] = PairParams
    commands: ClassVar[Mapping[str, CommandSpec]] = COMMANDS

    def needs(self, params: PairParams) -> Needs:
        return _needs(params)

    def decide(self, params: PairParams, state: Any, view: View) -> Decision:
        if state is None:
            refuse_spot({alias: view.markets[alias].rules.perpetual is not None for alias in LEGS})
        machine = Machine(params, blank() if state is None else state, view)
        machine.read()
        machine.step()
        notes = explain(machine) if view.explain else ()
        return Decision(machine.answer(), machine.desk.orders(), _wake(machine), notes)

    def adopt(self, old_params: PairParams, params: PairParams, state: Any, view: View) -> Any:
        """New levels and times count at once, a new size from the next entry on.

        Raises InvalidInput for another pair while something is held of this one.
        """
        busy = state is not None and state["phase"] != FLAT
        for field in ("symbol", "hedge_ratio", "leverage"):
            if busy and getattr(old_params, field) != getattr(params, field):
                text = f"The {field.replace('_', ' ')} can't change while the pair is open: close it first."
                raise InvalidInput(text, field=field, value=getattr(params, field), code="open_position")
        return state

    def upgrade(self, version: int, state: Any) -> Any:
        return state

    def preview(self, params: PairParams, markets: Mapping[str, MarketFacts]) -> Preview:
        refuse_spot({alias: markets[alias].rules.perpetual is not None for alias in LEGS})
        return preview(params, markets["main"], markets["other"])


def refuse_spot(perpetual: Mapping[str, bool]) -> None:
    """Raise InvalidInput unless both markets are perpetual futures."""
    if not all(perpetual.values()):
        which = "The bot's own market" if not perpetual["main"] else "The second market"
        text = (
            f"{which} is a spot market: one leg of a pair is short, so both must be perpetual futures (BTC/USDT:USDT)."
        )
        field = "symbol" if perpetual["main"] else "market"
        raise InvalidInput(text, field=field, code="not_perpetual")


@lru_cache(maxsize=64)
def _needs(params: PairParams) -> Needs:
    z = Value("zscore", (params.window,))
    entry, leave = to_float(params.entry), to_float(params.exit)
    signals = {
        "z": SignalSpec("spread", z),
        "deviation": SignalSpec("spread", Value("std", (params.window,))),
        "close": SignalSpec("spread", Value("close")),
        "high": SignalSpec("spread", Compare(z, ">=", Const(entry))),
        "low": SignalSpec("spread", Compare(z, "<=", Const(-entry))),
        "calm": SignalSpec("spread", AllOf((Compare(z, "<=", Const(leave)), Compare(z, ">=", Const(-leave))))),
    }
    spread = DerivedSpec((("main", 1.0), ("other", -to_float(params.hedge_ratio))), log=True)
    return Needs(
        markets={"main": MarketRef(""), "other": MarketRef(params.symbol)},
        signals=signals,
        derived={"spread": spread},
        warmup=params.window,
        leverage=to_float(params.leverage),
    )


def _wake(machine: Machine) -> Wake:
    """Flat: when the z-score reaches an entry, or comes back. Holding: at each close, and at the stop in between."""
    phase, times = machine.state["phase"], machine.times()
    at_ms = min(times, default=None)
    if phase == FLAT:
        return Wake(signals=_ENTRIES if machine.state["armed"] else (*_ENTRIES, "calm"), at_ms=at_ms)
    if phase == CLOSE:
        return Wake(signals=_ENTRIES, at_ms=at_ms)
    level = machine.stop_level() if phase == HOLD else None
    prices = () if level is None else (PriceWake("spread", level, above=machine.state["side"] < 0),)
    return Wake(prices, ("z",), at_ms)
