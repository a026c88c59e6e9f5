"""Moves a replay's clock and its walk, and lets the bot tick wherever something can have changed.

Every candle: its open time passes (funding, expiries), the walk over its path with a stop at each fill and wake, its
close (signals, derived series, times, advice).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from bots.models import Bot
from bots.services import bot_start
from bots.strategies.registry import get_strategy
from exchanges.models import Market
from exchanges.paper_lockstep import LockstepWalk
from exchanges.paper_path import TrailWatch
from exchanges.prices import quote_put
from trading.clock import CandleClock
from trading.core.candles import Candles
from trading.core.ports import SimulatedAdvisor
from trading.core.types import Bar
from trading.models import DerivedWake, SignalWake, Wake
from trading.runtime import tick, venue_for
from trading.series import LiveSignal, live_signal, signal_of
from trading.services.asking import simulated_tell
from trading.services.booking import executions_book, funding_book
from trading.services.listening import derived_wake, signals_changed
from trading.services.recovery import closures_book
from trading.services.waking import prices_wake, trails_fired, trails_of
from trading.signals import HUB
from trading.situation import markets_of

Progress = Callable[[int, int], None]
PROGRESS_EVERY = 1000


class Driver:
    """One replay of one bot over aligned candles, by alias in the order of its strategy's needs."""

    def __init__(self, bot: Bot, candles: Mapping[str, Candles], advisor: SimulatedAdvisor | None) -> None:
        self.bot = bot
        self.markets: dict[int, Market] = {}
        self.candles: dict[int, Candles] = {}
        for alias, market in markets_of(bot).items():
            self.markets[market.pk] = market
            self.candles[market.pk] = candles[alias]
        strategy = get_strategy(bot.strategy)
        self.needs = strategy.needs(strategy.params.model_validate(bot.params))
        first = next(iter(self.candles.values()))
        self.timeframe_ms = first.timeframe_ms
        self.length = len(first)
        self.walk = LockstepWalk(list(self.markets.values()), timeframe_ms=self.timeframe_ms)
        self.clock = CandleClock()
        self.venue = venue_for(bot.account)
        self.advisor = advisor
        self.wakes: dict[int, tuple[float, float]] = {}
        self.trails: list[TrailWatch] = []
        self.heard: dict[int, list[LiveSignal]] = {}  # the signals that the bot waits for, by market
        self.waits_for_series = False
        self.due_ms: int | None = None
        self.number = 0  # of the bot's last decision
        self.ended: dict[int, float] = {}  # the last closes: a derived series has no path inside a candle

    def run(self, on_progress: Progress | None) -> None:
        rows = {market: candles.bars() for market, candles in self.candles.items()}
        self.ended = prices = self._warm_up(rows)
        for i in range(self.needs.warmup, self.length):
            bars = {market: next(row) for market, row in rows.items()}
            self.clock.now_ms = next(iter(bars.values())).ts_ms
            self.walk.start(bars)
            if i == self.needs.warmup:
                self._quote(self.clock.now_ms, prices or {market: bar.open for market, bar in bars.items()})
                bot_start(bot=self.bot, by=None)
                self._tick()
            self._walk_candle()
            self._close(bars)
            if on_progress is not None and i % PROGRESS_EVERY == 0:
                on_progress(i, self.length)

    def _warm_up(self, rows: Mapping[int, Iterator[Bar]]) -> dict[int, float]:
        """Let the candles pass that must have closed before the first decision; returns the last closes."""
        ids = {alias: market.pk for alias, market in markets_of(self.bot).items()}
        signals = [live_signal(spec, ids, self.needs, self.timeframe_ms) for spec in self.needs.signals.values()]
        prices: dict[int, float] = {}
        for _ in range(self.needs.warmup):
            for market, row in rows.items():
                bar = next(row)
                prices[market] = bar.close
                waiting = [signal for signal in signals if market in signal.markets]
                HUB.told(HUB.take(market, self.timeframe_ms, [bar], waiting))
        return prices

    def _walk_candle(self) -> None:
        while True:
            step = self.walk.step(self.wakes, self.trails)
            if step.event == "end":
                return
            if step.event == "funding":
                funding_book(self.bot.account, self.venue)
                continue
            self._quote(self.clock.now_ms, {market: self.walk.price_of(market) for market in self.markets})
            if step.event == "wake":
                prices_wake(step.market_id, step.price, step.price)  # the quote has what led there
            elif step.event == "trail":
                trails_fired([step.trail_id])
            executions_book(self.bot.account, self.venue)
            if step.event == "closed":
                funding_book(self.bot.account, self.venue)
                closures_book(self.bot.account, self.venue)
            self._tick()

    def _close(self, bars: Mapping[int, Bar]) -> None:
        """A candle has closed: answers that have come, its signals and derived series, whatever waits for a time."""
        self.clock.now_ms += self.timeframe_ms
        self.ended = closes = {market: bar.close for market, bar in bars.items()}
        told = bool(self.needs.advice) and simulated_tell(self.bot, self.clock.now_ms, self.advisor) > 0
        if self.waits_for_series:
            self._quote(self.clock.now_ms, closes)
        for market, bar in bars.items():
            waiting = self.heard.get(market, [])
            if HUB.take(market, self.timeframe_ms, [bar], waiting):
                told |= bool(signals_changed(self.markets[market], self.timeframe_ms, [bar], self.clock.now_ms))
        if self.waits_for_series:
            woken = [bot for market in bars for bot in derived_wake(market)]
            told |= bool(woken)
        if told or (self.due_ms is not None and self.due_ms <= self.clock.now_ms):
            self._quote(self.clock.now_ms, closes)
            self._tick()

    def _quote(self, ts_ms: int, prices: Mapping[int, float]) -> None:
        """Make the prices where the walk stands the newest of their markets, with what they did since the last look."""
        for market, price in prices.items():
            low, high = self.walk.extremes(market) if self.number else (price, price)
            bar = Bar(ts_ms, price, max(high, price), min(low, price), price)
            quote_put(market, bar, self.clock.now_ms, self.ended.get(market, price))

    def _tick(self) -> None:
        """Let the bot decide until it is quiet, then read again what it waits for."""
        tick(self.bot.pk, self.clock)
        self.wakes = {
            row.market_id: (
                float("-inf") if row.below is None else row.below,
                float("inf") if row.above is None else row.above,
            )
            for row in Wake.objects.filter(bot=self.bot)
        }
        self.trails = [watch for market in self.markets.values() for watch in trails_of(market)]
        self.heard.clear()
        for wake in SignalWake.objects.filter(bot=self.bot):
            self.heard.setdefault(wake.market_id, []).append(signal_of(wake.spec))
        self.waits_for_series = DerivedWake.objects.filter(bot=self.bot).exists()
        due: datetime | None
        due, number = Bot.objects.values_list("runtime__due_at", "runtime__number").get(pk=self.bot.pk)
        self.due_ms = None if due is None else round(due.timestamp() * 1000)
        if number != self.number:
            self.number = number
            self.walk.look()
