"""Parameters from forms and scripts: every fault names its field, the value given and what would be right."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from bots.strategies.ema_cross import EmaCrossParams
from bots.strategies.grid.params import GridParams
from bots.strategies.registry import STRATEGIES, get_strategy
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.params import params_schema, parse_params
from trading.core.previews import MarketFacts
from trading.core.types import Fees, MarketRules

GRID = {"lower": "33000", "upper": "48000", "levels": "60", "spacing": "arithmetic", "investment": "500000"}
EMA = {"fast": "12", "slow": "26", "quantity": "1"}
RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal("0.001"), Decimal(5))


def faults(model: type, raw: object) -> dict[str, InvalidInput]:
    with pytest.raises(InvalidInputs) as caught:
        parse_params(model, raw)
    return {fault.field: fault for fault in caught.value.faults}


def test_texts_numbers_and_blanks_of_a_form_are_understood():
    params = parse_params(GridParams, {**GRID, "upper": 48_000.5, "stop_price": "", "take_profit_price": "  "})
    assert (params.lower, params.upper, params.levels) == (Decimal(33_000), Decimal("48000.5"), 60)
    assert params.stop_price is params.take_profit_price is params.quantity_per_level is None
    assert parse_params(GridParams, params.model_dump(mode="json")) == params


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("lower", "abc", "a number above 0"),
        ("lower", "0", "a number above 0"),
        ("lower", "-5", "a number above 0"),
        ("lower", "NaN", "a number above 0"),
        ("upper", "Infinity", "a number above 0"),
        ("upper", "1e400", "a number above 0"),
        ("upper", "48,000", "Write it with a point"),
        ("upper", True, "a number above 0"),
        ("upper", [1], "a number above 0"),
        ("levels", "2", "a whole number from 3 to 500"),
        ("levels", "501", "a whole number from 3 to 500"),
        ("levels", "7.5", "a whole number from 3 to 500"),
        ("levels", False, "a whole number from 3 to 500"),
        ("levels", {}, "a whole number from 3 to 500"),
        ("spacing", "fibonacci", "one of arithmetic, geometric"),
        ("spacing", 1, "one of arithmetic, geometric"),
        ("investment", "x" * 200, "a number above 0"),
        ("quantity_per_level", "0", "a number above 0"),
        ("stop_price", "low", "a number above 0"),
        ("take_profit_price", "-1", "a number above 0"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(name: str, value: object, right: str):
    found = faults(GridParams, {**GRID, name: value})
    assert set(found) == {name}
    assert found[name].value == value
    assert right in found[name].message
    assert str(value)[:50] in found[name].message


@pytest.mark.parametrize(
    ("changes", "name", "value", "right"),
    [
        ({"upper": "33000"}, "upper", Decimal(33_000), "above the lower price 33000"),
        ({"upper": "100"}, "upper", Decimal(100), "above the lower price 33000"),
        ({"stop_price": "33000"}, "stop_price", Decimal(33_000), "below the lower price 33000"),
        ({"take_profit_price": "48000"}, "take_profit_price", Decimal(48_000), "above the upper price 48000"),
        ({"quantity_per_level": "1"}, "quantity_per_level", Decimal(1), "not both"),
        ({"investment": None}, "investment", None, "or a quantity per cell"),
    ],
)
def test_fields_that_contradict_each_other_are_named(changes: dict, name: str, value: object, right: str):
    found = faults(GridParams, {**GRID, **changes})
    assert set(found) == {name}
    assert found[name].value == value
    assert right in found[name].message


def test_several_faults_come_at_once():
    found = faults(GridParams, {"lower": "a", "upper": "b", "spacing": "c", "stop": 1})
    assert set(found) == {"lower", "upper", "spacing", "levels", "stop"}
    assert found["levels"].code == "required"
    assert "did you mean stop_price?" in found["stop"].message


def test_what_is_no_object_is_refused():
    for raw in ([], "x", None, 3):
        assert faults(GridParams, raw)["params"].value == raw


@pytest.mark.parametrize(
    ("changes", "name", "right"),
    [
        ({"fast": "26"}, "fast", "shorter than the slow span 26"),
        ({"fast": "0"}, "fast", "a whole number from 1 to 5000"),
        ({"slow": "x"}, "slow", "a whole number from 2 to 10000"),
        ({"quantity": "0"}, "quantity", "a number above 0"),
        ({"quantity": ""}, "quantity", "is required"),
        ({"speed": 1}, "speed", "known are fast, slow, quantity"),
    ],
)
def test_faults_of_the_crossover(changes: dict, name: str, right: str):
    found = faults(EmaCrossParams, {**EMA, **changes})
    assert set(found) == {name}
    assert right in found[name].message


def test_the_schema_holds_what_a_form_and_the_api_need():
    schema = params_schema(GridParams)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["required"] == ["lower", "upper", "levels"]
    assert schema["additionalProperties"] is False
    shapes = schema["properties"]
    assert list(shapes) == list(GridParams.model_fields)
    assert all(shape["title"] and shape["description"] for shape in shapes.values())
    assert (shapes["levels"]["type"], shapes["levels"]["minimum"], shapes["levels"]["maximum"]) == ("integer", 3, 500)
    assert shapes["spacing"]["enum"] == ["arithmetic", "geometric"]
    assert shapes["spacing"]["default"] == "arithmetic"
    assert shapes["lower"]["format"] == "decimal"
    assert shapes["lower"]["exclusiveMinimum"] == 0


@pytest.mark.parametrize("key", sorted(STRATEGIES))
def test_every_strategy_describes_itself(key: str):
    strategy = get_strategy(key)
    assert strategy.key == key
    assert strategy.title
    assert strategy.summary.endswith(".")
    assert all(field.title and field.description for field in strategy.params.model_fields.values())


def test_an_unknown_strategy_is_refused_with_the_known_ones():
    with pytest.raises(InvalidInput, match="known are grid, ") as caught:
        get_strategy("gird")
    assert (caught.value.field, caught.value.value) == ("strategy", "gird")


def test_the_preview_of_the_crossover_names_the_cost_of_an_entry():
    strategy = get_strategy("ema_cross")
    shown = strategy.preview(EmaCrossParams(**EMA), {"main": MarketFacts(40_000.0, RULES, Fees())})
    assert {figure.key: figure.value for figure in shown.figures}["cost"] == Decimal(40_040)
    assert shown.funds == {"USDT": Decimal(42_042)}


def test_a_crossover_too_small_for_the_market_is_refused_with_what_would_do():
    with pytest.raises(InvalidInput, match=r"at least 0\.001 BTC") as caught:
        get_strategy("ema_cross").preview(
            EmaCrossParams(**{**EMA, "quantity": "0.00001"}), {"main": MarketFacts(40_000.0, RULES, Fees())}
        )
    assert caught.value.field == "quantity"


@pytest.mark.parametrize("key", STRATEGIES)
def test_a_number_with_a_gigabyte_of_zeros_is_refused_at_its_field(key: str):
    """Twelve characters come in; written out in a message they would fill the memory."""
    model = STRATEGIES[key].params
    shapes = params_schema(model)["properties"]
    decimals = [name for name, shape in shapes.items() if shape.get("format") == "decimal"]
    assert decimals
    with pytest.raises(InvalidInputs) as caught:
        parse_params(model, dict.fromkeys(decimals, "1e-999999999"))
    codes = {fault.field: fault.code for fault in caught.value.faults}
    assert {codes[name] for name in decimals} == {"decimals"}
    assert all(len(fault.message) < 200 for fault in caught.value.faults)


def test_a_step_of_ones_own_with_as_many_is_none():
    raw = {"base_order": 10, "take_profit_percent": 1, "custom_steps": ["1:1e-999999999"]}
    assert set(faults(STRATEGIES["dca"].params, raw)) == {"custom_steps"}
