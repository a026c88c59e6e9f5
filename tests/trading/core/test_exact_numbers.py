"""Numbers of 18 decimals and lots of a hundred-millionth: a size is never rounded up, and sums lose nothing (F42)."""

from __future__ import annotations

import random
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from trading.core.accounting import Holding, Trade, books_of
from trading.core.caps import caps
from trading.core.rounding import fee_of, money, notional, plain, price_to_tick, qty_to_lot, to_decimal, to_grid
from trading.core.types import Side

STORED = Decimal("1e-18")
LOTS = st.sampled_from([Decimal(text) for text in ("1e-18", "1e-8", "0.00001", "0.001", "0.07", "1", "3", "1000")])
STEPS_HELD = st.integers(0, 2**52 - 1)
CRUMBS = st.integers(0, 10**18 - 1).map(lambda n: n * STORED)


def money_of(digits: int) -> st.SearchStrategy[Decimal]:
    """Any amount as it is stored: up to so many digits before the point, and 18 behind it."""
    return st.integers(0, 10 ** (digits + 18) - 1).map(lambda n: n * STORED)


# --- the grid ---------------------------------------------------------------------------------------------------------


@given(STEPS_HELD, LOTS, CRUMBS)
@example(0, Decimal(1), Decimal("0.9999999999"))  # within a float's noise of a lot, and yet less than one
@example(123_456, Decimal("0.001"), Decimal("0.999999999999999999"))
def test_a_quantity_goes_down_to_the_lot_and_never_up(whole, lot, crumb):
    held = money(whole * lot + crumb * lot)
    if held / lot >= 2**52:
        return
    rounded = qty_to_lot(held, lot)
    assert rounded == (held / lot).to_integral_value(rounding=ROUND_FLOOR) * lot
    assert 0 <= held - rounded < lot


@given(st.floats(0, 1e6), st.sampled_from([Decimal("1e-8"), Decimal("0.001"), Decimal(1)]))
def test_a_floats_quantity_is_never_above_what_it_stands_for(value, lot):
    """By no more than the noise of a float, which is far below what is stored beside a lot."""
    assert qty_to_lot(value, lot) <= to_decimal(value) + max(Decimal("1e-9") * lot, to_decimal(value) / 2**48)


@given(STEPS_HELD, LOTS)
def test_a_quantity_on_the_lot_stays_as_it_is(whole, lot):
    assert qty_to_lot(whole * lot, lot) == whole * lot


@given(STEPS_HELD, LOTS, CRUMBS, st.sampled_from(Side))
def test_a_price_goes_to_its_safe_side(whole, tick, crumb, side):
    price = money(whole * tick + crumb * tick)
    if price / tick >= 2**52 - 1:
        return
    on_tick = price_to_tick(price, tick, side)
    assert on_tick % tick == 0
    assert (on_tick <= price) if side is Side.BUY else (on_tick >= price)
    assert abs(on_tick - price) < tick


@given(st.integers(1, 10**6), st.sampled_from([3, 6, 7, 11, 13, 97]))
def test_a_division_that_comes_out_even_is_no_step_short(whole, parts):
    """What a division to 60 digits leaves undone isn't taken for a price below the tick."""
    level = Decimal(whole) / parts * parts
    assert to_grid(level, Decimal(1), ROUND_FLOOR) == to_grid(level, Decimal(1), ROUND_CEILING) == whole


# --- money ------------------------------------------------------------------------------------------------------------


@given(st.lists(money_of(12), max_size=50))
def test_a_sum_doesnt_depend_on_its_order(amounts):
    forth = sum(amounts, Decimal(0))
    mixed = random.Random(1).sample(amounts, len(amounts))
    assert sum(mixed, Decimal(0)) == forth == Decimal(sum(int(one / STORED) for one in amounts)) * STORED


@given(money_of(12))
def test_an_amount_is_the_same_after_it_was_written(amount):
    assert Decimal(plain(amount)) == amount == money(amount)


@given(st.integers(1, 10**12), money_of(6), money_of(2), st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
def test_the_pieces_of_an_order_cost_no_more_than_the_whole_but_for_the_last_stored_digit(lots, price, rate, cuts):
    pieces = [Decimal(one) * Decimal("1e-8") for one in cuts] + [Decimal(lots) * Decimal("1e-8")]
    whole = sum(pieces, Decimal(0))
    value = sum((notional(one, price) for one in pieces), Decimal(0))
    fees = sum((fee_of(one, price, rate) for one in pieces), Decimal(0))
    assert abs(value - notional(whole, price)) <= len(pieces) * STORED
    assert abs(fees - fee_of(whole, price, rate)) <= len(pieces) * STORED


TRADE = st.builds(
    lambda side, price, lots, fee: Trade(side, price + STORED, Decimal(lots) * Decimal("1e-8"), fee),
    st.sampled_from(Side),
    money_of(5),
    st.integers(1, 10**10),
    money_of(2),
)


@given(st.lists(TRADE, max_size=25), money_of(5))
def test_cash_and_coins_are_what_came_in_less_what_went_out(fills, last):
    books = books_of(fills, Decimal(10**9))
    signs = [1 if fill.side is Side.BUY else -1 for fill in fills]
    assert books.holding.qty == sum((s * f.qty for s, f in zip(signs, fills, strict=True)), Decimal(0))
    spent = sum((s * notional(f.qty, f.price) + f.fee for s, f in zip(signs, fills, strict=True)), Decimal(0))
    assert books.cash == Decimal(10**9) - spent
    assert books.equity(last) == Decimal(10**9) + books.holding.total(last)


@given(st.lists(TRADE, min_size=1, max_size=12))
def test_what_is_closed_whole_leaves_no_crumb(fills):
    holding = Holding()
    for fill in fills:
        holding.apply(*fill)
    if holding.qty:
        side = Side.SELL if holding.qty > 0 else Side.BUY
        holding.apply(side, Decimal("99.999999999999999999"), abs(holding.qty), Decimal(0))
    assert holding.qty == holding.cost == 0


@given(st.lists(money_of(6).map(lambda one: one + STORED), min_size=1, max_size=6), money_of(6))
def test_shares_of_what_is_spare_are_never_more_than_there_is(costs, spare):
    shared = caps(costs, spare)
    assert sum(shared, Decimal(0)) <= sum(costs, Decimal(0)) + spare
    assert all(cap >= cost for cap, cost in zip(shared, costs, strict=True))
