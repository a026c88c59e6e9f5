"""The pair's state from one decision to the next, and what it wants of its two legs.

    FLAT -> OPEN (both legs are being traded) -> HOLD -> CLOSE (both legs are being closed) -> FLAT

State, plain JSON:
    slots   the desk's memory: "main:open", "other:open", "main:close", "other:close"
    phase   as above
    side    +1 holds the spread (long y, short x), -1 is short of it, 0 while FLAT
    target  alias -> signed quantity that was asked for
    deal    number of the deal, for the names of the groups
    since   when it was opened; partial: when one leg first stood without the other (0: it doesn't)
    why     reason of the closing, "" before
    armed   1 when the next entry may be taken, 0 until the z-score has been calm
"""

from __future__ import annotations

from typing import Any

from bots.strategies.desk import Desk
from bots.strategies.holding import is_order
from bots.strategies.pair.params import PairParams
from trading.core.rounding import qty_on_lot, to_float
from trading.core.types import Command, Kind, Side, View, Want

State = dict[str, Any]
LEGS = ("main", "other")
FLAT, OPEN, HOLD, CLOSE = "flat", "open", "hold", "close"
RETRY_LEG_MS = 1_000  # a leg that was refused while the other stands can't wait for long
MET = "the spread is back"


def blank() -> State:
    return {
        "slots": {},
        "phase": FLAT,
        "side": 0,
        "target": {},
        "deal": 0,
        "since": 0,
        "partial": 0,
        "why": "",
        "armed": 1,
    }


class Machine:
    """A working copy of the state for one decision."""

    def __init__(self, params: PairParams, state: State, view: View) -> None:
        self.params, self.view = params, view
        self.desk = Desk(state["slots"], view, retry_ms=RETRY_LEG_MS)
        self.state: State = {name: value for name, value in state.items() if name != "slots"}
        spread = view.derived["spread"]
        self.spread = spread.value
        self.signals = spread.signals
        self.too_small = False

    def answer(self) -> State:
        return {"slots": self.desk.memory, **self.state}

    # --- what is known

    @property
    def z(self) -> float | None:
        """The z-score at the last close."""
        value = self.signals.get("z")
        return None if value is None else float(value)

    def held(self, alias: str) -> float:
        """Return the signed quantity that is held, 0 for dust."""
        position = self.view.markets[alias].position
        return 0.0 if position.flat else position.qty

    def part(self, alias: str) -> float:
        """Return what share of its target a leg holds; below 0 on the wrong side."""
        target = self.state["target"].get(alias, 0.0)
        return self.held(alias) / target if target else 0.0

    def imbalance(self) -> float:
        """Return what is missing of the smaller leg, as a share of the larger one: 0 equal, 1 one leg alone."""
        parts = [self.part(alias) for alias in LEGS]
        most = max(parts)
        return 1.0 if most <= 0 else (most - min(parts)) / most

    def unbalanced(self) -> bool:
        return self.imbalance() > to_float(self.params.max_imbalance_percent) / 100.0

    def nothing_held(self) -> bool:
        return not any(self.held(alias) for alias in LEGS)

    def stop_level(self) -> float | None:
        """Return the spread's value at the stop: mean and deviation are those of the last close."""
        z, deviation, close = self.z, self.signals.get("deviation"), self.signals.get("close")
        if z is None or not deviation or close is None:
            return None
        mean = close - z * deviation
        return float(mean - self.state["side"] * to_float(self.params.stop) * deviation)

    # --- what happened

    def read(self) -> None:
        """Take in what people asked for. Orders are read by the desk."""
        for item in self.view.inbox:
            if isinstance(item, Command) and item.kind == "close" and self.state["phase"] != FLAT:
                self._close("closed by hand")

    def step(self) -> None:
        """Move on to the phase that the spread and the legs ask for, and want what it needs."""
        if self.signals.get("calm") is True:
            self.state["armed"] = 1
        phase = self.state["phase"]
        if phase == FLAT:
            self._flat()
        elif phase == OPEN:
            self._opening()
        elif phase == HOLD:
            self._holding()
        if self.state["phase"] == CLOSE:
            self._closing()

    def _flat(self) -> None:
        if not self.nothing_held():
            self._close("a leg was left over")
        elif self.state["armed"] and not self._open_orders() and not self._parked():
            side = -1 if self.signals.get("high") is True else 1 if self.signals.get("low") is True else 0
            if side and abs(self.z or 0.0) < to_float(self.params.stop):
                self._begin(side)

    def _begin(self, side: int) -> None:
        """Open both legs, or none when one of them would be too small."""
        target = {alias: sign * side * self._size(alias) for alias, sign in (("main", 1), ("other", -1))}
        self.too_small = not all(target.values())
        if self.too_small:
            return
        self.state |= {
            "phase": OPEN,
            "side": side,
            "target": target,
            "deal": self.state["deal"] + 1,
            "since": self.view.now_ms,
            "partial": 0,
            "why": "",
        }
        self._complete()

    def _size(self, alias: str) -> float:
        """Return the quantity of a leg on its lot; 0 when it is below the smallest order."""
        market = self.view.markets[alias]
        value = to_float(self.params.leg_quote) * (1.0 if alias == "main" else to_float(self.params.hedge_ratio))
        qty = qty_on_lot(value / market.last, market.rules)
        return qty if is_order(qty, market) else 0.0

    # --- opening

    def _opening(self) -> None:
        """Complete both legs; withdraw when nothing has traded yet and the reason is gone."""
        if self._parked():
            self._close("a person cancelled a leg")
        elif self.nothing_held():
            wanted = "high" if self.state["side"] < 0 else "low"
            if self.signals.get(wanted) is True:
                self._complete()
            elif not self._open_orders():
                self._to_flat(armed=1)
        elif reason := self._why_leave():
            self._close(reason)
        else:
            self._hedge()

    def _hedge(self) -> None:
        """One leg has traded: complete the other within the time allowed, else close what there is."""
        now, state = self.view.now_ms, self.state
        state["partial"] = state["partial"] or now
        if now < state["partial"] + self.params.complete_within_s * 1000 and self._complete():
            return
        if self.unbalanced():
            self._close("the other leg could not be completed")
        elif not self._open_orders():
            state["phase"] = HOLD

    def _complete(self) -> bool:
        """Want what is missing of each leg; False when nothing is, or nothing that makes an order."""
        busy = False
        for alias in LEGS:
            slot, order = f"{alias}:open", self._missing(alias)
            if order is None and self.desk.under_way(slot):
                order = self.view.orders.get(slot)  # all but dust has filled: it ends by itself
            if order is not None:
                self.desk.want(slot, order)
                busy = True
        return busy

    def _missing(self, alias: str) -> Want | None:
        target, market = self.state["target"][alias], self.view.markets[alias]
        left = target - self.held(alias)
        if left * target <= 0 or not is_order(abs(left), market):
            return None
        side = Side.BUY if left > 0 else Side.SELL
        group = f"pair:{self.state['deal']}:open"
        return Want(alias, side, Kind.MARKET, qty_on_lot(abs(left), market.rules), group=group, tag="open")

    def _parked(self) -> bool:
        """Say whether a person cancelled a leg that was being opened: nothing is opened before a resume."""
        return any(self.desk.parked(f"{alias}:open", "open") for alias in LEGS)

    def _open_orders(self) -> bool:
        return any(self.desk.under_way(f"{alias}:open") for alias in LEGS)

    # --- holding

    def _holding(self) -> None:
        if self.nothing_held():
            self._close("both legs are gone")
        elif self.unbalanced():
            self._close("a leg is gone")
        elif reason := self._why_leave():
            self._close(reason)

    def _why_leave(self) -> str:
        """Say why both legs should be closed now, "" when they shouldn't."""
        z, side, hold = self.z, self.state["side"], self.params.max_hold_minutes
        if z is not None and -side * z <= to_float(self.params.exit):
            return MET
        if z is not None and -side * z >= to_float(self.params.stop):
            return "the stop is reached"
        level = self.stop_level()
        if level is not None and self.spread is not None and side * (self.spread - level) <= 0:
            return "the stop is reached"
        if hold is not None and self.view.now_ms >= self.state["since"] + hold * 60_000:
            return "it was held for as long as allowed"
        return ""

    # --- closing

    def _close(self, why: str) -> None:
        self.state["phase"] = CLOSE
        self.state["why"] = self.state["why"] or why

    def _closing(self) -> None:
        """Close both legs, each as far as it is held, until nothing is left of either."""
        busy = self._open_orders()
        for alias in LEGS:
            qty, slot = self.held(alias), f"{alias}:close"
            busy = busy or bool(qty) or self.desk.under_way(slot)
            if qty:
                side = Side.SELL if qty > 0 else Side.BUY
                group = f"pair:{self.state['deal']}:close"
                order = Want(alias, side, Kind.MARKET, abs(qty), reduce=True, group=group, tag="close")
                self.desk.want(slot, order)
        if not busy:
            self._to_flat(armed=int(self.state["why"] == MET))

    def _to_flat(self, armed: int) -> None:
        calm = self.signals.get("calm") is True
        self.state |= {"phase": FLAT, "side": 0, "target": {}, "partial": 0, "why": "", "armed": int(armed or calm)}

    # --- what it waits for

    def times(self) -> list[int]:
        """Return the times, still to come, at which something is due."""
        state, times = self.state, []
        if self.desk.retry_at is not None:
            times.append(self.desk.retry_at)
        if state["phase"] == OPEN and state["partial"]:
            times.append(state["partial"] + self.params.complete_within_s * 1000)
        if state["phase"] in (OPEN, HOLD) and self.params.max_hold_minutes is not None:
            times.append(state["since"] + self.params.max_hold_minutes * 60_000)
        return [time for time in times if time > self.view.now_ms]
