"""The seams of the pure core: what a strategy, a venue, a feed and a risk rule look like from inside.

A plug-in implements one of these protocols on its shelf and is named in that shelf's registry; nothing else changes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel

from trading.core.needs import Needs
from trading.core.previews import MarketFacts, Preview
from trading.core.types import Ask, Bar, Decision, DecisionTable, Kind, Side, Tif, Trail, View

# --- strategies -----------------------------------------------------------------------------------------------------


class Strategy(Protocol):
    """A pure decision function with its parameters. `decide` must not touch clocks, randomness, files or networks."""

    key: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    version: ClassVar[int]
    params: ClassVar[type[BaseModel]]

    def needs(self, params: Any) -> Needs:
        """Say which markets and signals the strategy watches. MarketRef("") is the market that the bot was made for;
        others stand in the parameters as symbols of the same account. All have the same quote coin."""
        ...

    def decide(self, params: Any, state: Any, view: View) -> Decision:
        """Answer the full set of orders that should rest now. `state` is None at the first call."""
        ...

    def adopt(self, old_params: Any, params: Any, state: Any, view: View) -> Any:
        """Return the state of a running bot whose parameters were edited."""
        ...

    def upgrade(self, version: int, state: Any) -> Any:
        """Return the state, written by an older version of the code, in today's form."""
        ...

    def preview(self, params: Any, markets: Mapping[str, MarketFacts]) -> Preview:
        """Show what the bot would do now, by alias of its markets. Raises InvalidInput for what cannot work."""
        ...


@runtime_checkable
class SignalOnly(Protocol):
    """A strategy whose `decide` does no more than its table says: the engine may evaluate the table at once."""

    def table(self, params: Any) -> DecisionTable:
        """Return what is held for each value of the signal."""
        ...


# --- advisers -------------------------------------------------------------------------------------------------------


class Advisor(Protocol):
    """Answers questions that strategies ask; slow and fallible. A worker calls it, never a tick."""

    key: ClassVar[str]
    title: ClassVar[str]

    def answer(self, kind: str, payload: Mapping[str, Any]) -> Any:
        """Return a JSON-able answer. Raises VenueUnavailable when none can be had."""
        ...

    def cost(self, kind: str, payload: Mapping[str, Any], answer: Any) -> Decimal:
        """Return what the provider charges for this answer, in USD."""
        ...


class SimulatedAdvisor(Protocol):
    """The adviser of a backtest or replay: its answer and its delay follow from the question alone."""

    def simulate(self, ask: Ask, now_ms: int) -> tuple[int, Any, str]:
        """Return (delay_ms, value, error); delay_ms < 0 means that no answer ever comes."""
        ...


# --- venues ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order as it goes to a venue: exact, and under an id that is derived, never invented at the send.

    `max_quote` is the most that an order may cost (of a perpetual: in margin), fee included, when its price is
    unknown before it fills: the account may hold other bots' money, and a fill above it is refused.
    `valid_until_ms` (wall time) is when the venue stops to accept it, as a receive window does: a sender that slept
    between its claim and its call can't place what somebody else has settled meanwhile.
    """

    client_order_id: str
    symbol: str
    side: Side
    kind: Kind
    qty: Decimal
    price: Decimal | None = None
    trigger: Decimal | None = None
    tif: Tif = Tif.GTC
    reduce: bool = False
    max_quote: Decimal | None = None
    trail: Trail | None = None
    expires_ms: int | None = None
    leverage: Decimal = Decimal(1)  # perpetual markets only
    valid_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Amendment:
    """A working order's new total quantity and prices (the unchanged ones repeated).

    `valid_until_ms` as in an OrderRequest: what comes later has no effect, so that it can't undo a newer one.
    """

    client_order_id: str
    qty: Decimal
    price: Decimal | None = None
    trigger: Decimal | None = None
    valid_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FundingPayment:
    """One funding of a perpetual position as the venue booked it; `amount` is what the account got (paid: negative)."""

    payment_id: str
    symbol: str
    amount: Decimal
    coin: str
    rate: Decimal
    ts_ms: int
    cursor: int


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What a venue says of one order. `status` is working, filled, cancelled or rejected."""

    client_order_id: str
    exchange_order_id: str
    status: str
    filled_qty: Decimal
    reason: str = ""
    qty: Decimal | None = None  # its total now, where the venue says it: shows whether an amendment arrived
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill as the venue books it; `exec_id` is unique per account and market. Fees: a cost is positive.

    A liquidation is an execution of the venue's own: `liquidation` is true and its client_order_id is empty.
    """

    exec_id: str
    client_order_id: str
    exchange_order_id: str
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_coin: str
    maker: bool
    ts_ms: int
    cursor: int  # rises in the order in which the venue booked it
    liquidation: bool = False


class Venue(Protocol):
    """One account at one venue. Every call may raise a VenueError; none of them retries by itself."""

    def place(self, orders: Sequence[OrderRequest]) -> list[OrderReport]:
        """Send orders; one report each, in order. A definitive refusal is a report with status rejected.

        What comes after its `valid_until_ms` has no effect at all: OutcomeUnknown, and a later lookup knows nothing.
        """
        ...

    def cancel(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        """Cancel orders; the report says how each one ended (it may have filled); no exchange id: never seen."""
        ...

    def amend(self, amendments: Sequence[Amendment]) -> list[OrderReport]:
        """Change working orders; each report says how its order stands now (`qty`, `price`), changed or not.

        An order that has ended is reported as it ended; a quantity at or below what is filled ends it as filled.
        What comes after its `valid_until_ms` has no effect at all: OutcomeUnknown.
        """
        ...

    def lookup(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        """Return what the venue knows of these ids; an id it never saw is missing from the answer."""
        ...

    def open_orders(self) -> list[OrderReport]:
        """Return every working order of the account, foreign ones included."""
        ...

    def executions(self, after: int) -> list[Execution]:
        """Return the account's executions with cursor > `after`, oldest first."""
        ...

    def funding(self, after: int) -> list[FundingPayment]:
        """Return the account's funding payments with cursor > `after`, oldest first."""
        ...

    def balances(self) -> Mapping[str, Decimal]:
        """Return the total of each coin, locked part included."""
        ...


# --- feeds ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PriceUpdate:
    """What a feed saw of one market since its last update; a bar never reaches over the edge of a minute."""

    symbol: str
    bar: Bar
    until_ms: int  # end of the stretch of market time that the bar covers
    late: bool = False  # the feed is catching up on what was missed


class Feed(Protocol):
    """Prices of one venue, shared by all its users."""

    def updates(self, symbols: Sequence[str]) -> AsyncIterator[PriceUpdate]:
        """Yield price updates for ever; raises VenueUnavailable when the source is lost."""
        ...

    def history(self, symbol: str, timeframe_ms: int, start_ms: int, end_ms: int) -> list[Bar]:
        """Return closed candles with start_ms <= open time < end_ms, oldest first."""
        ...


# --- risk rules -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Allow:
    """The rule has nothing against it."""


@dataclass(frozen=True, slots=True)
class Deny:
    """The rule says no, and why, in words for the bot's owner."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class RiskOrder:
    """One order at the gate, in exact numbers. `exits` = it only makes the bot's position smaller.

    `leverage` is None on spot. Of an order of a perpetual that crosses zero, `exit_qty` is the part that exits.
    """

    slot: str
    side: Side
    kind: Kind
    qty: Decimal
    price: Decimal  # its limit, or the last price for a market order
    fee_rate: Decimal
    exits: bool
    base: str
    quote: str
    leverage: Decimal | None = None
    exit_qty: Decimal = Decimal(0)
    group: str = ""
    market: str = "main"  # alias
    reference: Decimal | None = None  # what its price is compared with: its trigger, else the last price

    @property
    def added(self) -> Decimal:
        """What it adds to the position, in quote: all of it but the part that exits."""
        return Decimal(0) if self.exits else max(Decimal(0), self.qty - self.exit_qty) * self.price


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """What the orders of a bot may not exceed; None: no limit."""

    max_order: Decimal | None = None  # of one order, in quote
    max_position: Decimal | None = None  # of the position on a market with what may still add to it, in quote
    max_orders: int | None = None  # open at once
    max_deviation: Decimal | None = None  # ratio


@dataclass(frozen=True, slots=True)
class RiskContext:
    """What the rules may look at. Missing data is None, and None means no."""

    free: Mapping[str, Decimal]  # what the bot may still spend, by coin
    price_age_ms: int | None  # of the oldest price of the bot's markets
    halted: str = ""  # reason, when the bot, its account, its workspace or the platform is halted
    facts: Mapping[str, Any] = field(default_factory=dict)
    limits: RiskLimits = RiskLimits()
    # By market and direction, in quote: what is held, and what the open orders may add to it.
    exposure: Mapping[tuple[str, Side], Decimal] = field(default_factory=dict)
    open_orders: int | None = None  # of the bot, on all its markets


class RiskRule(Protocol):
    """One pre-trade check. Answers a value, never raises on missing data: unknown means Deny."""

    key: ClassVar[str]

    def check(self, order: RiskOrder, context: RiskContext) -> Allow | Deny:
        """Judge one order; `context.free` already has the earlier orders of the same decision taken out."""
        ...
