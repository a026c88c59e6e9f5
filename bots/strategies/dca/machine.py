"""What happened to the orders of the deals, and the few moves that every decision is made of.

One `Machine` is a working copy for one decision. It copies only the deals that something happened to and leaves the
other wants as they are, so that a decision costs about the same with one deal as with twenty.
"""

from __future__ import annotations

from collections.abc import Iterator

from bots.strategies.dca.ladder import Recipe
from bots.strategies.dca.state import (
    ADD,
    BASE,
    ENDED,
    EXIT,
    GEN,
    LIQUIDATED,
    SAFETY,
    TOLD,
    WORKS,
    Deal,
    State,
    new_deal,
    on_step,
    slot_of,
)
from bots.strategies.desk import REFUSALS, RETRY_EXIT_MS, RETRY_MOST_MS, RETRY_MS
from trading.core.types import Closed, Command, Filled, Kind, MarketView, Side, SlotStatus, Trail, View, Want, Woken

OURS = frozenset({"filled", "replaced", "liquidated"})  # ends that nobody asked for by hand
ENGINE = "engine:"
NOISE = 1e-12


class Machine:
    """A working copy of the state and the orders; `state` and `orders` are what the decision answers."""

    __slots__ = (
        "_market", "commands", "deals", "everything", "live", "moved", "orders", "previous", "recipe", "state",
        "touched", "trail_fired", "view",
    )  # fmt: skip

    def __init__(self, recipe: Recipe, state: State, view: View) -> None:
        self.recipe = recipe
        self.state = state.copy()
        self.deals: dict[str, Deal] = state["deals"].copy()
        self.live: dict[str, list[float]] = state["live"].copy()
        self.state |= {"deals": self.deals, "live": self.live, "gens": state["gens"].copy()}
        self.view = view
        self._market: MarketView | None = None
        self.previous = view.orders
        self.orders = dict(view.orders)
        self.touched: dict[str, Deal] = {}
        self.moved: set[str] = set()  # seats whose stop was set just now: older extremes say nothing about it
        self.commands: list[Command] = []
        self.trail_fired = False
        self.everything = bool(state["look"])

    @property
    def market(self) -> MarketView:
        """Return the market; a backtest makes its view only when somebody looks."""
        if self._market is None:
            self._market = self.view.markets["main"]
        return self._market

    def price(self, price: float, side: Side) -> float:
        """Return a price on the tick: a buy's down, a sell's up."""
        return on_step(price, self.state["tick"], up=side is Side.SELL)

    def quantity(self, size: float, price: float, funds: float) -> float:
        """Return a size of the parameters as a quantity on the lot, rounded down."""
        if self.recipe.unit != "base":
            size = (size if self.recipe.unit == "quote" else size * funds) / price if price > 0 else 0.0
        return on_step(size, self.state["lot"])

    def deal(self, seat: str) -> Deal:
        """Return this seat's deal as a copy that may be changed."""
        deal = self.touched.get(seat)
        if deal is None:
            deal = self.touched[seat] = self.deals[seat] = self.deals[seat].copy()
        return deal

    def sum(self, *parts: float) -> float:
        """Add quantities and stay on the lot grid."""
        return round(sum(parts), self.state["lot"][1])

    # --- the inbox

    def read(self) -> None:
        """Take in everything that happened, in order; wants nothing yet."""
        for item in self.view.inbox:
            if isinstance(item, Filled):
                self._filled(item)
            elif isinstance(item, Closed):
                self._closed(item)
            elif isinstance(item, Command):
                self.commands.append(item)
            elif isinstance(item, Woken):
                self.trail_fired = self.trail_fired or item.by == "trail"

    def _filled(self, item: Filled) -> None:
        if not item.slot.startswith("deal:"):
            if item.slot.startswith(f"{ENGINE}liquidation"):
                self._liquidated(item)
            return
        _, seat, name = item.slot.split(":", 2)
        self.state["retries"] = 0
        if item.at_ms >= self.state["liquidated_ms"]:  # a liquidation took along what older news tells of
            self._held(seat, name, item)
        known = self.live.get(item.slot)
        if known is not None and known[GEN] == item.gen:
            told = self.sum(known[TOLD], item.qty)
            if known[ENDED] != WORKS and told >= known[ENDED] - NOISE:
                del self.live[item.slot]
            else:
                self.live[item.slot] = [known[GEN], told, known[ENDED]]

    def _held(self, seat: str, name: str, item: Filled) -> None:
        """Book a fill into its deal."""
        if seat not in self.deals:
            self._orphan(seat, item)
            if seat not in self.deals:
                return
        deal = self.deal(seat)
        if (item.side is Side.BUY) == bool(deal["long"]):
            self._grown(deal, name, item)
        else:
            self._shrunk(deal, item)

    def _orphan(self, seat: str, item: Filled) -> None:
        """Take in a fill that comes after its deal: what it bought is looked after like a deal."""
        long = self.recipe.long
        if (item.side is Side.BUY) == long and all(bool(deal["long"]) == long for deal in self.deals.values()):
            self.begin(seat, long)["steps"] = []
        else:
            sign = 1 if item.side is Side.BUY else -1
            self.state["kept"] = self.sum(self.state["kept"], sign * item.qty)

    def _grown(self, deal: Deal, name: str, item: Filled) -> None:
        value = item.qty * item.price
        deal["qty"] = self.sum(deal["qty"], item.qty)
        deal["cost"] += value
        deal["fees"] += item.fee_quote
        if name == BASE:
            deal["base_qty"] = self.sum(deal["base_qty"], item.qty)
            deal["base_cost"] += value
            deal["due"] += value

    def _shrunk(self, deal: Deal, item: Filled) -> None:
        """Take what was sold (short: bought back) off the deal, at its average cost."""
        part = min(1.0, item.qty / deal["qty"]) if deal["qty"] else 0.0
        cost, fees = deal["cost"] * part, deal["fees"] * part
        sign = 1 if deal["long"] else -1
        deal["gain"] += sign * (item.qty * item.price - cost) - fees - item.fee_quote
        deal["cost"] -= cost
        deal["fees"] -= fees
        deal["due"] -= deal["due"] * part
        deal["qty"] = max(0.0, self.sum(deal["qty"], -item.qty))
        deal["left"] = self.sum(deal["left"], item.qty)

    def _liquidated(self, item: Filled) -> None:
        for seat in self.deals:
            deal = self.deal(seat)
            deal.update(qty=0.0, cost=0.0, fees=0.0, ending=LIQUIDATED)
        self.state["ending"] = f"Liquidated at {item.price:.10g}"
        self.state["kept"] = 0.0
        self.state["liquidated_ms"] = item.at_ms

    def _closed(self, item: Closed) -> None:
        known = self.live.get(item.slot)
        if known is None or known[GEN] != item.gen:
            return
        _, seat, name = item.slot.split(":", 2)
        by_us = item.slot not in self.previous or self.previous[item.slot].gen != item.gen
        self.orders.pop(item.slot, None)
        if known[TOLD] >= item.filled_qty - NOISE:
            del self.live[item.slot]
        else:
            self.live[item.slot] = [known[GEN], known[TOLD], item.filled_qty]
        if seat not in self.deals:
            return
        deal = self.deal(seat)
        if name.startswith(SAFETY):
            self._safety_closed(deal, int(name[len(SAFETY) + 1 :]), item)
        if item.why in REFUSALS:
            deal["refused"] = [*deal["refused"], name]
            self.later(RETRY_EXIT_MS if name == EXIT else RETRY_MS)
        elif item.why not in OURS and not by_us:
            deal["parked"] = [*deal["parked"], name]

    def _safety_closed(self, deal: Deal, number: int, item: Closed) -> None:
        """Forget a safety order that has filled; of one that ended otherwise the rest is still to do."""
        if deal["steps"] is None or not 0 < number <= len(deal["steps"]):
            return
        price, qty = deal["steps"][number - 1]
        left = 0.0 if item.why == "filled" else self.sum(qty, -item.filled_qty)
        if left > 0 and self.fits(left, price):
            if left != qty:
                deal["steps"] = [*deal["steps"][: number - 1], [price, left], *deal["steps"][number:]]
        else:
            deal["todo"] = [other for other in deal["todo"] if other != number]

    def later(self, delay_ms: int = RETRY_MS) -> None:
        """Ask again for what was refused, after a while that grows."""
        retries = self.state["retries"]
        self.state["retry_ms"] = self.view.now_ms + min(delay_ms << min(retries, 10), RETRY_MOST_MS)
        self.state["retries"] = retries + 1

    # --- deals

    def begin(self, seat: str, long: bool) -> Deal:
        """Put a new deal on a free seat."""
        self.state["started"] += 1
        deal = self.touched[seat] = self.deals[seat] = new_deal(self.state["started"], long, self.view.now_ms)
        return deal

    def finish(self, seat: str, *, traded: bool) -> None:
        """Take a deal off its seat; what it still holds is too small to sell, or is to be kept."""
        deal = self.deals.pop(seat)
        self.touched.pop(seat, None)
        if deal["qty"]:
            sign = 1 if deal["long"] else -1
            self.state["kept"] = self.sum(self.state["kept"], sign * deal["qty"])
        if traded:
            self.state["ended"] += 1
        self.state["ready_ms"] = max(self.state["ready_ms"], self.view.now_ms + self.recipe.cooldown_ms)

    def fits(self, qty: float, price: float) -> bool:
        """Say whether this quantity makes an order that the market takes."""
        least_qty, least_value = self.state["least"]
        return bool(qty >= least_qty - NOISE and qty * price >= least_value)

    # --- orders

    def is_live(self, seat: str, name: str) -> bool:
        return slot_of(seat, name) in self.live

    def any_works(self) -> bool:
        """Say whether any order has not ended, as far as we know."""
        return any(known[ENDED] == WORKS for known in self.live.values())

    def live_slots(self, seat: str) -> Iterator[str]:
        start = slot_of(seat, "")
        return (slot for slot in self.live if slot.startswith(start))

    def ask(
        self, seat: str, name: str, side: Side, qty: float, price: float | None, trail: Trail | None = None
    ) -> None:
        """Want a new order in a slot whose last one has ended: at market without a price."""
        slot = slot_of(seat, name)
        gen = self.state["gens"].get(slot, 0)
        known = self.view.slots.get(slot)
        gen = 1 + (gen if known is None or known.gen < gen else known.gen)
        self.state["gens"][slot] = gen
        self.live[slot] = [gen, 0.0, WORKS]
        kind = Kind.TRAILING if trail else Kind.MARKET if price is None else Kind.LIMIT
        self.orders[slot] = Want("main", side, kind, qty, price, reduce=name == EXIT, gen=gen, tag=name, trail=trail)

    def withdraw(self, slot: str) -> None:
        """Stop wanting an order. One that never got past the risk gate has ended with that; nothing will tell us."""
        want = self.orders.pop(slot, None)
        if want is None or slot not in self.live:
            return
        known = self.view.slots.get(slot)
        if known is None or known.gen != want.gen or known.status in (SlotStatus.DENIED, SlotStatus.NONE):
            del self.live[slot]

    def blocked(self, deal: Deal, name: str) -> bool:
        """Say whether a person cancelled this order or the venue refused it a moment ago."""
        return name in deal["parked"] or name in deal["refused"]

    def unblock(self, key: str) -> None:
        """Forget which orders are parked, or refused."""
        for seat, deal in self.deals.items():
            if deal[key]:
                self.deal(seat)[key] = []

    def waits_for(self, seat: str) -> bool:
        """Say whether an order that makes the deal larger may still fill."""
        return any(slot in self.live for slot in (slot_of(seat, BASE), slot_of(seat, ADD)))
