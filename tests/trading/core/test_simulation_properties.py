"""What must hold for every strategy on every series: no look-ahead, no overspending, the same again."""

from __future__ import annotations

from decimal import Decimal

import pytest
from core_builders import MINUTE, Recording, Scripted, buy, candles_of, market_sell, random_candle, run, sell
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.strategies.registry import get_strategy
from trading.core.accounting import books_of
from trading.core.candles import Candles
from trading.core.params import parse_params
from trading.core.types import Decision, Side

series = st.lists(random_candle(), min_size=4, max_size=60).map(lambda rows: candles_of(*rows))

GRIDS = st.fixed_dictionaries(
    {
        "lower": st.integers(85, 97),
        "upper": st.integers(103, 115),
        "levels": st.integers(3, 6),
        "spacing": st.sampled_from(["arithmetic", "geometric"]),
        "investment": st.integers(300, 1500),  # now and then more than there is
    },
    optional={"stop_price": st.integers(80, 84), "take_profit_price": st.integers(116, 120)},
)
EMAS = st.builds(
    lambda fast, more, qty: {"fast": fast, "slow": fast + more, "quantity": qty},
    st.integers(1, 4),
    st.integers(1, 6),
    st.sampled_from(["0.5", "9.95"]),
)
setups = st.one_of(st.tuples(st.just("grid"), GRIDS), st.tuples(st.just("ema_cross"), EMAS))


def play(setup, candles):
    key, raw = setup
    strategy = Recording(get_strategy(key))
    return run(strategy, candles, params=parse_params(strategy.params, raw)), strategy.log


def rows(result):
    fills = result.fills
    columns = (fills.candle, fills.ts, fills.gen, fills.side, fills.price, fills.qty)
    return list(zip(fills.slot, *(column.tolist() for column in columns), strict=True))


@given(setups, series, st.data())
@settings(max_examples=150, deadline=None)
def test_cutting_the_future_off_changes_no_earlier_decision_and_no_earlier_fill(setup, candles, data):
    cut = data.draw(st.integers(2, len(candles)))
    full, told = play(setup, candles)
    early, told_early = play(setup, candles.slice(0, cut))
    assert told_early == told[: len(told_early)]
    assert rows(early) == [row for row in rows(full) if row[1] < cut]
    later = told[len(told_early) :]
    assert all(entry[0] >= candles.ts[cut - 1] + MINUTE for entry in later[:1])


@given(setups, series)
@settings(max_examples=150, deadline=None)
def test_the_budget_is_never_exceeded_and_nothing_is_sold_that_is_not_there(setup, candles):
    result, log = play(setup, candles)
    trades = list(result.trades())
    for count in range(len(trades) + 1):
        books = books_of(trades[:count], result.cash)
        assert books.cash >= 0
        assert books.holding.qty >= 0
    for _, _, budget, *_ in log:
        assert min(budget.values()) >= 0


@given(setups, series)
@settings(max_examples=100, deadline=None)
def test_the_books_add_up_to_the_last_digit(setup, candles):
    result, _ = play(setup, candles)
    books, price = result.books(), Decimal(str(candles.close[-1]))
    holding = books.holding
    assert holding.realised + holding.unrealised(price) - holding.fees == holding.total(price)
    assert books.equity(price) == result.cash + holding.total(price)
    assert float(books.equity(price)) == pytest.approx(result.equity()[-1], rel=1e-12)
    assert holding.qty == sum((t.qty if t.side is Side.BUY else -t.qty) for t in result.trades())


@given(setups, series)
@settings(max_examples=50, deadline=None)
def test_the_same_run_gives_the_same_answer(setup, candles):
    first, told = play(setup, candles)
    again, told_again = play(setup, candles)
    assert told == told_again
    assert first.sha256() == again.sha256()
    assert (first.orders, first.denials, first.decisions) == (again.orders, again.denials, again.decisions)


@given(series)
@settings(max_examples=50, deadline=None)
def test_every_fill_lies_on_the_path_of_its_candle(candles):
    result, _ = play(("grid", {"lower": 90, "upper": 110, "levels": 6, "investment": 900}), candles)
    for i, price in zip(result.fills.candle.tolist(), result.fills.price.tolist(), strict=True):
        assert candles.low[i] <= price <= candles.high[i]
    assert (result.fills.candle[1:] >= result.fills.candle[:-1]).all()


def test_the_hash_is_that_of_the_contracts_lines():
    """Written out by hand from the contract: a gap, a fill inside a candle, and a market order."""
    answers = {
        1: {"grid:1": buy(95, 1.5)},
        2: {"grid:1": buy(95, 1.5), "exit": sell(101.5, 0.5)},
        3: {"flat": market_sell(1.0, gen=3)},
    }
    strategy = Scripted(lambda state, view: Decision(None, answers.get(view.number, {})))
    candles = candles_of((100, 101, 99, 100), (94.25, 102, 94, 101), start=1_640_991_660_000)
    result = run(strategy, candles)
    assert "".join(result.lines()) == (
        "1640991720000,grid:1,1,buy,94.25,1.5,0.141375\n"
        "1640991720000,exit,1,sell,102,0.5,0.051\n"
        "1640991720000,flat,3,sell,102,1,0.102\n"
    )
    assert result.sha256() == "99e713c4af018cb7d1750595b781d277c1b2e1c85c83ce4aaaf266f177f84f6b"


def test_a_run_without_fills_has_the_hash_of_nothing():
    result = run(Scripted(lambda state, view: Decision(None, {})), candles_of((100, 101, 99, 100)))
    assert result.sha256() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert len(result.fills) == 0
    assert result.books().equity(Decimal(100)) == result.cash


def test_read_only_and_strided_columns_are_taken_too():
    import numpy as np

    block = np.array([[100, 101, 99, 100], [99, 100, 95, 97]], dtype=np.float64)
    block.flags.writeable = False
    candles = Candles.of([0, MINUTE], *block.T)
    result = run(Scripted(lambda state, view: Decision(None, {"a": buy(96)})), candles)
    assert result.fills.price.tolist() == [96.0]
