"""The orders that a simulated bot wants: compared with what rests, judged, placed, amended, cancelled.

The same steps in the same order as a live tick: the control loop's diff, what is denied, cancels, amendments, then what
reduces, then what adds. A simulated cancel or amendment is confirmed at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import compress, filterfalse
from operator import is_not

import numpy as np

from trading.core.book import Resting
from trading.core.caps import TAKERS
from trading.core.control import Plan, PositionOf, plan, urgency
from trading.core.desk import Sized
from trading.core.errors import StrategyFault
from trading.core.rounding import to_float
from trading.core.simfills import Outcomes
from trading.core.simgate import Amended, Refusal
from trading.core.types import DONE_STATUSES, Decision, Kind, Side, SlotStatus, SlotView, Tif, Want

NOTHING_ELSE = Plan()  # of an order that stands alone


class Orders(Outcomes):
    """Slots and book of one bot: places what the gate lets through, and tells what becomes of it."""

    def change(self, orders: Mapping[str, Want], now_ms: int) -> None:
        """Make `orders` the full set that should rest. Raises StrategyFault for what can't be an order."""
        before = self._resting
        if not orders and not before and not self.denied:
            return
        self._resting = dict(orders)  # a copy: a strategy may go on using its own dict
        # A want stays the same object until the strategy wants something else (rule 15).
        asked, gone = _differing(before, orders)
        if self.denied:  # asked again
            asked += [slot for slot in self.denied if slot in orders and slot not in asked]
            self.denied.clear()
        if not asked and not gone:
            return
        for slot in asked:
            if orders[slot].market not in self._markets:
                text = f"slot {slot} names the market {orders[slot].market!r}, which it didn't ask for in its needs"
                raise StrategyFault(text)
        if not gone and all(self._stands_alone(slot, orders[slot], of=len(asked)) for slot in asked):
            if len(asked) > 1:
                asked.sort(key=lambda slot: (orders[slot].side is Side.BUY, urgency(slot, orders[slot].kind)))
            for slot in asked:
                self._ask_alone(slot, orders[slot], now_ms)
        else:
            self._carry_out(self._plan(orders, asked, gone), now_ms)

    def _stands_alone(self, slot: str, want: Want, *, of: int) -> bool:
        """Say whether the control loop has nothing to weigh: a new order, on spot, of a slot that has none.

        Where several are asked for, one of unknown price doesn't: it may cost what the others leave.
        """
        if of > 1 and want.side is Side.BUY and want.kind in TAKERS:
            return False
        known = self.slots.get(slot)
        over = known is None or (known.status in DONE_STATUSES and known.gen < want.gen)
        if not over or self._margined or want.group or not want.qty > 0:
            return False
        simple = want.expires_ms is None and want.tif is not Tif.POST_ONLY  # what the gate accepts will rest
        return simple and not (want.reduce and want.side is Side.BUY)

    def _ask_alone(self, slot: str, want: Want, now_ms: int) -> None:
        order = self._order(slot, want, NOTHING_ELSE)
        if isinstance(order, Refusal):
            self._refuse(slot, want, order)
            return
        free = self.book.spendable()
        if reason := self.book.shortage(order, free):
            self._deny(slot, want, "budget", reason)
        else:
            order.cap = free[order.coin] if order.is_capped else None
            self._place(order, now_ms)

    def _plan(self, orders: Mapping[str, Want], asked: Iterable[str], gone: Iterable[str]) -> Plan:
        """Ask the control loop about the wants that aren't resting as they are."""
        slots = self.slots
        wants = {slot: orders[slot] for slot in asked}
        if self._margined or any(want.group for want in wants.values()):  # exits and groups look at other slots too
            return plan(Decision(None, orders), slots, (), self._positions())
        known = {slot: slots[slot] for slot in (*wants, *gone) if slot in slots}
        return plan(Decision(None, wants), known, (), {})

    def _positions(self) -> dict[str, PositionOf]:
        return {m.alias: PositionOf(to_float(m.position.qty), m.position.spot) for m in self.book.markets}

    def _carry_out(self, planned: Plan, now_ms: int) -> None:
        """Judge new orders by what is free before the cancels, cancel, amend, then place."""
        free = dict(self.book.spendable())
        for slot in planned.waits:  # asked again once the exit that goes first is gone
            self._resting.pop(slot)
        amended: list[Amended] = []
        for slot, want in planned.amends:
            change = self.judge_amendment(slot, want, planned, free)
            if isinstance(change, str):
                planned.cancels.append((slot, change))
            elif change is not None:
                amended.append(change)
        accepted = self.judge((*planned.reduces, *planned.adds), planned, free)
        if planned.cancels:
            self._cancel(planned.cancels)
        for change in amended:
            self._amend(*change)
        if len(accepted) > 1:
            accepted.sort(key=lambda order: self._place_in_line(order, planned))
        for order in accepted:
            self._place(order, now_ms)

    def _place_in_line(self, order: Resting, planned: Plan) -> tuple[bool, tuple[bool, str]]:
        """Return the sort key of sending, as live: what is an exit as a whole goes first."""
        sold = order.market.position.spot and order.want.side is Side.SELL
        exits = sold or order.reduces or order.slot in planned.hedges
        return not exits, urgency(order.slot, order.want.kind)

    def _cancel(self, cancels: Iterable[tuple[str, str]]) -> None:
        found = [(self.book.by_slot[slot], why) for slot, why in cancels]
        for order, why in sorted(found, key=lambda cancel: cancel[0].number):
            self.end(order, why)

    def _place(self, order: Resting, now_ms: int) -> None:
        want, book = order.want, self.book
        judged = self._margined or want.expires_ms is not None or want.tif is Tif.POST_ONLY
        if judged and self.is_refused(order, now_ms):
            return
        book.place(order)
        self.placed += 1
        if want.expires_ms is not None:
            book.expiring[order.slot] = int(np.searchsorted(self._ts, want.expires_ms))
        self.slots[order.slot] = SlotView(want.gen, want, SlotStatus.WORKING)

    # --- amendments ---------------------------------------------------------------------------------------------

    def _amend(self, order: Resting, want: Want, sized: Sized | None, exiting: Decimal) -> None:
        known = self.slots[order.slot]
        if sized is None:
            order.want = want
            self.end(order, "filled")
            return
        if self.would_take(order.market, want, sized):  # the venue ends it
            self.end(order, "rejected")
            return
        if want.kind is Kind.STOP_LIMIT and not order.pending:  # triggered already: it is a limit order now
            sized = sized._replace(touch=order.sized.touch, level=sized.limit)
        self.book.resize(order, want, sized, exiting)
        self.slots[order.slot] = SlotView(
            known.gen, want, known.status, known.filled_qty, known.avg_price, known.reason
        )


def _differing(before: Mapping[str, Want], orders: Mapping[str, Want]) -> tuple[list[str], list[str]]:
    """Return the slots of `orders` whose want isn't the one before, and the slots that are gone.

    A strategy with many orders changes few of them and adds new ones at the end: without those its dict is as before,
    which is seen in a tenth of the time that it takes to look at each.
    """
    same = dict(orders)
    added = [same.popitem()[0] for _ in range(len(orders) - len(before))]
    if same == before:
        return added[::-1], []
    asked = [*compress(orders, map(is_not, orders.values(), map(before.get, orders)))]
    gone = [] if len(orders) - len(asked) == len(before) else [*filterfalse(orders.__contains__, before)]
    return asked, gone
