"""A paper venue as one would write it on one page: no database, no index, no locks, every order looked at at each step.

It judges the real one (test_paper_machine.py). One account, spot and perpetual markets with one quote coin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

from trading.core.ports import Amendment, OrderRequest
from trading.core.types import Bar, Kind, Side, Tif

ZERO, PLACES = Decimal(0), Decimal("1e-18")
DEAR = "insufficient funds at the price it would fill at"


def exact(value: Decimal) -> Decimal:
    return value.quantize(PLACES)


@dataclass
class SlowOrder:
    request: OrderRequest
    qty: Decimal
    price: Decimal | None
    trigger: Decimal | None
    seq: int
    maker: bool = False
    filled: Decimal = ZERO
    locked: Decimal = ZERO
    status: str = "working"
    reason: str = ""
    triggered: bool = False
    peak: Decimal | None = None
    rests: bool = False

    @property
    def buys(self) -> bool:
        return self.request.side is Side.BUY

    @property
    def kind(self) -> Kind:
        return Kind.LIMIT if self.triggered else self.request.kind

    @property
    def immediate(self) -> bool:
        return self.kind is Kind.LIMIT and self.request.tif in (Tif.IOC, Tif.FOK)

    def reaches(self, price: Decimal) -> bool:
        return self.price >= price if self.buys else self.price <= price

    def follow(self, price: Decimal) -> None:
        trail = self.request.trail
        if self.peak is None:
            level = None if trail.activation is None else Decimal(str(trail.activation))
            if level is not None and (price > level if self.buys else price < level):
                return
            self.peak = price
        self.peak = min(self.peak, price) if self.buys else max(self.peak, price)

    def trail_level(self, tick: Decimal) -> Decimal | None:
        trail, sign = self.request.trail, 1 if self.buys else -1
        if self.peak is None:
            return None
        level = self.peak * (1 + sign * Decimal(str(trail.offset_ratio))) + sign * Decimal(str(trail.offset))
        if trail.floor is not None:
            floor = Decimal(str(trail.floor))
            level = min(level, floor) if self.buys else max(level, floor)
        return (level / tick).to_integral_value(ROUND_CEILING if self.buys else ROUND_FLOOR) * tick


@dataclass
class Held:
    qty: Decimal = ZERO
    cost: Decimal = ZERO
    margin: Decimal = ZERO
    leverage: Decimal = Decimal(1)
    funded_ms: int = 0


@dataclass
class SlowVenue:
    markets: dict[str, object]  # symbol -> Market
    total: dict[str, Decimal]
    ratio: Decimal | None = None
    orders: dict[str, SlowOrder] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    last: dict[str, Decimal] = field(default_factory=dict)
    fills: list[tuple] = field(default_factory=list)
    payments: list[tuple] = field(default_factory=list)
    seq: int = 0

    # --- money ----------------------------------------------------------------------------------------------------

    def free(self, coin: str) -> Decimal:
        locked = sum((o.locked for o in self.orders.values() if self.lock_coin(o) == coin), ZERO)
        margin = sum((held.margin for held in self.held.values()), ZERO) if coin == "USDT" else ZERO
        return self.total.get(coin, ZERO) - locked - margin

    def lock_coin(self, order: SlowOrder) -> str:
        market = self.markets[order.request.symbol]
        return market.quote if order.buys or market.perpetual else market.base

    def fee(self, order: SlowOrder, qty: Decimal, price: Decimal) -> Decimal:
        market = self.markets[order.request.symbol]
        return exact(qty * price * (market.maker_fee if order.maker else market.taker_fee))

    def closable(self, order: SlowOrder) -> Decimal:
        qty = self.held[order.request.symbol].qty
        return abs(qty) if qty and (qty < 0) == order.buys else ZERO

    def need(self, order: SlowOrder) -> Decimal:
        """What the rest of an order locks."""
        market, rest = self.markets[order.request.symbol], order.qty - order.filled
        price = order.price or order.trigger or self.last.get(order.request.symbol)
        if not market.perpetual and not order.buys:
            return rest
        if price is None:
            return ZERO
        if not market.perpetual:
            return exact(rest * price) + self.fee(order, rest, price)
        opening = ZERO if order.request.reduce else rest - min(rest, self.closable(order))
        return exact(opening * price / order.request.leverage) + self.fee(order, opening, price)

    # --- the desk -------------------------------------------------------------------------------------------------

    def place(self, request: OrderRequest) -> None:
        self.seq += 1
        order = SlowOrder(request, request.qty, request.price, request.trigger, self.seq)
        self.orders[request.client_order_id] = order
        if not self.accept(order, ZERO):
            order.status, order.locked = "rejected", ZERO

    def crosses(self, order: SlowOrder) -> bool:
        last = self.last.get(order.request.symbol)
        return order.kind is Kind.LIMIT and last is not None and order.reaches(last)

    def accept(self, order: SlowOrder, own: Decimal) -> bool:
        symbol, crosses = order.request.symbol, self.crosses(order)
        if crosses and order.request.tif is Tif.POST_ONLY:
            return False
        order.maker = order.kind is Kind.LIMIT and not crosses and not order.immediate
        if self.markets[symbol].perpetual:
            held, closable = self.held[symbol], self.closable(order)
            if order.request.reduce and not closable:
                return False
            if held.qty and not closable and held.leverage != order.request.leverage:
                return False
        need = self.need(order)
        if need > self.free(self.lock_coin(order)) + own:
            return False
        order.locked = need
        return True

    def cancel(self, name: str) -> None:
        if self.orders[name].status == "working":
            self.end(self.orders[name], "cancelled")

    def amend(self, change: Amendment) -> None:
        order = self.orders[change.client_order_id]
        if order.status != "working" or (change.qty, change.price, change.trigger) == (
            order.qty,
            order.price,
            order.trigger,
        ):
            return
        if change.qty <= order.filled:
            order.qty = order.filled
            self.end(order, "filled")
            return
        before = order.qty, order.price, order.trigger, order.maker
        order.qty, order.price, order.trigger = change.qty, change.price, change.trigger
        own, order.locked = order.locked, ZERO
        if self.crosses(order) and order.request.tif is Tif.POST_ONLY:
            order.qty, order.price, order.trigger, order.maker = before
            self.end(order, "cancelled")
            return
        if not self.accept(order, ZERO):
            order.qty, order.price, order.trigger, order.maker = before
            order.locked = own
            return
        self.seq += 1
        order.seq = self.seq

    def end(self, order: SlowOrder, status: str, reason: str = "") -> None:
        order.status, order.reason, order.locked = status, reason, ZERO

    # --- the walk -------------------------------------------------------------------------------------------------

    def bar(self, symbol: str, bar: Bar) -> None:
        for order in self.working(symbol):
            order.rests = False
            if order.request.expires_ms is not None and order.request.expires_ms <= bar.ts_ms:
                self.end(order, "cancelled", "expired")
            if order.kind is Kind.TRAILING and symbol in self.last:
                order.follow(self.last[symbol])
        self.fund(symbol, bar)
        first, second = (bar.low, bar.high) if bar.open - bar.low <= bar.high - bar.open else (bar.high, bar.low)
        price = Decimal(str(bar.open))
        self.stand(symbol, bar, price)
        for target in (Decimal(str(value)) for value in (first, second, bar.close)):
            while price != target:
                price = self.next_point(symbol, price, target)
                self.stand(symbol, bar, price)
        self.last[symbol] = price

    def working(self, symbol: str) -> list[SlowOrder]:
        own = [o for o in self.orders.values() if o.status == "working" and o.request.symbol == symbol]
        return sorted(own, key=lambda order: order.seq)

    def touch(self, order: SlowOrder) -> tuple[int, Decimal | None]:
        """-1 at or below the level, +1 at or above, 0 now."""
        if order.kind is Kind.MARKET or order.immediate:
            return 0, None
        if order.kind is Kind.LIMIT:
            return (-1 if order.buys else 1), order.price
        tick = self.markets[order.request.symbol].tick
        level = order.trail_level(tick) if order.kind is Kind.TRAILING else order.trigger
        return (1 if order.buys else -1), level

    def levels(self, symbol: str) -> list[tuple[int, Decimal]]:
        found = [self.touch(order) for order in self.working(symbol) if not order.rests]
        activations = [
            (-1 if order.buys else 1, Decimal(str(order.request.trail.activation)))
            for order in self.working(symbol)
            if order.kind is Kind.TRAILING and order.peak is None and order.request.trail.activation is not None
        ]
        liquidation = self.liquidation(symbol)
        found += activations + ([liquidation] if liquidation else [])
        return [(touch, level) for touch, level in found if level is not None]

    def next_point(self, symbol: str, price: Decimal, target: Decimal) -> Decimal:
        if target > price:
            return min([target, *(level for touch, level in self.levels(symbol) if touch > 0 and price < level)])
        return max([target, *(level for touch, level in self.levels(symbol) if touch < 0 and price > level)])

    def stand(self, symbol: str, bar: Bar, price: Decimal) -> None:
        """Everything that happens at one price point."""
        while True:
            for order in self.working(symbol):
                if order.kind is Kind.TRAILING:
                    order.follow(price)
            where = self.liquidation(symbol)
            if where and where[0] * (price - where[1]) >= 0:
                self.liquidate(symbol, bar)
                continue
            order = next((o for o in self.working(symbol) if not o.rests and self.touched(o, price)), None)
            if order is None:
                return
            self.meet(order, bar, price)

    def touched(self, order: SlowOrder, price: Decimal) -> bool:
        touch, level = self.touch(order)
        return touch == 0 or (level is not None and touch * (price - level) >= 0)

    def meet(self, order: SlowOrder, bar: Bar, price: Decimal) -> None:
        symbol = order.request.symbol
        if order.kind is Kind.STOP_LIMIT:
            self.seq += 1
            order.triggered, order.maker, order.seq = True, not order.reaches(price), self.seq
            return
        rest = order.qty - order.filled
        take = rest
        if order.kind is Kind.LIMIT and self.ratio is not None:
            lot = self.markets[symbol].lot
            lots = (self.ratio * Decimal(str(bar.volume)) / lot).to_integral_value(ROUND_DOWN)
            take = min(rest, max(lots, 1) * lot) if bar.volume else ZERO
        clipped = nothing = False
        if order.request.reduce and self.markets[symbol].perpetual:
            clipped, nothing = self.closable(order) < take, not self.closable(order)
            take = min(take, self.closable(order))
        short = take < rest and order.request.tif is Tif.FOK and not clipped and not nothing
        if order.immediate and (short or not order.reaches(price)):
            self.end(order, "cancelled", "not filled at once")
        elif nothing:
            self.end(order, "cancelled", "there is no position left to reduce")
        elif not take:
            pass
        elif self.markets[symbol].perpetual:
            self.trade_perpetual(order, take, price, bar)
        else:
            self.trade_spot(order, take, price)
        if order.status == "working" and order.immediate:
            self.end(order, "cancelled", "not filled at once")
        self.end_exits(symbol, "there is no position left to reduce")
        order.rests = True

    def took(self, order: SlowOrder, qty: Decimal, price: Decimal, fee: Decimal, lock: Decimal) -> None:
        order.filled += qty
        order.locked = lock
        if order.filled == order.qty:
            self.end(order, "filled")
        self.fills.append((order.request.client_order_id, str(order.request.side), price, qty, fee))

    def trade_spot(self, order: SlowOrder, qty: Decimal, price: Decimal) -> None:
        market, fee = self.markets[order.request.symbol], self.fee(order, qty, price)
        cost = exact(qty * price) + fee if order.buys else qty
        lock, before = ZERO, order.filled
        if qty < order.qty - before:
            order.filled = before + qty
            lock, order.filled = min(order.locked, self.need(order)), before
        coin = self.lock_coin(order)
        if cost > self.free(coin) + order.locked - lock:
            self.end(order, "cancelled", DEAR)
            return
        sign = 1 if order.buys else -1
        self.total[market.base] = self.total.get(market.base, ZERO) + sign * qty
        self.total[market.quote] += -sign * exact(qty * price) - fee
        self.took(order, qty, price, fee, lock)

    def trade_perpetual(self, order: SlowOrder, qty: Decimal, price: Decimal, bar: Bar) -> None:
        symbol, held, sign = order.request.symbol, self.held[order.request.symbol], 1 if order.buys else -1
        closing = min(qty, self.closable(order))
        opening, size = qty - closing, abs(held.qty)
        part = held.cost if closing == size else exact(held.cost * closing / size) if size else ZERO
        released = held.margin if closing == size else exact(held.margin * closing / size) if size else ZERO
        gain = -sign * exact(closing * price) - part if closing else ZERO
        margin = exact(opening * price / order.request.leverage)
        fee = self.fee(order, qty, price)
        rest = order.qty - order.filled
        lock = exact(order.locked * (rest - qty) / rest)
        left = self.free("USDT") + order.locked - lock + released + gain - margin
        if opening == qty and held.qty and held.leverage != order.request.leverage:
            self.end(order, "cancelled", f"the position has another leverage: {held.leverage.normalize():f}")
            return
        if opening and left < fee:
            self.end(order, "cancelled", DEAR)
            return
        fee = min(fee, max(left, ZERO))
        if opening and (not held.qty or closing):
            held.leverage, held.funded_ms = order.request.leverage, bar.ts_ms
        held.qty += sign * qty
        held.cost += (
            sign * exact(qty * price) - sign * exact(closing * price) - part if closing else sign * exact(qty * price)
        )
        held.margin += margin - released
        self.total["USDT"] += gain - fee
        self.took(order, qty, price, fee, lock)
        if not held.qty:
            self.held[symbol] = Held(funded_ms=held.funded_ms)

    # --- positions ------------------------------------------------------------------------------------------------

    def level(self, symbol: str, kept: Decimal) -> Decimal:
        """The bankruptcy price over `kept`, on the tick towards the entry."""
        held, tick = self.held[symbol], self.markets[symbol].tick
        sign = 1 if held.qty > 0 else -1
        price = held.cost / held.qty * (1 - sign / held.leverage) / kept
        return (exact(price) / tick).to_integral_value(ROUND_CEILING if sign > 0 else ROUND_FLOOR) * tick

    def liquidation(self, symbol: str) -> tuple[int, Decimal] | None:
        qty = self.held[symbol].qty
        if not qty:
            return None
        sign = 1 if qty > 0 else -1
        return -sign, self.level(symbol, 1 - sign * self.markets[symbol].maintenance_rate)

    def liquidate(self, symbol: str, bar: Bar) -> None:
        held, price = self.held[symbol], self.level(symbol, Decimal(1))
        gain = exact(held.qty * price) - held.cost
        has = self.free("USDT") + held.margin
        fee = min(exact(abs(held.qty) * price * self.markets[symbol].taker_fee), has + gain)
        self.total["USDT"] += gain - fee
        self.fills.append(("", "sell" if held.qty > 0 else "buy", price, abs(held.qty), fee))
        self.held[symbol] = Held(funded_ms=bar.ts_ms)
        self.end_exits(symbol, "liquidated")

    def end_exits(self, symbol: str, reason: str) -> None:
        for order in self.working(symbol) if self.markets[symbol].perpetual else ():
            if order.request.reduce and not self.closable(order):
                self.end(order, "cancelled", reason)

    def fund(self, symbol: str, bar: Bar) -> None:
        held, market = self.held[symbol], self.markets[symbol]
        while held.qty and (due := (held.funded_ms // market.funding_interval_ms + 1) * market.funding_interval_ms):
            if due > bar.ts_ms:
                return
            amount = -exact(held.qty * Decimal(str(bar.open)) * market.funding_rate)
            amount = max(amount, -max(self.free("USDT"), ZERO))
            self.total["USDT"] += amount
            held.funded_ms = due
            self.payments.append((symbol, amount, due))
