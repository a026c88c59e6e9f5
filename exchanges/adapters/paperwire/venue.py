"""The Venue port over the wire of the paper venue's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

from pydantic import TypeAdapter

from exchanges.adapters.paperwire import parse
from exchanges.adapters.paperwire.client import Client
from trading.core.errors import OutcomeUnknown, VenueUnavailable
from trading.core.ports import Amendment, Execution, FundingPayment, OrderReport, OrderRequest

T = TypeVar("T")
IDS_A_CALL = 200


class PaperWireVenue:
    """One account at the venue process; what is asked in parts is a question, never a write."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def place(self, orders: Sequence[OrderRequest]) -> list[OrderReport]:
        ids = [order.client_order_id for order in orders]
        return self._write("place", ids, parse.write(parse.ORDERS, list(orders)))

    def cancel(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        return self._write("cancel", client_order_ids, parse.write(parse.IDS, list(client_order_ids)))

    def amend(self, amendments: Sequence[Amendment]) -> list[OrderReport]:
        ids = [change.client_order_id for change in amendments]
        return self._write("amend", ids, parse.write(parse.AMENDMENTS, list(amendments)))

    def lookup(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        found: list[OrderReport] = []
        for start in range(0, len(client_order_ids), IDS_A_CALL):
            ids = list(client_order_ids[start : start + IDS_A_CALL])
            reports = self._read("lookup", parse.write(parse.IDS, ids), parse.REPORTS)
            known = {report.client_order_id for report in reports}
            if len(known) < len(reports) or not known <= set(ids):
                raise VenueUnavailable("the venue answered about orders that weren't asked about")
            found += self._checked(reports)
        return found

    def open_orders(self) -> list[OrderReport]:
        reports = self._read("open_orders", b"[]", parse.REPORTS)
        return self._checked(reports)

    def executions(self, after: int) -> list[Execution]:
        return self._in_line("executions", after, parse.EXECUTIONS)

    def funding(self, after: int) -> list[FundingPayment]:
        return self._in_line("funding", after, parse.FUNDING)

    def balances(self) -> Mapping[str, Decimal]:
        return self._read("balances", b"[]", parse.BALANCES)

    def deposit(self, ref: str, coin: str, amount: Decimal) -> None:
        """Put practice money in; under the same `ref` it is done once, however often it is asked for."""
        body = parse.write(parse.DEPOSIT, (ref, coin, amount))
        self._client.call("/v1/deposit", body, parse.BALANCES, write=True)

    def _write(self, name: str, ids: Sequence[str], body: bytes) -> list[OrderReport]:
        if not ids:
            return []
        reports = self._client.call(f"/v1/{name}", body, parse.REPORTS, write=True)
        try:
            return parse.checked_reports(reports, ids)
        except parse.Unreadable as error:
            raise OutcomeUnknown(f"{name}: {error}") from error

    def _read(self, name: str, body: bytes, kind: TypeAdapter[T]) -> T:
        return self._client.call(f"/v1/{name}", body, kind, write=False)

    def _checked(self, reports: Sequence[OrderReport]) -> list[OrderReport]:
        try:
            return parse.checked_reports(reports, None)
        except parse.Unreadable as error:
            raise VenueUnavailable(str(error)) from error

    def _in_line(self, name: str, after: int, kind: TypeAdapter[list[T]]) -> list[T]:
        rows = self._read(name, parse.write(parse.AFTER, after), kind)
        try:
            return parse.in_line(rows, after)
        except parse.Unreadable as error:
            raise VenueUnavailable(f"{name}: {error}") from error
