"""The simulated venue of a backtest: resting orders as rows for the matching, and the funds that they lock.

Funds are exact, as they are live: on spot a buy locks its notional and fee, a sell its quantity; on a perpetual what
opens locks margin and fee. Beside orders, rows hold what else the matching watches: trail wakes and liquidations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from trading.core.candles import Candles
from trading.core.caps import is_capped
from trading.core.desk import Desk, Sized
from trading.core.matching import FLOAT_ROWS, FROM, INT_ROWS, LEVEL, MARKET, NEVER, SEQ, TOUCH, TRAIL
from trading.core.positions import Funds, MarginPosition, SpotPosition
from trading.core.rounding import plain, to_float
from trading.core.rows import floats_of, ints_of, touch_of
from trading.core.simoptions import SimMarket, SimOptions
from trading.core.types import Kind, MarketRules, TrailWake, Want
from trading.core.wants import ONE_SHOT

ZERO = Decimal(0)
FIRST_CAPACITY = 64
LIQUIDATES_FIRST = -1  # place in the order of placing: before every order at the same price


class BookMarket:
    """One market of the run: its candles, and the account's position and desk on it."""

    __slots__ = ("alias", "candles", "desk", "index", "liquidates", "position", "rules")

    def __init__(
        self, index: int, alias: str, market: SimMarket, fee: Decimal, leverage: Decimal, options: SimOptions
    ) -> None:
        self.index, self.alias = index, alias
        self.candles: Candles = market.candles
        self.rules: MarketRules = market.rules
        self.desk = Desk(market.rules, fee, options)
        terms = market.rules.perpetual
        self.position: SpotPosition = SpotPosition(market.rules, self.desk)
        if terms is not None:
            self.position = MarginPosition(market.rules, self.desk, terms, leverage, fee)
        self.liquidates = -1  # row of its liquidation price

    @property
    def margined(self) -> MarginPosition | None:
        """The position when it stands on margin."""
        return self.position if isinstance(self.position, MarginPosition) else None


class Resting:
    """One order in the book; `at` is its row, `sized` what is left of it, `limit` its price while it isn't one yet."""

    __slots__ = (
        "at", "cap", "coin", "exiting", "filled", "leverage", "locked", "market", "number", "pending", "reduces",
        "sized", "slot", "value", "want",
    )  # fmt: skip

    def __init__(self, slot: str, want: Want, market: BookMarket, sized: Sized, exiting: Decimal = ZERO) -> None:
        self.slot = slot
        self.want = want
        self.market = market
        self.sized = sized
        self.exiting = exiting  # of a perpetual: the part that closes
        self.reduces = bool(exiting) and exiting >= sized.qty  # sent as an order that may do nothing else
        self.leverage = market.position.asked
        self.coin, self.locked = market.position.reserve(want, sized, exiting, self.leverage)
        self.cap: Decimal | None = None  # the most that it may cost, when its price isn't known
        self.filled = ZERO
        self.value = ZERO  # of what has filled, in quote
        self.pending = want.kind is Kind.STOP_LIMIT or want.tif in ONE_SHOT  # not simply filled when it is touched
        self.at = -1
        self.number = -1  # of its placing; an amendment leaves it

    @property
    def is_capped(self) -> bool:
        """Whether it may turn out dearer than what it locks."""
        return is_capped(self.want.side, self.want.kind, self.locked, spot=self.market.position.spot)

    @property
    def headroom(self) -> Decimal:
        """What its bot may not promise to others until it has filled."""
        return ZERO if self.cap is None or self.want.kind is not Kind.MARKET else self.cap - self.locked


Row = Resting | TrailWake | BookMarket


class Book:
    """Resting orders and free funds of one account over all markets of a run."""

    def __init__(self, markets: Sequence[BookMarket], cash: Decimal) -> None:
        self.markets = markets
        self.quote = markets[0].rules.quote
        self.free: Funds = {self.quote: cash}
        self.free.update({m.rules.base: ZERO for m in markets if m.position.spot})
        self.floats = np.zeros((FLOAT_ROWS, FIRST_CAPACITY), dtype=np.float64)
        self.ints = np.zeros((INT_ROWS, FIRST_CAPACITY), dtype=np.int64)
        self._columns()
        self.rows: list[Row | None] = []  # as many as the matching looks at
        self._headroom = ZERO  # of all orders in the book, in quote
        self._unused: list[int] = []
        self.by_slot: dict[str, Resting] = {}
        self.placed = 0
        self.expiring: dict[str, int] = {}  # slot -> candle before whose open it ends

    # --- orders -----------------------------------------------------------------------------------------------------

    def spendable(self) -> Mapping[str, Decimal]:
        """Return what new orders may be judged by: what is free, less what those at market may still cost."""
        if not self._headroom:
            return self.free
        return self.free | {self.quote: self.free[self.quote] - self._headroom}

    def shortage(self, order: Resting, free: Mapping[str, Decimal]) -> str:
        """Return why `free` can't pay for an order, "" when it can."""
        needed, left = order.locked, free[order.coin]
        if needed <= left:
            return ""
        return f"needs {plain(needed)} {order.coin}, the bot has {plain(left)} free"

    def place(self, order: Resting) -> None:
        """Lock the order's funds, which must be free, and let it rest."""
        self.free[order.coin] -= order.locked
        self._headroom += order.headroom
        sized, want = order.sized, order.want
        order.at = self._put(order, sized.touch, sized.level, order.market.index)
        if want.trail is not None:
            self._set_trail(order.at, ints_of(sized.touch, self.placed, order.market.index, 0, want.trail), want)
        order.number = self.placed
        self.placed += 1
        self.by_slot[order.slot] = order

    def place_of(self, slot: str) -> int:
        """Return the place of a slot's order in the order of placing."""
        return int(self._seq[self.by_slot[slot].at])

    def remove(self, order: Resting) -> None:
        """Take an order off the book and free what it held."""
        self.free[order.coin] += order.locked
        self._drop(order)

    def resize(self, order: Resting, want: Want, sized: Sized, exiting: Decimal) -> None:
        """Change a resting order, which loses its place: `sized` is what is left of it now."""
        coin, locked = order.market.position.reserve(want, sized, exiting, order.leverage)
        self.free[order.coin] += order.locked
        self.free[coin] -= locked
        order.want, order.sized, order.exiting, order.coin, order.locked = want, sized, exiting, coin, locked
        if want.trail is None:  # the level of a trail is the matching's
            self._touch[order.at], self._level[order.at] = sized.touch, sized.level
        self._renew_place(order)

    def rest_as_limit(self, order: Resting) -> None:
        """Make a limit order of a stop-limit whose trigger was met; it takes its place now."""
        sized = order.sized
        order.pending = False
        order.sized = sized._replace(touch=touch_of(Kind.LIMIT, order.want.side), level=sized.limit)
        self._touch[order.at], self._level[order.at] = order.sized.touch, sized.limit
        self._renew_place(order)

    def wait(self, order: Resting, i: int) -> None:
        """Let an order rest for what is left of candle `i`."""
        self._from[order.at] = i + 1

    def _renew_place(self, order: Resting) -> None:
        self._seq[order.at] = self.placed
        self.placed += 1

    def fill(self, order: Resting, sized: Sized, price: float, i: int) -> float | None:
        """Fill `sized` of an order at `price` in candle `i`: its fee. None when its account can't pay: it ended then.

        Only an order that takes can fall short: its price wasn't known when its funds were locked.
        """
        market = order.market
        whole = sized is order.sized
        available = self.free[order.coin] + order.locked
        if not whole:
            rest = market.desk.with_qty(order.sized, order.sized.qty - sized.qty)
            exiting = max(ZERO, order.exiting - sized.qty)
            _, kept = market.position.reserve(order.want, rest, exiting, order.leverage)
            available -= kept
        aside = self._aside(order, sized, available)
        fee = market.position.book(self.free, order.want.side, sized, price, available - aside, order.leverage)
        if aside and fee is not None:
            self.free[order.coin] += aside
        if fee is None:
            self.remove(order)
            return None
        if whole:
            self._drop(order)
        else:
            order.sized, order.locked, order.exiting = rest, kept, exiting
            self.wait(order, i)
        if market.position.spot is False:
            self.watch_liquidation(market)
        return fee

    def _aside(self, order: Resting, sized: Sized, available: Decimal) -> Decimal:
        """Return how much of what is available an order may not use; what only closes is always possible."""
        if order.cap is None:
            return ZERO
        position = order.market.margined
        if position is not None and sized.qty <= position.exit_room(order.want.side):
            return ZERO
        return max(ZERO, available - order.cap)

    # --- other rows -------------------------------------------------------------------------------------------------

    def watch_trail(self, wake: TrailWake, market: BookMarket) -> int:
        """Let the matching follow a trail wake; returns its row."""
        touch = touch_of(Kind.TRAILING, wake.side)
        at = self._put(wake, touch, 0.0, market.index)
        column = floats_of(0.0, wake.side, wake.trail, market.rules.tick)
        self.floats[:, at] = column
        self.ints[:, at] = ints_of(touch, 0, market.index, 0, wake.trail, wakes=True)
        return at

    def unwatch(self, at: int) -> None:
        """Let the matching forget a row that isn't an order."""
        self._from[at] = NEVER
        self.rows[at] = None
        self._unused.append(at)

    def watch_liquidation(self, market: BookMarket) -> None:
        """Set the row of a perpetual's liquidation price to where its position stands now."""
        if market.liquidates >= 0:
            self.unwatch(market.liquidates)
            market.liquidates = -1
        position = market.margined
        if position is not None and position.qty:
            touch = -1 if position.qty > 0 else 1
            at = market.liquidates = self._put(market, touch, to_float(position.levels().liquidation), market.index)
            self._seq[at] = LIQUIDATES_FIRST

    # --- the arrays -------------------------------------------------------------------------------------------------

    def _put(self, row: Row, touch: int, level: float, market: int) -> int:
        if self._unused:
            at = self._unused.pop()
            self.rows[at] = row
        else:
            at = len(self.rows)
            if at == self.ints.shape[1]:
                self._grow()
            self.rows.append(row)
        self._touch[at], self._level[at], self._seq[at] = touch, level, self.placed
        self._market[at], self._from[at], self._trail[at] = market, 0, 0
        return at

    def _set_trail(self, at: int, ints: tuple[int, ...], want: Want) -> None:
        market = self.markets[ints[MARKET]]
        self.ints[:, at] = ints
        self.floats[:, at] = floats_of(0.0, want.side, want.trail, market.rules.tick)

    def _drop(self, order: Resting) -> None:
        if order.cap is not None:
            self._headroom -= order.headroom
        self.unwatch(order.at)
        del self.by_slot[order.slot]
        if self.expiring:
            self.expiring.pop(order.slot, None)

    def _grow(self) -> None:
        self.ints = np.concatenate((self.ints, np.zeros_like(self.ints)), axis=1)
        self.floats = np.concatenate((self.floats, np.zeros_like(self.floats)), axis=1)
        self._columns()

    def _columns(self) -> None:
        """Name the rows of numbers: setting one of them by two indices takes twice as long."""
        self._touch, self._seq, self._market = self.ints[TOUCH], self.ints[SEQ], self.ints[MARKET]
        self._from, self._trail, self._level = self.ints[FROM], self.ints[TRAIL], self.floats[LEVEL]
