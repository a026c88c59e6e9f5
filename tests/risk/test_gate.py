"""The risk gate: what adds risk needs a fresh price, no halt, and money; an exit passes the first two."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.gate import judge
from risk.rules.budget import funds_needed
from trading.core.ports import Allow, Deny, RiskContext, RiskOrder
from trading.core.types import Kind, Side

FRESH = {"price_max_age_ms": 10_000}


def order(side: Side = Side.BUY, qty: str = "1", price: str = "100", *, exits: bool = False) -> RiskOrder:
    return RiskOrder("slot", side, Kind.LIMIT, Decimal(qty), Decimal(price), Decimal("0.001"), exits, "BTC", "USDT")


def context(*, quote: str = "1000", base: str = "1", age: int | None = 0, halted: str = "", facts=FRESH) -> RiskContext:
    return RiskContext({"USDT": Decimal(quote), "BTC": Decimal(base)}, age, halted, facts)


def no(answer: Allow | Deny) -> str:
    return answer.rule if isinstance(answer, Deny) else ""


@pytest.mark.parametrize(
    ("given_", "rule"),
    [
        (context(age=None), "stale_price"),
        (context(age=10_001), "stale_price"),
        (context(age=10_000), ""),
        (context(facts={}), "stale_price"),
        (context(halted="the bot is paused"), "halted"),
        (context(quote="100.099"), "budget"),
        (context(quote="100.1"), ""),
    ],
)
def test_a_buy_needs_a_fresh_price_no_halt_and_its_cost_with_the_fee(given_: RiskContext, rule: str):
    assert no(judge([order()], given_)[0]) == rule


def test_an_exit_passes_a_halt_and_a_stale_price_but_never_sells_what_is_not_there():
    gone = context(age=None, halted="kill switch", base="1")
    assert no(judge([order(Side.SELL, "1", exits=True)], gone)[0]) == ""
    assert no(judge([order(Side.SELL, "1.00000001", exits=True)], gone)[0]) == "budget"


def test_unknown_funds_mean_no():
    blind = RiskContext({}, 0, "", FRESH)
    assert no(judge([order()], blind)[0]) == "budget"
    assert no(judge([order(Side.SELL, exits=True)], blind)[0]) == "budget"


@given(
    prices=st.lists(st.decimals(min_value=1, max_value=500, places=2), min_size=1, max_size=12),
    free=st.decimals(min_value=0, max_value=2000, places=2),
)
def test_orders_of_one_decision_never_lock_more_than_is_free(prices: list[Decimal], free: Decimal):
    orders = [order(price=str(price)) for price in prices]
    answers = judge(orders, context(quote=str(free)))
    allowed = [one for one, answer in zip(orders, answers, strict=True) if isinstance(answer, Allow)]
    assert sum((funds_needed(one)[1] for one in allowed), Decimal(0)) <= free
    cheapest = min(funds_needed(one)[1] for one in orders)
    assert bool(allowed) == (cheapest <= free)


def leg(slot: str, qty: str, group: str, **more: object) -> RiskOrder:
    return replace(order(qty=qty), slot=slot, group=group, **more)


def test_a_group_passes_whole_or_not_at_all():
    orders = [leg("a", "4", "hedge"), leg("b", "7", "hedge"), leg("c", "9", "")]
    answers = judge(orders, context(quote="1000"))
    assert [no(answer) for answer in answers] == ["group", "budget", ""]  # what the group gave back pays for c
    assert "b of the same group was denied" in answers[0].reason


def test_a_group_does_not_pass_without_a_leg_that_can_be_no_order():
    orders = [leg("a", "4", "hedge"), leg("b", "20", "hedge"), leg("c", "9", "")]
    answers = judge(orders, context(quote="1000"), {"hedge": {"d": "below_minimum"}})
    assert [no(answer) for answer in answers] == ["group", "budget", ""]
    assert answers[0] == Deny("group", "d of the same group was refused: below_minimum")


def test_a_group_that_fits_leaves_the_rest_to_the_others():
    orders = [leg("a", "4", "hedge"), leg("c", "5", ""), leg("b", "5", "hedge")]
    assert [no(answer) for answer in judge(orders, context(quote="1000"))] == ["", "budget", ""]


@pytest.mark.parametrize(("leverage", "needed"), [("1", "100.1"), ("5", "20.1"), ("10", "10.1")])
def test_a_perpetual_locks_margin_and_the_fee_on_the_whole_value(leverage: str, needed: str):
    assert funds_needed(leg("a", "1", "", leverage=Decimal(leverage))) == ("USDT", Decimal(needed))


def test_what_closes_a_perpetual_position_needs_no_funds_and_only_the_rest_does():
    through_zero = leg("a", "3", "", leverage=Decimal(10), exit_qty=Decimal(2))
    assert funds_needed(through_zero) == ("USDT", Decimal("10.1"))
    closing = leg("a", "2", "", leverage=Decimal(10), exit_qty=Decimal(2), exits=True)
    assert no(judge([closing], context(quote="0", age=None, halted="kill switch"))[0]) == ""
