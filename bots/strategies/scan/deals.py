"""The scan's deals: which market is being bought, held or sold, and which may be bought next.

State, plain JSON:
    slots   the desk's memory: "<alias>:entry" and "<alias>:exit"
    deals   alias -> {qty: asked for, bought: 0 or 1, out: why it is being sold, take: take-profit price or None}
    used    markets whose condition has been true since their last deal began: it must turn false first
    rest    alias -> when its rest ends (ms)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bots.strategies.desk import Desk
from bots.strategies.holding import buy_order, buy_qty, is_beyond, sell_order, stop_order, take_price
from bots.strategies.scan.params import ScanParams
from trading.core.rounding import to_float
from trading.core.types import Command, MarketView, Signal, View

State = dict[str, Any]


def blank() -> State:
    return {"slots": {}, "deals": {}, "used": [], "rest": {}}


def entry_slot(alias: str) -> str:
    return f"{alias}:entry"


def exit_slot(alias: str) -> str:
    return f"{alias}:exit"


class Deals:
    """A working copy of the state for one decision."""

    def __init__(self, params: ScanParams, state: State, view: View) -> None:
        self.params, self.view = params, view
        self.desk = Desk(state["slots"], view)
        self.state: State = {
            "deals": {alias: dict(deal) for alias, deal in state["deals"].items()},
            "used": [alias for alias in state["used"] if alias in params.symbols],
            "rest": {alias: end for alias, end in state["rest"].items() if end > view.now_ms},
        }
        self.waiting: list[str] = []  # meet the condition and find no place
        self.resting: list[str] = []  # meet it and are still at rest
        self.too_small: list[str] = []

    def answer(self) -> State:
        return {"slots": self.desk.memory, **self.state}

    # --- what happened

    def read(self) -> None:
        """Take in signals that turned false, and what people asked for. Orders are read by the desk."""
        for item in self.view.inbox:
            if isinstance(item, Signal) and item.name.endswith(" entry") and item.value is not True:
                self._unused(item.name.removesuffix(" entry"))
            elif isinstance(item, Command) and item.kind == "close":
                for alias in self.held():
                    if item.args.get("market", alias) == alias:
                        self.state["deals"][alias]["out"] = "closed by hand"
        for alias in tuple(self.state["used"]):
            if not self.meets(alias):
                self._unused(alias)

    def held(self) -> tuple[str, ...]:
        """Name the markets with a deal, in the order of the list: a database may keep a mapping in another."""
        return tuple(alias for alias in self.params.symbols if alias in self.state["deals"])

    def meets(self, alias: str) -> bool:
        """Say whether the entry condition is true; None, in its warm-up, is not."""
        return self.view.markets[alias].signals.get(f"{alias} entry") is True

    def leaves(self, alias: str) -> bool:
        return self.view.markets[alias].signals.get(f"{alias} exit") is True

    def _unused(self, alias: str) -> None:
        if alias in self.state["used"]:
            self.state["used"].remove(alias)

    # --- deals under way

    def manage(self) -> None:
        """See each deal through: buying, holding with its stop, selling. What is held without a deal becomes one."""
        for alias in self.params.symbols:
            if alias not in self.state["deals"] and not self.view.markets[alias].position.flat:
                self.state["deals"][alias] = {"qty": 0.0, "bought": 1, "out": "", "take": None}
        for alias in self.held():
            self._manage(alias, self.state["deals"][alias])

    def _manage(self, alias: str, deal: dict[str, Any]) -> None:
        market = self.view.markets[alias]
        held = not market.position.flat
        if held:
            deal["bought"] = 1
            self._hold(alias, deal, market)
        elif not deal["bought"]:
            self._buy(alias, deal)
        elif not self.desk.under_way(entry_slot(alias)) and not self.desk.under_way(exit_slot(alias)):
            self._over(alias)

    def _buy(self, alias: str, deal: dict[str, Any]) -> None:
        """Go on wanting the purchase as long as its condition holds and nobody cancelled it."""
        slot = entry_slot(alias)
        if self.meets(alias) and not deal["out"] and not self.desk.parked(slot, "entry"):
            self.desk.want(slot, buy_order(alias, deal["qty"]))
        elif not self.desk.under_way(slot):
            del self.state["deals"][alias]

    def _hold(self, alias: str, deal: dict[str, Any], market: MarketView) -> None:
        if not deal["out"]:
            deal["out"] = self._why_out(alias, deal, market)
        if deal["out"]:
            self.desk.want(exit_slot(alias), sell_order(alias, market))
            deal["take"] = None
            return
        if deal["qty"] and self.desk.live(entry_slot(alias)):  # bought in part so far
            self.desk.want(entry_slot(alias), buy_order(alias, deal["qty"]))
        params = self.params
        self.desk.want(exit_slot(alias), stop_order(alias, market, params.stop_percent, params.trailing_percent))
        deal["take"] = take_price(market, params.take_profit_percent)

    def _why_out(self, alias: str, deal: dict[str, Any], market: MarketView) -> str:
        if self.leaves(alias):
            return "the exit condition is true"
        take = deal["take"]  # as armed by the last decision: older extremes say nothing about it
        if take is not None and max(market.last, market.high_since) >= take:
            return "the take profit is reached"
        if self.desk.refused(exit_slot(alias)) and is_beyond(market, self.params.stop_percent):
            return "the price has passed the stop, which was refused"
        return ""

    def _over(self, alias: str) -> None:
        del self.state["deals"][alias]
        if self.params.cooldown_minutes:
            self.state["rest"][alias] = self.view.now_ms + self.params.cooldown_minutes * 60_000

    # --- new deals

    def open(self) -> None:
        """Begin deals on the markets that meet the condition, in the order of the list, while places are free."""
        for alias in self.params.symbols:
            if alias in self.state["deals"] or alias in self.state["used"] or not self.meets(alias):
                continue
            if self.leaves(alias):
                continue  # it would be sold at once
            if alias in self.state["rest"]:
                self.resting.append(alias)
            elif len(self.state["deals"]) >= self.params.max_deals:
                self.waiting.append(alias)
            else:
                self._begin(alias)

    def _begin(self, alias: str) -> None:
        qty = buy_qty(to_float(self.params.quote_per_deal), self.view.markets[alias], self.params.stop_percent)
        if not qty:
            self.too_small.append(alias)
            return
        self.state["used"].append(alias)
        deal = self.state["deals"][alias] = {"qty": qty, "bought": 0, "out": "", "take": None}
        self._buy(alias, deal)

    # --- what it waits for

    def takes(self) -> Iterator[tuple[str, float]]:
        """Yield the take-profit prices to be woken at."""
        for alias in self.held():
            take = self.state["deals"][alias]["take"]
            if take is not None:
                yield alias, take

    def next_time(self) -> int | None:
        """Return when a refused order or a market at rest is due again."""
        times = [self.state["rest"][alias] for alias in self.resting]
        if self.desk.retry_at is not None:
            times.append(self.desk.retry_at)
        return min(times, default=None)
