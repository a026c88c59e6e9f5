"""DCA's parameters and preview: the formulas in figures worked out by hand, each fault with what would be right."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bots.strategies.dca.ladder import Held, break_even_price, deviation, recipe_of, steps_of, target_price
from bots.strategies.dca.params import DcaParams
from bots.strategies.dca.state import blank, learn_market, on_step
from bots.strategies.dca.strategy import Dca
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.indicators import check_value
from trading.core.params import params_schema, parse_params
from trading.core.previews import MarketFacts, Preview
from trading.core.rounding import price_on_tick, qty_on_lot
from trading.core.types import Fees, MarketRules, Perpetual, Side

SPOT = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal("0.0001"), Decimal(5))
PERPETUAL = MarketRules(
    "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal("0.0001"), Decimal(5), perpetual=Perpetual()
)
DCA = {"base_order": "100", "safety_order": "100", "take_profit_percent": "1.5"}


def shown(rules: MarketRules = SPOT, price: float = 10_000.0, **changes: Any) -> Preview:
    params = parse_params(DcaParams, {**DCA, **changes})
    return Dca().preview(params, {"main": MarketFacts(price, rules, Fees())})


def figures(preview: Preview) -> dict[str, Decimal]:
    return {figure.key: figure.value for figure in preview.figures}


# --- formulas


@pytest.mark.parametrize(
    ("first", "scale", "expected"),
    [
        ("1", "1.5", ["1", "2.5", "4.75", "8.125", "13.1875"]),
        ("2", "1", ["2", "4", "6", "8", "10"]),
        ("1", "0.5", ["1", "1.5", "1.75", "1.875", "1.9375"]),
    ],
)
def test_deviations_of_the_safety_orders(first: str, scale: str, expected: list[str]):
    found = [deviation(Decimal(first), Decimal(scale), n) for n in range(1, 6)]
    assert found == [Decimal(text) for text in expected]


def test_each_safety_order_is_larger_by_the_volume_scale():
    params = DcaParams(base_order=10, safety_order=10, volume_scale=Decimal("1.5"), take_profit_percent=1)
    assert [step.size for step in steps_of(params)] == [
        Decimal(10) * Decimal("1.5") ** n for n in range(5)  # 10, 15, 22.5, 33.75, 50.625
    ]  # fmt: skip


def test_steps_of_your_own_stand_as_they_are_written():
    params = parse_params(DcaParams, {"base_order": 10, "take_profit_percent": 1, "custom_steps": "1:10, 2.5:15,4:22"})
    assert [(step.percent, step.size) for step in steps_of(params)] == [(1, 10), (Decimal("2.5"), 15), (4, 22)]


def test_the_target_leaves_the_profit_after_both_fees():
    recipe = recipe_of(DcaParams(**{**DCA, "take_profit_percent": "2"}))
    held = Held(qty=3.0, cost=280.0, fees=0.28, base_cost=100.0)  # bought 1 at 100 and 2 at 90, fee 0.1 %
    target = target_price(recipe, True, held, 0.001)
    assert 3 * target * 0.999 - 280.28 == pytest.approx(0.02 * 280.28, rel=1e-12)
    of_base = target_price(recipe._replace(of_base=True), True, held, 0.001)
    assert 3 * of_base * 0.999 - 280.28 == pytest.approx(0.02 * 100, rel=1e-12)
    gross = recipe._replace(after_fees=False)
    assert target_price(gross, True, held, 0.001) == pytest.approx(280 / 3 * 1.02)
    assert target_price(gross._replace(of_base=True), True, held, 0.001) == pytest.approx((280 + 2) / 3)


def test_a_short_is_the_mirror_image():
    recipe = recipe_of(DcaParams(**{**DCA, "take_profit_percent": "2", "direction": "short"}))
    held = Held(qty=3.0, cost=320.0, fees=0.32, base_cost=100.0)  # sold 1 at 100 and 2 at 110
    target = target_price(recipe, False, held, 0.001)
    assert 319.68 - 3 * target * 1.001 == pytest.approx(0.02 * 319.68, rel=1e-12)
    assert 319.68 - 3 * break_even_price(False, held, 0.001) * 1.001 == pytest.approx(0, abs=1e-9)


@given(st.floats(1e-6, 1e7), st.sampled_from(["0.01", "0.5", "1", "5", "0.00000001", "0.0025"]))
def test_prices_and_quantities_go_to_the_grid_as_the_core_rounds_them(value: float, step: str):
    assume(value / float(step) < 1e12)  # beyond, a step is no more than a few last digits of a float
    rules = MarketRules("BTC", "USDT", Decimal(step), Decimal(step))
    state = blank()
    learn_market(state, rules)
    assert on_step(value, state["tick"]) == price_on_tick(value, rules, Side.BUY)
    assert on_step(value, state["tick"], up=True) == price_on_tick(value, rules, Side.SELL)
    assert on_step(value, state["lot"]) == qty_on_lot(value, rules)


# --- the preview


def test_the_preview_shows_every_order_with_average_target_and_funds():
    preview = shown(volume_scale="2", safety_orders="3", stop_loss_percent="20")
    assert [(level.price, level.qty) for level in preview.levels] == [
        (Decimal(10_000), Decimal("0.01")),
        (Decimal(9800), Decimal("0.0102")),
        (Decimal(9600), Decimal("0.02083")),
        (Decimal(9400), Decimal("0.04255")),
    ]
    found = figures(preview)
    cost = Decimal("99.96") + 100 + Decimal("199.968") + Decimal("399.97")
    assert found["quantity_full"] == Decimal("0.08358")
    assert found["average_full"] == pytest.approx(cost / Decimal("0.08358"), rel=Decimal("1e-8"))
    assert found["funds_deal"] == pytest.approx(cost * Decimal("1.001"), rel=Decimal("1e-8"))
    assert found["target_first"] == Decimal("10170.33")  # 10000 * 1.001 * 1.015 / 0.999, up to the tick
    assert found["stop_full"] == pytest.approx(found["average_full"] * Decimal("0.8"))
    loss = cost * Decimal("1.001") - cost * Decimal("0.8") * Decimal("0.999")
    assert found["worst_loss"] == pytest.approx(loss, rel=Decimal("1e-8"))
    assert preview.funds["USDT"] == pytest.approx(found["funds_deal"] * Decimal("1.005"), rel=Decimal("1e-8"))
    assert "average 9800" not in preview.levels[1].note
    assert "take profit" in preview.levels[1].note


def test_several_deals_need_several_times_the_funds():
    one, three = (shown(max_active_deals=n, cooldown_minutes="5").funds["USDT"] for n in ("1", "3"))
    assert three == pytest.approx(3 * one, rel=Decimal("1e-8"))


def test_a_perpetual_shows_margin_and_liquidation():
    spot, perpetual = figures(shown()), figures(shown(PERPETUAL, leverage="5"))
    fees = spot["funds_deal"] / Decimal("1.001") * Decimal("0.001")
    assert perpetual["funds_deal"] == pytest.approx((spot["funds_deal"] - fees) / 5 + fees, rel=Decimal("1e-8"))
    expected = perpetual["average_full"] * Decimal("0.8") / Decimal("0.995")
    assert perpetual["liquidation_full"] == pytest.approx(expected, rel=Decimal("1e-8"))
    assert "liquidation_full" not in spot


def test_percent_sizes_are_shown_for_the_smallest_budget_that_works():
    preview = shown(size_in="percent", base_order="5", safety_order="5")
    assert preview.funds["USDT"] >= Decimal(100)  # 5 % of it make the least order of 5 USDT
    assert any("smallest one that works" in warning for warning in preview.warnings)
    assert all(level.price * level.qty >= 5 for level in preview.levels)


def test_percent_sizes_are_shown_for_the_budget_that_the_bot_gets():
    params = parse_params(DcaParams, DCA | {"size_in": "percent", "base_order": "5", "safety_order": "5"})
    preview = Dca().preview(params, {"main": MarketFacts(10_000.0, SPOT, Fees(), budget=Decimal(4000))})
    assert preview.levels[0].qty == Decimal("0.02")
    assert preview.funds["USDT"] == pytest.approx(Decimal(1200), rel=Decimal("0.01"))  # six orders of 200
    assert not any("smallest one that works" in warning for warning in preview.warnings)
    small = Dca().preview(params, {"main": MarketFacts(10_000.0, SPOT, Fees(), budget=Decimal(50))})
    assert small.funds["USDT"] > 100  # which the preflight then compares with the 50


@pytest.mark.parametrize(("base", "deals", "most"), [("25", 1, "99.40"), ("12.5", 2, "49.70")])
def test_percent_sizes_leave_room_for_the_fees(base: str, deals: int, most: str):
    """A hundred percent would leave the last order without the money for its fee."""
    wish = DCA | {"size_in": "percent", "base_order": base, "safety_order": base, "safety_orders": 3}
    wish |= {"max_active_deals": deals, "cooldown_minutes": 5}
    for budget in (None, Decimal(4000)):
        facts = MarketFacts(10_000.0, SPOT, Fees(0.001, 0.001), budget=budget)
        with pytest.raises(InvalidInput) as caught:
            Dca().preview(parse_params(DcaParams, wish), {"main": facts})
        assert (caught.value.field, caught.value.value, caught.value.code) == ("base_order", Decimal(base), "range")
        assert f"may be {Decimal(most).normalize()} % at most" in caught.value.message
    size = str(Decimal(most) / 4 - Decimal("0.01"))
    fits = parse_params(DcaParams, wish | {"base_order": size, "safety_order": size})
    Dca().preview(fits, {"main": MarketFacts(10_000.0, SPOT, Fees(0.001, 0.001), budget=Decimal(4000))})


def test_what_deserves_a_warning():
    assert any("no stop loss" in warning for warning in shown().warnings)
    assert shown(stop_loss_percent="20").warnings == ()
    assert any("Funding" in warning for warning in shown(PERPETUAL, leverage="2").warnings)
    assert any("earns only 0.05 %" in warning for warning in shown(take_profit_percent="0.05").warnings)
    assert any("trails" in warning for warning in shown(trailing_profit_percent="2").warnings)


# --- faults


BOUNDS = [
    ("direction", "up", "one of long, short"),
    ("size_in", "coins", "one of quote, base, percent"),
    ("base_order", "0", "a number above 0"),
    ("base_order", "1e30", "a number above 0"),
    ("base_order_type", "stop", "one of market, limit"),
    ("base_order_wait_minutes", "0", "from 1 to 10080"),
    ("base_order_wait_minutes", "10081", "from 1 to 10080"),
    ("leverage", "0.5", "from 1 to 100"),
    ("leverage", "101", "from 1 to 100"),
    ("safety_orders", "-1", "from 0 to 200"),
    ("safety_orders", "201", "from 0 to 200"),
    ("safety_order", "0", "a number above 0"),
    ("deviation_percent", "0", "a number above 0"),
    ("deviation_percent", "1001", "a number above 0"),
    ("step_scale", "0.09", "from 0.1 to 10"),
    ("step_scale", "10.1", "from 0.1 to 10"),
    ("volume_scale", "0.09", "from 0.1 to 10"),
    ("volume_scale", "11", "from 0.1 to 10"),
    ("active_safety_orders", "0", "from 1 to 200"),
    ("take_profit_percent", "0", "a number above 0"),
    ("take_profit_percent", "1001", "a number above 0"),
    ("take_profit_of", "all", "one of total, base"),
    ("take_profit_after_fees", "maybe", "true or false"),
    ("trailing_profit_percent", "100", "below 100"),
    ("stop_loss_percent", "100", "below 100"),
    ("stop_loss_percent", "0", "a number above 0"),
    ("stop_reference", "last", "one of average, base"),
    ("break_even_percent", "0", "a number above 0"),
    ("after_stop", "wait", "one of continue, stop"),
    ("start", "never", "one of immediately, price_drop, condition, signal"),
    ("drop_percent", "0", "a number above 0"),
    ("custom_steps", "1:1e15", "must be below 1000000000000000"),
    ("drop_candles", "1", "from 2 to 2000"),
    ("cooldown_minutes", "-1", "from 0 to 525600"),
    ("max_active_deals", "0", "from 1 to 20"),
    ("max_active_deals", "21", "from 1 to 20"),
    ("stop_after_deals", "0", "from 1 to 100000"),
]


@pytest.mark.parametrize(("name", "value", "right"), BOUNDS)
def test_a_value_out_of_bounds_is_named_with_what_would_be_right(name: str, value: str, right: str):
    found = faults(**{name: value})
    assert set(found) == {name}
    assert right in found[name].message
    assert found[name].value == value


def faults(**changes: Any) -> dict[str, InvalidInput]:
    with pytest.raises(InvalidInputs) as caught:
        parse_params(DcaParams, {**DCA, **changes})
    return {fault.field: fault for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("changes", "name", "right"),
    [
        ({"deviation_percent": "25"}, "deviation_percent", "3 of these fit"),
        ({"step_scale": "4", "deviation_percent": "1"}, "deviation_percent", "4 of these fit"),
        ({"safety_order": ""}, "safety_order", "0 as their number"),
        ({"safety_order": "", "custom_steps": "1:10, x"}, "custom_steps", "like 2.5:15"),
        ({"safety_order": "", "custom_steps": "1:-3"}, "custom_steps", "like 2.5:15"),
        ({"safety_order": "", "custom_steps": "1:nan"}, "custom_steps", "like 2.5:15"),
        ({"safety_order": "", "custom_steps": "2:10, 2:15"}, "custom_steps", "further away than 2 %"),
        ({"safety_order": "", "custom_steps": "50:10, 120:15"}, "custom_steps", "1 of these fit"),
        ({"custom_steps": "1:10"}, "safety_order", "not both"),
        ({"stop_loss_percent": "5", "stop_reference": "base"}, "stop_loss_percent", "before safety order 3 at 6 %"),
        ({"stop_loss_percent": "3"}, "stop_loss_percent", "before safety order 2 at 4 %"),
        ({"trailing_stop": "true"}, "trailing_stop", "set its percent"),
        ({"after_stop": "stop"}, "after_stop", "set its percent"),
        ({"break_even_percent": "1.5"}, "break_even_percent", "before 1.5 %"),
        ({"direction": "short", "take_profit_percent": "100"}, "take_profit_percent", "at or below 0"),
        ({"start": "price_drop"}, "drop_percent", "how many percent"),
        ({"start": "condition"}, "start_condition", "rsi(14) < 30"),
        ({"start": "condition", "start_condition": "rsi(14) <"}, "start_condition", "position"),
        ({"start": "condition", "start_condition": "foo(14) < 3"}, "start_condition", "foo"),
        ({"max_active_deals": "2"}, "cooldown_minutes", "2 deals would all start at one price"),
    ],
)
def test_fields_that_contradict_each_other_are_named(changes: dict[str, str], name: str, right: str):
    found = faults(**changes)
    assert set(found) == {name}
    assert right in found[name].message


def test_what_looks_close_to_a_fault_is_fine():
    for changes in (
        {"deviation_percent": "19.9"},
        {"direction": "short", "deviation_percent": "40"},
        {"stop_loss_percent": "7"},
        {"safety_order": "", "safety_orders": "0"},
        {"max_active_deals": "2", "start": "signal"},
        {"start": "condition", "start_condition": "rsi(14) < 30 and on 1h: close > ema(200)"},
    ):
        assert parse_params(DcaParams, {**DCA, **changes})


@pytest.mark.parametrize("direction", ["long", "short"])
@pytest.mark.parametrize("count", [10, 15, 30, 200])
def test_safety_orders_beyond_all_measure_are_named_at_their_field(direction: str, count: int):
    wish = {**DCA, "direction": direction, "safety_orders": count, "step_scale": "10"}
    with pytest.raises(InvalidInputs) as caught:
        parse_params(DcaParams, wish)
    assert (caught.value.field, caught.value.code) == ("deviation_percent", "range")
    assert f"{2 if direction == 'long' else 4} of these fit" in caught.value.message
    wish |= {"safety_orders": 0, "safety_order": "", "custom_steps": ["1e30:10"]}
    with pytest.raises(InvalidInputs) as caught:
        parse_params(DcaParams, wish)
    assert caught.value.field == "custom_steps"


def test_a_price_of_more_ticks_than_can_be_counted_is_named_at_its_field():
    with pytest.raises(InvalidInput) as caught:
        shown(PERPETUAL, 2e12, direction="short", deviation_percent="1000", step_scale="3", safety_orders=2)
    assert (caught.value.field, caught.value.code) == ("deviation_percent", "tick")


@pytest.mark.parametrize("direction", ["long", "short"])
def test_the_longest_look_back_is_one_that_its_signal_takes(direction: str):
    longest = params_schema(DcaParams)["properties"]["drop_candles"]["maximum"]
    wish = {**DCA, "start": "price_drop", "drop_percent": "1", "drop_candles": longest, "direction": direction}
    assert check_value(Dca().needs(parse_params(DcaParams, wish)).signals["extreme"].of)


@pytest.mark.parametrize(
    ("rules", "changes", "name", "right"),
    [
        (SPOT, {"direction": "short"}, "direction", "choose long, or a perpetual"),
        (SPOT, {"leverage": "2"}, "leverage", "no leverage: 1, not 2"),
        (PERPETUAL, {"leverage": "11"}, "leverage", "10 at most"),
        (SPOT, {"base_order": "4"}, "base_order", "5 USDT would do"),
        (SPOT, {"safety_order": "4.99"}, "safety_order", "Safety order 1 of 4.99 USDT"),
        (SPOT, {"size_in": "base", "base_order": "0.01", "safety_order": "0.00001"}, "safety_order", "BTC would do"),
        (SPOT, {"safety_order": "", "custom_steps": "1:10, 2:1"}, "custom_steps", "Safety order 2"),
        (SPOT, {"take_profit_percent": "0.2", "take_profit_after_fees": "false"}, "take_profit_percent", "0.201 %"),
        (
            SPOT,
            {"take_profit_percent": "0.9", "take_profit_after_fees": "false", "take_profit_of": "base"},
            "take_profit_percent",
            "with 6 orders filled",
        ),
        (SPOT, {"size_in": "percent", "base_order": "60", "safety_order": "10"}, "base_order", "need 110.67"),
        (PERPETUAL, {"leverage": "10", "deviation_percent": "6"}, "leverage", "before safety order 3"),
        (PERPETUAL, {"leverage": "10", "stop_loss_percent": "12"}, "stop_loss_percent", "after the liquidation"),
        (SPOT, {"base_order": "9e14", "safety_orders": "0"}, "base_order", "more lots"),
    ],
)
def test_what_this_market_does_not_allow(rules: MarketRules, changes: dict[str, str], name: str, right: str):
    with pytest.raises(InvalidInput) as caught:
        shown(rules, **changes)
    assert caught.value.field == name
    assert right in caught.value.message


def test_the_schema_groups_the_fields_and_marks_the_condition():
    shapes = params_schema(DcaParams)["properties"]
    assert list(shapes) == list(DcaParams.model_fields)
    assert {shape["group"] for shape in shapes.values()} == {"size", "safety", "exits", "deals"}
    assert shapes["start_condition"]["format"] == "condition"
    assert params_schema(DcaParams)["required"] == ["base_order", "take_profit_percent"]
