"""The quick way onto the grid is the exact one: the same float for every price, tick and direction."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trading.core.errors import InvalidInput
from trading.core.rounding import price_on_tick, price_to_tick, qty_on_lot, qty_to_lot
from trading.core.types import Kind, MarketRules, Side

STEPS = [D(1), D("0.1"), D("0.01"), D("0.25"), D("0.005"), D("5"), D("0.00000001"), D("1e-12"), D("3"), D("0.07")]


def rules_of(step: D) -> MarketRules:
    return MarketRules("BTC", "USDT", tick=step, lot=step)


grid_points = st.builds(lambda n, step, off: float(n * step) * (1 + off), st.integers(0, 10**9), st.sampled_from(STEPS),
                        st.sampled_from([0.0, 1e-16, -1e-16, 1e-14, -1e-14, 3e-15, 1e-9]))  # fmt: skip


@given(
    st.one_of(st.floats(0, 1e9), grid_points),
    st.sampled_from(STEPS),
    st.sampled_from(Side),
    st.sampled_from(list(Kind)),
)
@example(0.1 + 0.2, D("0.1"), Side.SELL, Kind.LIMIT)
@example(1.1 * 3, D("0.1"), Side.BUY, Kind.STOP)
def test_floats_and_decimals_come_to_the_same_grid_point(value, step, side, kind):
    rules = rules_of(step)
    try:
        price, qty = float(price_to_tick(value, step, side, kind)), float(qty_to_lot(value, step))
    except InvalidInput:
        with pytest.raises(InvalidInput):
            price_on_tick(value, rules, side, kind)
        return
    assert price_on_tick(value, rules, side, kind) == price
    assert qty_on_lot(value, rules) == qty


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InvalidInput):
        qty_on_lot(value, rules_of(D("0.01")))
