"""A venue that may be asked and not told anything: what a copied or restored database gets of every account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NoReturn

from trading.core.errors import VenueUnavailable
from trading.core.ports import Amendment, Execution, FundingPayment, OrderReport, OrderRequest, Venue


class ReadOnlyVenue:
    """Answers what the venue behind it answers; whatever would change something there is refused with the reason."""

    def __init__(self, venue: Venue, reason: str) -> None:
        self._venue = venue
        self._reason = reason

    def place(self, orders: Sequence[OrderRequest]) -> NoReturn:
        raise VenueUnavailable(self._reason)

    def cancel(self, client_order_ids: Sequence[str]) -> NoReturn:
        raise VenueUnavailable(self._reason)

    def amend(self, amendments: Sequence[Amendment]) -> NoReturn:
        raise VenueUnavailable(self._reason)

    def lookup(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        return self._venue.lookup(client_order_ids)

    def open_orders(self) -> list[OrderReport]:
        return self._venue.open_orders()

    def executions(self, after: int) -> list[Execution]:
        return self._venue.executions(after)

    def funding(self, after: int) -> list[FundingPayment]:
        return self._venue.funding(after)

    def balances(self) -> Mapping[str, Decimal]:
        return self._venue.balances()
