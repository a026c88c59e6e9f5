"""One market of the fake engine: its price, the bot's position on it, and how a trail follows the price."""

from __future__ import annotations

from dataclasses import dataclass

from trading.core.types import MarketRules, PositionView, Side, Trail


@dataclass
class FakeMarket:
    """One market and the bot's position on it; `cost` is what the position was opened for (short: negative)."""

    rules: MarketRules
    price: float
    qty: float = 0.0
    cost: float = 0.0
    leverage: float = 1.0
    low: float = 0.0
    high: float = 0.0

    def __post_init__(self) -> None:
        self.low = self.high = self.price

    @property
    def spot(self) -> bool:
        return self.rules.perpetual is None

    @property
    def margin(self) -> float:
        return 0.0 if self.spot else abs(self.cost) / self.leverage

    @property
    def dust(self) -> float:
        rules = self.rules
        least = max(float(rules.lot), float(rules.min_qty), float(rules.min_notional) / self.price)
        return least * (1 - 1e-9)

    @property
    def flat(self) -> bool:
        return abs(self.qty) <= self.dust

    def exit_side(self) -> Side:
        return Side.SELL if self.qty >= 0 else Side.BUY

    def book(self, sign: int, qty: float, price: float) -> float:
        """Book a fill at average cost; returns what it realised."""
        closing = min(qty, abs(self.qty)) if self.qty * sign < 0 else 0.0
        part = self.cost * closing / abs(self.qty) if closing else 0.0
        gain = -sign * closing * price - part
        self.cost += sign * (qty - closing) * price - part
        self.qty = round(self.qty + sign * qty, 10)
        if not self.qty:
            self.cost = 0.0
        return gain

    @property
    def liquidation(self) -> float | None:
        """The price at which an isolated position is closed by the venue."""
        perpetual = self.rules.perpetual
        if perpetual is None or self.flat:
            return None
        kept, entry = float(perpetual.maintenance_rate), self.cost / self.qty
        if self.qty > 0:
            return entry * (1 - 1 / self.leverage) / (1 - kept)
        return entry * (1 + 1 / self.leverage) / (1 + kept)

    def position(self) -> PositionView:
        average = self.cost / self.qty if self.qty else 0.0
        return PositionView(self.qty, average, self.dust, self.liquidation)


def peak(side: Side, trail: Trail, before: float | None, price: float) -> float | None:
    """The best price since the trail was armed, None before."""
    selling = side is Side.SELL
    if before is None:
        ready = trail.activation is None or (price >= trail.activation if selling else price <= trail.activation)
        return price if ready else None
    return max(before, price) if selling else min(before, price)


def fires(side: Side, trail: Trail, best: float | None, price: float) -> bool:
    if best is None:
        return False
    if side is Side.SELL:
        level = best * (1 - trail.offset_ratio) - trail.offset
        return price <= (level if trail.floor is None else max(level, trail.floor))
    level = best * (1 + trail.offset_ratio) + trail.offset
    return price >= (level if trail.floor is None else min(level, trail.floor))
