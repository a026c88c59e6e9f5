"""What becomes of a resting order that a strategy wants otherwise: trails, minimums, post-only, exits, places."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from core_builders import MINUTE, RULES, Scripted, buy, fills, flat, market_buy, run

from trading.core.types import Closed, Decision, Kind, Side, Tif, Trail, Wake, Want


def minutes(*orders: dict[str, Want]) -> Scripted:
    """Want the first orders at first, the second from the first close on, and so on; the last for ever."""

    def decide(state: Any, view: Any) -> Decision:
        return Decision(None, orders[min(view.now_ms // MINUTE, len(orders) - 1)], Wake(at_ms=view.now_ms + MINUTE))

    return Scripted(decide)


def trail(qty: float, activation: float | None = None) -> Want:
    return Want("main", Side.SELL, Kind.TRAILING, qty, trail=Trail(activation, 0.1))


@pytest.mark.parametrize(
    ("activation", "prices", "found"),
    [
        (None, (100, 100, 100, 99, 95, 91, 90, 88), [(6, "t", 90.0)]),
        (None, (100, 100, 120, 119, 110, 108, 100), [(5, "t", 108.0)]),
        (150.0, (100, 100, 100, 100, 99, 95, 91, 89, 88), []),
    ],
)
def test_an_amended_quantity_leaves_a_trail_where_it_is(activation, prices, found):
    bought = {"m": market_buy()}
    strategy = minutes(bought, bought | {"t": trail(0.5, activation)}, bought | {"t": trail(0.6, activation)})
    result = run(strategy, flat(*prices))
    assert fills(result)[1:] == found
    assert result.fills.qty.tolist()[1:] == [0.6] * len(found)


@pytest.mark.parametrize(("qty", "price"), [(0.04, 90.0), (0.0004, 90.0), (0.06, 80.0)])
def test_an_order_that_becomes_too_small_ends_below_the_minimum(qty, price):
    strategy = minutes({"a": buy(90)}, {"a": buy(price, qty)})
    result = run(strategy, flat(100, 100, 90, 80), rules=replace(RULES, min_notional=Decimal(5)))
    assert fills(result) == []
    assert [told for _, _, inbox in strategy.seen for told in inbox][1:] == [Closed("a", 1, "below_minimum")]
    assert result.books().cash == 1000


def test_what_is_left_of_an_order_may_be_below_the_minimum():
    """The minimum is the order's, of which a part has filled."""
    candles = flat(100, 90, 90, 90)
    candles = replace(candles, volume=np.array([10.0, 9.5, 10.0, 10.0]))
    strategy = minutes({"a": buy(90, 10)}, {"a": buy(90, 10)}, {"a": buy(90, 9.501)})
    result = run(strategy, candles, rules=replace(RULES, min_notional=Decimal(5)), liquidity_ratio=1.0)
    assert result.fills.qty.tolist() == [9.5, 0.001]


def test_a_post_only_order_that_would_take_once_it_is_amended_is_rejected():
    maker = buy(90)._replace(tif=Tif.POST_ONLY)
    strategy = minutes({"a": maker}, {"a": maker._replace(price=99.0)}, {"a": maker._replace(price=100.0)})
    result = run(strategy, flat(100, 100, 100, 99, 90))
    assert fills(result) == []
    assert Closed("a", 1, "rejected") in strategy.seen[3][2]


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_amendments_take_their_places_whatever_the_order_of_the_dict(names):
    strategy = minutes(*({name: buy(price) for name in names} for price in (90, 95)))
    assert fills(run(strategy, flat(100, 100, 95, 95))) == [(2, "a", 95.0), (2, "b", 95.0)]
