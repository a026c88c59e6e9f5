"""The gate of a simulated bot: which of the wants of a decision may be orders, judged by what is free.

As live: what no venue would take ends at once, what the funds can't carry is denied and asked again, told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from trading.core.book import Book, BookMarket, Resting
from trading.core.candles import Floats
from trading.core.caps import caps
from trading.core.control import Asked, Plan, group_fault
from trading.core.desk import Sized
from trading.core.matching import PRICE
from trading.core.rounding import plain, to_decimal
from trading.core.types import LIVE_STATUSES, Closed, Denied, Input, SlotStatus, SlotView, Tif, Want
from trading.core.wants import check_want

ZERO = Decimal(0)


class Refusal(NamedTuple):
    """Why a want is no order: the contract's word (`Closed.why`), and what is shown."""

    why: str
    reason: str


class Amended(NamedTuple):
    """What an order becomes: `sized` is what would be left (None: all is filled already), `exiting` of that closes."""

    order: Resting
    want: Want
    sized: Sized | None
    exiting: Decimal


class Gate:
    """Slots of one bot. `inbox`: what it hasn't been told; `news`: more than denials, which wake nobody."""

    def __init__(self, book: Book, points: Floats) -> None:
        self.book = book
        self.slots: dict[str, SlotView] = {}
        self.inbox: list[Input] = []
        self.news = False
        self.denied: list[str] = []  # slots that the last decision wanted and could not have
        self.denials = 0
        self._last = points[PRICE].data  # where each market stands; gives Python's own floats
        self._markets = {market.alias: market for market in book.markets}
        self._told: set[tuple[str, int]] = set()  # denials: slot, generation

    def tell(self, told: Input) -> None:
        """Put something into the inbox that the strategy must see before the walk goes on."""
        self.inbox.append(told)
        self.news = True

    def judge(
        self,
        wants: Iterable[Asked],
        planned: Plan,
        free: dict[str, Decimal],
    ) -> list[Resting]:
        """Return what may be placed, and take its funds out of `free`.

        The legs of a group stand together in `wants` and pass whole or not at all; one whose group has begun stands
        alone.
        """
        for slot, want, reason in planned.broken:
            check_want(want)
            self._deny(slot, want, "group", reason)
        accepted: list[Resting] = []
        legs: list[Asked] = []
        for slot, want in wants:
            if legs and want.group != legs[0][1].group:
                accepted += self._judge_group(legs, planned, free)
                legs = []
            if want.group and slot not in planned.hedges:
                legs.append((slot, want))
                continue
            order = self._order(slot, want, planned)
            if isinstance(order, Refusal):
                self._refuse(slot, want, order)
                continue
            reason = self.book.shortage(order, free)
            if reason:
                self._deny(slot, want, "budget", reason)
                continue
            free[order.coin] -= order.locked
            accepted.append(order)
        if legs:
            accepted += self._judge_group(legs, planned, free)
        self.cap(accepted, free)
        return accepted

    def cap(self, accepted: Iterable[Resting], free: dict[str, Decimal]) -> None:
        """Share what is left free among the buys whose price isn't known."""
        capped = [order for order in accepted if order.is_capped]
        for order, cap in zip(capped, caps([order.locked for order in capped], free[self.book.quote]), strict=True):
            order.cap = cap

    def _judge_group(self, legs: Sequence[Asked], planned: Plan, free: dict[str, Decimal]) -> list[Resting]:
        """Judge the legs of one group: each leg at fault is told its own rule, the others which leg it was and why."""
        left = free.copy()
        orders: list[Resting | Refusal] = []
        short: dict[str, str] = {}  # slot -> reason
        for slot, want in legs:
            order = self._order(slot, want, planned)
            orders.append(order)
            if isinstance(order, Refusal):
                continue
            reason = self.book.shortage(order, left)
            if reason:
                short[slot] = reason
            else:
                left[order.coin] -= order.locked
        refused = {slot: order.why for (slot, _), order in zip(legs, orders, strict=True) if isinstance(order, Refusal)}
        whole = [order for order in orders if isinstance(order, Resting)]
        if not refused and not short:
            free.update(left)
            return whole
        because = group_fault(refused, short)
        for (slot, want), order in zip(legs, orders, strict=True):
            if isinstance(order, Refusal):
                self._refuse(slot, want, order)
            else:
                self._deny(slot, want, "budget" if slot in short else "group", short.get(slot, because))
        return []

    def _order(self, slot: str, want: Want, planned: Plan) -> Resting | Refusal:
        """Return a want as an order, or why it is none and never sent."""
        market = self._markets[want.market]
        sized = market.desk.size(want, self._last[market.index])
        if slot in planned.clipped:
            sized = self._clipped(market, sized, planned.clipped[slot])
            if sized.qty <= 0:
                return Refusal("rejected", "there is nothing to reduce")
        if sized.too_small:
            return Refusal("below_minimum", "below_minimum")
        return Resting(slot, want, market, sized, self._exiting(market, slot, sized, planned))

    def is_refused(self, order: Resting, now_ms: int) -> bool:
        """Say whether the venue refuses an order that the gate let through, as it does with one that comes too late,
        would take though it mustn't, or has another leverage than the position; it has ended then."""
        want, sized = order.want, order.sized
        if want.expires_ms is not None and want.expires_ms <= now_ms:
            self._refuse(order.slot, want, Refusal("expired", "expired"))
            return True
        if self.would_take(order.market, want, sized):
            self._refuse(order.slot, want, Refusal("rejected", "it would have taken"))
            return True
        position = order.market.margined
        if position is not None and position.bars(want.side, order.leverage):
            text = f"the position has leverage {plain(position.leverage)}, the order {plain(order.leverage)}"
            self._refuse(order.slot, want, Refusal("rejected", text))
            return True
        return False

    def would_take(self, market: BookMarket, want: Want, sized: Sized) -> bool:
        """Say whether a post-only order isn't one, where the market stands."""
        return want.tif is Tif.POST_ONLY and (self._last[market.index] - sized.level) * sized.touch >= 0

    def _exiting(self, market: BookMarket, slot: str, sized: Sized, planned: Plan) -> Decimal:
        """Return how much of an order on a perpetual closes."""
        return min(sized.qty, market.desk.lots(planned.exits[slot])) if slot in planned.exits else ZERO

    def _clipped(self, market: BookMarket, sized: Sized, qty: float) -> Sized:
        lots = market.desk.lots(max(qty, 0.0))
        return market.desk.with_qty(sized, min(sized.qty, lots))

    def _refuse(self, slot: str, want: Want, refusal: Refusal) -> None:
        self.slots[slot] = SlotView(want.gen, want, SlotStatus.CLOSED, 0.0, 0.0, refusal.reason)
        self.tell(Closed(slot, want.gen, refusal.why))

    def _deny(self, slot: str, want: Want, rule: str, reason: str) -> None:
        known = self.slots.get(slot)
        if known is None or known.status not in LIVE_STATUSES:
            self.slots[slot] = SlotView(want.gen, want, SlotStatus.DENIED, 0.0, 0.0, reason)
        self.denied.append(slot)
        self.denials += 1
        if (slot, want.gen) not in self._told:
            self._told.add((slot, want.gen))
            self.inbox.append(Denied(slot, want.gen, rule, reason))

    def judge_amendment(self, slot: str, want: Want, planned: Plan, free: dict[str, Decimal]) -> Amended | str | None:
        """Return what a resting order becomes; None when it must stay as it is, and why when it has to end."""
        order = self.book.by_slot[slot]
        market = order.market
        sized = market.desk.size(want, self._last[market.index])
        if slot in planned.clipped:
            sized = self._clipped(market, sized, planned.clipped[slot])
        if sized.too_small and max(sized.qty, to_decimal(want.qty)) > order.filled:
            return "rejected" if slot in planned.clipped and sized.qty <= 0 else "below_minimum"
        if sized.qty <= order.filled:
            return Amended(order, want, None, ZERO)
        if order.filled:
            sized = market.desk.with_qty(sized, sized.qty - order.filled)
        exiting = self._exiting(market, slot, sized, planned)
        coin, locked = market.position.reserve(want, sized, exiting, order.leverage)
        own = free[coin] + order.locked
        if locked > own:
            self._deny(slot, want, "budget", f"needs {plain(locked)} {coin}, the bot has {plain(own)} free")
            return None
        free[coin] = own - max(locked, order.locked)  # as live, where the larger of both is held until it is confirmed
        return Amended(order, want, sized, exiting)
