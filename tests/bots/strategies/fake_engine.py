"""A tiny engine for strategy tests: keeps the contract's promises and may be as unfriendly as the contract allows.

It places what a decision wants, on any number of spot and perpetual markets, fills orders in any order and in parts,
loses races between cancels, amendments and fills, refuses, denies, pauses, and lets a person cancel. It checks at
every step that exits never exceed what is held, that money is never short, that a generation is placed once, and that
decide() is pure: the same inputs give the same answer, also after the state went through JSON.

One market: `FakeEngine(strategy, params, rules, price, cash)`, with `price`, `base` and `low` for it. Several:
`FakeEngine.on(strategy, params, {alias: FakeMarket(rules, price)}, cash)` and `markets[alias]`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from fake_market import FakeMarket, fires, peak

from trading.core.control import PositionOf, plan
from trading.core.derived import derived_value
from trading.core.types import (
    LIVE_STATUSES,
    Advice,
    Ask,
    Closed,
    Command,
    Denied,
    DerivedView,
    Fees,
    Filled,
    Kind,
    MarketRules,
    MarketSnapshot,
    PriceWake,
    Side,
    Signal,
    SlotStatus,
    SlotView,
    View,
    Want,
    Woken,
)

NOISE = 1e-7
LIQUIDATION = "engine:liquidation"


class FakeEngine:
    def __init__(self, strategy: Any, params: Any, rules: MarketRules, price: float, cash: float, fee: float = 0.001):
        self._begin(strategy, params, {"main": FakeMarket(rules, price)}, cash, fee)

    @classmethod
    def on(
        cls, strategy: Any, params: Any, markets: Mapping[str, FakeMarket], cash: float, fee: float = 0.001
    ) -> FakeEngine:
        """An engine over several markets, or over a perpetual."""
        made = cls.__new__(cls)
        made._begin(strategy, params, dict(markets), cash, fee)
        return made

    def _begin(self, strategy: Any, params: Any, markets: dict[str, FakeMarket], cash: float, fee: float) -> None:
        self.strategy, self.params, self.fee = strategy, params, fee
        self.markets = markets
        self.needs = strategy.needs(params)
        for market in markets.values():
            market.leverage = 1.0 if market.spot else self.needs.leverage
        self.first = next(iter(markets.values()))
        self.rules = self.first.rules
        self.quote = cash  # all of it, margins included
        self.now_ms, self.number = 1_000_000, 0
        self.state: Any = None
        self.orders: dict[str, Want] = {}
        self.slots: dict[str, SlotView] = {}
        self.cancelling: dict[str, str] = {}
        self.amending: dict[str, Want] = {}
        self.inbox: list[Any] = [Command("start")]
        self.wake: Any = None
        self.finish = ""
        self.signals: dict[str, Any] = {}
        self.deny_adds = False
        self.paused = False
        self.denials: list[str] = []
        self.placed: dict[tuple[str, int], float] = {}  # the price it was reckoned with; market orders fill there
        self.peaks: dict[object, float | None] = {}  # of trailing orders and wakes, None before they are armed
        self.triggered: set[tuple[str, int]] = set()
        self.caps: dict[tuple[str, int], float] = {}  # what is left of an exit that was larger than its position
        self.asks: dict[str, Ask] = {}
        self.notes: tuple[Any, ...] = ()

    # --- the one market of a simple strategy

    @property
    def price(self) -> float:
        return self.first.price

    @price.setter
    def price(self, price: float) -> None:
        self.first.price = price

    @property
    def base(self) -> float:
        return self.first.qty

    @base.setter
    def base(self, qty: float) -> None:
        self.first.qty = qty

    @property
    def low(self) -> float:
        return self.first.low

    @low.setter
    def low(self, low: float) -> None:
        self.first.low = low

    # --- what the strategy sees and answers

    def view(self, inbox: tuple[Any, ...], explain: bool = False) -> View:
        budget = {self.rules.quote: self.free_quote()}
        for alias, market in self.markets.items():
            if market.spot:
                budget[market.rules.base] = market.qty - self.locked_qty(alias)
        markets = {alias: self._snapshot(alias, market) for alias, market in self.markets.items()}
        derived = {
            name: DerivedView(derived_value(spec, self._prices()), self._signals(name))
            for name, spec in self.needs.derived.items()
        }
        return View(self.now_ms, self.number, budget, markets, dict(self.slots), inbox, self.orders, explain, derived)

    def _prices(self) -> dict[str, float]:
        return {alias: market.price for alias, market in self.markets.items()}

    def _signals(self, series: str) -> dict[str, Any]:
        """Signals of one market; a test may also set some that the strategy never asked for."""
        asked = self.needs.signals
        return {name: value for name, value in self.signals.items() if name in asked and asked[name].market == series}

    def _snapshot(self, alias: str, market: FakeMarket) -> MarketSnapshot:
        price = market.price
        return MarketSnapshot(
            price, price, price, self.number, 0, min(market.low, price), max(market.high, price), market.rules,
            Fees(self.fee, self.fee), market.position(), self._signals(alias), self.now_ms // 60_000 * 60_000, price,
        )  # fmt: skip

    def decide(self, explain: bool = False) -> None:
        """One step: inbox, decision, difference, amending, placing. Asserts purity."""
        self.number += 1
        inbox, self.inbox = tuple(self.inbox), []
        before, view = copy.deepcopy(self.state), self.view(inbox, explain)
        decision = self.strategy.decide(self.params, self.state, view)
        assert self.state == before, "decide() changed the state that it was given"
        again = self.strategy.decide(self.params, json.loads(json.dumps(before)), self.view(inbox, explain))
        assert again == decision, "decide() answered twice differently"
        for market in self.markets.values():
            market.low = market.high = market.price
        planned = plan(decision, self.slots, self.cancelling, self._positions(), self.amending)
        self.state, self.orders, self.wake = (
            json.loads(json.dumps(decision.state)),
            dict(decision.orders),
            decision.wake,
        )
        self.finish, self.notes = decision.finish, decision.notes
        for ask in decision.asks:
            assert ask.id not in self.asks, f"asked twice: {ask.id}"
            self.asks[ask.id] = ask
        kept = {trail: self.peaks.get(trail) for trail in self.wake.trails}
        self.peaks = {key: peak for key, peak in self.peaks.items() if isinstance(key, str)} | kept
        for slot, why in planned.cancels:
            self.cancelling[slot] = why
        self.amending |= dict(planned.amends)
        self._place_all([*planned.reduces, *planned.adds], planned.clipped, planned.hedges)
        self.see_peaks()

    def _positions(self) -> dict[str, PositionOf]:
        return {alias: PositionOf(market.qty, market.spot) for alias, market in self.markets.items()}

    def settle(self) -> None:
        """Confirm cancels and amendments and decide until there is nothing new to tell."""
        for _ in range(60):
            for slot in (*self.cancelling, *self.amending):
                self.confirm(slot)
            if not self.inbox or self.finish:
                return
            self.decide()
        raise AssertionError("the strategy never comes to rest")

    # --- placing

    def _place_all(self, wants: list[tuple[str, Want]], clipped: Mapping[str, float], hedges: set[str]) -> None:
        refused = {
            want.group for slot, want in wants
            if want.group and slot not in hedges and self._shortage(slot, want, clipped.get(slot, want.qty), hedges)
        }  # fmt: skip
        for slot, want in wants:
            self._place(slot, want, clipped.get(slot, want.qty), hedges, refused)

    def _place(
        self, slot: str, want: Want, qty: float, hedges: set[str] = frozenset(), refused: set[str] = frozenset()
    ) -> None:
        assert (slot, want.gen) not in self.placed, f"{slot} gen {want.gen} placed twice"
        market = self.markets[want.market]
        shortage = "group" if want.group in refused else self._shortage(slot, want, qty, hedges)
        if shortage:
            known = self.slots.get(slot)
            if known is None or (known.gen, known.status) != (want.gen, SlotStatus.DENIED):  # told once
                self.inbox.append(Denied(slot, want.gen, shortage))
            self.denials.append(slot)
            self.slots[slot] = SlotView(want.gen, want, SlotStatus.DENIED, reason=shortage)
            return
        price = self._level(want) or market.price
        self.placed[slot, want.gen] = price
        self.slots[slot] = SlotView(want.gen, want, SlotStatus.WORKING)
        self.caps[slot, want.gen] = qty
        if qty <= 0:
            self.close(slot, "rejected")
        elif qty < float(market.rules.min_qty) - NOISE or qty * price < float(market.rules.min_notional) - NOISE:
            self.close(slot, "below_minimum")
        elif want.trail is not None:
            self.peaks[f"{slot} {want.gen}"] = None

    def _level(self, want: Want) -> float | None:
        return want.price or (want.trigger.level if want.trigger else None)

    def _shortage(self, slot: str, want: Want, qty: float, hedges: set[str]) -> str:
        """Name the rule that denies this want, "" when none does. A sell of coins that aren't there is a bug."""
        market, price = self.markets[want.market], self._level(want) or self.markets[want.market].price
        exits = want.side is market.exit_side() and (market.spot or market.qty != 0)
        if (self.deny_adds or self.paused) and not exits and slot not in hedges:
            return "halted" if self.paused else "budget"
        if market.spot and want.side is Side.SELL:
            free = market.qty - self.locked_qty(want.market)
            if qty <= free + NOISE:
                return ""
            waiting = sum(self.left(one) for one in self.cancelling if self.slots[one].want.side is Side.SELL)
            assert qty <= free + waiting + NOISE, f"{slot} would sell {qty}, free {free}"
            return "budget"
        risk = qty if market.spot or not exits else max(0.0, qty - abs(market.qty))
        needed = risk * price * (1 / market.leverage + self.fee)
        return "budget" if needed > self.free_quote() + NOISE else ""

    # --- what happens to orders

    def working(self) -> list[str]:
        return [slot for slot, known in self.slots.items() if known.status in LIVE_STATUSES]

    def denied(self) -> list[str]:
        """Slots that are wanted and denied: the engine asks again by itself."""
        return [
            slot for slot, want in self.orders.items()
            if slot in self.slots and (self.slots[slot].status, self.slots[slot].gen) == (SlotStatus.DENIED, want.gen)
        ]  # fmt: skip

    def left(self, slot: str) -> float:
        known = self.slots[slot]
        return max(0.0, round(min(known.want.qty, self.caps[slot, known.gen]) - known.filled_qty, 10))

    def locked_qty(self, alias: str) -> float:
        """What the live exits of a market would sell (short: buy back)."""
        side = self.markets[alias].exit_side()
        wants = [(slot, self.slots[slot].want) for slot in self.working()]
        return sum(self.left(slot) for slot, want in wants if want.market == alias and want.side is side)

    def locked_quote(self) -> float:
        """What the live orders may still cost: the whole of a spot buy, the margin of what opens a perpetual."""
        total = 0.0
        for slot in self.working():
            want = self.slots[slot].want
            market = self.markets[want.market]
            opens = want.side is Side.BUY if market.spot else want.side is not market.exit_side() or not market.qty
            if opens and not want.reduce:
                total += self.left(slot) * self.placed[slot, want.gen] * (1 / market.leverage + self.fee)
        return total

    def free_quote(self) -> float:
        return self.quote - sum(market.margin for market in self.markets.values()) - self.locked_quote()

    def fill(self, slot: str, qty: float | None = None) -> None:
        known = self.slots[slot]
        left = self.left(slot)
        qty = left if qty is None else min(qty, left)
        market, want = self.markets[known.want.market], known.want
        at = self.placed[slot, known.gen]
        if want.kind in (Kind.STOP, Kind.TRAILING):
            at = market.price
        grows = want.side is not market.exit_side() or not market.qty
        sign = 1 if want.side is Side.BUY else -1
        self._book(market, sign, qty, at)
        if grows:
            assert self.quote - sum(one.margin for one in self.markets.values()) >= -NOISE * 1000, "spent too much"
        filled = round(known.filled_qty + qty, 10)
        self.inbox.append(Filled(slot, known.gen, want.side, qty, at, qty * at * self.fee, filled, self.now_ms))
        self.slots[slot] = known._replace(filled_qty=filled, avg_price=at)
        if self.left(slot) <= 1e-12:
            self.close(slot, "filled" if filled >= want.qty - 1e-12 else "remainder")

    def _book(self, market: FakeMarket, sign: int, qty: float, at: float) -> None:
        if market.spot:
            market.book(sign, qty, at)
            self.quote -= sign * qty * at + qty * at * self.fee
            assert market.qty >= -NOISE, f"sold more than held: {market.qty}"
        else:
            self.quote += market.book(sign, qty, at) - qty * at * self.fee

    def close(self, slot: str, why: str) -> None:
        known = self.slots[slot]
        status = SlotStatus.FILLED if why == "filled" else SlotStatus.CLOSED
        self.slots[slot] = known._replace(status=status, reason=why)
        self.cancelling.pop(slot, None)
        self.amending.pop(slot, None)
        self.peaks.pop(f"{slot} {known.gen}", None)
        self.inbox.append(Closed(slot, known.gen, why, known.filled_qty))

    def confirm(self, slot: str) -> None:
        """A cancel that was under way is done, or else an amendment."""
        if slot in self.cancelling:
            self.close(slot, self.cancelling[slot])
        elif slot in self.amending:
            self._amend(slot, self.amending.pop(slot))

    def _amend(self, slot: str, want: Want) -> None:
        known, market = self.slots[slot], self.markets[want.market]
        if known.status not in LIVE_STATUSES or known.gen != want.gen:
            return
        if want.qty > known.want.qty:
            self.slots[slot] = known._replace(status=SlotStatus.NONE)
            short = self._shortage(slot, want, want.qty - known.filled_qty, frozenset({slot}))
            self.slots[slot] = known
            if short:
                return  # the difference shows at the next decision
        cap = want.qty
        if not market.spot and want.side is market.exit_side() and want.reduce:
            others = self.locked_qty(want.market) - self.left(slot)
            cap = round(min(cap, known.filled_qty + max(0.0, abs(market.qty) - others)), 10)
        self.caps[slot, want.gen] = cap
        self.placed[slot, want.gen] = self._level(want) or market.price
        self.slots[slot] = known._replace(want=want)
        if self.left(slot) <= 1e-12:
            self.close(slot, "filled")

    # --- the market

    def touched(self) -> list[str]:
        """Working orders that the price has reached, market orders included."""
        return [slot for slot in self.working() if self._reached(slot)]

    def _reached(self, slot: str) -> bool:
        known = self.slots[slot]
        want, price = known.want, self.markets[known.want.market].price
        buy = want.side is Side.BUY
        if want.kind is Kind.MARKET:
            return True
        if want.kind is Kind.TRAILING and want.trail is not None:
            return fires(want.side, want.trail, self.peaks.get(f"{slot} {want.gen}"), price)
        if want.trigger is not None and (slot, want.gen) not in self.triggered:
            if (price < want.trigger.level) if buy else (price > want.trigger.level):
                return False
            self.triggered.add((slot, want.gen))
        if want.kind is Kind.STOP:
            return True
        assert want.price is not None
        return price <= want.price if buy else price >= want.price

    def jump(self, price: float, alias: str | None = None) -> None:
        """Go to a price without filling anything; peaks and extremes follow, reached wakes are told."""
        market = self.first if alias is None else self.markets[alias]
        market.price = price
        market.low, market.high = min(market.low, price), max(market.high, price)
        self.see_peaks()
        self._liquidate(market)
        if self.wake is None:
            return
        if any(self._woken(wake) for wake in self.wake.prices):
            self.inbox.append(Woken("price"))
        trails = [wake for wake in self.wake.trails if self.markets[wake.market] is market]
        if any(fires(wake.side, wake.trail, self.peaks.get(wake), price) for wake in trails):
            self.inbox.append(Woken("trail"))

    def _woken(self, wake: PriceWake) -> bool:
        if wake.series in self.markets:
            value: float | None = self.markets[wake.series].price
        else:
            value = derived_value(self.needs.derived[wake.series], self._prices())
        if value is None:
            return False
        return value >= wake.level if wake.above else value <= wake.level

    def see_peaks(self) -> None:
        """Trailing orders and wakes see the prices of this moment."""
        for slot in self.working():
            want = self.slots[slot].want
            if want.trail is not None:
                key = f"{slot} {want.gen}"
                self.peaks[key] = peak(want.side, want.trail, self.peaks.get(key), self.markets[want.market].price)
        for wake in self.wake.trails if self.wake else ():
            self.peaks[wake] = peak(wake.side, wake.trail, self.peaks.get(wake), self.markets[wake.market].price)

    def _liquidate(self, market: FakeMarket) -> None:
        level = market.liquidation
        if level is None or (market.price > level if market.qty > 0 else market.price < level):
            return
        alias = next(name for name, one in self.markets.items() if one is market)
        side, qty = market.exit_side(), abs(market.qty)
        entry = market.cost / market.qty
        at = entry * (1 - 1 / market.leverage) if side is Side.SELL else entry * (1 + 1 / market.leverage)
        exits = [s for s in self.working() if (self.slots[s].want.market, self.slots[s].want.side) == (alias, side)]
        self._book(market, -1 if side is Side.SELL else 1, qty, at)
        self.inbox.append(Filled(LIQUIDATION, 1, side, qty, at, qty * at * self.fee, qty, self.now_ms))
        for slot in exits:
            self.close(slot, "liquidated")

    def move(self, price: float, alias: str | None = None) -> None:
        """Go to a price; all reached orders fill there, at their own price."""
        self.now_ms += 1000
        self.jump(price, alias)
        for slot in self.touched():
            self.fill(slot)

    def walk(self, *prices: float) -> None:
        """Move along prices, step by step, deciding after each until all is at rest."""
        for price in prices:
            self.move(price)
            self.rest()

    def rest(self) -> None:
        """Fill what is reached, confirm, decide, until nothing happens any more."""
        for _ in range(100):
            self.settle()
            if self.finish or not self.touched():
                return
            for slot in self.touched():
                self.fill(slot)
        raise AssertionError("orders fill for ever at one price")

    def retry_denied(self) -> None:
        """What the engine does after its back-off: place denied wants again that still stand."""
        again = [(slot, self.orders[slot]) for slot in self.denied()]
        self._place_all(again, {slot: self._clip(want) for slot, want in again}, set())

    def _clip(self, want: Want) -> float:
        market = self.markets[want.market]
        if market.spot or want.side is not market.exit_side() or not want.reduce:
            return want.qty
        return max(0.0, min(want.qty, abs(market.qty) - self.locked_qty(want.market)))

    # --- time, signals, people, advice

    def tick(self, ms: int) -> None:
        """Let time pass; a time that has come wakes, denied wants are asked again."""
        self.now_ms += ms
        if self.wake is not None and self.wake.at_ms is not None and self.now_ms >= self.wake.at_ms:
            self.inbox.append(Woken("time"))
        self.retry_denied()

    def signal(self, name: str, value: Any) -> None:
        """A candle closed and a signal has this value now."""
        before, self.signals[name] = self.signals.get(name), value
        if self.wake is not None and name in self.wake.signals and value != before:
            self.inbox.append(Signal(name, value, self.now_ms))

    def answer(self, ask_id: str, value: Any, error: str = "") -> None:
        del self.asks[ask_id]
        self.inbox.append(Advice(ask_id, value, error))

    def pause(self) -> None:
        """What a pause does: everything that adds is closed, and nothing that adds gets through until the resume."""
        self.paused = True
        self.inbox.append(Command("pause"))
        for slot in self.working():
            want = self.slots[slot].want
            market = self.markets[want.market]
            if want.side is not market.exit_side() or (not market.qty and not market.spot):
                self.close(slot, "paused")

    def resume(self) -> None:
        self.paused = False
        self.inbox.append(Command("resume"))

    def edit(self, params: Any) -> None:
        """What an edit of a running bot does."""
        self.state = self.strategy.adopt(self.params, params, self.state, self.view(()))
        self.params, self.needs = params, self.strategy.needs(params)
        self.inbox.append(Command("edit"))

    def restart(self) -> None:
        """What a new process knows: equal wants, but none of the objects."""
        self.orders = {slot: Want(*want) for slot, want in self.orders.items()}
        self.slots = {slot: known._replace(want=Want(*known.want)) for slot, known in self.slots.items()}

    def is_awake(self) -> bool:
        """Say whether anything can still make this bot decide."""
        wake = self.wake
        armed = wake is None or wake.prices or wake.signals or wake.trails or wake.at_ms is not None
        return bool(self.finish or self.inbox or self.working() or self.denied() or self.asks or armed)
