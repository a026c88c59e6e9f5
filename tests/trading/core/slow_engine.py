"""A second backtest engine, written independently: it walks every whole price and knows no shortcut.

It shares the contract's types and the control loop's diff with the engine under test, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from trading.core.control import plan
from trading.core.types import Closed, Command, Denied, Filled, Kind, Side, SlotStatus, SlotView, View, Want, Woken

LAST_WORD = 10_000


@dataclass
class Open:
    slot: str
    want: Want
    cost: Decimal  # locked quote
    peak: float | None = None  # of a trail that is armed
    cap: Decimal | None = None  # the most that a buy of unknown price may cost

    def follow(self, last: float) -> None:
        trail = self.want.trail
        if trail is None:
            return
        up = 1 if self.want.side is Side.SELL else -1
        if self.peak is None:
            self.peak = last if (last - trail.activation) * up >= 0 else None
        elif (last - self.peak) * up > 0:
            self.peak = last


class Market:
    def __init__(self, last: float) -> None:
        self.last = last


class SlowEngine:
    def __init__(self, strategy: Any, candles: Any, cash: Decimal, fee: Decimal) -> None:
        self.strategy, self.candles, self.fee = strategy, candles, fee
        self.cash, self.base = cash, Decimal(0)
        self.open: list[Open] = []
        self.slots: dict[str, SlotView] = {}
        self.inbox: list[Any] = [Command("start")]
        self.fills: list[tuple[int, str, float]] = []
        self.orders: dict[str, Want] = {}
        self.refused: set[tuple[str, int]] = set()
        self.state, self.number, self.denied, self.backoff, self.retry_at = None, 0, False, 0, None

    # --- the path ---

    def run(self) -> None:
        self.last = float(self.candles.open[0])
        self.now = int(self.candles.ts[0])
        self.candle = 0
        self.think()
        for i in range(len(self.candles)):
            self.candle, self.now = i, int(self.candles.ts[i])
            for here, corner in self.path(i):
                before, self.last = self.last, float(here)
                for order in self.open:
                    order.follow(self.last)
                decided = self.number
                self.match()
                if self.number == decided:  # a decision arms its wakes here, so they don't fire here
                    self.wake(before, corner)
            self.now = int(self.candles.ts[i]) + 60_000
            self.last = float(self.candles.close[i])
            if self.retry_at is not None and self.now >= self.retry_at:
                self.decide()
                self.think()

    def path(self, i: int):
        o, h, low, c = (int(x[i]) for x in (self.candles.open, self.candles.high, self.candles.low, self.candles.close))
        turns = [low, h, c] if o - low <= h - o else [h, low, c]
        here = o
        yield here, True
        for turn in turns:
            while here != turn:
                here += 1 if turn > here else -1
                yield here, here == turn

    def match(self) -> None:
        """Fill whatever is touched here, oldest first, and let the strategy answer, until nothing more is."""
        for _ in range(LAST_WORD):
            hit = next((o for o in self.open if self.touched(o)), None)
            if hit is None:
                return
            self.fill(hit)
            self.think()

    def touched(self, order: Open) -> bool:
        want = order.want
        if want.kind is Kind.MARKET:
            return True
        if want.kind is Kind.TRAILING:
            up = 1 if want.side is Side.SELL else -1
            return order.peak is not None and (order.peak - self.last) * up >= want.trail.offset
        level = want.price if want.kind is Kind.LIMIT else want.trigger.level
        falling = (want.side is Side.BUY) == (want.kind is Kind.LIMIT)
        return self.last <= level if falling else self.last >= level

    def fill(self, order: Open) -> None:
        self.open.remove(order)
        want = order.want
        qty, price = Decimal(str(want.qty)), Decimal(str(self.last))
        fee = qty * price * self.fee
        if want.side is Side.BUY:
            locked = sum((o.cost for o in self.open), Decimal(0))
            most = self.cash - locked
            if qty * price + fee > (most if order.cap is None else min(most, order.cap)):
                self.end(order.slot, "rejected")
                return
            self.cash -= qty * price + fee
            self.base += qty
        else:
            self.cash += qty * price - fee
            self.base -= qty
        self.fills.append((self.candle, order.slot, self.last))
        self.slots[order.slot] = SlotView(want.gen, want, SlotStatus.FILLED, want.qty, self.last)
        spent = float(fee)
        at = int(self.candles.ts[self.candle])
        self.inbox.append(Filled(order.slot, want.gen, want.side, want.qty, self.last, spent, want.qty, at))
        self.inbox.append(Closed(order.slot, want.gen, "filled", want.qty))

    def end(self, slot: str, why: str) -> None:
        known = self.slots[slot]
        self.slots[slot] = SlotView(known.gen, known.want, SlotStatus.CLOSED, reason=why)
        self.inbox.append(Closed(slot, known.gen, why))

    def wake(self, before: float, corner: bool) -> None:
        """A level wakes where the path crosses it; one already crossed does at the next turn of the path."""
        for armed in self.armed:
            there, was = ((p >= armed.level) if armed.above else (p <= armed.level) for p in (self.last, before))
            if there and (corner or not was):
                self.inbox.append(Woken("price"))
                self.think()
                self.match()
                return

    # --- the decision ---

    def think(self) -> None:
        while any(not isinstance(told, Denied) for told in self.inbox):
            self.decide()

    def decide(self) -> None:
        self.number += 1
        inbox, self.inbox = tuple(self.inbox), []
        view = View(self.now, self.number, self.funds(), {"main": Market(self.last)}, self.slots, inbox, self.orders)
        decision = self.strategy.decide(None, self.state, view)
        self.state, self.orders, self.armed = decision.state, dict(decision.orders), decision.wake.prices
        planned = plan(decision, self.slots, (), {})
        cash = self.cash - sum((o.cost for o in self.open), Decimal(0))
        base = self.base - sum((Decimal(str(o.want.qty)) for o in self.open if o.want.side is Side.SELL), Decimal(0))
        accepted, denied, amended = [], False, []
        for slot, want in planned.amends:
            order = next(o for o in self.open if o.slot == slot)
            cost = Decimal(str(want.qty)) * Decimal(str(want.price)) * (1 + self.fee)
            more = cost - order.cost if want.side is Side.BUY else Decimal(0)
            coins = Decimal(str(want.qty)) - Decimal(str(order.want.qty)) if want.side is Side.SELL else Decimal(0)
            if more > cash or coins > base:
                self.deny(slot, want)
                denied = True
                continue
            cash, base = cash - max(more, Decimal(0)), base - max(coins, Decimal(0))
            amended.append((order, want, order.cost + more))
        for slot, want in (*planned.reduces, *planned.adds):
            qty = Decimal(str(want.qty))
            if qty < Decimal("0.001"):
                self.slots[slot] = SlotView(want.gen, want, SlotStatus.CLOSED, reason="below_minimum")
                self.inbox.append(Closed(slot, want.gen, "below_minimum"))
                continue
            levels = {Kind.MARKET: self.last, Kind.TRAILING: self.last, Kind.LIMIT: want.price}
            level = levels.get(want.kind) or want.trigger.level
            cost = qty * Decimal(str(level)) * (1 + self.fee) if want.side is Side.BUY else Decimal(0)
            if (cost > cash) if want.side is Side.BUY else (qty > base):
                self.deny(slot, want)
                self.slots[slot] = SlotView(want.gen, want, SlotStatus.DENIED)
                denied = True
                continue
            cash -= cost
            base -= qty if want.side is Side.SELL else 0
            accepted.append(Open(slot, want, cost))
        self.share(accepted, cash)
        unwanted = dict(planned.cancels)
        for order in [o for o in self.open if o.slot in unwanted]:
            self.open.remove(order)
            self.end(order.slot, unwanted[order.slot])
        for order, want, cost in amended:
            self.open.remove(order)
            self.open.append(Open(order.slot, want, cost))
            self.slots[order.slot] = self.slots[order.slot]._replace(want=want)
        for order in accepted:
            order.follow(self.last)
            self.open.append(order)
            self.slots[order.slot] = SlotView(order.want.gen, order.want, SlotStatus.WORKING)
        self.backoff = min(60, max(1, self.backoff * 2)) if denied else 0
        self.retry_at = self.now + 1000 * self.backoff if denied else None

    def share(self, accepted: list[Open], spare: Decimal) -> None:
        """Buys of unknown price may cost their share of what is left; one at market holds it."""
        takers = [o for o in accepted if o.want.side is Side.BUY and o.want.kind is not Kind.LIMIT]
        total = sum(Fraction(order.cost) for order in takers)
        for order in takers:
            share = spare
            if len(takers) > 1:
                share = Decimal(int(Fraction(spare) * Fraction(order.cost) / total * 10**18)).scaleb(-18)
            order.cap = order.cost + share
            if order.want.kind is Kind.MARKET:
                order.cost = order.cap

    def deny(self, slot: str, want: Want) -> None:
        if (slot, want.gen) not in self.refused:
            self.inbox.append(Denied(slot, want.gen, "budget"))
        self.refused.add((slot, want.gen))

    def funds(self) -> dict[str, float]:
        locked = sum((o.cost for o in self.open), Decimal(0))
        held = sum((Decimal(str(o.want.qty)) for o in self.open if o.want.side is Side.SELL), Decimal(0))
        return {"USDT": float(self.cash - locked), "BTC": float(self.base - held)}
