"""Updates merge while nobody takes them, never over the edge of a minute, and lose no extreme."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.conflation import Conflator
from trading.core.ports import PriceUpdate
from trading.core.types import Bar


def update(ts_ms, *prices, symbol="A", late=False):
    open_, high, low, close = prices
    return PriceUpdate(symbol, Bar(ts_ms, open_, high, low, close, 1.0), ts_ms + 100, late)


def test_updates_of_one_minute_become_one_bar():
    conflator = Conflator()
    conflator.put(update(0, 5, 6, 4, 5), 1)
    conflator.put(update(100, 5, 9, 5, 7), 2)
    conflator.put(update(200, 7, 7, 1, 2), 3)
    (piece,) = conflator.take()
    assert piece.bar == Bar(0, 5, 9, 1, 2, 3.0)
    assert (piece.until_ms, piece.received_ms) == (300, 3)
    assert conflator.take() == []


def test_the_edge_of_a_minute_stays_and_minutes_come_in_order_over_all_markets():
    conflator = Conflator()
    for symbol in "AB":
        conflator.put(update(59_900, 5, 6, 4, 5, symbol=symbol), 1)
        conflator.put(update(60_000, 7, 8, 6, 7, symbol=symbol), 1)
    assert conflator.backlog == 4
    taken = conflator.take()
    assert [(piece.minute_ms, piece.symbol) for piece in taken] == [(0, "A"), (0, "B"), (60_000, "A"), (60_000, "B")]
    assert [piece.bar.close for piece in taken] == [5, 5, 7, 7]
    assert conflator.backlog == 0


def test_a_piece_is_late_when_any_part_of_it_is():
    conflator = Conflator()
    conflator.put(update(0, 5, 6, 4, 5, late=True), 1)
    conflator.put(update(100, 5, 6, 4, 5), 1)
    assert conflator.take()[0].late


def test_what_is_put_back_comes_before_all_newer_updates():
    conflator = Conflator()
    for minute in (0, 1):
        conflator.put(update(60_000 * minute, 5, 6, 4, 5), 1)
    first, second = conflator.take()
    conflator.put(update(60_100, 5, 9, 5, 7), 2)
    conflator.put_back([first, second])
    assert conflator.backlog == 2
    one, two = conflator.take()
    assert one == first
    assert two.bar == Bar(60_000, 5, 9, 4, 7, 2.0)
    assert two.received_ms == 2


@given(st.lists(st.tuples(st.integers(1, 100), st.booleans()), min_size=1, max_size=60))
@settings(deadline=None)
def test_whenever_it_is_taken_nothing_is_lost_and_nothing_comes_twice(steps):
    conflator, taken = Conflator(), []
    for number, (price, take) in enumerate(steps):
        conflator.put(update(number * 7000, price, price, price, price), number)
        if take:
            taken += conflator.take()
    taken += conflator.take()
    prices = [price for price, _ in steps]
    assert sum(piece.bar.volume for piece in taken) == len(prices)
    assert max(piece.bar.high for piece in taken) == max(prices)
    assert min(piece.bar.low for piece in taken) == min(prices)
    assert (taken[0].bar.open, taken[-1].bar.close) == (prices[0], prices[-1])
    assert all(a.until_ms <= b.bar.ts_ms for a, b in pairwise(taken))
