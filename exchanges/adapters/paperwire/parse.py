"""The words of the wire: JSON to the types of the Venue port and back, for both of its ends.

Money is text. What isn't exactly of this form raises Unreadable: nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from trading.core.ports import Amendment, Execution, FundingPayment, OrderReport, OrderRequest

T = TypeVar("T")
STATUSES = {"working", "filled", "cancelled", "rejected"}

ORDERS = TypeAdapter(list[OrderRequest])
AMENDMENTS = TypeAdapter(list[Amendment])
IDS = TypeAdapter(list[str])
AFTER = TypeAdapter(int)
DEPOSIT = TypeAdapter(tuple[str, str, Decimal])  # its id, coin, amount
REPORTS = TypeAdapter(list[OrderReport])
EXECUTIONS = TypeAdapter(list[Execution])
FUNDING = TypeAdapter(list[FundingPayment])
BALANCES = TypeAdapter(dict[str, Decimal])
NEWS = TypeAdapter(tuple[int, list[str]])  # the number of the newest, and the keys of the accounts that it concerns


class Unreadable(ValueError):
    """A body that isn't what it should be."""


def read(kind: TypeAdapter[T], body: bytes) -> T:
    """Read a body. Raises Unreadable."""
    try:
        return kind.validate_json(body, strict=True)
    except ValidationError as error:
        raise Unreadable(f"{error.error_count()} faults in the body, the first: {error.errors()[0]['msg']}") from None


def write(kind: TypeAdapter[T], value: T) -> bytes:
    return kind.dump_json(value)


def read_answer(kind: TypeAdapter[T], body: bytes) -> T:
    """Read an answer, in which a number with a point can't be: it would have lost digits already."""
    try:
        json.loads(body, parse_float=_inexact, parse_constant=_inexact)
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    return read(kind, body)


def _inexact(text: str) -> Any:
    raise Unreadable(f"the number {text} isn't text")


def checked_reports(reports: Sequence[OrderReport], asked: Sequence[str] | None) -> list[OrderReport]:
    """Return reports on exactly these orders, in this order (None: on any). Raises Unreadable for others."""
    if asked is not None and [report.client_order_id for report in reports] != list(asked):
        raise Unreadable("the reports aren't those that were asked for")
    wrong = [report.status for report in reports if report.status not in STATUSES]
    if wrong:
        raise Unreadable(f"there is no order status {wrong[0]!r}")
    return list(reports)


def in_line(rows: Sequence[T], after: int) -> list[T]:
    """Return the rows that follow `after` without a gap, each once. Raises Unreadable when the next one is missing.

    The venue numbers what it books for an account 1, 2, 3: so a row that an answer lacks can't be overlooked.
    """
    known: dict[int, T] = {}
    for row in rows:
        cursor = int(row.cursor)  # type: ignore[attr-defined]
        if cursor <= after or known.setdefault(cursor, row) != row:
            raise Unreadable(f"the row {cursor} isn't one that was asked for, or is there in two forms")
    line: list[T] = []
    while after + len(line) + 1 in known:
        line.append(known[after + len(line) + 1])
    if known and not line:
        raise Unreadable(f"the row after {after} is missing")
    return line
