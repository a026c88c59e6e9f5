"""A wrong value in any field of a bot is refused in its place, by preview and create alike; nothing is half-done."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from rest_framework.test import APIClient

from accounts.api_input import AmountField, StrictSerializer
from accounts.models import Event
from bots.models import Bot, BotInput
from tests.factories import GRID, MarketFactory, account_of, alice, bob, funded, priced

pytestmark = pytest.mark.django_db
BOTS, PREVIEW = "/api/v1/bots/", "/api/v1/bots/preview/"
ONLY_CREATE = {"name", "timeframe_ms", "start"}


class AmountIn(StrictSerializer):
    amount = AmountField()


@pytest.fixture
def api():
    client = APIClient()
    client.force_authenticate(alice())
    return client


@pytest.fixture
def body():
    priced(MarketFactory())
    account = funded(account_of(alice()))
    params = {name: str(value) for name, value in GRID.items()}
    return {
        "account": str(account.public_id),
        "market": "BTC/USDT",
        "strategy": "grid",
        "name": "Mine",
        "params": params,
    }


def faults_of(answer) -> dict[str, str]:
    body = answer.json()
    return {fault["field"]: fault["code"] for fault in body.get("errors", [body["detail"]])}


def check_refused(api, body, field, status=400, code=None):
    created = api.post(BOTS, {**body, "start": True} if "start" not in body else body, format="json")
    answers = [created]
    if field not in ONLY_CREATE:
        answers.append(api.post(PREVIEW, {k: v for k, v in body.items() if k not in ONLY_CREATE}, format="json"))
    for answer in answers:
        assert answer.status_code == status, answer.content
        assert field in faults_of(answer), answer.content
        if code:
            assert faults_of(answer)[field] == code
    assert not Bot.objects.exists()
    assert not BotInput.objects.exists()
    assert not Event.objects.exists()


FIELDS = [
    ("account", [None, "", "x", 5, "00000000-0000-0000-0000-000000000000", {}, []]),
    ("market", [None, "", "BTC", "btc/usdt", "NO/SUCH", "x" * 41, 5, {}, ["BTC/USDT"]]),
    ("strategy", [None, "", "gird", "x" * 41, {}, []]),
    ("name", [None, "", "   ", "x" * 81, {}, []]),
    ("params", [None, "", 5, [], "x"]),
    ("timeframe_ms", [None, "", 0, 61_000, "1m", -60_000]),
    ("start", [None, "", "perhaps", 2]),
    (
        "budget",
        [
            "",
            "x",
            "1,000",
            "NaN",
            "Infinity",
            "-Infinity",
            "sNaN",
            "1e999999",
            "1e-999999",
            "1e20",
            "0",
            "-5",
            "4.99",
            "0.0001",
            "1" * 70,
            "١٠٠٠",
            "1_000",
            True,
            {},
            [],
            1e300,
            "0x10",
            "1e17",
            "1000.0000000000000000001",
        ],
    ),
]


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in FIELDS for v in values], ids=str)
def test_a_wrong_value(api, body, field, value):
    check_refused(api, {**body, field: value}, field)


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("1e18", "range"),
        ("1e-19", "range"),
        ("2000.0000000000000000001", "range"),
        ("0e999999", None),
        ("NaN", "invalid"),
        ("1" * 65, "invalid"),
        ("999999999999999999.999999999999999999", None),
    ],
)
def test_an_amount_has_room_before_and_behind_the_point(amount, code):
    given = AmountIn(data={"amount": amount})
    assert given.is_valid() is (code is None)
    assert [detail.code for detail in given.errors.get("amount", [])] == ([code] if code else [])


@pytest.mark.parametrize("field", ["account", "market", "strategy", "name", "params"])
def test_a_missing_field(api, body, field):
    del body[field]
    check_refused(api, body, field, code="required")


def test_a_misspelt_field_is_not_ignored(api, body):
    answer = api.post(BOTS, {**body, "budgit": 5}, format="json")
    assert faults_of(answer) == {"budgit": "unknown_field"}
    assert "budget" in answer.json()["detail"]["message"]


NUMBERS = ["", "x", "NaN", "Infinity", "-1", "0", "1e999999", "1e-999999", "1" * 70, True, {}, [], None, "1e400", 1e308]
PARAMS = [
    *[("lower", value) for value in NUMBERS],
    *[("upper", value) for value in NUMBERS],
    *[("levels", value) for value in [*NUMBERS, "2", "501", "5.5", 1.5]],
    *[("spacing", value) for value in ["linear", 5, {}, [], True]],
    *[("investment", value) for value in [v for v in NUMBERS if v not in ("", None)]],
    *[("stop_price", value) for value in ["x", "NaN", "-1", "0", "90", "95", "1e999999", {}, True]],
    *[("take_profit_price", value) for value in ["x", "NaN", "-1", "0", "110", "100", "1e999999", {}, True]],
]


@pytest.mark.parametrize(("name", "value"), PARAMS, ids=str)
def test_a_wrong_parameter(api, body, name, value):
    body["params"][name] = value
    check_refused(api, body, f"params.{name}")


def test_both_sizes_or_none_are_refused(api, body):
    body["params"]["quantity_per_level"] = "1"
    check_refused(api, body, "params.quantity_per_level", code="both")
    del body["params"]["quantity_per_level"], body["params"]["investment"]
    check_refused(api, body, "params.investment", code="required")


def test_an_unknown_parameter_names_its_neighbour(api, body):
    body["params"]["lowr"] = "90"
    answer = api.post(PREVIEW, {k: v for k, v in body.items() if k != "name"}, format="json")
    assert faults_of(answer) == {"params.lowr": "unknown"}
    assert "lower" in answer.json()["detail"]["message"]


def test_several_faults_come_together(api, body):
    body["params"] |= {"lower": "x", "levels": "0"}
    answer = api.post(BOTS, body, format="json")
    assert set(faults_of(answer)) == {"params.lower", "params.levels"}
    assert answer.json()["detail"] == answer.json()["errors"][0]
    assert [fault["value"] for fault in answer.json()["errors"]] == ["x", "0"]


def test_a_grid_that_does_not_pay_its_fees(api, body):
    body["params"] |= {"lower": "99", "upper": "101", "levels": "41"}
    answer = api.post(BOTS, body, format="json")
    assert answer.status_code == 400
    assert "fee" in answer.json()["detail"]["message"]
    assert answer.json()["detail"]["field"].startswith("params.")
    assert not Bot.objects.exists()


def test_a_quantity_below_the_markets_minimum(api, body):
    body["params"]["investment"] = "5"
    answer = api.post(BOTS, body, format="json")
    assert answer.status_code == 400
    assert answer.json()["detail"]["field"].startswith("params.")


@pytest.mark.parametrize("budget", ["10000.01", 10001, "99999999999999"])
def test_a_budget_above_the_balance_names_both_numbers(api, body, budget):
    answer = api.post(BOTS, {**body, "budget": budget}, format="json")
    detail = answer.json()["detail"]
    assert (answer.status_code, detail["field"], detail["code"]) == (400, "budget", "budget_above_balance")
    assert "10000 free" in detail["message"]
    assert str(budget) in detail["message"]
    check_refused(api, {**body, "budget": budget}, "budget")


def test_a_budget_below_what_the_orders_need(api, body):
    check_refused(api, {**body, "budget": "900"}, "budget", code="budget_too_low")


def test_a_strategy_that_needs_more_than_there_is(api, body):
    body["params"]["investment"] = "10001"
    check_refused(api, body, "budget", code="budget_above_balance")


@pytest.mark.parametrize("age_s", [None, 3600.0])
def test_without_a_current_price_nothing_is_promised(api, age_s):
    market = MarketFactory()
    if age_s:
        priced(market, age_s=age_s)
    account = funded(account_of(alice()))
    body = {"account": str(account.public_id), "market": "BTC/USDT", "strategy": "grid", "name": "x", "params": GRID}
    check_refused(api, body, "market", status=503, code="no_price")


def test_a_closed_market_and_one_of_another_feed(api, body):
    MarketFactory(symbol="OLD/USDT", active=False)
    MarketFactory(symbol="FAR/USDT", source="elsewhere")
    check_refused(api, {**body, "market": "OLD/USDT"}, "market")
    check_refused(api, {**body, "market": "FAR/USDT"}, "market", code="unknown_market")


def test_a_strangers_account_is_unknown(api, body):
    stranger = funded(account_of(bob()))
    check_refused(api, {**body, "account": str(stranger.public_id)}, "account", code="unknown_account")


@pytest.mark.parametrize("budget", ["1500", 1500, 1500.0, "1500.00", "1.5e3", " 1500 "])
def test_a_number_may_be_a_text_or_a_json_number(api, body, budget):
    answer = api.post(BOTS, {**body, "budget": budget}, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["budget"] == "1500"
    assert Bot.objects.get().budget == Decimal(1500)


def test_without_a_budget_the_bot_gets_what_its_orders_need(api, body):
    answer = api.post(BOTS, body, format="json")
    assert answer.status_code == 201, answer.content
    preview = api.post(PREVIEW, {k: v for k, v in body.items() if k != "name"}, format="json").json()
    assert Decimal(answer.json()["budget"]) == Decimal(preview["funds"]["USDT"])
    assert Decimal(1000) <= Decimal(answer.json()["budget"]) <= Decimal(1010)


ANYTHING = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.floats(allow_nan=False, allow_infinity=False),
    some.decimals().map(str),
    some.text(max_size=20),
    some.lists(some.integers(), max_size=2),
    some.sampled_from(["90", "110", "100", "99.999", "1e-8", "1e15", "geometric", 5, 100, 1e-300]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    params=some.dictionaries(some.sampled_from([*GRID, "stop_price", "quantity_per_level"]), ANYTHING),
    budget=ANYTHING,
)
def test_whatever_is_sent_is_answered_with_a_preview_or_a_fault(api, body, params, budget):
    sent = {**body, "params": {**body["params"], **params}, "budget": budget}
    del sent["name"]
    answer = api.post(PREVIEW, sent, format="json")
    assert answer.status_code in {200, 400}, answer.content
    if answer.status_code == 400:
        assert set(answer.json()["detail"]) == {"code", "message", "field", "value"}


def test_percent_sizes_are_compared_with_the_budget(api, body):
    """Told at the field that is wrong: the budget that is too small for the smallest order, or sizes above it all."""
    sizes = {"size_in": "percent", "base_order": "5", "safety_order": "5", "take_profit_percent": "1.5"}
    wish = body | {"strategy": "dca", "params": sizes, "budget": "50"}
    assert faults_of(api.post(BOTS, wish, format="json")) == {"budget": "budget_too_low"}
    answer = api.post(PREVIEW, {k: v for k, v in wish.items() if k != "name"} | {"budget": "4000"}, format="json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["levels"][0]["qty"] == "2"  # 5 % of 4000 at 100
    over = sizes | {"base_order": "75"}
    answer = api.post(BOTS, wish | {"params": over, "budget": "4000"}, format="json")
    assert (answer.status_code, faults_of(answer)) == (400, {"params.base_order": "range"})
    assert "100 % in sum and may be 99.4 % at most" in answer.json()["detail"]["message"]
