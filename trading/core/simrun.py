"""One backtest in motion: the decision loop from one event to the next.

The same steps in the same order as a live tick: inbox -> decide -> the control loop's diff -> what is denied, what is
placed, what is cancelled -> again while there is something new to tell. In between, one compiled scan finds the next
candle that matters.

At the close of a candle: commands, edits and answers of an adviser that are due, then signals that changed, derived
series and times, one decision for all of them; then, before the next open, what expires and what funding is paid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from trading.core.agenda import Agenda, Edit
from trading.core.alarm import FAR, Alarm
from trading.core.book import Book, BookMarket, Resting
from trading.core.candles import Candles, Floats
from trading.core.compiled import compiled_matching
from trading.core.errors import InvalidInput, StrategyFault
from trading.core.funding import FundingClock
from trading.core.matching import FILL, WAKE
from trading.core.needs import Needs
from trading.core.ports import Strategy
from trading.core.result import Fills, SimulationResult
from trading.core.rounding import to_decimal, to_float
from trading.core.series_set import SeriesSet, series_of
from trading.core.simoptions import SimMarket, SimOptions
from trading.core.simorders import Orders
from trading.core.simview import Budget, Cursor, Sight, SimMarketView
from trading.core.types import Command, View, Woken

MOST_DECISIONS_AT_ONE_POINT = 1000
PROGRESS_STEPS = 100
CANCEL = "cancel"  # command of a person: {"slot": ...}

Progress = Callable[[int, int], None]


class Run:
    """One backtest: the cursor and the state of the bot, moved from event to event."""

    def __init__(
        self,
        strategy: Strategy,
        params: Any,
        needs: Needs,
        markets: Mapping[str, SimMarket],
        cash: Decimal,
        fee: Decimal,
        options: SimOptions,
        first: int,
    ) -> None:
        self.strategy, self.params, self.needs, self.options = strategy, params, needs, options
        self.markets, self.cash, self.fee = markets, cash, fee
        self.candles = next(iter(markets.values())).candles
        self.timeframe_ms = self.candles.timeframe_ms
        self.ts = self.candles.ts.data  # gives Python's own ints, in half of the time
        leverage = to_decimal(needs.leverage)
        self.book = Book(
            [BookMarket(k, alias, market, fee, leverage, options) for k, (alias, market) in enumerate(markets.items())],
            cash,
        )
        self.prices = _prices([market.candles for market in markets.values()])
        self.points = np.array([[_price_before(m.candles, first) for m in markets.values()]] * 3)
        self.points[1], self.points[2] = -np.inf, np.inf
        self.cursor: Cursor = (first, 0, 0)
        series = self._series()
        self.orders = Orders(self.book, self.points, self.candles.ts)
        self.alarm = Alarm(self.book, self.points, self.candles, series)
        self.agenda = Agenda(options, self.candles, needs.advice)
        self.funding = FundingClock(self.book.markets, self.candles)
        self.sight = Sight(self.prices, self.points, needs, series, options.half_spread_ratio)
        self.sight.at = self.cursor
        fee_ratio = to_float(fee)
        views = {market.alias: SimMarketView(self.sight, market, fee_ratio) for market in self.book.markets}
        self.view = View(0, 0, Budget(self.book), views, self.orders.slots, (), {})
        self.state: Any = None
        self.edited: list[Any] = []
        self.decisions = 0
        self.finish = ""
        self.orders.tell(Command("start"))

    def _series(self) -> SeriesSet:
        return series_of(self.needs, {alias: market.candles for alias, market in self.markets.items()})

    # --- the loop ---------------------------------------------------------------------------------------------------

    def go(self, on_progress: Progress | None) -> None:
        advance, book, orders = compiled_matching().advance, self.book, self.orders
        alarm, agenda, prices, points, total = self.alarm, self.agenda, self.prices, self.points, len(self.candles)
        step = max(1, total // PROGRESS_STEPS)
        report_at = step if on_progress else FAR
        if agenda.stop <= self.cursor[0]:
            self._outside(self.cursor[0])
        self._decide_all()
        while self.cursor[0] < total and not (self.finish and not book.by_slot):
            i, leg, market = self.cursor
            if i >= report_at and on_progress:
                on_progress(i, total)
                report_at = i + step
            stop = min(alarm.stop, agenda.stop, total)
            if book.expiring or self.funding.any:
                stop = min(stop, self._other_stop(i))
            event, row, i, leg, market, price = advance(
                prices, book.floats, book.ints, len(book.rows), points, i, leg, market, stop
            )
            self.cursor = (i, leg, market)
            if event == FILL:
                order = book.rows[row]
                if isinstance(order, Resting):
                    orders.touched(order, price, i)
                elif isinstance(order, BookMarket):
                    orders.liquidate(order, i)
            elif event == WAKE:
                orders.tell(Woken("price" if row < 0 else "trail"))
            else:
                self._at_close(i)
            if orders.news:
                self._decide_all()

    def _other_stop(self, i: int) -> int:
        """Return the next candle at whose open something expires or funding is paid; at a boundary, a later one."""
        first = i + 1 if self.cursor[1:] == (0, 0) else i
        stop = min(self.book.expiring.values(), default=FAR)
        return max(first, min(stop, self.funding.next_candle(first)))

    def _at_close(self, i: int) -> None:
        """Tell what the close before candle `i` brings, decide, and go through what precedes its open."""
        orders, alarm, now_ms = self.orders, self.alarm, self.now_ms()
        if self.agenda.stop <= i:
            self._outside(i)
        for signal in alarm.signals_at(i - 1, now_ms):
            orders.tell(signal)
        if alarm.is_derived(i - 1):
            orders.tell(Woken("derived"))
        if alarm.is_time(i - 1) and not self.finish:
            self._decide()
        self._decide_all()
        if i < len(self.candles):
            if self.book.expiring:
                orders.expire(i)
            if self.funding.any:
                self.funding.pay(self.book.free, i)

    def _outside(self, i: int) -> None:
        """Tell what people and advisers have said by the close before candle `i`."""
        for item in self.agenda.due(self.now_ms()):
            if isinstance(item, Edit):
                self.edited.append(item.params)
                self.orders.tell(Command("edit"))
                continue
            if isinstance(item, Command) and item.kind == CANCEL:
                self.orders.cancel_by_hand(str(item.args.get("slot", "")))
            self.orders.tell(item)

    # --- one decision -----------------------------------------------------------------------------------------------

    def _decide_all(self) -> None:
        """Decide until there is nothing new to tell at this point of the path. A denial alone is nothing new."""
        for _ in range(MOST_DECISIONS_AT_ONE_POINT):
            if self.finish or not self.orders.news:
                return
            self._decide()
        raise StrategyFault(f"the strategy decided {MOST_DECISIONS_AT_ONE_POINT} times without the price moving")

    def _decide(self) -> None:
        orders, view, sight = self.orders, self.view, self.sight
        self.decisions += 1
        sight.decision = self.decisions
        sight.since, sight.at = sight.at, self.cursor
        now_ms = self.now_ms()
        view.now_ms, view.number = now_ms, self.decisions
        view.inbox = tuple(orders.inbox)
        orders.inbox.clear()
        orders.news = False
        if self.edited:
            self._take_edits()
        if self.needs.derived:
            view.derived = sight.derived()
        if self.edited:
            self._adopt()
        decision = self.strategy.decide(self.params, self.state, view)
        self.state, self.finish = decision.state, decision.finish
        if self.options.json_state:
            self.state = json.loads(json.dumps(decision.state))
        i = self.cursor[0]
        orders.change(decision.orders, now_ms)
        view.orders = decision.orders
        if decision.asks:
            self.agenda.ask(decision.asks, now_ms, i)
        if self.finish:
            self.alarm.disarm()
        else:
            self.alarm.arm(decision.wake, denied=bool(orders.denied), now_ms=now_ms, i=i)

    def _take_edits(self) -> None:
        """Take the series of the parameters that a person changed. Raises InvalidInput for those of other markets."""
        self.needs = self.strategy.needs(self.edited[-1])
        if list(self.needs.markets) != list(self.markets):
            raise InvalidInput("an edit can't change the markets of a run", field="markets")
        series = self._series()
        self.alarm.use(series)
        self.sight.use(self.needs, series)
        self.view.derived = {}
        self.agenda.kinds = frozenset(self.needs.advice)
        for market in self.book.markets:
            market.position.asked = to_decimal(self.needs.leverage)

    def _adopt(self) -> None:
        """Bring the state to the parameters that a person changed, looking at their own series as live."""
        for params in self.edited:
            old, self.params = self.params, params
            self.state = self.strategy.adopt(old, params, self.state, self.view)
        self.edited.clear()

    # --- what may be known now --------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Return the engine's clock: a candle's close between two candles, its open time inside it."""
        i, leg, market = self.cursor
        if i > 0 and leg == market == 0:
            return self.ts[i - 1] + self.timeframe_ms
        return self.ts[i]

    def result(self) -> SimulationResult:
        return SimulationResult(
            markets=self.markets,
            cash=self.cash,
            fee=self.fee,
            fills=Fills.of(self.candles, self.orders.fills),
            funding=tuple(self.funding.paid),
            spared=self.orders.spared,
            orders=self.orders.placed,
            denials=self.orders.denials,
            decisions=self.decisions,
            finish=self.finish,
        )


def _prices(candles: Sequence[Candles]) -> Floats:
    """Return the prices of all markets for the matching: those of a single one aren't copied."""
    return candles[0].table[np.newaxis] if len(candles) == 1 else np.array([each.prices for each in candles])


def _price_before(candles: Candles, i: int) -> float:
    """Return the last price before candle `i`; before the first, its open."""
    return float(candles.close[i - 1] if i else candles.open[0])
