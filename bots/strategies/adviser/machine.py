"""The advised bot's state from one decision to the next: the open question, the plan that an answer made, the position.

State, plain JSON:
    slots   the desk's memory: "entry" and "exit"
    next    when the next question goes out (ms)
    asked   [id, deadline ms] of the question that is open, None without one
    plan    quantity that an answer wants bought, 0 without one; over once something is bought or the next question due
    out     why what is held is being sold, "" otherwise
    take    take-profit price of what is held, None without one
    heard   what became of the last answer, for people: [code, text, figures]
"""

from __future__ import annotations

from typing import Any

from bots.strategies.adviser.opinion import Opinion, opinion_of
from bots.strategies.adviser.params import AdviserParams
from bots.strategies.desk import RESUMES, Desk
from bots.strategies.holding import buy_order, buy_qty, is_beyond, sell_order, stop_order, take_price
from trading.core.errors import InvalidInput
from trading.core.needs import Value
from trading.core.rounding import to_float
from trading.core.types import Advice, Ask, Command, Filled, View, Woken

State = dict[str, Any]
FIGURES = {
    "close": Value("close"),
    "ema_fast": Value("ema", (20,)),
    "ema_slow": Value("ema", (50,)),
    "rsi": Value("rsi", (14,)),
    "natr": Value("natr", (14,)),
    "roc": Value("roc", (10,)),
}
_ERRORS = {"deadline": "came too late or not at all", "failed": "could not be had", "absurd": "made no sense"}


def blank() -> State:
    return {"slots": {}, "next": 0, "asked": None, "plan": 0.0, "out": "", "take": None, "heard": None}


class Machine:
    """A working copy of the state for one decision."""

    def __init__(self, params: AdviserParams, state: State, view: View) -> None:
        self.params, self.view = params, view
        self.desk = Desk(state["slots"], view)
        self.state: State = {name: value for name, value in state.items() if name != "slots"}
        self.market = view.markets["main"]
        if self.market.rules.perpetual is not None:
            raise InvalidInput(
                f"{self.market.rules.base} here is a perpetual future: an advised bot trades on spot markets only.",
                field="market",
                code="not_spot",
            )

    def answer(self) -> State:
        return {"slots": self.desk.memory, **self.state}

    @property
    def held(self) -> bool:
        return not self.market.position.flat

    # --- what happened

    def read(self) -> None:
        """Take in answers and what people asked for. Orders are read by the desk."""
        if self.view.now_ms >= self.state["next"]:
            self.state["plan"] = 0.0  # what the last answer wanted and didn't get is old now
        for item in self.view.inbox:
            if isinstance(item, Advice):
                self._heard(item)
            elif isinstance(item, Filled) and item.slot == "entry":
                self.state["plan"] = 0.0
            elif isinstance(item, Command) and item.kind == "close" and self.held:
                self.state["out"] = "closed by hand"

    def _heard(self, advice: Advice) -> None:
        asked = self.state["asked"]
        if asked is None or advice.ask_id != asked[0]:
            return  # of a question that was given up
        self.state["asked"] = None
        if advice.error:
            self._say("no_answer", f"The answer {_ERRORS.get(advice.error, advice.error)}; nothing changes.")
        elif self.view.now_ms > asked[1] and self._was_away():
            self._say("late", "The answer came after its deadline; nothing changes.")
        else:
            opinion = opinion_of(advice.value)
            if isinstance(opinion, Opinion):
                self._follow(opinion)
            else:
                self._say("absurd", f"The answer was refused: {opinion}.")

    def _was_away(self) -> bool:
        """Say whether the bot comes back from a stop or a pause: what waited for it meanwhile may be old.

        Otherwise an answer is in time, whatever the clock says: the engine gives one that is late as an error, and
        candles longer than the deadline tell even the quickest answer after it.
        """
        return not RESUMES.isdisjoint(self.desk.commands) or Woken("restart") in self.view.inbox

    def _follow(self, opinion: Opinion) -> None:
        """Let an opinion act, as far as the limits allow."""
        figures = opinion._asdict()
        least = to_float(self.params.min_confidence)
        if opinion.confidence < least:
            text = f"The adviser says {opinion.side}, {opinion.confidence:.0%} sure; at least {least:.0%} is asked for."
            self._say("unsure", text, figures)
        elif opinion.side == "sell" and self.held:
            self.state["out"] = "the adviser says sell"
            self._say("sell", f"The adviser says sell, {opinion.confidence:.0%} sure.", figures)
        elif opinion.side == "buy" and not self.held:
            self._plan(opinion, figures)
        else:
            holds = "something is held already" if self.held else "nothing is held"
            text = f"The adviser says {opinion.side}, {opinion.confidence:.0%} sure; {holds}: nothing changes."
            self._say("hold", text, figures)

    def _plan(self, opinion: Opinion, figures: dict[str, Any]) -> None:
        most = to_float(self.params.max_allocation_percent) / 100.0
        ratio = min(opinion.allocation_ratio, most)
        qty = buy_qty(to_float(self.params.investment) * ratio, self.market, self.params.stop_percent)
        if not qty:
            self._say("too_small", f"The adviser says buy {ratio:.1%} of the investment: too small an order.", figures)
            return
        self.state["plan"] = qty
        bounded = f", bounded to {most:.1%}" if opinion.allocation_ratio > most else ""
        text = f"The adviser says buy {opinion.allocation_ratio:.1%}{bounded}, {opinion.confidence:.0%} sure."
        self._say("buy", text, figures)

    def _say(self, code: str, text: str, figures: dict[str, Any] | None = None) -> None:
        self.state["heard"] = [f"adviser.{code}", text, figures or {}]

    # --- what is wanted

    def trade(self) -> None:
        """Want the purchase that is planned, or the stop or sale of what is held."""
        state, desk = self.state, self.desk
        if not self.held:
            state["out"], state["take"] = "", None
            if state["plan"] and not desk.under_way("exit"):
                desk.want("entry", buy_order("main", state["plan"]))
            return
        if not state["out"] and state["take"] is not None:  # as armed by the last decision
            state["out"] = self._taken(state["take"])
        if not state["out"] and desk.refused("exit") and is_beyond(self.market, self.params.stop_percent):
            state["out"] = "the price has passed the stop, which was refused"
        if state["out"]:
            desk.want("exit", sell_order("main", self.market))
            state["plan"], state["take"] = 0.0, None
            return
        desk.want("exit", stop_order("main", self.market, self.params.stop_percent))
        state["take"] = take_price(self.market, self.params.take_profit_percent)
        if desk.under_way("entry"):  # bought in part so far
            desk.want("entry", self.view.orders.get("entry", buy_order("main", self.market.position.qty)))

    def _taken(self, take: float) -> str:
        return "the take profit is reached" if max(self.market.last, self.market.high_since) >= take else ""

    # --- questions

    def ask(self) -> tuple[Ask, ...]:
        """Return the question that is due, if one is and there is something to show."""
        now, state, every = self.view.now_ms, self.state, self.params.every_ms
        if now < state["next"]:
            return ()
        turn = now // every * every
        state["next"] = turn + every
        payload = self._payload()
        if payload is None:
            self._say("warm_up", "Waiting for enough candles for the first question.")
            return ()
        deadline = min(now + self.params.deadline_ms, state["next"])
        ask = Ask(f"direction:{turn}", "direction", payload, deadline)
        state["asked"] = [ask.id, deadline]
        return (ask,)

    def _payload(self) -> dict[str, Any] | None:
        """Return the figures of the last closed candle and of the position; None in the warm-up."""
        signals, rules, position = self.market.signals, self.market.rules, self.market.position
        figures = {name: signals.get(name) for name in FIGURES}
        if any(value is None for value in figures.values()):
            return None
        holding = {"qty": position.qty, "avg_price": position.avg_price} if self.held else None
        return {"market": f"{rules.base}/{rules.quote}", "closed_ms": self.market.closed_ms, **figures, "held": holding}
