"""Every limit on both sides of its edge; exits pass all of them, and what isn't known is a no."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from risk.gate import judge
from risk.rules.registry import RULES
from trading.core.ports import Allow, Deny, RiskContext, RiskLimits, RiskOrder
from trading.core.types import Kind, Side

BUY, SELL = Side.BUY, Side.SELL


def order(side: Side = BUY, qty: str = "1", price: str = "100", last: str | None = "100", **more: object) -> RiskOrder:
    plain = RiskOrder("slot", side, Kind.LIMIT, Decimal(qty), Decimal(price), Decimal("0.001"), False, "BTC", "USDT")
    return replace(plain, reference=None if last is None else Decimal(last), **more)


def context(limits: RiskLimits, *, held: str = "0", opened: int | None = 0, **more: object) -> RiskContext:
    exposure = {("main", BUY): Decimal(held), ("main", SELL): Decimal(0)}
    facts = {"price_max_age_ms": 10_000}
    free = {"USDT": Decimal(10**6), "BTC": Decimal(10**6)}
    plain = RiskContext(free, 0, "", facts, limits=limits, exposure=exposure, open_orders=opened)
    return replace(plain, **more)


def answers(orders: list[RiskOrder], given: RiskContext) -> list[str]:
    return [one.rule if isinstance(one, Deny) else "" for one in judge(orders, given)]


def test_the_rules_stand_in_this_order():
    keys = ["halted", "stale_price", "price_deviation", "max_order", "budget", "max_position", "max_orders"]
    assert [rule.key for rule in RULES] == keys


@pytest.mark.parametrize(("limit", "rule"), [("100", ""), ("99.99", "max_order"), (None, "")])
def test_one_order_may_be_as_large_as_its_limit(limit: str | None, rule: str):
    given = context(RiskLimits(max_order=limit and Decimal(limit)))
    assert answers([order()], given) == [rule]
    assert answers([order(exits=True)], given) == [""]


def test_of_an_order_that_crosses_zero_only_the_part_that_opens_counts():
    crossing = order(SELL, "3", leverage=Decimal(1), exit_qty=Decimal(2))
    assert answers([crossing], context(RiskLimits(max_order=Decimal(100)))) == [""]
    assert answers([crossing], context(RiskLimits(max_order=Decimal("99.99")))) == ["max_order"]


@pytest.mark.parametrize(("held", "rule"), [("400", ""), ("400.01", "max_position")])
def test_a_position_with_its_open_orders_may_grow_up_to_the_limit(held: str, rule: str):
    given = context(RiskLimits(max_position=Decimal(500)), held=held)
    assert answers([order()], given) == [rule]
    assert answers([order(SELL)], given) == [""], "the other direction is counted apart"
    assert answers([order(exits=True)], given) == [""]


def test_orders_of_one_decision_count_together():
    given = context(RiskLimits(max_position=Decimal(250)))
    assert answers([order(), order(), order()], given) == ["", "", "max_position"]
    assert answers([order(), order(), order()], context(RiskLimits(max_orders=2))) == ["", "", "max_orders"]


def test_a_group_that_does_not_pass_takes_nothing_from_those_behind_it():
    legs = [order(group="hedge"), order(qty="3", group="hedge"), order(qty="2")]
    assert answers(legs, context(RiskLimits(max_position=Decimal(250)))) == ["group", "max_position", ""]


@pytest.mark.parametrize(("opened", "rule"), [(4, ""), (5, "max_orders"), (6, "max_orders"), (None, "max_orders")])
def test_open_orders_up_to_the_limit(opened: int | None, rule: str):
    given = context(RiskLimits(max_orders=5), opened=opened)
    assert answers([order()], given) == [rule]
    assert answers([order(exits=True)], given) == [""]


def test_what_is_not_known_of_the_position_is_a_no():
    given = context(RiskLimits(max_position=Decimal(500)), exposure={})
    assert answers([order()], given) == ["max_position"]


@pytest.mark.parametrize(
    ("side", "price", "rule"),
    [
        (BUY, "105", ""),
        (BUY, "105.01", "price_deviation"),
        (BUY, "1", ""),
        (SELL, "95", ""),
        (SELL, "94.99", "price_deviation"),
        (SELL, "900", ""),
    ],
)
def test_a_limit_far_on_the_wrong_side_of_the_market_is_refused_and_a_resting_one_never(
    side: Side, price: str, rule: str
):
    given = context(RiskLimits(max_deviation=Decimal("0.05")))
    assert answers([order(side, price=price)], given) == [rule]
    assert answers([order(side, price=price, exits=True)], given) == [""]


def test_a_stop_is_measured_from_its_trigger():
    given = context(RiskLimits(max_deviation=Decimal("0.05")))
    assert answers([order(price="150", last="150")], given) == [""], "a stop at its own trigger"
    assert answers([order(price="160", last="150")], given) == ["price_deviation"]


def test_without_a_price_to_compare_with_nobody_says_yes():
    given = context(RiskLimits(max_deviation=Decimal("0.05")))
    assert answers([order(last=None)], given) == ["price_deviation"]
    assert isinstance(judge([order(last=None)], context(RiskLimits()))[0], Allow)


def test_a_reason_names_the_limit_and_stays_the_same_while_prices_move():
    said = [judge([order()], context(RiskLimits(max_position=Decimal(500)), held=held))[0] for held in ("450", "451.3")]
    assert said[0] == said[1] == Deny("max_position", "with it the position could grow past the limit of 500 USDT")
