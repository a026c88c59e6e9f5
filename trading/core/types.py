"""What a strategy is told and what it answers: the value types of the contract (see docs/strategies.md).

Everything here is plain data; what is made once an event is a NamedTuple, which costs a fifth of a frozen dataclass.
Inside a strategy prices and quantities are float64 on the market's tick and lot grid;
`trading.core.rounding` is the one place where they meet Decimal. Times are UTC in int milliseconds, ratios 0-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, Protocol


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Kind(StrEnum):
    LIMIT = "limit"
    MARKET = "market"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING = "trailing"


class Tif(StrEnum):
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class By(StrEnum):
    """Which price a trigger or a wake looks at."""

    LAST = "last"
    MARK = "mark"
    BID = "bid"
    ASK = "ask"


class SlotStatus(StrEnum):
    NONE = "none"
    PENDING = "pending"  # written down, not yet acknowledged by the venue
    WORKING = "working"
    UNKNOWN = "unknown"  # sent, and nobody knows whether it arrived
    FILLED = "filled"
    CLOSED = "closed"  # ended otherwise: cancelled, rejected, expired, below minimum
    DENIED = "denied"  # a risk rule said no; asked again with back-off


LIVE_STATUSES = frozenset({SlotStatus.PENDING, SlotStatus.WORKING, SlotStatus.UNKNOWN})
DONE_STATUSES = frozenset({SlotStatus.FILLED, SlotStatus.CLOSED})


# --- what a strategy is told ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Perpetual:
    """What a perpetual future adds to a market's rules: margin is in quote, and a position may be short.

    Positions are isolated: each locks notional / leverage as margin and can lose no more than that and its fees.
    """

    max_leverage: Decimal = Decimal(10)
    maintenance_rate: Decimal = Decimal("0.005")  # of the notional: below it the position is liquidated
    funding_interval_ms: int = 28_800_000  # paid at each full multiple since 1970, UTC
    funding_rate: Decimal = Decimal("0.0001")  # longs pay shorts this share of the notional; negative: the reverse


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What a venue asks of an order on one market. `min_notional` is in the quote coin."""

    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_qty: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    perpetual: Perpetual | None = None  # None = a spot market


@dataclass(frozen=True, slots=True)
class Fees:
    """Fee rates as ratios (0.001 = 0.1 %), paid in the quote coin on the notional."""

    maker: float = 0.001
    taker: float = 0.001


@dataclass(frozen=True, slots=True)
class PositionView:
    """The bot's own position on one market; `dust_qty` is what can't be traded any more. Short: `qty` is negative."""

    qty: float = 0.0
    avg_price: float = 0.0
    dust_qty: float = 0.0
    liquidation_price: float | None = None

    @property
    def flat(self) -> bool:
        return abs(self.qty) <= self.dust_qty


class MarketView(Protocol):
    """One market as it may be known now, valid during the decision only.

    `low_since`/`high_since` are the extremes since the bot's last decision, `closed_ms` the close time of the last
    closed candle (0 before the first), `signals` those of Needs.signals that name this market.
    """

    @property
    def last(self) -> float: ...
    @property
    def bid(self) -> float: ...
    @property
    def ask(self) -> float: ...
    @property
    def mark(self) -> float: ...
    @property
    def seq(self) -> int: ...
    @property
    def age_ms(self) -> int: ...
    @property
    def low_since(self) -> float: ...
    @property
    def high_since(self) -> float: ...
    @property
    def rules(self) -> MarketRules: ...
    @property
    def fees(self) -> Fees: ...
    @property
    def position(self) -> PositionView: ...
    @property
    def signals(self) -> Mapping[str, Any]: ...
    @property
    def closed_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """A MarketView that was read whole, as a live decision has it."""

    last: float
    bid: float
    ask: float
    seq: int
    age_ms: int
    low_since: float
    high_since: float
    rules: MarketRules
    fees: Fees
    position: PositionView
    signals: Mapping[str, Any] = field(default_factory=dict)
    closed_ms: int = 0
    mark: float = 0.0


@dataclass(frozen=True, slots=True)
class DerivedView:
    """A derived series now; `value` is None until all its markets have a price."""

    value: float | None
    signals: Mapping[str, Any] = field(default_factory=dict)


class Trigger(NamedTuple):
    level: float
    by: By = By.LAST


class Trail(NamedTuple):
    """A trailing exit. Selling: armed once the price is at or above `activation` (None: at once); from then on it
    fires at or below max(peak x (1 - offset_ratio) - offset, floor). Buying is the mirror image.

    The peak belongs to the engine: a new one costs no decision and no write.
    """

    activation: float | None
    offset_ratio: float = 0.0
    offset: float = 0.0  # in quote
    floor: float | None = None


class Want(NamedTuple):
    """One order that should rest now. `qty` is the total of this generation, filled part included.

    Orders of one `group` pass the risk gate together or not at all. A trailing order has `trail` and fills as a market
    order when it fires; a stop-limit has `trigger` and `price`.
    """

    market: str  # alias
    side: Side
    kind: Kind
    qty: float
    price: float | None = None
    trigger: Trigger | None = None
    tif: Tif = Tif.GTC
    reduce: bool = False
    gen: int = 1
    group: str = ""
    expires_ms: int | None = None
    tag: str = ""
    trail: Trail | None = None


class SlotView(NamedTuple):
    """What became of the latest generation asked for in one slot."""

    gen: int
    want: Want
    status: SlotStatus
    filled_qty: float = 0.0
    avg_price: float = 0.0
    reason: str = ""


class Filled(NamedTuple):
    slot: str
    gen: int
    side: Side
    qty: float
    price: float
    fee_quote: float
    filled_qty: float  # of this generation so far
    at_ms: int


class Closed(NamedTuple):
    """A generation ended: `why` is filled, cancelled, replaced, rejected, expired, below_minimum, remainder, paused,
    halted or liquidated."""

    slot: str
    gen: int
    why: str
    filled_qty: float = 0.0


class Denied(NamedTuple):
    slot: str
    gen: int
    rule: str
    reason: str = ""


class Advice(NamedTuple):
    """The answer to an Ask, or its failure: exactly one of `value` and `error` is meant. Each ask gets one, once."""

    ask_id: str
    value: Any
    error: str = ""  # deadline, failed, absurd


class Signal(NamedTuple):
    name: str
    value: Any
    at_ms: int


@dataclass(frozen=True, slots=True)
class Command:
    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""


class Woken(NamedTuple):
    by: str  # "price", "derived", "trail", "time", "retry", "restart"


Input = Filled | Closed | Denied | Advice | Signal | Command | Woken


@dataclass(slots=True)
class View:
    """All a strategy may know. `orders` is what it asked for last time: reuse its unchanged Want objects."""

    now_ms: int
    number: int
    budget: Mapping[str, float]  # coin -> free
    markets: Mapping[str, MarketView]
    slots: Mapping[str, SlotView]
    inbox: tuple[Input, ...]
    orders: Mapping[str, Want] = field(default_factory=dict)
    explain: bool = False
    derived: Mapping[str, DerivedView] = field(default_factory=dict)


# --- what a strategy answers ----------------------------------------------------------------------------------------


class PriceWake(NamedTuple):
    """Wake when the series is at or beyond `level`: at or above it, or (above=False) at or below."""

    series: str  # alias of a market, or a name in Needs.derived
    level: float
    above: bool
    by: By = By.LAST


class TrailWake(NamedTuple):
    """Wake when a trailing order of this side on this market would fire."""

    market: str  # alias
    side: Side
    trail: Trail


class Wake(NamedTuple):
    """What can make the next decision differ, beside fills, closures, advice and commands, which always wake."""

    prices: tuple[PriceWake, ...] = ()
    signals: tuple[str, ...] = ()
    at_ms: int | None = None
    trails: tuple[TrailWake, ...] = ()


class Ask(NamedTuple):
    """A question whose answer is slow. `id` is the strategy's own and names it for ever; `payload` is JSON-able."""

    id: str
    kind: str
    payload: Mapping[str, Any]
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Note:
    """One line of "why it did or didn't trade"; `data` holds the figures behind it."""

    code: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Decision(NamedTuple):
    """`state` is JSON-able. `finish` (a reason) ends the bot once nothing of it is working any more."""

    state: Any
    orders: Mapping[str, Want]
    wake: Wake = Wake()
    notes: tuple[Note, ...] = ()
    finish: str = ""
    asks: tuple[Ask, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionTable:
    """All that a signal-only strategy decides: how much to hold of a market for each value of one signal.

    The engine may evaluate it in one vectorised pass; a value that `targets` doesn't name (None: warm-up) leaves the
    position as it is.
    """

    market: str
    signal: str
    targets: Mapping[Any, float]


# --- the market's price as it arrives -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """Prices of one market over a stretch of time: a candle, or what a feed saw since its last update.

    Both are walked by the same matcher: open, nearer extreme, other extreme, close.
    """

    ts_ms: int  # open time
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
