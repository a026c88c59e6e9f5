"""What the simulated venue does with orders: amendments, groups, trails, expiry, IOC/FOK/post-only, partial fills."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from core_builders import MINUTE, RULES, Scripted, buy, candles_of, fills, flat, market_buy, market_sell, run, sell
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.types import (
    Closed,
    Decision,
    Denied,
    Filled,
    Kind,
    Side,
    SlotStatus,
    Tif,
    Trail,
    TrailWake,
    Trigger,
    Wake,
    Want,
    Woken,
)


def by_number(*decisions):
    """Answer the first decision with the first, and so on; the last one is repeated."""
    return Scripted(lambda state, view: decisions[min(view.number, len(decisions)) - 1])


def d(orders=None, **more):
    return Decision(None, orders or {}, **more)


def volumes(candles, *volume):
    return replace(candles, volume=np.array(volume, dtype=np.float64))


SOON = Wake(at_ms=1)


# --- amendments -----------------------------------------------------------------------------------------------------


def test_a_want_of_the_same_generation_with_another_price_is_amended_and_loses_its_place():
    later = d({"a": buy(95), "b": buy(95)})
    strategy = by_number(d({"a": buy(90), "b": buy(95)}, wake=SOON), later)
    result = run(strategy, flat(100, 100, 95))
    assert fills(result) == [(2, "b", 95.0), (2, "a", 95.0)]
    assert result.orders == 2
    assert not any(isinstance(told, Closed) and told.why == "replaced" for seen in strategy.seen for told in seen[2])


def test_an_amendment_locks_the_difference_and_one_that_is_too_dear_is_denied_while_the_order_stays():
    strategy = by_number(d({"a": buy(90)}, wake=SOON), d({"a": buy(90, 5.0)}, wake=SOON), d({"a": buy(90, 50.0)}))
    result = run(strategy, flat(100, 100, 100, 90))
    assert strategy.views[2].budget["USDT"] == pytest.approx(1000 - 5 * 90 * 1.001)
    denied = [told for seen in strategy.seen for told in seen[2] if isinstance(told, Denied)]
    assert [(told.slot, told.rule) for told in denied] == [("a", "budget")]
    assert result.fills.qty.tolist() == [5.0]


def test_an_amendment_to_what_has_filled_ends_as_filled():
    candles = volumes(candles_of((100, 100, 95, 100), (100, 100, 99, 100)), 4.0, 4.0)
    strategy = by_number(d({"a": buy(96, 3.0)}), d({"a": buy(96, 1.0)}))
    result = run(strategy, candles, liquidity_ratio=0.25)
    assert [seen[2] for seen in strategy.seen[2:]] == [(Closed("a", 1, "filled", 1.0),)]
    assert strategy.views[2].slots["a"].status is SlotStatus.FILLED
    assert result.books().cash == Decimal(1000) - Decimal("96.096")


# --- groups ---------------------------------------------------------------------------------------------------------


def test_a_group_is_placed_whole_or_denied_whole():
    legs = {"x": buy(90, 2.0)._replace(group="g"), "y": buy(90, 20.0)._replace(group="g"), "z": buy(90, 1.0)}
    strategy = by_number(d(legs))
    result = run(strategy, flat(100, 90))
    assert fills(result) == [(1, "z", 90.0)]
    denied = [told for told in strategy.seen[1][2] if isinstance(told, Denied)]
    assert [(told.slot, told.rule) for told in denied] == [("x", "group"), ("y", "budget")]
    assert denied[0].reason == f"y of the same group was denied: {denied[1].reason}"


# --- trails ---------------------------------------------------------------------------------------------------------


def trailing(qty=1.0, **trail):
    return Want("main", Side.SELL, Kind.TRAILING, qty, trail=Trail(**{"activation": None} | trail))


def test_a_trailing_order_costs_no_decision_for_its_peaks():
    rows = [(100 + k, 101 + k, 100 + k, 101 + k) for k in range(2000)] + [(2101, 2101, 2000, 2000)]
    strategy = by_number(d({"in": market_buy(0.25)}), d({"out": trailing(0.25, offset=20.0)}))
    result = run(strategy, candles_of(*rows))
    assert fills(result) == [(0, "in", 100.0), (2000, "out", 2081.0)]
    assert result.decisions == 3  # start, the buy, the sell: none for two thousand new highs


def test_a_trail_wake_tells_where_the_order_would_fire_and_keeps_its_peak_from_decision_to_decision():
    wake = Wake(trails=(TrailWake("main", Side.SELL, Trail(None, offset=5.0)),), at_ms=MINUTE)
    strategy = by_number(d(wake=wake), d(wake=Wake(trails=wake.trails)), d())
    run(strategy, candles_of((100, 110, 100, 109), (109, 109, 100, 101)))
    assert strategy.seen[1][:2] == (MINUTE, 109.0)
    assert strategy.seen[2] == (MINUTE, 105.0, (Woken("trail"),))


# --- times in force -------------------------------------------------------------------------------------------------


def test_an_order_expires_before_the_fills_of_the_first_candle_at_or_after_its_time():
    strategy = by_number(d({"a": buy(95)._replace(expires_ms=2 * MINUTE)}), d())
    result = run(strategy, flat(100, 100, 95))
    assert fills(result) == []
    assert strategy.seen[1] == (2 * MINUTE, 100.0, (Closed("a", 1, "expired"),))
    assert result.books().cash == 1000


@pytest.mark.parametrize(("at", "found"), [(2 * MINUTE + 1, [(2, "a", 95.0)]), (10**12, [(2, "a", 95.0)])])
def test_an_order_that_expires_later_still_fills(at, found):
    assert fills(run(by_number(d({"a": buy(95)._replace(expires_ms=at)})), flat(100, 100, 95))) == found


@pytest.mark.parametrize("tif", [Tif.IOC, Tif.FOK])
def test_a_one_shot_order_fills_where_it_stands_or_ends(tif):
    good, bad = buy(101)._replace(tif=tif), buy(99)._replace(tif=tif)
    strategy = by_number(d({"good": good, "bad": bad}))
    result = run(strategy, flat(100, 99))
    assert fills(result) == [(0, "good", 100.0)]
    told = [t for seen in strategy.seen for t in seen[2]]
    assert Closed("bad", 1, "remainder") in told


def test_ioc_takes_what_is_there_and_fok_all_or_nothing():
    candles = volumes(flat(100, 100), 4.0, 4.0)
    wants = {"ioc": buy(100, 3.0)._replace(tif=Tif.IOC), "fok": buy(100, 3.0)._replace(tif=Tif.FOK)}
    strategy = by_number(d(wants))
    result = run(strategy, candles, liquidity_ratio=0.25)
    assert (result.fills.slot, result.fills.qty.tolist()) == (("ioc",), [1.0])
    told = [t for seen in strategy.seen for t in seen[2]]
    assert Closed("ioc", 1, "remainder", 1.0) in told
    assert Closed("fok", 1, "remainder", 0.0) in told


def test_post_only_that_would_take_is_rejected_and_rests_otherwise():
    wants = {"a": buy(100)._replace(tif=Tif.POST_ONLY), "b": buy(99)._replace(tif=Tif.POST_ONLY)}
    strategy = by_number(d(wants))
    result = run(strategy, flat(100, 99))
    assert fills(result) == [(1, "b", 99.0)]
    assert Closed("a", 1, "rejected") in strategy.seen[1][2]


def test_a_stop_limit_rests_as_a_limit_once_its_trigger_is_met_without_a_decision():
    want = Want("main", Side.BUY, Kind.STOP_LIMIT, 1.0, price=103.0, trigger=Trigger(105.0))
    result = run(by_number(d({"a": want})), candles_of((100, 106, 100, 106), (106, 106, 102, 104)))
    assert fills(result) == [(1, "a", 103.0)]
    assert result.decisions == 2
    near = want._replace(price=107.0)
    assert fills(run(by_number(d({"a": near})), candles_of((100, 106, 100, 106)))) == [(0, "a", 105.0)]


# --- partial fills --------------------------------------------------------------------------------------------------


def test_a_touch_fills_a_share_of_the_volume_and_the_rest_from_the_next_candle_on():
    candles = volumes(candles_of((100, 100, 95, 96), (96, 97, 95, 96), (96, 97, 90, 91)), 4.0, 8.0, 100.0)
    strategy = by_number(d({"a": buy(95, 4.5)}))
    result = run(strategy, candles, liquidity_ratio=0.25)
    assert list(zip(result.fills.candle.tolist(), result.fills.qty.tolist(), strict=True)) == [
        (0, 1.0),
        (1, 2.0),
        (2, 1.5),
    ]
    partly = strategy.views[1].slots["a"]
    assert (partly.status, partly.filled_qty, partly.avg_price) == (SlotStatus.WORKING, 1.0, 95.0)
    assert strategy.seen[1][2] == (Filled("a", 1, Side.BUY, 1.0, 95.0, 0.095, 1.0, 0),)
    assert strategy.seen[3][2][-1] == Closed("a", 1, "filled", 4.5)
    books = result.books()
    assert books.cash == Decimal(1000) - Decimal("4.5") * 95 * Decimal("1.001")
    assert strategy.views[3].budget == {"USDT": float(books.cash), "BTC": 4.5}


def test_a_touch_fills_at_least_a_lot():
    candles = volumes(flat(100, 95), 0.001, 0.001)
    assert run(by_number(d({"a": buy(95)})), candles, liquidity_ratio=0.1).fills.qty.tolist() == [0.001]


@pytest.mark.parametrize("price", [95, 100])
def test_nothing_fills_a_limit_where_nothing_is_traded(price):
    candles = volumes(flat(100, price, price, price), 0.0, 0.0, 10.0, 0.0)
    strategy = by_number(d({"a": buy(price, 2.0)}))
    result = run(strategy, candles, liquidity_ratio=0.1)
    assert list(zip(result.fills.candle.tolist(), result.fills.qty.tolist(), strict=True)) == [(2, 1.0)]
    assert strategy.views[-1].slots["a"].status is SlotStatus.WORKING


@pytest.mark.parametrize("tif", [Tif.IOC, Tif.FOK])
def test_a_one_shot_order_ends_where_nothing_is_traded(tif):
    strategy = by_number(d({"a": buy(100)._replace(tif=tif)}))
    assert fills(run(strategy, volumes(flat(100, 100), 0.0, 0.0), liquidity_ratio=0.1)) == []
    assert strategy.seen[1][2] == (Closed("a", 1, "remainder"),)


def test_takers_pay_the_modelled_spread_and_slippage_on_the_tick_and_resting_limits_do_not():
    strategy = by_number(d({"in": market_buy(2.0)}), d({"out": market_sell(1.0), "rest": sell(110)}))
    result = run(strategy, flat(100, 110), half_spread_ratio=0.004, slippage_ratio=0.001)
    assert fills(result) == [(0, "in", 101.0), (0, "out", 99.0), (1, "rest", 110.0)]
    market = strategy.markets[0]
    assert (market.last, market.bid, market.ask, market.mark) == (100, 99.6, 100.4, 100)


@given(st.lists(st.integers(1, 30), min_size=3, max_size=20), st.sampled_from([0.1, 0.25, 1.0]))
@settings(max_examples=60, deadline=None)
def test_partial_fills_never_exceed_the_order_and_the_books_add_up(volume, ratio):
    rows = [(100, 105, 95, 100)] * len(volume)
    candles = volumes(candles_of(*rows), *map(float, volume))

    def decide(state, view):
        gens = {slot: known.gen for slot, known in view.slots.items()}
        orders = dict(view.orders) or {"a": buy(96, 3.0)}
        held = view.markets["main"].position.qty
        over = view.slots.get("b") is None or view.slots["b"].status is SlotStatus.FILLED
        if held > 0 and over:
            orders["b"] = sell(104, held, gen=gens.get("b", 0) + 1)
        return Decision(None, orders)

    result = run(Scripted(decide), candles, liquidity_ratio=ratio)
    bought = result.fills.qty[result.fills.side > 0].sum()
    assert bought <= 3.0 + 1e-9
    for candle, qty in zip(result.fills.candle.tolist(), result.fills.qty.tolist(), strict=True):
        assert qty <= max(ratio * volume[candle], 0.001) + 1e-9
    books = result.books()
    assert books.cash >= 0
    assert books.holding.qty >= 0
    assert RULES.lot == Decimal("0.001")
    assert all(Decimal(str(qty)) % RULES.lot == 0 for qty in result.fills.qty.tolist())
