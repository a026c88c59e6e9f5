"""Books from fills: average cost, realised gross, fees beside, and sums that agree to the last digit."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core.accounting import Holding, Trade, books_of, trade
from trading.core.types import Side

BUY, SELL = Side.BUY, Side.SELL


def book(*fills):
    return books_of([Trade(side, D(price), D(qty), D(fee)) for side, price, qty, fee in fills], D(1000))


def test_average_cost_and_gross_realised():
    books = book((BUY, "100", "1", "0.1"), (BUY, "110", "1", "0.11"), (SELL, "120", "1.5", "0.18"))
    holding = books.holding
    assert (holding.qty, holding.avg_price, holding.cost) == (D("0.5"), D(105), D("52.5"))
    assert holding.realised == D("22.5")
    assert holding.fees == D("0.39")
    assert books.cash == D(1000) - 100 - 110 + 180 - D("0.39")
    assert holding.unrealised(D(100)) == D("-2.5")
    assert holding.total(D(100)) == D("22.5") - D("2.5") - D("0.39")
    assert books.equity(D(100)) == 1000 + holding.total(D(100))


def test_closing_the_whole_position_leaves_no_crumb_of_cost():
    books = book((BUY, "100", "3", "0"), (SELL, "101", "1", "0"), (SELL, "101", "1", "0"), (SELL, "101", "1", "0"))
    assert (books.holding.qty, books.holding.cost, books.holding.realised) == (0, 0, 3)


def test_a_cost_that_does_not_divide_evenly_loses_nothing():
    holding = Holding()
    holding.apply(BUY, D(100), D("0.3"), D(0))
    holding.apply(BUY, D("0.01"), D("0.4"), D(0))
    realised = sum(holding.apply(SELL, D(50), D("0.1"), D(0)) for _ in range(7))
    assert realised == holding.realised == D("0.7") * 50 - D("30.004")


def test_through_zero_closes_first_and_opens_with_the_rest():
    holding = Holding()
    holding.apply(BUY, D(100), D(1), D(0))
    assert holding.apply(SELL, D(110), D(3), D(0)) == 10
    assert (holding.qty, holding.cost, holding.avg_price) == (-2, -220, 110)
    assert holding.apply(BUY, D(100), D(2), D(0)) == 20
    assert (holding.qty, holding.cost, holding.realised) == (0, 0, 30)


def test_a_trades_fee_is_on_its_notional():
    assert trade(BUY, D("33.33"), D("0.1"), D("0.001")) == Trade(BUY, D("33.33"), D("0.1"), D("0.003333"))


def test_flat_has_no_average_price():
    assert Holding().avg_price == 0


price = st.decimals(D("0.01"), D(100_000), places=4)
qty = st.decimals(D("0.00000001"), D(1000), places=8)
fill = st.builds(trade, st.sampled_from([BUY, SELL]), price, qty, st.sampled_from([D(0), D("0.001"), D("0.00075")]))


@given(st.lists(fill, max_size=30), price)
def test_realised_unrealised_and_fees_make_the_total_exactly(fills, last):
    books = books_of(fills, D(1_000_000))
    holding = books.holding
    assert holding.total(last) == holding.realised + holding.unrealised(last) - holding.fees
    assert books.equity(last) == D(1_000_000) + holding.total(last)
    assert holding.qty == sum((f.qty if f.side is BUY else -f.qty) for f in fills)
    assert holding.fees == sum(f.fee for f in fills)
    assert books.fills == len(fills)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_opening_realises_nothing(side):
    assert Holding().apply(side, D(7), D(2), D(1)) == 0
