"""The way of one bar, or of one bar a market, over orders, liquidations and trailing wakes: the core's matching.

Nothing here touches the database: what the walk meets is for its caller to book.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from exchanges.models import Market, PaperOrder, PaperPosition
from exchanges.paper_books import acts_as, is_immediate, own_price
from trading.core.matching import (
    ABOVE,
    BEFORE_OPEN,
    BELOW,
    CLOSE,
    FLOAT_ROWS,
    FROM,
    INT_ROWS,
    LEVEL,
    MARKET,
    OPEN,
    PEAK,
    PRICE,
    TRAIL,
    advance,
    path_extremes,
    trail_level,
)
from trading.core.rounding import to_float
from trading.core.rows import floats_of, ints_of, touch_of
from trading.core.types import Bar, Kind, Side, Trail

_INF = float("inf")
_FIRST = -1  # SEQ of a liquidation: before all orders at its price


class TrailWatch(NamedTuple):
    """A trail to be followed; `since_ms` is the market time from which on its peak counts, `id` its owner's name."""

    id: Hashable
    market_id: int
    side: Side
    trail: Trail
    since_ms: int


class Liquidation(NamedTuple):
    """Where a position is closed by the venue, and up to when it has paid its funding."""

    account_id: int
    market_id: int
    touch: int
    level: float
    funded_ms: int


Row = PaperOrder | Liquidation | TrailWatch


class Met(NamedTuple):
    """What the walk met: an event of the matching, its row, and the market with its price there."""

    event: int
    row: int
    market: Market
    price: float


def liquidation_of(position: PaperPosition) -> Liquidation | None:
    if position.below is not None:
        return Liquidation(position.account_id, position.market_id, -1, position.below, position.funded_ms)
    if position.above is not None:
        return Liquidation(position.account_id, position.market_id, 1, position.above, position.funded_ms)
    return None


def watch_of(order: PaperOrder) -> TrailWatch:
    """Return a trailing order's trail."""
    trail = Trail(order.activation, order.offset_ratio, order.offset, order.floor)
    return TrailWatch(("order", order.pk), order.market_id, Side(order.side), trail, order.placed_ms)


def level_of(order: PaperOrder) -> float:
    """Return the price that touches an order now; 0 for one that needs none."""
    level = own_price(order) if acts_as(order) is Kind.LIMIT else order.trigger
    return 0.0 if level is None else to_float(level)


class Path:
    """Bars of some markets, walked together, and the rows on their way. `rows` are in no order that matters."""

    def __init__(self, markets: Sequence[Market]) -> None:
        self.markets = list(markets)
        self.rows: list[Row] = []
        self._place = {market.pk: k for k, market in enumerate(self.markets)}
        self._floats: list[list[float]] = [[] for _ in range(FLOAT_ROWS)]
        self._ints: list[list[int]] = [[] for _ in range(INT_ROWS)]
        self._prices: list[list[list[float]]] = []
        self._points = [[0.0] * len(self.markets) for _ in range(3)]
        self._cursor = (0, BEFORE_OPEN, 0)
        self._looked = (0, BEFORE_OPEN, 0)  # the cursor when somebody looked last, in these bars
        self._before: list[tuple[float, float]] | None = None  # the extremes from then to the end of the last bars
        self.bars: dict[int, Bar] = {}

    def start(self, bars: Sequence[Bar], stands: Sequence[float] = ()) -> None:
        """Stand before the open of these bars, one a market; what rested in the last ones may fill again.

        `stands` is where the markets stood before the first bars: a trail that was placed there counts from there.
        """
        if self._prices:
            if not self._looked[0]:  # looked at before their end
                self._before = [self.extremes(market.pk, whole=True) for market in self.markets]
            self._looked = (0, BEFORE_OPEN, 0)
        else:
            self._points[PRICE] = list(stands) or [bar.open for bar in bars]
        self._prices = [[[bar.open], [bar.high], [bar.low], [bar.close]] for bar in bars]
        self._cursor = (0, BEFORE_OPEN, 0)
        self._ints[FROM] = [0] * len(self.rows)
        self.bars = {market.pk: bar for market, bar in zip(self.markets, bars, strict=True)}

    # --- rows -------------------------------------------------------------------------------------------------------

    def add(self, row: Row, peak: float | None = None, *, rests: bool = False) -> None:
        """Put a row on the way; `peak` is an armed trail's, `rests` keeps it out of the rest of this bar."""
        floats, ints = self._columns(row, 1 if rests else 0)
        for k, value in enumerate(floats):
            self._floats[k].append(value)
        for k, number in enumerate(ints):
            self._ints[k].append(number)
        self.rows.append(row)
        if peak is not None:
            place = len(self.rows) - 1
            self._floats[PEAK][place] = peak
            self._floats[LEVEL][place] = trail_level(self._floats, self._ints, place)

    def _columns(self, row: Row, from_i: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
        place = self._place[row.market_id]
        tick = self.markets[place].tick
        if isinstance(row, Liquidation):
            return floats_of(row.level, Side.SELL, None, tick), ints_of(row.touch, _FIRST, place, from_i, None)
        if isinstance(row, TrailWatch):
            touch = touch_of(Kind.TRAILING, row.side)
            return floats_of(0.0, row.side, row.trail, tick), ints_of(touch, 0, place, from_i, row.trail, wakes=True)
        side = Side(row.side)
        trail = watch_of(row).trail if row.kind == Kind.TRAILING else None
        touch = 0 if is_immediate(row) else touch_of(acts_as(row), side)
        return floats_of(level_of(row), side, trail, tick), ints_of(touch, row.seq, place, from_i, trail)

    def clear(self) -> None:
        self.rows.clear()
        self._floats = [[] for _ in range(FLOAT_ROWS)]
        self._ints = [[] for _ in range(INT_ROWS)]

    def drop(self, place: int) -> Row:
        for column in self._floats:
            del column[place]
        for numbers in self._ints:
            del numbers[place]
        return self.rows.pop(place)

    def rest(self, place: int) -> None:
        """Keep an order out of the rest of this bar."""
        self._ints[FROM][place] = 1

    def rests(self, place: int) -> bool:
        return self._ints[FROM][place] > 0

    def peak(self, place: int) -> float | None:
        """Return the best price of an armed trail; None of one that isn't, and of what has no trail."""
        armed = self._ints[TRAIL][place] and abs(self._floats[LEVEL][place]) < _INF
        return self._floats[PEAK][place] if armed else None

    # --- walking ----------------------------------------------------------------------------------------------------

    def price_of(self, market_id: int) -> float:
        """Return where the walk stands on one market."""
        return self._points[PRICE][self._place[market_id]]

    def look(self) -> None:
        """Let `extremes` count from here on."""
        self._looked, self._before = self._cursor, None

    def extremes(self, market_id: int, *, whole: bool = False) -> tuple[float, float]:
        """Return the lowest and highest price of a market's path since `look`, up to here or to the end of its bar."""
        k = self._place[market_id]
        (since_i, since_leg, since_market), (i, leg, market) = self._looked, self._cursor
        if whole:
            i, leg, market = 1, BEFORE_OPEN, 0
        here = self._prices[k][CLOSE][0] if whole else self._points[PRICE][k]
        # a market before the cursor's has walked the cursor's leg already
        legs = since_leg + (k < since_market), leg + (k < market)
        low, high = path_extremes(self._prices[k], since_i, legs[0], i, legs[1], here)
        before = self._before[k] if self._before is not None else (low, high)
        return min(low, before[0]), max(high, before[1])

    def advance(self, wakes: Mapping[int, tuple[float, float]] | None = None) -> Met:
        """Go on to the next event; `wakes` are levels (below, above) by market."""
        levels = [(wakes or {}).get(market.pk, (-_INF, _INF)) for market in self.markets]
        self._points[BELOW] = [below for below, _ in levels]
        self._points[ABOVE] = [above for _, above in levels]
        event, row, i, leg, market, price = advance(
            self._prices, self._floats, self._ints, len(self.rows), self._points, *self._cursor, 1
        )
        self._cursor = (i, leg, market)
        return Met(event, row, self._met_at(row, leg, market), price)

    def _met_at(self, row: int, leg: int, market: int) -> Market:
        """Say on which market it happened: after a jump to an open the cursor has gone on to the next one."""
        if row >= 0:
            return self.markets[self._ints[MARKET][row]]
        if leg == BEFORE_OPEN and market:
            return self.markets[market - 1]
        first_moved = self._points[PRICE][0] != self._prices[0][OPEN][0]
        if leg == BEFORE_OPEN + 1 and market == 0 and not first_moved:
            return self.markets[-1]
        return self.markets[market]
