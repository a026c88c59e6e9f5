"""An indicator is computed once for each market, length of candles and arguments, however many bots ask for it."""

from __future__ import annotations

import pytest

from bots.models import Bot
from exchanges.models import Market
from exchanges.services import candles_save
from tests.factories import BotFactory, MarketFactory, candled, priced
from trading.core.candles import Candles
from trading.core.conditions import parse_condition
from trading.core.indicators import INDICATORS, Series
from trading.core.needs import MarketRef, Needs, SignalSpec, Value
from trading.core.series_set import series_of
from trading.core.types import Bar
from trading.services.listening import signal_wakes_replace, signals_changed
from trading.signals import HUB

pytestmark = pytest.mark.django_db
MINUTE = 60_000
STORED = 200
START = 1_700_000_000_000 // MINUTE * MINUTE  # of `candled`


class Counting:
    """The close, by a recursion that counts what it is fed and a column that counts how often it is computed."""

    name, title, outputs, columns, seed = "counting", "Close", ("",), ("close",), "the first close"
    args = INDICATORS["sma"].args

    def __init__(self) -> None:
        self.begun = self.fed = self.columns_made = 0

    def check(self, args):
        INDICATORS["sma"].check(args)

    def lookback(self, args):
        return 0

    def outputs_of(self, candles, args, *, fast=False):
        self.columns_made += 1
        return (Series(candles.close, 0),)

    def running(self, args):
        self.begun += 1
        return self

    def update(self, bar):
        self.fed += 1
        return bar.close


@pytest.fixture
def counting():
    """On the shelf for one test."""
    INDICATORS["counting"] = Counting()
    yield INDICATORS["counting"]
    del INDICATORS["counting"]


def needs_of(*periods: int) -> Needs:
    """Two signals that look at the same values: one is the value, one a condition on it."""
    signals = {f"value {n}": SignalSpec("main", Value("counting", (n,))) for n in periods}
    signals |= {f"high {n}": SignalSpec("main", parse_condition(f"counting({n}) > 100")) for n in periods}
    return Needs({"main": MarketRef("")}, signals)


def close_a_minute(market: Market, nth: int) -> None:
    """Store and tell the nth minute after those of `candled`."""
    ts_ms = START + (STORED + nth) * MINUTE
    close = 110.0 if nth % 2 else 90.0
    bar = Bar(ts_ms, close, close, close, close, 1.0)
    candles_save(market=market, timeframe_ms=MINUTE, candles=Candles.from_bars([bar]))
    signals_changed(market, MINUTE, [bar], ts_ms + MINUTE)


def ask(bots: list[Bot], market: Market, needs: Needs) -> list[dict]:
    """Let every bot look at its signals, as a decision does, and wait for all of them."""
    found = []
    for bot in bots:
        found.append(HUB.values({"main": market}, needs, MINUTE))
        signal_wakes_replace(bot, {"main": market}, needs, list(needs.signals))
    return found


def test_live_one_pass_over_the_stored_candles_serves_all_bots(counting):
    market = candled(priced(MarketFactory()), STORED)
    bots = [BotFactory(market=market) for _ in range(20)]
    ask(bots, market, needs_of(5))
    assert (counting.begun, counting.fed) == (1, STORED)
    for nth in range(10):
        close_a_minute(market, nth)
        found = ask(bots, market, needs_of(5))
        assert {one["value 5"] for one in found} == {110.0 if nth % 2 else 90.0}
    assert (counting.begun, counting.fed) == (1, STORED + 10)


def test_live_other_arguments_and_other_markets_are_others(counting):
    first, second = (candled(priced(MarketFactory(symbol=name)), STORED) for name in ("BTC/USDT", "ETH/USDT"))
    for market in (first, second, first):
        ask([BotFactory(market=market)], market, needs_of(5, 6))
    assert (counting.begun, counting.fed) == (4, 4 * STORED)


def test_a_backtest_computes_each_once_for_all_its_signals(counting):
    rows = [Bar(START + k * MINUTE, 100.0, 100.0, 100.0, 100.0, 1.0) for k in range(50)]
    series_of(needs_of(5, 6), {"main": Candles.from_bars(rows)})
    assert counting.columns_made == 2
