"""The matching over several markets with trails and partly filled orders, against a walker that goes cent by cent."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.compiled import compiled_matching
from trading.core.matching import FILL, FLOAT_ROWS, INT_ROWS, NEVER, PEAK, STOP, WAKE, advance
from trading.core.rows import floats_of, ints_of
from trading.core.types import Side, Trail

INF = math.inf
ONE = Decimal(1)


class Row(NamedTuple):
    """An order, or (`wakes`) a trail wake. Not every side and touch make sense together for a trail: see `side`."""

    market: int
    touch: int
    level: float = 0.0
    from_i: int = 0
    trail: Trail | None = None
    wakes: bool = False

    @property
    def side(self) -> Side:
        return Side.SELL if self.touch < 0 else Side.BUY  # of a trail


class Walk:
    """The kernel with its tables; every row's SEQ is its index."""

    def __init__(self, markets: Any, rows: list[Row], run: Any) -> None:
        self.prices = np.array([np.array(candles, dtype=np.float64).T for candles in markets])
        self.floats = np.zeros((FLOAT_ROWS, len(rows) + 1))
        self.ints = np.zeros((INT_ROWS, len(rows) + 1), dtype=np.int64)
        for k, row in enumerate(rows):
            self.floats[:, k] = floats_of(row.level, row.side, row.trail, ONE)
            self.ints[:, k] = ints_of(row.touch, k, row.market, row.from_i, row.trail, wakes=row.wakes)
        self.points = np.array([[candles[0][0] for candles in markets], [-INF] * len(markets), [INF] * len(markets)])
        self.count, self.cursor, self.run = len(rows), (0, 0, 0), run

    def step(self, stop: int) -> tuple[int, int, int, float]:
        found = self.run(self.prices, self.floats, self.ints, self.count, self.points, *self.cursor, stop)
        event, row, *cursor, price = found
        self.cursor = tuple(int(c) for c in cursor)
        if event == FILL:
            self.ints[3, row] = NEVER
        return int(event), int(row), self.cursor[0], float(price)


def kernel(markets, rows, *, run=advance, every=False):
    """(event, candle, row, price) of all events; `every` = stop before each candle."""
    walk, events = Walk(markets, rows, run), []
    total = len(markets[0])
    while True:
        event, row, i, price = walk.step(walk.cursor[0] + 1 if every else total)
        if event != STOP:
            events.append((event, i, row, price))
        elif i == total:
            return events


# --- the slow walker ------------------------------------------------------------------------------------------------


class Slow:
    def __init__(self, row: Row, key: int) -> None:
        self.row, self.key, self.peak = row, key, None

    def follow(self, price: float) -> None:
        """Arm at the activation, then keep the best price."""
        trail, selling = self.row.trail, self.row.touch < 0
        if trail is None:
            return
        if self.peak is None:
            reached = trail.activation is None or (price >= trail.activation if selling else price <= trail.activation)
            self.peak = price if reached else None
        else:
            self.peak = max(self.peak, price) if selling else min(self.peak, price)

    def touched(self, price: float) -> bool:
        touch, level = self.row.touch, self.row.level
        if self.row.trail is None:
            return touch == 0 or (price <= level if touch < 0 else price >= level)
        if self.peak is None:
            return False
        ratio, offset, floor = self.row.trail[1:]
        if touch < 0:
            level = math.floor(max(self.peak * (1 - ratio) - offset, -INF if floor is None else floor))
            return price <= level
        level = math.ceil(min(self.peak * (1 + ratio) + offset, INF if floor is None else floor))
        return price >= level


def turns(candle):
    open_, high, low, close = candle
    return (open_, low, high, close) if open_ - low <= high - open_ else (open_, high, low, close)


def slow(markets, rows):
    """Fills of all orders in the one order that time, leg and needs give."""
    left, events = [Slow(row, k) for k, row in enumerate(rows)], []
    here = [candles[0][0] for candles in markets]
    for one in left:
        one.follow(here[one.row.market])

    def stand(m, i, price):
        here[m] = price
        own = [one for one in left if one.row.market == m and one.row.from_i <= i]
        for one in own:
            one.follow(price)
        for one in [one for one in own if one.touched(price)]:
            events.append((FILL, i, one.key, price))
            left.remove(one)

    for i in range(len(markets[0])):
        for leg in range(4):
            for m, candles in enumerate(markets):
                target = turns(candles[i])[leg]
                if leg == 0:
                    stand(m, i, target)
                while here[m] != target:
                    stand(m, i, here[m] + (1 if target > here[m] else -1))
    return events


price = st.integers(90, 110)


@st.composite
def candle(draw):
    values = sorted(draw(st.lists(price, min_size=4, max_size=4)))
    inner = draw(st.permutations(values[1:3]))
    return inner[0], values[3], values[0], inner[1]


trails = st.builds(
    Trail,
    st.none() | price.map(float),
    st.sampled_from([0.0, 0.0, 0.03125]),  # exact in float64, so that both engines round the same number
    st.integers(0, 6).map(float),
    st.none() | price.map(float),
)


@st.composite
def scene(draw):
    markets = draw(st.integers(1, 3))
    count = draw(st.integers(1, 6))
    candles = [draw(st.lists(candle(), min_size=count, max_size=count)) for _ in range(markets)]
    market = st.integers(0, markets - 1)
    late, nothing = st.sampled_from([0, 0, 1, 3]), (st.none(), st.just(False))
    plain = st.builds(Row, market, st.sampled_from([-1, 1, 0]), price.map(float), late, *nothing)
    trailing = st.builds(Row, market, st.sampled_from([-1, 1]), st.just(0.0), st.just(0), trails, st.just(False))
    return candles, draw(st.lists(st.one_of(plain, trailing), max_size=8))


@given(scene())
@settings(max_examples=300, deadline=None)
def test_fills_of_several_markets_and_trails_are_those_of_the_slow_walker(scene):
    markets, rows = scene
    assert kernel(markets, rows) == slow(markets, rows)


@given(scene(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_compiled_alike_and_stopping_before_every_candle_changes_nothing(scene, every):
    markets, rows = scene
    assert kernel(markets, rows, run=compiled_matching().advance, every=every) == kernel(markets, rows)


@given(scene(), trails, st.sampled_from([-1, 1]))
@settings(max_examples=300, deadline=None)
def test_a_trail_wake_first_fires_where_the_order_would_unless_it_stands_there(scene, trail, touch):
    markets, _ = scene
    wake = Row(0, touch, trail=trail, wakes=True)
    orders = slow(markets, [wake._replace(wakes=False)])
    wakes = kernel(markets, [wake])
    assert wakes[:1] == [(WAKE, *event[1:]) for event in orders]


# --- single points ----------------------------------------------------------------------------------------------------


def test_events_are_ordered_by_leg_then_by_market():
    both = [[(100, 104, 96, 100)], [(50, 54, 46, 50)]]
    rows = [Row(1, -1, 47), Row(0, 1, 103), Row(0, -1, 97), Row(1, 1, 53)]
    assert [(row, price) for _, _, row, price in kernel(both, rows)] == [(2, 97), (0, 47), (1, 103), (3, 53)]


def test_a_market_order_on_a_market_that_has_not_opened_waits_for_its_open():
    both = [[(100, 100, 100, 100)], [(50, 52, 50, 51)]]
    walk = Walk(both, [Row(0, -1, 100), Row(1, 0)], advance)
    assert walk.step(1) == (FILL, 0, 0, 100.0)
    assert walk.cursor == (0, 0, 1)
    assert walk.step(1) == (FILL, 1, 0, 50.0)
    assert walk.cursor == (0, 1, 0)


def test_a_selling_trail_arms_follows_the_peak_and_fires_at_its_level():
    candles = [(100, 101, 99, 100), (100, 106, 100, 106), (106, 110, 105, 109), (109, 109, 100, 101)]
    trail = Row(0, -1, trail=Trail(activation=105.0, offset_ratio=0.03125))
    assert kernel([candles], [trail]) == [(FILL, 3, 0, 106.0)]  # 110 less 1/32 is 106.56; ticks of 1: 106


def test_a_gap_below_a_trail_fills_at_the_open():
    candles = [(100, 110, 100, 110), (95, 96, 94, 95)]
    assert kernel([candles], [Row(0, -1, trail=Trail(None, offset=4.0))]) == [(FILL, 1, 0, 95.0)]


def test_the_floor_of_a_trail_counts_from_its_activation_on():
    candles = [(100, 101, 97, 100), (100, 103, 98, 99)]
    floored = Trail(activation=102.0, offset=10.0, floor=100.0)
    assert kernel([candles], [Row(0, -1, trail=floored)]) == [(FILL, 1, 0, 100.0)]


def test_a_peak_is_kept_over_long_quiet_stretches():
    rising = [(100 + k, 101 + k, 100 + k, 101 + k) for k in range(1000)]
    walk = Walk([rising], [Row(0, -1, trail=Trail(None, offset=5.0))], compiled_matching().advance)
    assert walk.step(1000)[:3] == (STOP, -1, 1000)
    assert walk.floats[PEAK, 0] == 1100.0


def test_a_row_that_may_fill_from_a_later_candle_on_waits_for_it():
    candles = [(100, 100, 90, 95), (95, 96, 94, 95), (95, 96, 89, 95)]
    assert kernel([candles], [Row(0, -1, 92.0, from_i=1)]) == [(FILL, 2, 0, 92.0)]


@pytest.mark.parametrize("tick", ["0.01", "0.1", "0.05", "2.5", "0.00000001"])
def test_the_level_of_a_trail_is_on_the_tick(tick):
    exact = Decimal(tick)
    peak = float(exact * 12_347)
    floats = np.zeros((FLOAT_ROWS, 1))
    floats[:, 0] = floats_of(0.0, Side.SELL, Trail(None, 0.0123), exact)
    ints = np.array([ints_of(-1, 0, 0, 0, Trail(None, 0.0123))], dtype=np.int64).T.copy()
    candle = np.array([[[peak], [peak], [peak], [peak]]])
    advance(candle, floats, ints, 1, np.array([[peak], [-INF], [INF]]), 0, 0, 0, 1)
    level = Decimal(repr(float(floats[0, 0])))
    assert level % exact == 0
    assert level <= exact * 12_347 * Decimal("0.9877") < level + exact
