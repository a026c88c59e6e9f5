"""Positions of a simulated account: what an order reserves, what a fill moves, and what a strategy is shown.

Free funds are exact, a mapping of coin -> Decimal that all markets of the account share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial

from trading.core.accounting import ZERO, Holding
from trading.core.desk import Desk, Sized
from trading.core.perps import LiquidationLevels, funding_amount, initial_margin, liquidation_levels, margin_released
from trading.core.rounding import fee_of, to_decimal, to_float
from trading.core.types import MarketRules, Perpetual, PositionView, Side, Want

Funds = dict[str, Decimal]


class SpotView(PositionView):
    """A position whose average price is worked out when somebody asks: it takes longer than all the rest."""

    __slots__ = ("_average",)

    _average: Callable[[], float]

    def __init__(self, qty: float, dust_qty: float, average: Callable[[], float]) -> None:
        keep = object.__setattr__  # it is frozen
        keep(self, "qty", qty)
        keep(self, "dust_qty", dust_qty)
        keep(self, "liquidation_price", None)
        keep(self, "_average", average)

    @property
    def avg_price(self) -> float:
        return self._average()


class SpotPosition:
    """Coins bought and sold whole: a buy reserves quote, a sell reserves base."""

    spot = True
    asked = Decimal(1)  # the leverage of new orders

    def __init__(self, rules: MarketRules, desk: Desk) -> None:
        self.rules = rules
        self.desk = desk
        self.qty = ZERO
        self._holding = Holding()  # quantity and cost: fees have no part in a position
        self._fills: list[tuple[Side, float, Decimal]] = []
        self._booked = 0  # of the fills, in the holding
        self._smallest_qty = max(to_float(rules.min_qty), to_float(rules.lot))
        self._smallest_notional = to_float(rules.min_notional)
        self._view: PositionView | None = None

    def reserve(self, want: Want, sized: Sized, exiting: Decimal, leverage: Decimal) -> tuple[str, Decimal]:
        """Return the coin and how much of it an order locks while it rests."""
        return (self.rules.quote, sized.cost) if want.side is Side.BUY else (self.rules.base, sized.qty)

    def book(
        self, free: Funds, side: Side, sized: Sized, price: float, available: Decimal, leverage: Decimal
    ) -> float | None:
        """Fill at `price` from `available` of the coin that the order locked; the fee, or None when it can't pay."""
        cost, income, fee = self.desk.worth(sized, price)
        rules = self.rules
        if side is Side.BUY:
            if cost > available:
                return None
            free[rules.quote] = available - cost
            free[rules.base] += sized.qty
            self.qty += sized.qty
        else:
            free[rules.base] = available - sized.qty
            free[rules.quote] += income
            self.qty -= sized.qty
        self._fills.append((side, price, sized.qty))
        self._view = None
        return fee

    def view(self, price: float) -> PositionView:
        """Return the position as a strategy sees it at this price; one view serves until the next fill."""
        if self._view is not None and not self._smallest_notional:
            return self._view
        self._view = self._look(max(self._smallest_qty, self._smallest_notional / price) * (1 - 1e-9))
        return self._view

    def _look(self, dust: float) -> PositionView:
        return SpotView(to_float(self.qty), dust, partial(self._average_after, len(self._fills)))

    def _average_after(self, count: int) -> float:
        """Return the average price after the first fills, usually all of them."""
        if count < self._booked:  # somebody kept an old view
            self._holding, self._booked = Holding(), 0
        for side, price, qty in self._fills[self._booked : count]:
            self._holding.apply(side, to_decimal(price), qty, ZERO)
        self._booked = count
        return to_float(self._holding.avg_price)


class MarginPosition(SpotPosition):
    """A perpetual's position, isolated at average cost: it locks cost / leverage of quote, and may be short."""

    spot = False

    def __init__(self, rules: MarketRules, desk: Desk, terms: Perpetual, leverage: Decimal, fee: Decimal) -> None:
        super().__init__(rules, desk)
        self.terms = terms
        self.leverage = self.asked = leverage  # the position's own, and what new orders bring: an edit may change it
        self.margin = ZERO  # quote that the position locks
        self.spared = ZERO  # of the last fee: what wasn't there and so wasn't paid
        self._fee = fee

    def exit_room(self, side: Side) -> Decimal:
        """Return how much an order of this side can close."""
        return abs(self.qty) if (side is Side.SELL) == (self.qty > 0) else ZERO

    def bars(self, side: Side, leverage: Decimal) -> bool:
        """Say whether an order that would only add to the position has another leverage: one position has one."""
        return bool(self.qty) and leverage != self.leverage and not self.exit_room(side)

    def reserve(self, want: Want, sized: Sized, exiting: Decimal, leverage: Decimal) -> tuple[str, Decimal]:
        """What opens locks its margin and its fee; `exiting` of it closes, paid from the margin that it frees."""
        opening = sized.qty - exiting
        if opening <= 0:
            return self.rules.quote, ZERO
        fee = fee_of(opening, sized.price, self._fee)
        return self.rules.quote, initial_margin(opening, sized.price, leverage) + fee

    def book(
        self, free: Funds, side: Side, sized: Sized, price: float, available: Decimal, leverage: Decimal
    ) -> float | None:
        if self.bars(side, leverage):
            return None
        at = to_decimal(price)
        fee = fee_of(sized.qty, at, self._fee)
        closing = min(sized.qty, self.exit_room(side))
        after = replace(self._holding)
        gain = after.apply(side, at, sized.qty, ZERO)
        released = margin_released(self.margin, closing, abs(self.qty)) if closing else ZERO
        locked = initial_margin(sized.qty - closing, at, leverage)
        left = available + released + gain - locked
        self.spared = ZERO
        if left < fee:
            if closing < sized.qty:
                return None
            self.spared = fee - max(left, ZERO)  # an exit is always possible: what isn't there isn't paid
            fee -= self.spared
        free[self.rules.quote] = left - fee
        if closing < sized.qty and (closing or not self.qty):
            self.leverage = leverage
        self.margin += locked - released
        self._holding, self.qty, self._view = after, after.qty, None
        return to_float(fee)

    def pay_funding(self, free: Funds, price: Decimal, times: int) -> Decimal:
        """Pay or get the funding of one moment `times` over; returns what was received. What isn't free isn't paid."""
        quote = self.rules.quote
        amount = max(times * funding_amount(self.qty, price, self.terms.funding_rate), -max(free[quote], ZERO))
        free[quote] += amount
        return amount

    def levels(self) -> LiquidationLevels:
        """Return where a position that isn't flat is taken over, and where that closes it."""
        holding = self._holding
        return liquidation_levels(holding.avg_price, self.leverage, self.terms, self.rules.tick, holding.qty > 0)

    def _look(self, dust: float) -> PositionView:
        if not self.qty:
            return PositionView(dust_qty=dust)
        average, taken_over = to_float(self._holding.avg_price), to_float(self.levels().liquidation)
        return PositionView(to_float(self.qty), average, dust, taken_over)
