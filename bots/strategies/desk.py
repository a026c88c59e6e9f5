"""One order at a time in each slot: generations, refusals and what people cancelled, for strategies that trade so.

A strategy says at each decision what it wants in which slot; the desk keeps the generations right. A resting order
whose wish has changed is withdrawn first and asked again, under the next generation, once it has ended. A market order
under way is left to end by itself. What was refused is asked again after a while, what a person cancelled only after a
resume, an edit or a start, or when something else (another tag) is wanted in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trading.core.types import Closed, Command, Filled, Kind, SlotStatus, View, Want

# HELD: tag of the wish that waits; UNTIL: till when, 0 = till a resume; DUE: what an ended order has filled, as long as
# not all of it is in the position yet.
GEN, LIVE, HELD, UNTIL, REFUSED, DUE = range(6)
Memory = dict[str, list[Any]]

RETRY_MS = 60_000  # after a refusal; doubled while refusals go on
RETRY_MOST_MS = 3_600_000
RETRY_EXIT_MS = 5_000  # what reduces can't wait as long
RETRY_EXIT_MOST_MS = 60_000
REFUSALS = frozenset({"rejected", "expired", "below_minimum", "remainder"})
RESUMES = frozenset({"start", "resume", "edit"})
_OURS = frozenset({"filled", "replaced", "paused", "liquidated"})
_UNPLACED = (SlotStatus.DENIED, SlotStatus.NONE)


class Desk:
    """A working copy of a strategy's slots for one decision: read the inbox, say what is wanted, take the orders."""

    def __init__(self, memory: Mapping[str, Sequence[Any]], view: View, *, retry_ms: int = RETRY_MS) -> None:
        """`retry_ms` is the first pause after a refusal of what doesn't reduce."""
        self.memory: Memory = {slot: list(kept) for slot, kept in memory.items()}
        self.view = view
        self._retry_ms = retry_ms
        self.retry_at: int | None = None  # when a refused wish may be asked again
        self.commands: set[str] = set()
        self._orders: dict[str, Want] = {}
        for item in view.inbox:
            self._take(item)
        for slot, kept in self.memory.items():
            if kept[DUE] and view.slots[slot].filled_qty >= kept[DUE] * (1 - 1e-9):
                kept[LIVE], kept[DUE] = 0, 0.0

    def live(self, slot: str) -> bool:
        """Say whether an order of this slot is wanted, or hasn't ended yet."""
        kept = self.memory.get(slot)
        return kept is not None and bool(kept[LIVE])

    def under_way(self, slot: str) -> bool:
        """Say whether the venue may have an order of this slot: wanted, past the risk gate, and not ended."""
        return self.live(slot) and self._placed(slot, self.memory[slot][GEN])

    def parked(self, slot: str, tag: str) -> bool:
        """Say whether a person cancelled such an order: it comes back after a resume only."""
        kept = self.memory.get(slot)
        return kept is not None and kept[HELD] == tag and not kept[UNTIL]

    def refused(self, slot: str) -> bool:
        """Say whether the slot's last order was refused, so that the next waits."""
        kept = self.memory.get(slot)
        return kept is not None and bool(kept[HELD]) and kept[UNTIL] > self.view.now_ms

    def want(self, slot: str, wish: Want) -> None:
        """Want this order; `wish` needs a tag, its generation is filled in here, its quantity is what is still open."""
        known = self.view.slots.get(slot)
        if slot not in self.memory:
            self.memory[slot] = [known.gen if known else 0, 0, "", 0, 0, 0.0]
        kept = self.memory[slot]
        if kept[LIVE]:
            self._keep(slot, kept, wish)
            return
        if kept[HELD] == wish.tag and (not kept[UNTIL] or kept[UNTIL] > self.view.now_ms):
            if kept[UNTIL]:
                self.retry_at = min(kept[UNTIL], self.retry_at or kept[UNTIL])
            return
        kept[GEN], kept[LIVE], kept[HELD], kept[UNTIL] = kept[GEN] + 1, 1, "", 0
        self._orders[slot] = wish._replace(gen=kept[GEN])

    def orders(self) -> dict[str, Want]:
        """Return all that is wanted. What isn't any more and never got past the risk gate has ended with that."""
        for slot, kept in self.memory.items():
            if kept[LIVE] and slot not in self._orders and not self._placed(slot, kept[GEN]):
                kept[LIVE] = 0
        return self._orders

    # --- parts

    def _keep(self, slot: str, kept: list[Any], wish: Want) -> None:
        before = self.view.orders.get(slot)
        if not self._placed(slot, kept[GEN]):  # denied: the engine asks again, and what it asks may change
            wish = wish._replace(gen=kept[GEN])
            self._orders[slot] = before if before is not None and before == wish else wish
            return
        if before is None or before.gen != kept[GEN]:
            return
        if before.kind is Kind.MARKET or self._same(slot, before, wish):
            self._orders[slot] = before

    def _same(self, slot: str, before: Want, wish: Want) -> bool:
        left = before.qty - self.view.slots[slot].filled_qty
        return abs(left - wish.qty) <= 1e-9 * wish.qty and before == wish._replace(gen=before.gen, qty=before.qty)

    def _placed(self, slot: str, gen: int) -> bool:
        known = self.view.slots.get(slot)
        return known is not None and known.gen == gen and known.status not in _UNPLACED

    def _take(self, item: object) -> None:
        if isinstance(item, Closed) and item.slot in self.memory:
            self._closed(item, self.memory[item.slot])
        elif isinstance(item, Filled) and item.slot in self.memory:
            self.memory[item.slot][REFUSED] = 0
        elif isinstance(item, Command):
            self.commands.add(item.kind)
            if item.kind in RESUMES:
                for kept in self.memory.values():
                    kept[HELD], kept[UNTIL], kept[REFUSED] = "", 0, 0

    def _closed(self, item: Closed, kept: list[Any]) -> None:
        known = self.view.slots.get(item.slot)
        if item.gen != kept[GEN] or not kept[LIVE] or known is None or known.gen != item.gen:
            return
        if item.filled_qty > known.filled_qty:
            kept[DUE] = item.filled_qty
        else:
            kept[LIVE] = 0
        if item.why in REFUSALS:
            kept[HELD], kept[UNTIL] = known.want.tag, self.view.now_ms + self._pause(known.want, kept[REFUSED])
            kept[REFUSED] += 1
        elif item.why not in _OURS and item.slot in self.view.orders:
            kept[HELD], kept[UNTIL] = known.want.tag, 0

    def _pause(self, want: Want, refusals: int) -> int:
        first, most = (RETRY_EXIT_MS, RETRY_EXIT_MOST_MS) if want.reduce else (self._retry_ms, RETRY_MOST_MS)
        return int(min(first << min(refusals, 12), most))
