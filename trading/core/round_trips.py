"""Trades as people count them, from fills: each exit order with the part of the position that it closed.

An exit is measured against the average cost of what was held, as the books are, so that the gross profits of all trades
add up to the realised profit to the last digit. What the entry cost in fees and funding is shared out by quantity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import merge
from typing import NamedTuple

from trading.core.accounting import ZERO, Holding
from trading.core.rounding import money, notional
from trading.core.types import Side


class FillRow(NamedTuple):
    """One booked fill: price in quote, quantity in base, fee in quote (a cost is positive), `ts_ms` of its candle."""

    market: str  # alias
    ts_ms: int
    slot: str
    gen: int
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    tag: str = ""


class FundingRow(NamedTuple):
    """One funding of a perpetual position: `amount` in quote is what was received (paid: negative)."""

    market: str
    ts_ms: int
    amount: Decimal


@dataclass(slots=True)
class RoundTrip:
    """What one exit order closed; `closed_ms` is None for what is still open. Money in quote."""

    market: str
    long: bool
    opened_ms: int
    closed_ms: int | None
    entry_reason: str
    exit_reason: str
    qty: Decimal = ZERO
    entry_value: Decimal = ZERO  # what the quantity was bought (short: sold) for, fees apart
    exit_value: Decimal = ZERO
    fees: Decimal = ZERO  # of the exit, and the quantity's share of the entry's
    funding: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal:
        return self.entry_value / self.qty

    @property
    def exit_price(self) -> Decimal:
        return self.exit_value / self.qty

    @property
    def gross(self) -> Decimal:
        earned = self.exit_value - self.entry_value
        return earned if self.long else -earned

    @property
    def net(self) -> Decimal:
        return self.gross - self.fees + self.funding

    @property
    def return_ratio(self) -> float:
        return float(self.net / self.entry_value) if self.entry_value else 0.0


def reason_of(slot: str, tag: str) -> str:
    """Say why an order was sent: its tag, else its slot, without what counts within it ("grid:17" is "grid")."""
    reason = tag or slot
    return reason if reason.startswith("engine:") else reason.partition(":")[0]


def round_trips(
    fills: Iterable[FillRow], fundings: Iterable[FundingRow], smallest: Mapping[str, Decimal]
) -> tuple[list[RoundTrip], list[RoundTrip]]:
    """Return (closed trades in the order of their exits, what is still open, by market).

    `fills` stand in booking order, `fundings` by time. `smallest` is, by alias, the least quantity that can be traded:
    below it a position counts as flat, and the next entry opens a new one.
    """
    positions = {alias: _Position(alias, least) for alias, least in smallest.items()}
    closed: list[RoundTrip] = []
    for row in _by_time(fills, fundings):
        position = positions[row.market]
        if isinstance(row, FundingRow):
            position.funding += row.amount
        else:
            position.book(row, closed)
    return closed, [position.rest() for position in positions.values() if position.holding.qty]


def _by_time(fills: Iterable[FillRow], fundings: Iterable[FundingRow]) -> Iterator[FillRow | FundingRow]:
    """Yield both by time; a funding comes before the fills of its candle."""
    rows: tuple[Iterable[FillRow | FundingRow], ...] = (fundings, fills)
    yield from merge(*rows, key=lambda row: row.ts_ms)


@dataclass(slots=True)
class _Position:
    """One market's position on its way through the fills."""

    market: str
    smallest: Decimal
    holding: Holding = field(default_factory=Holding)
    opened_ms: int = 0
    fees: Decimal = ZERO  # of the entries of what is held
    funding: Decimal = ZERO
    reasons: dict[str, None] = field(default_factory=dict)
    exit: tuple[str, int] | None = None  # slot and generation of the exit that is being filled
    trade: RoundTrip | None = None

    def book(self, row: FillRow, closed: list[RoundTrip]) -> None:
        held = self.holding.qty
        sign = 1 if row.side is Side.BUY else -1
        closing = min(row.qty, abs(held)) if held * sign < 0 else ZERO
        exit_fee = row.fee if closing == row.qty else money(row.fee * closing / row.qty)
        if closing:
            self._close(row, closing, exit_fee, closed)
        self.holding.apply(row.side, row.price, row.qty, ZERO)
        if closing < row.qty:
            self._open(row, row.fee - exit_fee, fresh=abs(held) < self.smallest or closing > 0)

    def rest(self) -> RoundTrip:
        """Return what is still open, its exit side empty."""
        trade = self._blank(None, "")
        trade.qty, trade.entry_value = abs(self.holding.qty), abs(self.holding.cost)
        trade.fees, trade.funding = self.fees, self.funding
        return trade

    def _open(self, row: FillRow, fee: Decimal, *, fresh: bool) -> None:
        if fresh:
            self.opened_ms, self.reasons = row.ts_ms, {}
        self.fees += fee
        self.reasons[reason_of(row.slot, row.tag)] = None
        self.exit = self.trade = None

    def _close(self, row: FillRow, qty: Decimal, exit_fee: Decimal, closed: list[RoundTrip]) -> None:
        held, cost = abs(self.holding.qty), abs(self.holding.cost)
        if self.trade is None or self.exit != (row.slot, row.gen):
            self.exit, self.trade = (row.slot, row.gen), self._blank(row.ts_ms, reason_of(row.slot, row.tag))
            closed.append(self.trade)
        trade = self.trade
        whole = qty == held
        fees = self.fees if whole else money(self.fees * qty / held)
        funding = self.funding if whole else money(self.funding * qty / held)
        trade.closed_ms = row.ts_ms
        trade.qty += qty
        trade.entry_value += cost if whole else money(cost * qty / held)
        trade.exit_value += notional(qty, row.price)
        trade.fees += fees + exit_fee
        trade.funding += funding
        self.fees -= fees
        self.funding -= funding

    def _blank(self, closed_ms: int | None, reason: str) -> RoundTrip:
        long = self.holding.qty > 0
        return RoundTrip(self.market, long, self.opened_ms, closed_ms, " + ".join(self.reasons), reason)
