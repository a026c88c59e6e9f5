"""Parameters of pair, scan and adviser: each bound and each rule across fields names field, value and what is right."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bots.strategies.registry import STRATEGIES
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.params import params_schema, parse_params

GOOD: dict[str, dict[str, Any]] = {
    "pair": {"symbol": "ETH/USDT:USDT", "leg_quote": "500"},
    "scan": {"symbols": ["BTC/USDT", "ETH/USDT", "SOL/USDT"], "quote_per_deal": "100"},
    "adviser": {"investment": "1000"},
}


def faults(key: str, **values: Any) -> dict[str, InvalidInput]:
    with pytest.raises(InvalidInputs) as caught:
        parse_params(STRATEGIES[key].params, {**GOOD[key], **values})
    return {fault.field: fault for fault in caught.value.faults}


@pytest.mark.parametrize("key", GOOD)
def test_a_few_values_are_enough_and_survive_storing(key: str):
    model = STRATEGIES[key].params
    params = parse_params(model, GOOD[key])
    assert parse_params(model, params.model_dump(mode="json")) == params
    assert hash(params) == hash(params.model_copy())
    assert set(params_schema(model)["required"]) == set(GOOD[key])


@pytest.mark.parametrize("key", GOOD)
def test_what_is_required_is_asked_for(key: str):
    with pytest.raises(InvalidInputs) as caught:
        parse_params(STRATEGIES[key].params, {})
    assert {fault.field for fault in caught.value.faults} == set(GOOD[key])


@pytest.mark.parametrize(
    ("key", "field", "value", "right"),
    [
        ("pair", "hedge_ratio", "0", "above 0"),
        ("pair", "hedge_ratio", "11", "up to 10"),
        ("pair", "window", "19", "from 20 to 2000"),
        ("pair", "window", "2001", "from 20 to 2000"),
        ("pair", "entry", "0", "above 0"),
        ("pair", "entry", "10.5", "up to 10"),
        ("pair", "exit", "-0.1", "from 0"),
        ("pair", "stop", "21", "up to 20"),
        ("pair", "max_hold_minutes", "0", "from 1"),
        ("pair", "leg_quote", "-5", "above 0"),
        ("pair", "leverage", "0.5", "from 1"),
        ("pair", "leverage", "101", "to 100"),
        ("pair", "complete_within_s", "0", "from 1 to 3600"),
        ("pair", "max_imbalance_percent", "51", "up to 50"),
        ("scan", "symbols", [], "1 to 200"),
        ("scan", "symbols", [f"C{n}/USDT" for n in range(201)], "1 to 200"),
        ("scan", "max_deals", "0", "from 1 to 200"),
        ("scan", "quote_per_deal", "0", "above 0"),
        ("scan", "stop_percent", "100", "below 100"),
        ("scan", "trailing_percent", "0", "above 0"),
        ("scan", "take_profit_percent", "-1", "above 0"),
        ("scan", "cooldown_minutes", "-1", "from 0"),
        ("scan", "entry", 5, "a condition such as"),
        ("adviser", "every_minutes", "0", "from 1"),
        ("adviser", "deadline_minutes", "0", "from 1"),
        ("adviser", "investment", "x", "a number above 0"),
        ("adviser", "max_allocation_percent", "101", "up to 100"),
        ("adviser", "min_confidence", "1.1", "from 0 to 1"),
        ("adviser", "stop_percent", "0", "above 0"),
        ("adviser", "take_profit_percent", "0", "above 0"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_what_would_be_right(key: str, field: str, value: Any, right: str):
    fault = faults(key, **{field: value})[field]
    assert right in fault.message
    assert fault.value == value


LONG = "x" * 41


@pytest.mark.parametrize(
    ("key", "field", "values", "shown", "words"),
    [
        ("pair", "exit", {"exit": "2"}, Decimal(2), "Closing at 2 deviations must be nearer than opening at 2."),
        ("pair", "stop", {"stop": "1.5"}, Decimal("1.5"), "at 1.5 deviations must be farther than opening at 2."),
        ("scan", "max_deals", {"max_deals": 4}, 4, "4 deals at once are more than the 3 markets"),
        ("scan", "symbols", {"symbols": ["A/USDT", "B/USDT", "C/USDT", "A/USDT"]}, "A/USDT", "A/USDT stands 2 times"),
        ("scan", "symbols", {"symbols": ["A/USDT", "B/USDT", LONG]}, LONG, "1 to 40 characters"),
        ("scan", "entry", {"entry": "rsy(14) < 30"}, "rsy(14) < 30", "rsi"),
        ("scan", "entry", {"entry": "rsi(14) <"}, "rsi(14) <", "position 10"),
        ("scan", "entry", {"entry": "rsi(-3) < 30"}, "rsi(-3) < 30", "period"),
        ("scan", "exit", {"exit": "close crosses 5"}, "close crosses 5", "above"),
        ("adviser", "deadline_minutes", {"every_minutes": 5}, 10, "Waiting 10 minutes for an answer is longer"),
        ("adviser", "advisor", {"advisor": "No Body"}, "No Body", "a text"),
    ],
)
def test_fields_are_judged_together_and_texts_are_read(
    key: str, field: str, values: dict[str, Any], shown: Any, words: str
):
    fault = faults(key, **values)[field]
    assert words in fault.message
    assert fault.value == shown


def parse_params_of(key: str) -> Any:
    return parse_params(STRATEGIES[key].params, GOOD[key])


def test_both_levels_of_a_pair_are_judged_at_once():
    assert set(faults("pair", exit="3", stop="1")) == {"exit", "stop"}


def test_a_scan_needs_the_candles_of_its_longest_condition():
    scan = STRATEGIES["scan"]

    def warmup(**texts: str) -> int:
        return scan.needs(parse_params(scan.params, {**GOOD["scan"], **texts})).warmup

    assert warmup(entry="close > 5") == 1
    assert warmup(entry="sma(50) > 5") == 50
    assert warmup(entry="close > 5", exit="sma(20) crosses below sma(30)") == 31
    assert warmup(entry="(close > sma(10) or close > sma(40)) and close > 5") == 40
    assert warmup(entry="on 1h: sma(40) > 5") == 0  # of another timeframe: its signal is None until it has enough


def test_a_scan_has_a_signal_for_each_market_and_condition():
    scan = STRATEGIES["scan"]
    needs = scan.needs(parse_params(scan.params, {**GOOD["scan"], "exit": "close < 5"}))
    assert list(needs.markets) == GOOD["scan"]["symbols"]
    assert set(needs.signals) == {f"{alias} {what}" for alias in needs.markets for what in ("entry", "exit")}
    assert {spec.market for spec in needs.signals.values()} == set(needs.markets)


def test_a_pair_needs_its_spread_and_its_window():
    pair = STRATEGIES["pair"]
    needs = pair.needs(parse_params(pair.params, {**GOOD["pair"], "hedge_ratio": "0.5", "leverage": "3"}))
    assert needs.derived["spread"].terms == (("main", 1.0), ("other", -0.5))
    assert (needs.warmup, needs.leverage) == (120, 3.0)
    assert needs.markets["other"].symbol == "ETH/USDT:USDT"
    assert isinstance(parse_params_of("pair").entry, Decimal)
