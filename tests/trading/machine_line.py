"""The line between the runtime and one account's venue, for the order machine: it fails exactly as it is told to.

It sits on the port, in front of the real paper venue. What the venue itself does stays right, so the venue's own books
are the truth. Every fault is armed by the machine and used once; what is sent and kept back arrives when it says so.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from accounts.models import Account
from exchanges.paper import PaperVenue
from trading.core.errors import OutcomeUnknown, RateLimited, VenueUnavailable
from trading.core.ports import Amendment, Execution, FundingPayment, OrderReport, OrderRequest, Venue

Sent = TypeVar("Sent", OrderRequest, Amendment)
Hook = Callable[[], None]
FAULTS = {
    "place": (
        "lost",  # it never arrives, and nobody says so
        "unanswered",  # it arrives, and the answer is lost
        "later",  # given up by its sender, and it arrives all the same
        "half",  # the first of several arrives
        "busy",  # refused by the rate limit
        "unavailable",
        "twice",  # delivered two times
        "refused",  # for good
        "dies before",  # its sender does
        "dies after",
    ),
    "cancel": ("lost", "unanswered", "not yet", "unavailable", "busy", "dies before", "dies after"),
    "amend": ("lost", "unanswered", "later", "not yet", "busy", "twice", "dies before", "dies after"),
    "lookup": ("unavailable", "busy", "dies before", "dies after"),
    "executions": ("unavailable", "dies before", "dies after", "again", "backwards"),
    "funding": ("unavailable",),
}
LAG_S = 20  # after which a venue's own questions see what it has accepted (F07)


class Killed(BaseException):
    """The process is gone: nobody contains that."""


class Line:
    """What is armed and what is on its way, for all connections to the account."""

    def __init__(self, sends: Callable[[str, Sequence[str]], None]) -> None:
        self.sends = sends  # looks at what is about to leave, and notes what must not be
        self.faults: defaultdict[str, deque[str]] = defaultdict(deque)
        self.hooks: dict[tuple[str, str], Hook] = {}  # (call, before or after): what others do meanwhile
        self.flights: list[list[OrderRequest]] = []
        self.changes: list[list[Amendment]] = []
        self.kept_back = 0  # how many of the newest executions aren't shown yet
        self.lagging = False
        self.elapsed_s = 0.0
        self._accepted_s: dict[str, float] = {}
        self._read = 0  # of the venue's own cursor
        self._hidden: list[Execution] = []
        self._told: list[Execution] = []  # with cursors in the order in which they were shown
        self.left: set[str] = set()  # ids of orders that went out and weren't refused for their pace
        self.used: set[str] = set()

    def venue(self, account: Account) -> Venue:
        return FaultyVenue(account, self)

    def passes(self, seconds: float) -> None:
        """Time goes by for whatever is on its way."""
        self.elapsed_s += seconds
        self.flights = [[_older(one, seconds) for one in sent] for sent in self.flights]
        self.changes = [[_older(one, seconds) for one in sent] for sent in self.changes]

    def may_arrive(self, now_ms: int) -> set[str]:
        """Name the orders of which something is under way that the venue would still take."""
        return {
            one.client_order_id
            for sent in self.flights
            for one in sent
            if one.valid_until_ms is None or one.valid_until_ms >= now_ms
        }

    def land(self, account: Account) -> None:
        """What was given up arrives, if it is valid still; the last first, as lines do that are mended."""
        while self.changes:
            with suppress(OutcomeUnknown):
                PaperVenue(account).amend(self.changes.pop())
        while self.flights:
            with suppress(OutcomeUnknown):
                self.accepted(PaperVenue(account).place(self.flights.pop()))

    def heal(self, account: Account) -> None:
        self.faults.clear()
        self.hooks.clear()
        self.kept_back, self.lagging = 0, False
        self.land(account)

    def fate(self, call: str) -> str:
        """Take the next fault that is armed for this call, if there is one."""
        fate = self.faults[call].popleft() if self.faults[call] else ""
        if fate:
            self.used.add(f"{call}: {fate}")
        return fate

    def meanwhile(self, call: str, when: str) -> None:
        if hook := self.hooks.pop((call, when), None):
            self.used.add(f"meanwhile, {when} a {call}")
            hook()

    def accepted(self, reports: Sequence[OrderReport]) -> list[OrderReport]:
        for report in reports:
            self._accepted_s.setdefault(report.client_order_id, self.elapsed_s)
        return list(reports)

    def sees(self, client_order_id: str) -> bool:
        """Say whether the venue's questions know an order by now that it has accepted."""
        return not self.lagging or self.elapsed_s - self._accepted_s.get(client_order_id, 0.0) >= LAG_S

    def executions(self, venue: PaperVenue, after: int, fate: str) -> list[Execution]:
        while fresh := venue.executions(self._read):
            self._read = fresh[-1].cursor
            self._hidden += fresh
        shown = len(self._hidden) - self.kept_back
        seen, self._hidden = self._hidden[: max(0, shown)], self._hidden[max(0, shown) :]
        if fate == "backwards":
            seen.reverse()
        if fate == "again" and self._told:
            seen.append(self._told[-1])
        self._told += [replace(one, cursor=len(self._told) + place) for place, one in enumerate(seen, 1)]
        return self._told[after:]


class FaultyVenue:
    """One connection over that line."""

    def __init__(self, account: Account, line: Line) -> None:
        self._account, self._line, self._venue = account, line, PaperVenue(account)

    def place(self, orders: Sequence[OrderRequest]) -> list[OrderReport]:
        self._line.sends("place", [order.client_order_id for order in orders])
        sent = self._on_the_way("place", orders)
        fate = self._fate("place")
        self._line.left |= {one.client_order_id for one in sent}
        if fate == "later":
            self._line.flights.append(sent)
        elif fate == "refused":
            return [OrderReport(one.client_order_id, "", "rejected", one.qty * 0, "not allowed") for one in sent]
        elif fate not in ("lost", "unavailable"):
            sent = sent[:1] if fate == "half" else sent
            answer = self._line.accepted(self._venue.place(sent))
            if fate == "twice":
                answer = self._venue.place(sent)
            self._after("place", fate)
            if fate in ("", "twice"):
                return answer
        raise VenueUnavailable("503") if fate == "unavailable" else OutcomeUnknown("read timeout")

    def cancel(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        self._line.sends("cancel", client_order_ids)
        self._line.meanwhile("cancel", "before")
        fate = self._fate("cancel")
        if fate == "not yet":  # taken, and not done: how the orders stand is all that there is to say
            return self._venue.lookup(client_order_ids)
        if fate not in ("lost", "unavailable"):
            answer = self._venue.cancel(client_order_ids)
            self._after("cancel", fate)
            if not fate:
                return answer
        raise OutcomeUnknown("read timeout") if fate == "unanswered" else VenueUnavailable("503")

    def amend(self, amendments: Sequence[Amendment]) -> list[OrderReport]:
        self._line.sends("amend", [change.client_order_id for change in amendments])
        sent = self._on_the_way("amend", amendments)
        fate = self._fate("amend")
        if fate == "not yet":
            return self._venue.lookup([one.client_order_id for one in sent])
        if fate == "later":
            self._line.changes.append(sent)
        elif fate != "lost":
            answer = self._venue.amend(sent)
            if fate == "twice":
                answer = self._venue.amend(sent)
            self._after("amend", fate)
            if fate in ("", "twice"):
                return answer
        raise OutcomeUnknown("read timeout")

    def lookup(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        self._line.meanwhile("lookup", "before")
        fate = self._fate("lookup")
        known = [one for one in self._venue.lookup(client_order_ids) if self._line.sees(one.client_order_id)]
        self._after("lookup", fate)
        return known

    def open_orders(self) -> list[OrderReport]:
        return [one for one in self._venue.open_orders() if self._line.sees(one.client_order_id)]

    def executions(self, after: int) -> list[Execution]:
        self._line.meanwhile("executions", "before")
        fate = self._fate("executions")
        found = self._line.executions(self._venue, after, fate)
        self._after("executions", fate)
        return found

    def funding(self, after: int) -> list[FundingPayment]:
        self._fate("funding")
        return self._venue.funding(after)

    def balances(self):
        return self._venue.balances()

    def _on_the_way(self, call: str, sent: Sequence[Sent]) -> list[Sent]:
        """Return what arrives: as old as what has happened meanwhile makes it."""
        began_s = self._line.elapsed_s
        self._line.meanwhile(call, "before")
        return [_older(one, self._line.elapsed_s - began_s) for one in sent]

    def _fate(self, call: str) -> str:
        fate = self._line.fate(call)
        if fate == "dies before":
            raise Killed
        if fate == "busy":
            raise RateLimited("429", retry_after_s=1.0)
        if fate == "unavailable" and call in ("lookup", "executions", "funding"):
            raise VenueUnavailable("502")
        return fate

    def _after(self, call: str, fate: str) -> None:
        self._line.meanwhile(call, "after")
        if fate == "dies after":
            raise Killed


def _older(one: Sent, seconds: float) -> Sent:
    if one.valid_until_ms is None or not seconds:
        return one
    return replace(one, valid_until_ms=one.valid_until_ms - int(seconds * 1000))
