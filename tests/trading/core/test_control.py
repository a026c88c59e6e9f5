"""The control loop's diff: what is new, amended, cancelled, clipped; order of work, groups and hedges."""

from __future__ import annotations

from typing import Any

import pytest
from core_builders import buy, market_buy, market_sell, sell, stop_sell
from hypothesis import given
from hypothesis import strategies as st

from trading.core.control import PositionOf, plan
from trading.core.errors import StrategyFault
from trading.core.types import Decision, Kind, Side, SlotStatus, SlotView, Tif, Trail, Trigger, Want

LIVE = [SlotStatus.PENDING, SlotStatus.WORKING, SlotStatus.UNKNOWN]


def slot(want: Want, status: SlotStatus = SlotStatus.WORKING, filled: float = 0.0) -> SlotView:
    return SlotView(want.gen, want, status, filled)


def planned(orders: dict[str, Want], slots: dict[str, SlotView] | None = None, position: Any = None, **more: Any):
    positions = {"main": PositionOf(position, spot=False)} if position is not None else {}
    return plan(Decision(None, orders), slots or {}, more.get("cancelling", ()), positions, more.get("amending"))


# --- new, done, live


def test_a_new_want_is_placed_and_one_that_rests_is_left_alone():
    resting = buy(90)
    result = planned({"a": resting, "b": buy(80)}, {"a": slot(buy(90))})
    assert (result.adds, result.reduces, result.cancels, result.amends) == ([("b", buy(80))], [], [], [])


@pytest.mark.parametrize("status", [SlotStatus.FILLED, SlotStatus.CLOSED])
def test_a_want_whose_generation_is_done_is_never_sent_again(status):
    done = slot(buy(90), status)
    assert planned({"a": buy(90)}, {"a": done}).adds == []
    assert planned({"a": buy(91)}, {"a": done}).adds == []
    assert planned({"a": buy(90, gen=2)}, {"a": done}).adds == [("a", buy(90, gen=2))]


def test_a_denied_want_is_asked_again_even_as_the_same_object():
    want = buy(90)
    assert planned({"a": want}, {"a": slot(want, SlotStatus.DENIED)}).adds == [("a", want)]


def test_a_generation_never_goes_back():
    with pytest.raises(StrategyFault, match="from generation 3 to 2"):
        planned({"a": buy(90, gen=2)}, {"a": slot(buy(90, gen=3), SlotStatus.FILLED)})


@pytest.mark.parametrize("qty", [0.0, -1.0, float("nan")])
def test_a_quantity_that_is_none_is_a_fault(qty):
    with pytest.raises(StrategyFault, match="quantity"):
        planned({"a": buy(90, qty=qty)})


@pytest.mark.parametrize("status", LIVE)
def test_a_slot_that_is_wanted_no_more_is_cancelled_once(status):
    slots = {"a": slot(buy(90), status)}
    assert planned({}, slots).cancels == [("a", "cancelled")]
    assert planned({}, slots, cancelling={"a"}).cancels == []


# --- amendments


STOP_LIMIT = Want("main", Side.SELL, Kind.STOP_LIMIT, 1.0, price=88.0, trigger=Trigger(90.0))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (buy(90), buy(91)),
        (buy(90), buy(90, qty=2.0)),
        (stop_sell(80), stop_sell(85)),
        (STOP_LIMIT, STOP_LIMIT._replace(price=89.0, trigger=Trigger(91.0))),
    ],
)
def test_price_quantity_and_trigger_of_the_same_generation_are_amended(before, after):
    result = planned({"a": after}, {"a": slot(before)})
    assert (result.amends, result.cancels, result.adds) == ([("a", after)], [], [])


@pytest.mark.parametrize(
    "after",
    [
        buy(90, gen=2),
        sell(90),
        market_buy(),
        buy(90)._replace(tif=Tif.POST_ONLY),
        buy(90)._replace(reduce=True),
        buy(90)._replace(expires_ms=1),
        buy(90)._replace(market="other"),
    ],
)
def test_any_other_change_cancels_first_and_places_nothing_yet(after):
    result = planned({"a": after}, {"a": slot(buy(90))})
    assert (result.cancels, result.amends, result.adds, result.reduces) == ([("a", "replaced")], [], [], [])


def test_a_trail_is_replaced_and_one_shots_are_not_amended():
    trailing = Want("main", Side.SELL, Kind.TRAILING, 1.0, trail=Trail(100.0, 0.01))
    assert planned({"a": trailing._replace(trail=Trail(100.0, 0.02))}, {"a": slot(trailing)}).cancels
    assert planned({"a": market_buy(2.0)}, {"a": slot(market_buy(1.0))}).cancels
    ioc = buy(90)._replace(tif=Tif.IOC)
    assert planned({"a": ioc._replace(price=91.0)}, {"a": slot(ioc)}).cancels


def test_an_amendment_under_way_is_not_repeated_but_a_third_price_is():
    slots, under_way = {"a": slot(buy(90))}, {"a": buy(91)}
    assert planned({"a": buy(91)}, slots, amending=under_way).amends == []
    assert planned({"a": buy(92)}, slots, amending=under_way).amends == [("a", buy(92))]
    assert planned({"a": buy(90)}, slots, amending=under_way).amends == [("a", buy(90))]


def test_an_order_that_is_being_cancelled_is_not_amended():
    assert planned({"a": buy(91)}, {"a": slot(buy(90))}, cancelling={"a"}).amends == []


# --- exits


def test_on_spot_every_sell_reduces_and_goes_first():
    result = planned({"a": buy(90), "b": sell(110), "c": market_sell()})
    assert ([name for name, _ in result.reduces], [name for name, _ in result.adds]) == (["c", "b"], ["a"])


@pytest.mark.parametrize(("position", "exits"), [(2.0, ["s"]), (-2.0, ["b"]), (0.0, [])])
def test_on_a_perpetual_the_position_says_what_an_exit_is(position, exits):
    result = planned({"b": buy(90), "s": sell(110)}, position=position)
    assert [name for name, _ in result.reduces] == exits


def exit_of(qty: float, price: float = 110.0) -> Want:
    return sell(price, qty)._replace(reduce=True)


def test_an_exit_is_clipped_to_what_no_other_exit_closes():
    result = planned({"a": exit_of(2), "b": exit_of(5)}, {"a": slot(exit_of(2), filled=0.5)}, position=3.0)
    assert result.clipped == {"b": 1.5}


def test_an_exit_that_has_filled_more_than_is_wanted_of_it_by_now_leaves_no_more_than_there_is():
    """Its amendment to less came too late: what has filled is gone from the position already."""
    result = planned({"a": exit_of(2), "b": exit_of(5)}, {"a": slot(exit_of(2), filled=3.0)}, position=3.0)
    assert result.clipped == {"b": 3.0}


def test_new_exits_share_the_position_in_the_order_of_placing():
    assert planned({"a": exit_of(2), "b": exit_of(2), "c": exit_of(2)}, position=3.0).clipped == {"b": 1.0, "c": 0.0}


@pytest.mark.parametrize("want", [exit_of(1), buy(90)._replace(reduce=True)])
def test_a_reducing_want_without_a_position_has_nothing_to_reduce(want):
    assert planned({"a": want}, position=0.0).clipped == {"a": 0.0}


def test_an_order_that_may_cross_zero_is_not_clipped():
    assert planned({"a": sell(110, 5)}, position=3.0).clipped == {}


def test_an_exit_waits_for_the_cancel_of_the_one_that_stands_in_its_place():
    slots = {"old": slot(exit_of(3))}
    result = planned({"new": exit_of(3, 105)}, slots, position=3.0)
    assert (result.cancels, result.reduces, result.waits) == ([("old", "cancelled")], [], {"new"})
    result = planned({"new": exit_of(3, 105)}, slots, position=3.0, cancelling={"old"})
    assert (result.reduces, result.waits) == ([], {"new"})
    result = planned({"new": exit_of(3, 105)}, {"old": slot(exit_of(3), SlotStatus.CLOSED)}, position=3.0)
    assert ([name for name, _ in result.reduces], result.waits, result.clipped) == (["new"], set(), {})


def test_an_amended_exit_is_bounded_too_its_filled_part_included():
    slots = {"a": slot(exit_of(2), filled=1.0), "b": slot(exit_of(1))}
    assert planned({"a": exit_of(9), "b": exit_of(1)}, slots, position=3.0).clipped == {"a": 3.0}


def test_noise_of_floats_clips_nothing():
    assert planned({"a": exit_of(0.1), "b": exit_of(0.2)}, position=0.30000000000000004 - 1e-16).clipped == {}


quantities = st.floats(0.1, 5.0).map(lambda x: round(x, 1))


@given(st.lists(quantities, max_size=4), st.lists(quantities, min_size=1, max_size=4), quantities, st.booleans())
def test_exits_never_exceed_the_position(resting, new, held, long):
    side, position = (Side.SELL, held) if long else (Side.BUY, -held)
    live: dict[str, SlotView] = {}
    left = held
    for k, qty in enumerate(resting):
        if qty <= left:
            live[f"old{k}"] = slot(exit_of(qty)._replace(side=side))
            left -= qty
    wants = {f"new{k}": exit_of(qty)._replace(side=side) for k, qty in enumerate(new)}
    result = planned({name: known.want for name, known in live.items()} | wants, live, position=position)
    total = sum(known.want.qty for known in live.values())
    total += sum(result.clipped.get(name, want.qty) for name, want in result.reduces)
    assert total <= held + 1e-6
    assert {name for name, _ in result.reduces} == set(wants)


# --- order and groups


def leg(want: Want, group: str = "g") -> Want:
    return want._replace(group=group)


def test_the_order_of_placing_depends_on_names_only_and_market_orders_go_first():
    orders = {"b": buy(90), "z": market_buy(), "a": buy(80)}
    assert [name for name, _ in planned(orders).adds] == ["z", "a", "b"]
    assert planned(dict(reversed(orders.items()))).adds == planned(orders).adds


def test_the_legs_of_a_group_stand_together_and_add_when_one_of_them_adds():
    orders = {"a": buy(90), "b": leg(market_buy()), "c": market_buy(), "d": leg(sell(110))}
    result = planned(orders)
    assert ([name for name, _ in result.adds], result.reduces) == (["b", "d", "c", "a"], [])


def test_a_group_that_only_reduces_is_work_that_reduces():
    assert [name for name, _ in planned({"a": leg(sell(110)), "b": leg(sell(111))}).reduces] == ["a", "b"]


def test_once_a_leg_has_filled_the_others_are_hedges_and_go_with_the_exits():
    slots = {"a": slot(leg(buy(90)), filled=0.1), "b": slot(leg(buy(80)), SlotStatus.CLOSED)}
    result = planned({"a": slots["a"].want, "b": leg(buy(80, gen=2))}, slots)
    assert (result.hedges, [name for name, _ in result.reduces], result.adds) == ({"b"}, ["b"], [])


def test_a_leg_of_an_older_generation_begins_nothing():
    slots = {"a": slot(leg(buy(90)), SlotStatus.FILLED, 1.0), "b": slot(leg(buy(80)), SlotStatus.FILLED, 1.0)}
    result = planned({"a": leg(buy(90, gen=2)), "b": leg(buy(80, gen=2))}, slots)
    assert (result.hedges, len(result.adds)) == (set(), 2)


def test_a_group_that_adds_waits_whole_for_the_exit_that_a_cancel_stands_in_for():
    legs = {"new": exit_of(3, 105)._replace(group="g"), "more": buy(95)._replace(group="g")}
    result = planned(legs, {"old": slot(exit_of(3))}, position=3.0)
    assert (result.reduces, result.adds, result.waits) == ([], [], {"new", "more"})
