"""The matching against a slow walker written independently of it, and compiled against uncompiled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.compiled import compiled_matching
from trading.core.matching import FILL, FLOAT_ROWS, INT_ROWS, STOP, WAKE, advance
from trading.core.rows import floats_of, ints_of
from trading.core.types import Side

INF = float("inf")


@dataclass(frozen=True)
class Order:
    touch: int
    level: float
    seq: int
    market: int = 0
    from_i: int = 0


def tables(orders, capacity):
    """The orders as the matching wants them; an array has room to spare."""
    floats, ints = np.zeros((FLOAT_ROWS, capacity)), np.zeros((INT_ROWS, capacity), dtype=np.int64)
    for k, o in enumerate(orders):
        floats[:, k] = floats_of(o.level, Side.BUY, None, Decimal(1))
        ints[:, k] = ints_of(o.touch, o.seq, o.market, o.from_i, None)
    return floats, ints


def walk(candles, orders, *, cursor=(0, 0, 0.0), stop_i=None, below=-INF, above=INF, run=advance):
    """Call the matching once on one market."""
    prices = np.array([np.array(candles, dtype=np.float64).T.copy()])
    i, leg, price = cursor
    floats, ints = tables(orders, len(orders) + 1)
    points = np.array([[float(price)], [below], [above]])
    stop = len(candles) if stop_i is None else stop_i
    event, row, i, leg, market, price = run(prices, floats, ints, len(orders), points, i, leg, 0, stop)
    assert market == 0
    assert points[0][0] == price
    return int(event), int(row), int(i), int(leg), float(price)


def run_all(candles, orders, run=advance):
    """Walk all candles with no reaction to fills: (candle, price, seq) in order."""
    left, fills, cursor = list(orders), [], (0, 0, candles[0][0])
    while True:
        event, k, *cursor = walk(candles, left, cursor=tuple(cursor), run=run)
        if event == STOP:
            return fills
        fills.append((cursor[0], cursor[2], left.pop(k).seq))


# --- an independent walker: every cent of the path, one at a time --------------------------------------------------


def points(candle):
    open_, high, low, close = candle
    first, second = (low, high) if open_ - low <= high - open_ else (high, low)
    yield open_
    here = open_
    for target in (first, second, close):
        while here != target:
            here += 1 if target > here else -1
            yield here


def brute_fills(candles, orders):
    left, fills = sorted(orders, key=lambda o: o.seq), []
    for i, candle in enumerate(candles):
        for here in points(candle):
            hit = [o for o in left if o.touch == 0 or (o.level - here) * -o.touch >= 0]
            fills += [(i, here, o.seq) for o in hit]
            left = [o for o in left if o not in hit]
    return fills


def brute_wake(candles, below, above):
    for i, candle in enumerate(candles):
        for here in points(candle):
            if here <= below or here >= above:
                return i, here
    return None


price = st.integers(90, 110)


@st.composite
def candle(draw):
    values = sorted(draw(st.lists(price, min_size=4, max_size=4)))
    inner = draw(st.permutations(values[1:3]))
    return inner[0], values[3], values[0], inner[1]


series = st.lists(candle(), min_size=1, max_size=6)
book = st.lists(st.tuples(st.sampled_from([-1, -1, 1, 1, 0]), price), max_size=8).map(
    lambda rows: [Order(touch, level, k * 7 % 11) for k, (touch, level) in enumerate(rows)]
)


@given(series, book)
@settings(max_examples=300, deadline=None)
def test_fills_are_those_of_the_slow_walker(candles, orders):
    assert run_all(candles, orders) == brute_fills(candles, orders)


@given(series, price, price)
@settings(max_examples=200, deadline=None)
def test_the_first_wake_is_where_the_path_first_satisfies_it(candles, below, above):
    event, _, i, _, at = walk(candles, [], cursor=(0, 0, candles[0][0]), below=below, above=above)
    assert (None if event == STOP else (i, at)) == brute_wake(candles, below, above)


@given(series, book, st.integers(-1, 30), st.integers(-1, 30))
@settings(max_examples=200, deadline=None)
def test_compiled_and_uncompiled_agree_step_by_step(candles, orders, down, up):
    left, cursor = list(orders), (0, 0, float(candles[0][0]))
    for _ in range(200):
        here = {"cursor": cursor, "below": 100.0 - down, "above": 100.0 + up}
        slow = walk(candles, left, **here)
        assert slow == walk(candles, left, run=compiled_matching().advance, **here)
        event, k, *rest = slow
        cursor = tuple(rest)
        if event == STOP:
            return
        if event == FILL:
            left.pop(k)
    pytest.fail("the walk did not end")


@given(series, book)
@settings(max_examples=100, deadline=None)
def test_stopping_at_every_candle_changes_nothing(candles, orders):
    left, fills, cursor = list(orders), [], (0, 0, candles[0][0])
    for stop in range(1, len(candles) + 1):
        while True:
            event, k, *rest = walk(candles, left, cursor=tuple(cursor), stop_i=stop)
            cursor = rest
            if event == STOP:
                break
            fills.append((cursor[0], cursor[2], left.pop(k).seq))
        assert cursor[:2] == [stop, 0]
    assert fills == run_all(candles, orders)


# --- single points of the rules ------------------------------------------------------------------------------------


def test_a_gap_through_a_limit_fills_at_the_better_open():
    candles = [(100, 101, 99, 100), (95, 96, 94, 95)]
    assert run_all(candles, [Order(-1, 97.0, 1)]) == [(1, 95, 1)]


def test_a_gap_through_a_stop_fills_at_the_open_not_at_the_stop():
    candles = [(100, 101, 99, 100), (95, 96, 94, 95)]
    sell_stop = Order(-1, 98.0, 1)
    assert run_all(candles, [sell_stop]) == [(1, 95, 1)]


def test_the_nearer_extreme_comes_first_and_the_low_when_equally_near():
    low, high = Order(-1, 98.0, 2), Order(1, 102.0, 1)
    assert [f[2] for f in run_all([(100, 102, 98, 100)], [low, high])] == [2, 1]
    assert [f[2] for f in run_all([(100, 102, 97, 100)], [low, high])] == [1, 2]


def test_at_one_price_the_order_placed_first_fills_first_whatever_its_side():
    buy, sell = Order(-1, 98.0, 5), Order(1, 98.0, 4)
    candles = [(97, 99, 96, 98)]  # all at the open: the sell is 1 away, the buy is touched already
    assert run_all(candles, [buy, sell]) == [(0, 97, 5), (0, 98, 4)]
    both = [Order(-1, 99.0, 5), Order(1, 99.0, 4)]
    assert [f[2] for f in run_all([(99, 99, 99, 99)], both)] == [4, 5]


def test_an_order_placed_at_a_stop_takes_part_in_the_rest_of_the_candle():
    candles = [(100, 110, 99, 105)]
    event, _, i, leg, at = walk(candles, [Order(-1, 99.5, 1)], cursor=(0, 0, 100))
    assert (event, i, at) == (FILL, 0, 99.5)
    event, _, i, _, at = walk(candles, [Order(1, 104.0, 2)], cursor=(i, leg, at))
    assert (event, i, at) == (FILL, 0, 104.0)


def test_a_market_order_fills_where_the_path_stands():
    candles = [(100, 110, 99, 105)]
    assert walk(candles, [Order(0, 0.0, 1)], cursor=(0, 2, 101.0)) == (FILL, 0, 0, 2, 101.0)
    assert walk(candles, [Order(0, 0.0, 1)], cursor=(0, 0, 93.0)) == (FILL, 0, 0, 1, 100.0)


def test_fills_come_before_a_wake_at_the_same_price():
    candles = [(100, 101, 95, 100)]
    first = walk(candles, [Order(-1, 97.0, 1)], cursor=(0, 0, 100), below=97.0)
    assert first[0] == FILL
    assert walk(candles, [], cursor=first[2:], below=97.0)[0] == WAKE  # the path moves on below it


def test_a_wake_does_not_fire_where_it_was_armed():
    flat = [(100, 100, 100, 100), (100, 101, 100, 100)]
    assert walk(flat, [], cursor=(0, 1, 100.0), stop_i=1, above=100.0)[0] == STOP
    assert walk(flat, [], cursor=(0, 1, 100.0), above=100.0)[:3] == (WAKE, -1, 1)  # the next open is a move


def test_stop_hands_back_the_last_close():
    candles = [(100, 101, 99, 100.5), (100, 101, 99, 99.5)]
    assert walk(candles, [], cursor=(0, 0, 100.0)) == (STOP, -1, 2, 0, 99.5)
    assert walk(candles, [], cursor=(1, 0, 100.5), stop_i=1) == (STOP, -1, 1, 0, 100.5)


def test_order_of_placing_decides_not_the_place_in_the_arrays():
    orders = [Order(-1, 95.0, 9), Order(-1, 95.0, 3)]
    assert [f[2] for f in run_all([(100, 101, 90, 92)], orders)] == [3, 9]
    assert [f[2] for f in run_all([(100, 101, 90, 92)], [replace(o, seq=-o.seq) for o in orders])] == [-9, -3]
