"""Margin, liquidation and funding of perpetuals, held against their definitions, and the books that use them."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core.accounting import Holding, account_books, books_of, trade
from trading.core.perps import (
    bankruptcy_price,
    funding_amount,
    funding_times,
    initial_margin,
    liquidation_levels,
    liquidation_price,
    margin_released,
)
from trading.core.rounding import notional
from trading.core.types import Perpetual, Side

HOUR = 3_600_000
price = st.decimals(D("0.01"), D(100_000), places=4)
qty = st.decimals(D("0.00000001"), D(1000), places=8)
leverage = st.sampled_from([D(1), D(2), D(3), D("7.5"), D(10), D(100)])
rate = st.sampled_from([D("0.004"), D("0.005"), D("0.01")])


def test_a_long_with_ten_times_leverage():
    assert initial_margin(D("0.5"), D(20_000), D(10)) == 1000
    assert bankruptcy_price(D(20_000), D(10), long=True) == 18_000
    assert liquidation_price(D(20_000), D(10), D("0.005"), long=True) == D("18090.452261306532663317")


def test_a_short_with_ten_times_leverage():
    assert initial_margin(D("-0.5"), D(20_000), D(10)) == 1000
    assert bankruptcy_price(D(20_000), D(10), long=False) == 22_000
    assert liquidation_price(D(20_000), D(10), D("0.005"), long=False) == D("21890.547263681592039801")


def test_a_long_without_leverage_is_never_liquidated():
    assert liquidation_price(D(100), D(1), D("0.005"), long=True) == 0


def test_levels_stand_on_the_tick_towards_the_entry():
    assert liquidation_levels(D(100), D(3), Perpetual(), D("0.1"), long=True) == (D("67.1"), D("66.7"))
    assert liquidation_levels(D(100), D(3), Perpetual(), D("0.1"), long=False) == (D("132.6"), D("133.3"))


@given(price, leverage, st.booleans())
def test_at_the_bankruptcy_price_the_margin_is_gone(entry, times, long):
    sign = 1 if long else -1
    left = initial_margin(D(sign), entry, times) + sign * (bankruptcy_price(entry, times, long) - entry)
    assert abs(left) <= D("2e-18")


@given(price, leverage.filter(lambda times: times > 1), rate, st.booleans())
def test_at_the_liquidation_price_the_maintenance_margin_is_left(entry, times, maintenance, long):
    sign = 1 if long else -1
    at = liquidation_price(entry, times, maintenance, long)
    left = initial_margin(D(sign), entry, times) + sign * (at - entry)
    assert abs(left - maintenance * at) <= D("3e-18")


@given(price, leverage, rate, st.booleans())
def test_liquidation_comes_before_bankruptcy(entry, times, maintenance, long):
    levels = liquidation_levels(entry, times, Perpetual(maintenance_rate=maintenance), D("0.01"), long)
    assert levels.liquidation >= levels.bankruptcy if long else levels.liquidation <= levels.bankruptcy


def test_funding_is_paid_by_longs_and_got_by_shorts():
    assert funding_amount(D(2), D(30_000), D("0.0001")) == -6
    assert funding_amount(D(-2), D(30_000), D("0.0001")) == 6
    assert funding_amount(D(2), D(30_000), D("-0.0001")) == 6


def test_funding_times_are_full_multiples_after_the_first_and_up_to_the_last():
    assert list(funding_times(0, 24 * HOUR, 8 * HOUR)) == [8 * HOUR, 16 * HOUR, 24 * HOUR]
    assert list(funding_times(8 * HOUR - 1, 8 * HOUR, 8 * HOUR)) == [8 * HOUR]
    assert list(funding_times(8 * HOUR, 8 * HOUR, 8 * HOUR)) == []


@given(st.lists(qty, min_size=1, max_size=12), st.decimals(D("0.01"), D(1_000_000), places=18))
def test_margin_comes_back_whole_over_any_pieces(pieces, locked):
    held, margin = sum(pieces, D(0)), locked
    for piece in pieces:
        released = margin_released(margin, piece, held)
        assert 0 <= released <= margin
        margin, held = margin - released, held - piece
    assert margin == 0


# --- the books of perpetual positions


def test_a_short_earns_from_a_fall_and_frees_its_margin_pro_rata():
    holding = Holding(leverage=D(4))
    holding.apply(Side.SELL, D(100), D(2), D(0))
    assert (holding.qty, holding.cost, holding.margin) == (-2, -200, 50)
    assert holding.apply(Side.BUY, D(90), D("0.5"), D(0)) == 5
    assert (holding.qty, holding.margin, holding.unrealised(D(90))) == (D("-1.5"), D("37.5"), 15)


def test_a_fill_through_zero_frees_all_margin_and_locks_that_of_the_rest():
    holding = Holding(leverage=D(10))
    holding.apply(Side.BUY, D(100), D(1), D(0))
    assert holding.apply(Side.SELL, D(120), D(3), D(0)) == 20
    assert (holding.qty, holding.cost, holding.margin) == (-2, -240, 24)


def test_closing_whole_leaves_no_margin():
    books = books_of([trade(Side.BUY, D(7), D(3), D(0)), trade(Side.SELL, D(8), D(3), D(0))], D(100), D(3))
    assert (books.holding.margin, books.cash) == (0, 103)


event = st.one_of(
    st.tuples(st.sampled_from(["spot", "perp", "other"]), st.sampled_from(list(Side)), price, qty),
    st.tuples(st.sampled_from(["perp", "other"]), st.none(), price, st.sampled_from([D("0.0001"), D("-0.000375")])),
)


@given(st.lists(event, max_size=30), st.tuples(price, price, price), leverage)
def test_the_books_of_several_markets_agree_to_the_last_digit(events, last, times):
    books = account_books(D(1_000_000), {"spot": None, "perp": times, "other": D(3)})
    prices = dict(zip(books.holdings, last, strict=True))
    for alias, side, at, amount in events:
        if side is None:
            books.fund(alias, funding_amount(books.holdings[alias].qty, at, amount))
        else:
            books.book(alias, trade(side, at, amount, D("0.00075")))
    held = books.holdings.values()
    parts = [
        sum(h.realised for h in held),
        sum(h.unrealised(prices[alias]) for alias, h in books.holdings.items()),
        -sum(h.fees for h in held),
        sum(h.funding for h in held),
    ]
    assert books.total(prices) == sum(parts)
    value = sum(h.margin + h.unrealised(prices[a]) for a, h in books.holdings.items() if h.leverage is not None)
    value += notional(books.holdings["spot"].qty, prices["spot"])
    assert books.cash + value == books.equity(prices) == D(1_000_000) + books.total(prices)
    assert all((h.qty == 0) == (h.margin == 0) for h in held if h.leverage is not None and abs(h.cost) > D("1e-12"))


@pytest.mark.parametrize("times", [D(3), D(7), D("12.5")])
def test_the_margin_of_many_small_closes_loses_nothing(times):
    holding = Holding(leverage=times)
    holding.apply(Side.BUY, D("33.33"), D("0.7"), D(0))
    for _ in range(7):
        holding.apply(Side.SELL, D(40), D("0.1"), D(0))
    assert (holding.qty, holding.cost, holding.margin) == (0, 0, 0)
