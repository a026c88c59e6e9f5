"""The vectorised pass gives what the decision loop gives, fill for fill, or steps aside."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from core_builders import Recording, candles_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_indicator_windows import market

from bench.ours import candles_of as columns_to_candles
from bench.series import file_series
from bots.strategies.ema_cross import EmaCross, EmaCrossParams
from trading.core.needs import MarketRef, Needs, SignalSpec, Value
from trading.core.simoptions import SimMarket, SimOptions
from trading.core.simulation import simulate
from trading.core.types import Command, DecisionTable, MarketRules, Perpetual
from trading.core.vectorised import vectorised_result

RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"))
LOOP = SimOptions(vectorise=False)
STRATEGY = EmaCross()


def at_once(candles, params, *, cash="1000000", fee="0.001", rules=RULES, options=None, strategy=STRATEGY):
    needs = strategy.needs(params)
    markets = {"main": SimMarket(candles, rules)}
    money = {"cash": Decimal(cash), "fee": Decimal(fee)}
    return vectorised_result(strategy, params, needs, markets, **money, options=options or SimOptions())


def in_the_loop(candles, params, *, cash="1000000", fee="0.001", rules=RULES, strategy=STRATEGY):
    return simulate(strategy, params, candles, cash=Decimal(cash), fee=Decimal(fee), rules=rules, options=LOOP)


def check_same(fast, slow) -> None:
    assert fast.fills.slot == slow.fills.slot
    assert fast.fills.tag == slow.fills.tag
    for column in ("candle", "ts", "market", "gen", "side", "price", "qty"):
        ours, theirs = getattr(fast.fills, column), getattr(slow.fills, column)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs), column
    assert fast.sha256() == slow.sha256()
    assert (fast.orders, fast.decisions, fast.denials, fast.finish, fast.funding) == (
        slow.orders, slow.decisions, slow.denials, slow.finish, slow.funding,
    )  # fmt: skip
    assert fast.books() == slow.books()


_rows = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=120)
_spans = st.tuples(st.integers(1, 6), st.integers(1, 12)).map(lambda p: (p[0], p[0] + p[1]))


@given(_rows, _spans, st.sampled_from(["0.001", "0.5", "3"]), st.sampled_from(["50", "400", "1200", "1000000"]),
       st.sampled_from(["0", "2", "150"]))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_on_random_candles_it_is_the_loop_or_nothing(rows, spans, quantity, cash, smallest):
    candles = candles_of(*((float(o), float(max(o, c)), float(min(o, c)), float(c)) for o, c in rows))
    params = EmaCrossParams(fast=spans[0], slow=spans[1], quantity=quantity)
    rules = replace(RULES, min_notional=Decimal(smallest))
    fast = at_once(candles, params, cash=cash, rules=rules)
    if fast is not None:
        check_same(fast, in_the_loop(candles, params, cash=cash, rules=rules))
    else:
        assert cash != "1000000" or smallest != "0"  # nothing binds then


@pytest.mark.parametrize("seed", range(5))
def test_on_a_long_walk_it_is_the_loop(seed: int):
    candles, params = market(20_000, seed=seed), EmaCrossParams(fast=5, slow=20, quantity="0.3")
    fast = at_once(candles, params)
    assert fast is not None
    assert len(fast.fills) > 500
    check_same(fast, in_the_loop(candles, params))


@pytest.mark.parametrize("name", ["btc-perp-1m-2022-01.parquet", "eth-usd-1m-2019-h2.parquet"])
def test_on_real_candles_it_is_the_loop(name: str, reference):
    candles = columns_to_candles(file_series(reference / "data" / name))
    params = EmaCrossParams(quantity=1)
    fast = at_once(candles, params)
    assert fast is not None
    check_same(fast, in_the_loop(candles, params))


WALK = market(300, seed=2)
PARAMS = EmaCrossParams(fast=2, slow=5, quantity=1)


@pytest.mark.parametrize(
    "case",
    [
        {"options": LOOP},
        {"options": SimOptions(slippage_ratio=0.001)},
        {"options": SimOptions(half_spread_ratio=0.001)},
        {"options": SimOptions(start_ms=int(WALK.ts[50]))},
        {"options": SimOptions(commands=((0, Command("pause")),))},
        {"rules": replace(RULES, min_qty=Decimal(2))},
        {"rules": replace(RULES, min_notional=Decimal(10_000))},
        {"rules": replace(RULES, perpetual=Perpetual())},
        {"cash": "100"},
        {"strategy": Recording(EmaCross())},
    ],
)
def test_it_steps_aside_when_anything_else_could_matter(case):
    assert at_once(WALK, PARAMS, **case) is None
    assert at_once(WALK, PARAMS) is not None


class TwoSizes(EmaCross):
    """Its table holds two quantities: going from one to the other is no market order of one slot."""

    def table(self, params):
        return DecisionTable("main", "side", {True: 2.0, False: 1.0})


class TwoSignals(EmaCross):
    def needs(self, params):
        signals = dict(super().needs(params).signals)
        return Needs({"main": MarketRef("")}, {**signals, "other": SignalSpec("main", Value("close"))})


@pytest.mark.parametrize("strategy", [TwoSizes(), TwoSignals()])
def test_a_table_that_says_more_than_in_or_out_is_left_to_the_loop(strategy):
    assert at_once(WALK, PARAMS, strategy=strategy) is None
