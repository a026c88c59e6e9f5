"""The desk of a simulated market: wants in exact numbers, rounded and priced as a venue would take them.

What an order comes to (quantity, level, cost) is worked out once for each distinct want and remembered.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from functools import lru_cache, partial
from typing import NamedTuple

from trading.core.candles import Floats
from trading.core.caps import TAKERS
from trading.core.rounding import (
    exact_product,
    money,
    price_to_tick,
    qty_to_lot,
    to_decimal,
    to_float,
    trigger_to_tick,
)
from trading.core.rows import touch_of
from trading.core.simoptions import SimOptions
from trading.core.types import By, Kind, MarketRules, Side, Want
from trading.core.wants import ONE_SHOT, check_want

ZERO = Decimal(0)
REMEMBERED = 10_000  # distinct wants: a grid has few, a strategy that moves its prices has ever new ones


class Sized(NamedTuple):
    """A want in exact numbers. `cost` is what a buy of it costs in quote, `income` what a sell brings, at `price`
    (`at` is its float).

    `touch` and `level` are for the matching; `limit` is what an IOC, FOK or triggered stop-limit holds out for.
    """

    qty: Decimal
    qty_float: float
    touch: int
    level: float
    limit: float
    at: float
    price: Decimal
    cost: Decimal
    income: Decimal
    fee_float: float
    too_small: bool


class Desk:
    """Turns the wants on one market into exact orders, and path prices into what is paid."""

    def __init__(self, rules: MarketRules, fee: Decimal, options: SimOptions) -> None:
        self._rules = rules
        self._fee = fee
        self._half_spread = options.half_spread_ratio
        self._taken = options.half_spread_ratio + options.slippage_ratio
        self._liquidity = options.liquidity_ratio
        self._known: dict[tuple[object, ...], Sized] = {}
        self.whole = options.liquidity_ratio is None and not self._taken  # every touch fills all, at the path's price
        self.lots = lru_cache(REMEMBERED)(partial(qty_to_lot, lot=rules.lot))

    def size(self, want: Want, last: float) -> Sized:
        """Return the want as an order. Raises StrategyFault for one that makes no sense."""
        if want.kind is Kind.MARKET or want.kind is Kind.TRAILING:  # what it costs depends on the moment
            return self._work_out(want, last)
        key = (want.side, want.kind, want.tif, want.qty, want.price, want.trigger)
        sized = self._known.get(key)
        if sized is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            sized = self._known[key] = self._work_out(want, last)
        return sized

    def with_qty(self, sized: Sized, qty: Decimal) -> Sized:
        """Return the same order with another quantity: what is left of it, or what may still exit."""
        return self._sized(qty, sized.touch, sized.level, sized.limit, sized.price, sized.at)

    def _work_out(self, want: Want, last: float) -> Sized:
        touch, level, at = self._place(want, last)
        price = to_float(at)
        limit = price if want.kind is Kind.LIMIT or want.kind is Kind.STOP_LIMIT else 0.0
        return self._sized(self.lots(want.qty), touch, level, limit, at, price)

    def _sized(self, qty: Decimal, touch: int, level: float, limit: float, price: Decimal, at: float) -> Sized:
        rules = self._rules
        product = exact_product(qty, price)
        value, fee = money(product), money(exact_product(product, self._fee))
        too_small = qty <= 0 or qty < rules.min_qty or product < rules.min_notional
        return Sized(
            qty, to_float(qty), touch, level, limit, at, price, value + fee, value - fee, to_float(fee), too_small
        )

    def _place(self, want: Want, last: float) -> tuple[int, float, Decimal]:
        """Return how the path touches the order, its level, and the price that it is judged at."""
        kind, side, tick = want.kind, want.side, self._rules.tick
        check_want(want)
        touch = 0 if want.tif in ONE_SHOT else touch_of(kind, side)
        if kind is Kind.MARKET or kind is Kind.TRAILING:
            return touch, last, to_decimal(last)
        trigger = None if want.trigger is None else trigger_to_tick(want.trigger.level, tick, side)
        price = None if want.price is None else price_to_tick(want.price, tick, side)
        if want.trigger is None or trigger is None:
            assert price is not None  # noqa: S101 - for the type checker, `check_want` saw to it
            return touch, to_float(price), price
        return touch, self.as_last(to_float(trigger), want.trigger.by), price or trigger

    def as_last(self, level: float, by: By) -> float:
        """Return the last price at which bid, ask or mark stands at this level."""
        if by is By.BID:
            return level / (1 - self._half_spread)
        return level / (1 + self._half_spread) if by is By.ASK else level

    # --- filling ----------------------------------------------------------------------------------------------------

    def paid(self, want: Want, sized: Sized, price: float) -> float:
        """Return what the order pays where the path stands at `price`: takers bear the modelled spread and slippage."""
        if not self._taken or (want.kind not in TAKERS and want.tif not in ONE_SHOT):
            return price
        buy = want.side is Side.BUY
        worse = price * (1 + self._taken if buy else 1 - self._taken)
        on_tick = to_float(price_to_tick(worse, self._rules.tick, Side.SELL if buy else Side.BUY))
        if want.kind is Kind.LIMIT:
            return min(on_tick, sized.limit) if buy else max(on_tick, sized.limit)
        return on_tick

    def worth(self, sized: Sized, price: float) -> tuple[Decimal, Decimal, float]:
        """Return what a fill at `price` costs a buyer and brings a seller, and its fee as live tells it."""
        if price == sized.at:
            return sized.cost, sized.income, sized.fee_float
        product = exact_product(sized.qty, to_decimal(price))
        value, fee = money(product), money(exact_product(product, self._fee))
        return value + fee, value - fee, to_float(fee)

    def fillable(self, want: Want, sized: Sized, volume: Floats, i: int) -> Decimal | None:
        """Return how much of a limit order one touch in candle `i` fills; None = all of it.

        At least a lot where anything was traded, and nothing where nothing was.
        """
        if self._liquidity is None or want.kind in TAKERS:
            return None
        if not volume[i]:
            return ZERO
        lot = self._rules.lot
        lots = (to_decimal(self._liquidity * volume[i].item()) / lot).to_integral_value(rounding=ROUND_DOWN)
        return min(sized.qty, max(lots, Decimal(1)) * lot)
