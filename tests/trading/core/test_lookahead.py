"""The look-ahead check: honest strategies pass, and each way of cheating is found and named."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from core_builders import CASH, FEE, MINUTE, RULES, Scripted, candles_of, market_buy

from bots.strategies.registry import get_strategy
from trading.core.conditions import parse_condition
from trading.core.indicators import INDICATORS, Series
from trading.core.lookahead import look_ahead, series_difference
from trading.core.needs import DerivedSpec, MarketRef, Needs, SignalSpec, Value
from trading.core.params import parse_params
from trading.core.series_set import DerivedSeries, SeriesSet, series_of
from trading.core.simulation import simulate
from trading.core.types import Decision, Wake

WAVE = candles_of(*((p, p + 2, p - 2, p + (1 if k % 20 < 10 else -1)) for k, p in enumerate(90 + (np.arange(80) % 20))))


def run(strategy, markets, params=None):
    result = simulate(strategy, params, markets["main"], cash=CASH, fee=FEE, rules=RULES)
    return [(int(line.split(",")[0]), line) for line in result.lines()]


def check(strategy, *cuts, params=None, run=run):
    return look_ahead(lambda one, markets: run(one, markets, params), strategy, params, {"main": WAVE}, cuts)


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("ema_cross", {"fast": 2, "slow": 4, "quantity": Decimal(1)}),
        ("grid", {"lower": 88, "upper": 112, "levels": 9, "investment": 900}),
    ],
)
def test_an_honest_strategy_passes_at_every_cut(key, raw):
    strategy = get_strategy(key)
    params = parse_params(strategy.params, raw)
    assert len(run(strategy, {"main": WAVE}, params)) > 4
    assert check(strategy, *range(2, 81), params=params) is None


def test_longer_candles_give_nothing_away_before_they_close():
    """Whole candles of five minutes, in a signal of their own and inside a condition, at every cut between minutes."""
    up = parse_condition("on 5m: close > sma(2)")
    signals = {
        "bar": SignalSpec("main", Value("close"), 5 * MINUTE),
        "above": SignalSpec("main", parse_condition("close > sma(3)"), 5 * MINUTE),
        "up": SignalSpec("main", up),
    }
    assert check(Scripted(lambda state, view: Decision(None, {}), signals), *range(2, 81)) is None
    series = series_of(Needs({"main": MarketRef("")}, signals), {"main": WAVE})
    assert all(len(series.signal(name).changes()) > 5 for name in signals)


class Buyer(Scripted):
    """Buys once at the candle whose open time `knows` says, and knows from the engine how long the series is."""

    def __init__(self, when):
        super().__init__(lambda state, view: self.answer(view))
        self.when = when
        self.length = 0

    def answer(self, view):
        here = view.now_ms >= self.when(self.length)
        return Decision(None, {"in": market_buy()} if here else {}, Wake(at_ms=view.now_ms + 60_000))


def leaky(strategy, markets, params=None):
    """An engine that tells the strategy how many candles there are in all."""
    strategy._strategy.length = len(markets["main"])
    return run(strategy, markets, params)


def test_a_decision_that_knows_the_length_of_the_series_is_found():
    strategy = Buyer(lambda length: (length // 4) * 60_000)  # at 20 of 80 candles, at 10 of 40
    found = check(strategy, 80, 40, run=leaky)
    assert (found.cut, found.candle, found.ts_ms) == (40, 10, 600_000)
    assert found.what.startswith("decision")
    assert "orders" in found.cut_off


def test_a_decision_that_is_missing_without_the_future_is_found():
    strategy = Buyer(lambda length: 0 if length == 80 else 10**12)
    found = check(strategy, 30, run=leaky)
    assert found.cut == 30
    assert found.candle == 0


def test_a_fill_that_changes_is_found_even_when_no_decision_does():
    def better(strategy, markets, params=None):
        low = markets["main"].low.min()
        return [(ts, f"{line.strip()} at {low}") for ts, line in run(strategy, markets, params)]

    strategy = get_strategy("ema_cross")
    params = parse_params(strategy.params, {"fast": 2, "slow": 4, "quantity": 1})
    rising = candles_of(*((p, p, p, p) for p in [*range(100, 110), *range(110, 60, -1)]))
    found = look_ahead(lambda one, markets: better(one, markets, params), strategy, params, {"main": rising}, [12])
    assert found.what == "fill 1"
    assert found.whole != found.cut_off


class Peek:
    """An indicator that is the close of the next candle."""

    name, title, args, outputs, columns, seed = "peek", "Next close", (), ("",), ("close",), ""

    def check(self, args):
        assert not args

    def lookback(self, args):
        return 0

    def outputs_of(self, candles, args, *, fast=False):
        return (Series(np.append(candles.close[1:], candles.close[-1]), 0),)

    def running(self, args):
        return None


@pytest.fixture
def peek():
    """The cheating indicator, on the shelf for one test."""
    INDICATORS["peek"] = Peek()
    yield Value("peek")
    del INDICATORS["peek"]


def test_a_signal_that_looks_ahead_is_found_at_the_candle_before_the_cut(peek):
    honest = Scripted(lambda state, view: Decision(None, {}), {"side": SignalSpec("main", Value("ema_side", (2, 5)))})
    assert check(honest, *range(2, 81)) is None
    cheat = Scripted(lambda state, view: Decision(None, {}), {"next": SignalSpec("main", peek)})
    found = check(cheat, 50, 60)
    assert (found.cut, found.candle, found.what) == (50, 49, "signal next")
    assert (float(found.whole), float(found.cut_off)) == (WAVE.close[50], WAVE.close[49])


def test_a_derived_series_that_looks_ahead_is_found():
    values = np.arange(10.0)
    whole, early = (SeriesSet({}, {"spread": DerivedSeries(v)}) for v in (values, np.append(values[:4], 9.0)))
    needs = Needs({"main": MarketRef("")}, derived={"spread": DerivedSpec((("main", 1.0),))})
    assert series_difference(needs, whole, whole, 5) is None
    assert series_difference(needs, whole, early, 5) == (4, "derived series spread", "4.0", "9.0")


def test_no_value_yet_is_like_no_value_yet():
    values = np.array([np.nan, np.nan, 1.0])
    series = SeriesSet({}, {"spread": DerivedSeries(values)})
    needs = Needs({"main": MarketRef("")}, derived={"spread": DerivedSpec((("main", 1.0),))})
    assert series_difference(needs, series, SeriesSet({}, {"spread": DerivedSeries(values[:2])}), 2) is None
