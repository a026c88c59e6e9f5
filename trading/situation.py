"""All that one decision may know, read from the database and the price cache: rows in, the contract's View out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from bots.models import Bot, BotInput
from bots.strategies.registry import get_strategy
from exchanges.models import Market
from exchanges.prices import Quote, quotes_get
from exchanges.selectors import speed_of
from trading.core.needs import Needs
from trading.core.ports import Strategy
from trading.core.rounding import to_decimal, to_float
from trading.core.types import (
    LIVE_STATUSES,
    DerivedView,
    Fees,
    MarketRules,
    MarketSnapshot,
    MarketView,
    PositionView,
    SlotStatus,
    SlotView,
    View,
)
from trading.held import held_reason
from trading.inbox import input_value, want_value
from trading.missed import Missed
from trading.models import Balance, Order, Position, Runtime
from trading.services.listening import derived_values
from trading.signals import HUB
from trading.worth import liquidation_price

_STATUS = {
    Order.Status.DENIED: SlotStatus.DENIED,
    Order.Status.PLANNED: SlotStatus.PENDING,
    Order.Status.SENDING: SlotStatus.PENDING,
    Order.Status.WORKING: SlotStatus.WORKING,
    Order.Status.UNKNOWN: SlotStatus.UNKNOWN,
    Order.Status.FILLED: SlotStatus.FILLED,
    Order.Status.CANCELLED: SlotStatus.CLOSED,
    Order.Status.REJECTED: SlotStatus.CLOSED,
}
MAIN = "main"


@dataclass(frozen=True)
class Watched:
    """One market of a bot, with its price and what the bot holds there."""

    alias: str
    market: Market
    rules: MarketRules
    fees: Fees
    quote: Quote
    position: Position | None

    @property
    def qty(self) -> Decimal:
        return self.position.qty if self.position else Decimal(0)

    @property
    def last(self) -> Decimal:
        return to_decimal(self.quote.last)


@dataclass
class Situation:
    """What a decision rests on. `free` is exact; the view holds the same as floats on the grid."""

    bot: Bot
    runtime: Runtime
    strategy: Strategy
    params: BaseModel
    needs: Needs
    markets: dict[str, Watched]
    inputs: list[BotInput]
    orders: dict[str, Order]  # by slot, current generations
    slots: dict[str, SlotView]
    live: list[Order]  # of all generations
    free: dict[str, Decimal]
    view: View
    now: datetime
    state: Any = None  # of the last decision, in today's form and for today's parameters
    simulated: bool = False  # a replay: nobody real is asked for advice
    held: str = ""  # why the bot may add no risk

    @property
    def cancelling(self) -> set[str]:
        return {order.slot for order in self.live if order.cancel_why}

    @property
    def price_age_ms(self) -> int:
        """Age of the oldest price among the bot's markets."""
        now_ms = int(self.now.timestamp() * 1000)
        return max(0, now_ms - min(watched.quote.received_ms for watched in self.markets.values()))

    def wall_time(self, market_ms: int) -> timedelta:
        """Return how long a stretch of market time lasts by the clock of the bot's engine."""
        return timedelta(milliseconds=market_ms / speed_of(self.bot.market))

    @property
    def market_ms(self) -> int:
        return self.view.now_ms

    @property
    def price_seq(self) -> int:
        return min(watched.quote.seq for watched in self.markets.values())


def markets_of(bot: Bot) -> dict[str, Market]:
    """Return the bot's markets by alias, in the order of its strategy's needs."""
    rows = list(bot.bot_markets.select_related("market").order_by("position", "id"))
    return {row.alias: row.market for row in rows} or {MAIN: bot.market}


def inputs_open(bot: Bot) -> list[BotInput]:
    return list(BotInput.objects.filter(bot=bot, number=None).order_by("id"))


def free_funds(bot: Bot, live: list[Order]) -> dict[str, Decimal]:
    """Return the bot's coins less what its live orders and its perpetual positions hold."""
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in live:
        held[order.lock_coin] += order.locked
    for position in Position.objects.filter(bot=bot, market__perpetual=True).select_related("market"):
        held[position.market.quote] += position.margin
    balances = {row.coin: row.amount for row in Balance.objects.filter(bot=bot)}
    coins = {coin for market in markets_of(bot).values() for coin in (market.base, market.quote)} | set(balances)
    return {coin: balances.get(coin, Decimal(0)) - held.get(coin, Decimal(0)) for coin in coins}


def situation_of(
    bot: Bot, runtime: Runtime, now: datetime, *, params: Mapping[str, Any] | None = None
) -> Situation | None:
    """Read what the next decision of this bot rests on; None while one of its markets has no price.

    `params` asks what the bot would do with others than its own. Raises InvalidInput for parameters that can't be.
    """
    markets = markets_of(bot)
    inputs = inputs_open(bot)  # before the prices: what woke the bot is among them then
    quotes = quotes_get([market.pk for market in markets.values()])
    if len(quotes) < len(markets):
        return None
    strategy = get_strategy(bot.strategy)
    typed = strategy.params.model_validate(bot.params if params is None else params)
    needs = strategy.needs(typed)
    current = list(Order.objects.filter(bot=bot, current=True).select_related("market", "bot").order_by("id"))
    live = [order for order in current if order.is_live]
    live += list(Order.objects.filter(bot=bot, current=False, status__in=Order.LIVE).select_related("market"))
    held = {row.market_id: row for row in Position.objects.filter(bot=bot).select_related("market")}
    watched = {
        alias: Watched(alias, market, market.rules, market.fees, quotes[market.pk], held.get(market.pk))
        for alias, market in markets.items()
    }
    free = free_funds(bot, live)
    slots = {order.slot: _slot(order) for order in current}
    situation = Situation(
        bot=bot,
        runtime=runtime,
        strategy=strategy,
        params=typed,
        needs=needs,
        markets=watched,
        inputs=inputs,
        orders={order.slot: order for order in current},
        slots=slots,
        live=live,
        free=free,
        view=_view(bot, runtime, needs, watched, free, slots, inputs, current),
        now=now,
        held=held_reason(bot),
    )
    situation.state = _state(situation)
    return situation


def _state(situation: Situation) -> Any:
    """Return the bot's state, brought to today's code and to its present parameters."""
    runtime, strategy = situation.runtime, situation.strategy
    state = runtime.state
    if not runtime.number:
        return state
    if runtime.state_version != strategy.version:
        state = strategy.upgrade(runtime.state_version, state)
    before = runtime.params
    now = situation.params.model_dump(mode="json")
    if before is not None and before != now:
        state = strategy.adopt(strategy.params.model_validate(before), situation.params, state, situation.view)
    return state


def _slot(order: Order) -> SlotView:
    """Return the slot as its strategy sees it: what it asked for last, also while that is on its way to the venue."""
    average = to_float(order.filled_quote / order.filled_qty) if order.filled_qty else 0.0
    status = _STATUS[Order.Status(order.status)]
    want = want_value(order.amend_want or order.want)
    return SlotView(order.gen, want, status, to_float(order.filled_qty), average, order.reason)


def _view(
    bot: Bot,
    runtime: Runtime,
    needs: Needs,
    markets: Mapping[str, Watched],
    free: Mapping[str, Decimal],
    slots: Mapping[str, SlotView],
    inputs: list[BotInput],
    current: list[Order],
) -> View:
    now_ms = max(one.quote.market_ms for one in markets.values())
    ids = {alias: one.market.pk for alias, one in markets.items()}
    signals = HUB.values(ids, needs, bot.timeframe_ms, now_ms) if needs.signals else {}
    derived = derived_values(needs, {alias: one.quote.ended for alias, one in markets.items()})
    return View(
        now_ms=now_ms,
        number=runtime.number + 1,
        budget={coin: to_float(amount) for coin, amount in free.items()},
        markets=LiveMarkets(markets, needs, signals, Missed(runtime, inputs), bot.timeframe_ms),
        slots=slots,
        inbox=tuple(input_value(row) for row in inputs),
        orders={order.slot: slots[order.slot].want for order in current if order.wanted},
        explain=True,
        derived={name: DerivedView(value, _signals_on(name, needs, signals)) for name, value in derived.items()},
    )


def _signals_on(where: str, needs: Needs, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name, spec in needs.signals.items() if spec.market == where}


class LiveMarkets(Mapping[str, MarketView]):
    """The markets of one decision, each read when its strategy looks: a scan looks at few of its twenty."""

    def __init__(
        self,
        markets: Mapping[str, Watched],
        needs: Needs,
        signals: Mapping[str, Any],
        missed: Missed,
        timeframe_ms: int,
    ) -> None:
        self._markets = markets
        self._needs = needs
        self._signals = signals
        self._missed = missed
        self._timeframe_ms = timeframe_ms
        self._seen: dict[str, MarketView] = {}

    def __getitem__(self, alias: str) -> MarketView:
        if alias not in self._seen:
            self._seen[alias] = self._look(self._markets[alias])
        return self._seen[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._markets)

    def __len__(self) -> int:
        return len(self._markets)

    def _look(self, one: Watched) -> MarketSnapshot:
        quote, last = one.quote, one.quote.last
        low, high = self._missed.extremes(quote)
        return MarketSnapshot(
            last=last,
            bid=last,
            ask=last,
            seq=quote.seq,
            age_ms=0,
            low_since=low,
            high_since=high,
            rules=one.rules,
            fees=one.fees,
            position=position_view(one),
            signals=_signals_on(one.alias, self._needs, self._signals),
            closed_ms=quote.market_ms // self._timeframe_ms * self._timeframe_ms,
            mark=last,
        )


def position_view(one: Watched) -> PositionView:
    held = one.position
    if held is None or not held.qty:
        return PositionView(dust_qty=dust_qty(one.rules, one.quote.last))
    return PositionView(
        qty=to_float(held.qty),
        avg_price=to_float(held.cost / held.qty),
        dust_qty=dust_qty(one.rules, one.quote.last),
        liquidation_price=liquidation_price(held),
    )


def dust_qty(rules: MarketRules, last: float) -> float:
    """Return the quantity that is too small to trade: under a lot, the minimum quantity or the minimum notional."""
    smallest = max(to_float(rules.min_qty), to_float(rules.lot), to_float(rules.min_notional) / last)
    return smallest * (1 - 1e-9)


def is_live(slot: SlotView) -> bool:
    return slot.status in LIVE_STATUSES
