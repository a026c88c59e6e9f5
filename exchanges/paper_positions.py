"""Perpetual positions at the paper venue: isolated, at average cost, with margin out of the wallet's free quote.

A position is one account's on one market, whoever of its users opened it, as on an exchange in one-way mode. All of it
happens while the account's lock is held.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Context, Decimal
from typing import NamedTuple

from exchanges.models import Market, PaperFunding, PaperPosition
from trading.core.accounting import Holding
from trading.core.perps import (
    LiquidationLevels,
    funding_amount,
    initial_margin,
    liquidation_levels,
    margin_released,
)
from trading.core.rounding import to_float
from trading.core.types import Side

ZERO = Decimal(0)
_EXACT = Context(prec=60)


class Traded(NamedTuple):
    """What a trade makes of a position; `gain` is what it realised, `released` the margin that came free."""

    qty: Decimal
    cost: Decimal
    margin: Decimal
    gain: Decimal
    released: Decimal
    opening: Decimal  # quantity that makes the position larger, after closing what there was


def reducible(position: PaperPosition, side: Side) -> Decimal:
    """Return the quantity that an order of this side can close."""
    held: Decimal = position.qty
    if held and (held > 0) == (side is Side.SELL):
        return abs(held)
    return ZERO


def traded(position: PaperPosition, side: Side, qty: Decimal, price: Decimal, leverage: Decimal) -> Traded:
    """Return what a trade would make of this position; changes nothing."""
    closing = min(qty, reducible(position, side))
    opening = _EXACT.subtract(qty, closing)
    holding = Holding(position.qty, position.cost)
    gain = holding.apply(side, price, qty, ZERO)
    margin = position.margin
    released = ZERO
    if closing:
        released = margin_released(margin, closing, abs(position.qty))
        margin = _EXACT.subtract(margin, released)
    if opening:
        margin = _EXACT.add(margin, initial_margin(opening, price, leverage))
    return Traded(holding.qty, holding.cost, margin, gain, released, opening)


class Positions:
    """The positions of some accounts on some perpetual markets; `save` writes what changed."""

    def __init__(self, account_ids: Collection[int], markets: Collection[Market]) -> None:
        self._markets = {market.pk: market for market in markets if market.perpetual}
        rows = PaperPosition.objects.filter(account__in=account_ids, market__in=self._markets) if self._markets else ()
        self._rows = {(row.account_id, row.market_id): row for row in rows}
        self._changed: set[tuple[int, int]] = set()
        self._payments: list[PaperFunding] = []

    def get(self, account_id: int, market_id: int) -> PaperPosition:
        """Return the position; a flat one where there was none yet."""
        key = (account_id, market_id)
        if key not in self._rows:
            flat = {"qty": ZERO, "cost": ZERO, "margin": ZERO}
            self._rows[key] = PaperPosition(account_id=account_id, market_id=market_id, **flat)
        return self._rows[key]

    def change(self, position: PaperPosition, after: Traded, leverage: Decimal, until_ms: int) -> None:
        """Make the position what a trade made of it; a new one pays funding only after `until_ms`."""
        if not position.qty or (position.qty > 0) != (after.qty > 0):
            position.leverage, position.funded_ms = leverage, until_ms
        position.qty, position.cost, position.margin = after.qty, after.cost, after.margin
        self._set_level(position)
        self._changed.add((position.account_id, position.market_id))

    def _set_level(self, position: PaperPosition) -> None:
        """Index the price at which the position is liquidated."""
        position.below = position.above = None
        if not position.qty:
            return
        level = to_float(levels_of(position, self._markets[position.market_id]).liquidation)
        if position.long:
            position.below = level
        else:
            position.above = level

    def fund(self, position: PaperPosition, price: Decimal, ts_ms: int, free: Decimal) -> Decimal:
        """Book one funding of a position at `price`; returns what the account gets. It never pays more than is free."""
        market = self._markets[position.market_id]
        amount = max(funding_amount(position.qty, price, market.funding_rate), -max(free, ZERO))
        position.funded_ms = ts_ms
        self._changed.add((position.account_id, position.market_id))
        self._payments.append(
            PaperFunding(
                account_id=position.account_id, market=market, amount=amount, rate=market.funding_rate, ts_ms=ts_ms
            )
        )
        return amount

    @property
    def payments(self) -> int:
        """How many fundings wait to be written."""
        return len(self._payments)

    def save(self) -> list[PaperFunding]:
        """Write what changed; returns the fundings that were booked."""
        changed = [self._rows[key] for key in sorted(self._changed)]
        PaperPosition.objects.bulk_create([row for row in changed if row._state.adding])
        fields = ["qty", "cost", "margin", "leverage", "funded_ms", "below", "above"]
        PaperPosition.objects.bulk_update([row for row in changed if not row._state.adding], fields, 200)
        payments = PaperFunding.objects.bulk_create(self._payments)
        self._changed.clear()
        self._payments = []
        return payments


def levels_of(position: PaperPosition, market: Market) -> LiquidationLevels:
    """Return where an open position is liquidated, and at which price that closes it."""
    rules = market.rules.perpetual
    if rules is None:
        raise TypeError(f"{market} is no perpetual")
    average = Holding(position.qty, position.cost).avg_price
    return liquidation_levels(average, position.leverage, rules, market.tick, position.long)
