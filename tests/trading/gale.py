"""A venue in bad weather: the paper venue behind its port, over a line that loses, delays and doubles.

Sends get lost, arrive late or half, are refused for a while, or arrive while their sender dies; cancels and amendments
fail before or after they are done, fills overtake cancels, and market orders find too little and end in part;
executions are seen late, twice and in any order; questions go unanswered. What the venue itself does stays right, so
when the weather is calm again the books can be held against it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from django.db import OperationalError, transaction

from accounts.models import Account
from exchanges.models import Market, PaperOrder
from exchanges.paper import PaperVenue
from exchanges.paper_books import Books, lock_accounts
from exchanges.paper_fills import LEFTOVER, fill_order
from trading.core.errors import OutcomeUnknown, RateLimited, VenueUnavailable
from trading.core.ports import Amendment, Execution, OrderReport, OrderRequest
from trading.core.rounding import qty_to_lot, to_decimal, to_float
from trading.core.types import Bar, Kind

SENDS = ("lost", "half", "unanswered", "unavailable", "busy", "dies")
PAGE = 7  # executions in one answer: several pages are usual
MOST_FLIGHTS = 3  # at once
SET_OFF = 0.3  # how many of the stops go off where there is too little to trade with
LOOKS = (2, 14)  # at the executions before one that came with an order's end is among them


class Gale:
    """The line to the venue of one account, and what is under way on it."""

    def __init__(self, rng: random.Random, now_ms: Callable[[], int], last: Callable[[Market], float]) -> None:
        self.rng = rng
        self.now_ms = now_ms
        self.last = last
        self.trouble = 0.0  # how many of the calls go wrong
        self.hold = 0.0  # how many of the executions are seen later
        self.late = 0.1  # how many of the sends are given up and arrive all the same
        self.race = 0.6  # how many of the cancels are overtaken by a fill
        self.flights: list[list[OrderRequest]] = []  # sends that nobody knows of and that will arrive
        self.changes: list[list[Amendment]] = []  # amendments of the same kind
        self._unseen: list[Execution] = []
        self._looks: dict[str, int] = {}  # executions that will be seen only after so many looks
        self._told: list[Execution] = []  # with cursors in the order in which they were seen
        self._read = 0  # of the venue's own cursor

    def venue(self, account: Account) -> RoughVenue:
        return RoughVenue(account, self)

    def goes_wrong(self) -> bool:
        return self.rng.random() < self.trouble

    def takes_off(self, orders: Sequence[OrderRequest]) -> bool:
        """Say whether this send is one of those that arrive later, and keep it until then."""
        late = len(self.flights) < MOST_FLIGHTS and self.rng.random() < self.late
        if late:
            self.flights.append(list(orders))
        return late

    @property
    def under_way(self) -> bool:
        return bool(self.flights or self.changes)

    def land(self, account: Account) -> None:
        """What was sent and given up arrives while it is valid, however long the storm takes by the wall's clock.

        Amendments keep to that clock, as their senders do: a newer one may have been sent after their time.
        """
        while self.changes:
            with suppress(OutcomeUnknown):
                PaperVenue(account).amend(self.changes.pop(self.rng.randrange(len(self.changes))))
        while self.flights:
            orders = self.flights.pop(self.rng.randrange(len(self.flights)))
            PaperVenue(account).place([replace(order, valid_until_ms=None) for order in orders])

    @transaction.atomic
    def overtake(self, account: Account, client_order_ids: Sequence[str]) -> None:
        """A part of what is about to be cancelled fills first, and that is seen only after the cancel's answer.

        A stop goes off at that moment and finds no more than a part of what it wants.
        """
        lock_accounts([account.pk])
        for row in _working(account, client_order_id__in=client_order_ids):
            if self.rng.random() < self.race:
                self._fill_half(row)

    @transaction.atomic
    def run_dry(self, account: Account) -> None:
        """There is too little to trade with: market orders fill in part, and the venue ends what is left of them.

        So do some of the stops, which a price that nobody else saw has set off.
        """
        lock_accounts([account.pk])
        for row in _working(account, kind__in=(Kind.MARKET, Kind.STOP, Kind.TRAILING)):
            if row.kind == Kind.MARKET or self.rng.random() < SET_OFF:
                self._fill_half(row)

    def _fill_half(self, row: PaperOrder) -> None:
        """Fill half of what is left, to be seen some looks later; whatever isn't a resting limit ends with that."""
        part = qty_to_lot((row.qty - row.filled_qty) / 2, row.market.lot)
        if not part:
            return
        rests = row.kind == Kind.LIMIT
        price = row.price if rests else to_decimal(self.last(row.market))
        books = Books([row.account_id], [row.market])
        wanted = row.qty
        if not rests:
            row.qty = row.filled_qty + part  # as much as is there: it fills whole, and what it wanted is left over
        fill_order(books, row.market, row, price, Bar(self.now_ms(), *[to_float(price)] * 4), 1, part)
        row.qty = wanted
        if not rests and row.status == PaperOrder.Status.FILLED:
            row.status, row.reason = PaperOrder.Status.CANCELLED, LEFTOVER
        books.save()
        self._looks |= {execution.exec_id: self.rng.randint(*LOOKS) for execution in books.executions}

    def calm(self, account: Account) -> None:
        """Nothing goes wrong any more; that a fill overtakes a cancel is as it should be."""
        self.trouble = self.hold = self.late = 0.0
        self.land(account)

    def executions(self, venue: PaperVenue, after: int) -> list[Execution]:
        """Read on at the venue, and show some of what is there, in any order, now and then again."""
        while fresh := venue.executions(self._read):
            self._read = fresh[-1].cursor
            self._unseen += fresh
        self.rng.shuffle(self._unseen)
        seen = [execution for execution in self._unseen if self._shows(execution)]
        self._unseen = [execution for execution in self._unseen if execution not in seen]
        if self._told and self.goes_wrong():
            seen.append(self.rng.choice(self._told))
        for execution in seen:
            self._told.append(replace(execution, cursor=len(self._told) + 1))
        return self._told[after : after + PAGE]

    def _shows(self, execution: Execution) -> bool:
        if self._looks.get(execution.exec_id):
            self._looks[execution.exec_id] -= 1
            return False
        return self.rng.random() >= self.hold


def _working(account: Account, **which: object) -> list[PaperOrder]:
    rows = PaperOrder.objects.filter(account=account, status=PaperOrder.Status.WORKING, **which)
    return list(rows.select_related("market").order_by("id"))


class RoughVenue(PaperVenue):
    def __init__(self, account: Account, gale: Gale) -> None:
        super().__init__(account)
        self._account, self._gale = account, gale

    def place(self, orders: Sequence[OrderRequest]) -> list[OrderReport]:
        if self._gale.takes_off(orders):
            raise OutcomeUnknown("read timeout")
        if not self._gale.goes_wrong():
            return super().place(orders)
        rng = self._gale.rng
        fate = rng.choice(SENDS)
        if fate == "busy":
            raise RateLimited("429", retry_after_s=rng.choice([1.0, 30.0]))
        if fate == "half":
            super().place(orders[: rng.randint(0, len(orders))])
        elif fate in ("unanswered", "dies"):
            super().place(orders)
        if fate == "dies":
            raise OperationalError("the worker dies here")
        raise VenueUnavailable("503") if fate == "unavailable" else OutcomeUnknown("read timeout")

    def cancel(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        self._gale.overtake(self._account, client_order_ids)
        if not self._gale.goes_wrong():
            return super().cancel(client_order_ids)
        fate = self._gale.rng.choice(("lost", "unanswered", "later", "dies"))
        if fate == "later":  # taken, and not done: how the orders stand is all that there is to say
            return self._as_they_stand(client_order_ids)
        if fate != "lost":
            super().cancel(client_order_ids)
        if fate == "dies":
            raise OperationalError("the worker dies here")
        raise OutcomeUnknown("read timeout") if fate == "unanswered" else VenueUnavailable("503")

    def amend(self, amendments: Sequence[Amendment]) -> list[OrderReport]:
        if not self._gale.goes_wrong():
            return super().amend(amendments)
        fate = self._gale.rng.choice(("lost", "late", "unanswered", "ignored", "dies"))
        if fate == "ignored":
            return self._as_they_stand([change.client_order_id for change in amendments])
        if fate == "late":
            self._gale.changes.append(list(amendments))
        elif fate != "lost":
            super().amend(amendments)
        if fate == "dies":
            raise OperationalError("the worker dies here")
        raise VenueUnavailable("503") if fate == "lost" else OutcomeUnknown("read timeout")

    def lookup(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        self._answer()
        return super().lookup(client_order_ids)

    def executions(self, after: int) -> list[Execution]:
        self._answer()
        return self._gale.executions(PaperVenue(self._account), after)

    def funding(self, after: int):
        self._answer()
        return super().funding(after)

    def _answer(self) -> None:
        if self._gale.goes_wrong():
            raise VenueUnavailable("502")

    def _as_they_stand(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        return super().lookup(client_order_ids)
