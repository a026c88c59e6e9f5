"""The books: exact position, cost and profit from fills and fundings alone, in the order in which they were booked.

Backtests make them from their fill arrays after the run, the live path moves them with each fill. For every sequence
of them and every price, to the last digit: realised + unrealised - fees + funding = total, and cash + margin + value of
the positions = starting cash + total. Money here has 18 places and stands below 10^10, so that no sum is ever rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from trading.core.perps import initial_margin, margin_released
from trading.core.rounding import exact_product, exact_ratio, fee_of, money, notional
from trading.core.types import Side

ZERO = Decimal(0)


class Trade(NamedTuple):
    """One fill in exact numbers: price in quote, quantity in base, fee in quote (a cost is positive)."""

    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal


@dataclass(slots=True)
class Holding:
    """A position at average cost. `cost` is what the quantity held was bought for, without fees (short: negative).

    A perpetual has a `leverage`: it locks cost / leverage of the cash as `margin`, and `funding` is what it got so far
    (paid: negative). On spot `leverage` is None and the coins themselves were paid for.
    """

    qty: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    margin: Decimal = ZERO
    leverage: Decimal | None = None

    def apply(self, side: Side, price: Decimal, qty: Decimal, fee: Decimal) -> Decimal:
        """Book one fill; returns what it realised, gross. A fill through zero closes first and opens with the rest."""
        sign = 1 if side is Side.BUY else -1
        value = notional(qty, price)
        self.fees += fee
        if self.leverage is not None:
            self.margin += self._margin_moved(sign, price, qty, self.leverage)
        if self.qty * sign >= 0:
            self.qty += sign * qty
            self.cost += sign * value
            return ZERO
        held = abs(self.qty)
        closing = min(qty, held)
        closing_value = value if closing == qty else notional(closing, price)
        part = self.cost if closing == held else money(exact_ratio(exact_product(self.cost, closing), held))
        gain = -sign * closing_value - part
        self.qty += sign * qty
        self.cost += sign * (value - closing_value) - part
        self.realised += gain
        return gain

    def _margin_moved(self, sign: int, price: Decimal, qty: Decimal, leverage: Decimal) -> Decimal:
        """Return what a fill adds to the margin: closing sets it free pro rata, what opens locks its own."""
        held = abs(self.qty) if self.qty * sign < 0 else ZERO
        closing = min(qty, held)
        opened = initial_margin(qty - closing, price, leverage) if qty > closing else ZERO
        return opened - (margin_released(self.margin, closing, held) if closing else ZERO)

    @property
    def avg_price(self) -> Decimal:
        """Average price of what is held, 0 when flat. For showing: books are kept in `cost`, which is exact."""
        return self.cost / self.qty if self.qty else ZERO

    def unrealised(self, price: Decimal) -> Decimal:
        return notional(self.qty, price) - self.cost

    def total(self, price: Decimal) -> Decimal:
        """Profit at this price: realised + unrealised - fees + funding."""
        return self.realised + self.unrealised(price) - self.fees + self.funding

    def worth(self, price: Decimal) -> Decimal:
        """Return what leaving at this price would add to the cash, without a fee for it."""
        return notional(self.qty, price) if self.leverage is None else self.margin + self.unrealised(price)


@dataclass(slots=True)
class Books:
    """One account's books over a run: starting cash, cash left, and the holding of its (first) market."""

    start: Decimal
    cash: Decimal
    holding: Holding
    fills: int = 0

    def equity(self, price: Decimal) -> Decimal:
        """Cash and the position at this price, without a fee for leaving it."""
        return self.cash + self.holding.worth(price)


@dataclass(slots=True)
class AccountBooks:
    """One account's books over several markets that share its cash; `holdings` by alias."""

    start: Decimal
    cash: Decimal
    holdings: dict[str, Holding]
    fills: int = 0

    def book(self, alias: str, fill: Trade) -> Decimal:
        """Book one fill; returns what it realised, gross."""
        holding = self.holdings[alias]
        locked = holding.margin
        gain = holding.apply(*fill)
        if holding.leverage is None:
            value = notional(fill.qty, fill.price)
            self.cash += (value if fill.side is Side.SELL else -value) - fill.fee
        else:
            self.cash += gain - fill.fee - (holding.margin - locked)
        self.fills += 1
        return gain

    def fund(self, alias: str, amount: Decimal) -> None:
        """Book what a perpetual position got at a funding (paid: negative)."""
        self.holdings[alias].funding += amount
        self.cash += amount

    def equity(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Cash, margins and positions at these prices, without fees for leaving them."""
        return self.cash + sum((holding.worth(prices[alias]) for alias, holding in self.holdings.items()), ZERO)

    def total(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Profit at these prices: realised + unrealised - fees + funding, over all markets."""
        return sum((holding.total(prices[alias]) for alias, holding in self.holdings.items()), ZERO)


def account_books(cash: Decimal, leverages: Mapping[str, Decimal | None]) -> AccountBooks:
    """Open the books of an account with `cash` quote: a flat holding a market (leverage None: spot)."""
    return AccountBooks(cash, cash, {alias: Holding(leverage=leverage) for alias, leverage in leverages.items()})


def books_of(fills: Iterable[Trade], cash: Decimal, leverage: Decimal | None = None) -> Books:
    """Book `fills` of one market in their order on an account that starts with `cash` quote."""
    books = account_books(cash, {"": leverage})
    for fill in fills:
        books.book("", fill)
    return Books(cash, books.cash, books.holdings[""], books.fills)


def trade(side: Side, price: Decimal, qty: Decimal, fee_rate: Decimal) -> Trade:
    """Return a fill with its fee at one rate, in quote on the notional."""
    return Trade(side, price, qty, fee_of(qty, price, fee_rate))
