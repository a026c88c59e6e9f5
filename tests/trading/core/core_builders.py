"""Candles, rules and tiny strategies for tests of the pure core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from trading.core.candles import Candles
from trading.core.needs import MarketRef, Needs
from trading.core.simulation import SimOptions, simulate
from trading.core.types import Decision, Kind, MarketRules, MarketSnapshot, Side, Trigger, View, Want

MINUTE = 60_000
RULES = MarketRules("BTC", "USDT", Decimal(1), Decimal("0.001"))
CASH = Decimal(1000)
FEE = Decimal("0.001")


def candles_of(*rows: tuple[float, float, float, float], start: int = 0, timeframe: int = MINUTE) -> Candles:
    """Candles from (open, high, low, close), one a minute."""
    columns = list(zip(*rows, strict=True))
    return Candles.of([start + k * timeframe for k in range(len(rows))], *columns)


def flat(*prices: float) -> Candles:
    return candles_of(*((p, p, p, p) for p in prices))


def kept(market: Any) -> Any:
    """A copy of what a market shows now: the view itself is valid during the decision only."""
    names = [field.name for field in fields(MarketSnapshot)]
    return MarketSnapshot(**{name: getattr(market, name) for name in names}) if hasattr(market, "low_since") else market


class Scripted:
    """A strategy from a function (state, view) -> Decision; keeps what it was shown."""

    def __init__(self, decide: Callable[[Any, View], Decision], signals: dict[str, Any] | None = None) -> None:
        self._decide = decide
        self._signals = signals or {}
        self.seen: list[tuple[int, float, tuple[Any, ...]]] = []
        self.views: list[View] = []
        self.markets: list[Any] = []

    def needs(self, params: Any) -> Needs:
        return Needs({"main": MarketRef("BTC/USDT")}, self._signals)

    def decide(self, params: Any, state: Any, view: View) -> Decision:
        self.seen.append((view.now_ms, view.markets["main"].last, view.inbox))
        self.views.append(replace(view, slots=dict(view.slots), budget=dict(view.budget)))
        self.markets.append(kept(view.markets["main"]))
        return self._decide(state, view)


class Recording:
    """A real strategy, and what it was told and answered at each decision."""

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy
        self.log: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def decide(self, params: Any, state: Any, view: View) -> Decision:
        decision = self._strategy.decide(params, state, view)
        market = view.markets["main"]
        told = (view.now_ms, view.number, dict(view.budget), view.inbox, market.last, market.position, market.signals)
        self.log.append((*told, market.low_since, market.high_since, dict(decision.orders), decision.wake))
        return decision


def run(
    strategy: Any, candles: Candles, *, params: Any = None, cash: Any = CASH, fee: Any = FEE, rules: Any = RULES, **more
):
    """Backtest on one market; `more` are options."""
    options = SimOptions(**more)
    return simulate(strategy, params, candles, cash=Decimal(cash), fee=Decimal(fee), rules=rules, options=options)


def fills(result: Any) -> list[tuple[int, str, float]]:
    """(candle, slot, price) of each fill."""
    return list(zip(result.fills.candle.tolist(), result.fills.slot, result.fills.price.tolist(), strict=True))


def buy(price: float, qty: float = 1.0, gen: int = 1) -> Want:
    return Want("main", Side.BUY, Kind.LIMIT, qty, price=price, gen=gen)


def sell(price: float, qty: float = 1.0, gen: int = 1) -> Want:
    return Want("main", Side.SELL, Kind.LIMIT, qty, price=price, gen=gen)


def market_buy(qty: float = 1.0, gen: int = 1) -> Want:
    return Want("main", Side.BUY, Kind.MARKET, qty, gen=gen)


def market_sell(qty: float = 1.0, gen: int = 1) -> Want:
    return Want("main", Side.SELL, Kind.MARKET, qty, gen=gen)


def stop_sell(level: float, qty: float = 1.0, gen: int = 1) -> Want:
    return Want("main", Side.SELL, Kind.STOP, qty, trigger=Trigger(level), gen=gen)


def once(orders: dict[str, Want], **more: Any) -> Scripted:
    """Want the same orders for ever."""
    return Scripted(lambda state, view: Decision(state, orders, **more))


# --- random candles -------------------------------------------------------------------------------------------------

_PRICE = st.integers(90, 110)


@st.composite
def random_candle(draw: Any) -> tuple[int, int, int, int]:
    low, a, b, high = sorted(draw(st.lists(_PRICE, min_size=4, max_size=4)))
    return (a, high, low, b) if draw(st.booleans()) else (b, high, low, a)


random_candles = st.lists(random_candle(), min_size=1, max_size=12).map(lambda rows: candles_of(*rows))


@st.composite
def random_script(draw: Any) -> list[tuple[Any, ...]]:
    """Changes that a strategy makes, one at each decision: (slot, side, kind, price, quantity),
    a slot to drop, or (slot, price, quantity) of a limit order to amend."""
    place = st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.sampled_from([Kind.LIMIT, Kind.LIMIT, Kind.STOP, Kind.MARKET, Kind.TRAILING]),
        _PRICE.map(float),
        st.sampled_from([0.0005, 0.5, 1.0, 2.0, 6.0]),
    )
    drop = st.tuples(st.sampled_from("abcd"))
    amend = st.tuples(st.sampled_from("abcd"), _PRICE.map(float), st.sampled_from([0.5, 1.0, 6.0]))
    changes = st.lists(st.one_of(place, place, drop, amend), max_size=3)
    return draw(st.lists(changes, min_size=1, max_size=20))
