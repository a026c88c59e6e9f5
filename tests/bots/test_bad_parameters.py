"""Every bound and rule of every strategy on the shelf: a bad value is refused at its field, by core, API and page.

The cases are read from the schemas, so that a new strategy is held to this without a word here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from bots.models import Bot
from bots.param_fields import kind_of_shape, walk
from bots.parameters import PREFIX
from bots.presets import recipe_of
from bots.strategies.registry import STRATEGIES, get_strategy
from exchanges.models import Market
from tests.factories import MarketFactory, account_of, alice, candled, funded, priced
from trading.core.errors import InvalidInputs
from trading.core.params import params_schema, parse_params
from trading.core.rounding import plain

pytestmark = pytest.mark.django_db
PREVIEW = "/api/v1/bots/preview/"
LEAST_WORDS = 15  # characters of a message that says what would be right
SYMBOLS = {"BTC/USDT": 97_000.0, "ETH/USDT": 3_400.0, "SOL/USDT": 190.0, "DOGE/USDT": 0.36}
PERPETUALS = {"WIF/USDT:USDT": 2.1, "DOGE/USDT:USDT": 0.38}
Case = tuple[str, Any]  # field, bad value

# Rules across fields: what to change in a good set, and the field that is named.
CROSS: dict[str, list[tuple[dict[str, Any], str]]] = {
    "grid": [
        ({"upper": "1"}, "upper"),
        ({"investment": None}, "investment"),
        ({"quantity_per_level": "1"}, "quantity_per_level"),
        ({"stop_price": "10000000"}, "stop_price"),
        ({"take_profit_price": "1"}, "take_profit_price"),
    ],
    "ema_cross": [({"fast": 50, "slow": 20}, "fast"), ({"fast": 20, "slow": 20}, "fast")],
    "dca": [
        ({"safety_order": None}, "safety_order"),
        ({"custom_steps": ["1:10", "x"]}, "custom_steps"),
        ({"custom_steps": ["2:10", "1:10"], "safety_order": None}, "custom_steps"),
        ({"stop_loss_percent": None, "trailing_profit_percent": None, "trailing_stop": True}, "trailing_stop"),
        ({"stop_loss_percent": None, "after_stop": "stop"}, "after_stop"),
        ({"break_even_percent": "1"}, "break_even_percent"),
        ({"start": "price_drop"}, "drop_percent"),
        ({"start": "condition"}, "start_condition"),
        ({"start": "condition", "start_condition": "rsi(14) <"}, "start_condition"),
        ({"max_active_deals": 2, "cooldown_minutes": 0}, "cooldown_minutes"),
        ({"deviation_percent": "60"}, "deviation_percent"),
    ],
    "pair": [({"exit": "2"}, "exit"), ({"stop": "2"}, "stop"), ({"symbol": "WIF/USDT:USDT"}, "symbol")],
    "scan": [
        ({"max_deals": 5}, "max_deals"),
        ({"symbols": ["BTC/USDT", "BTC/USDT"], "max_deals": 1}, "symbols"),
        ({"symbols": ["BTC/USDT", "NO/SUCH"], "max_deals": 1}, "symbols"),
        ({"entry": "moonphase(14) > 3"}, "entry"),
        ({"exit": "close >"}, "exit"),
    ],
    "adviser": [({"deadline_minutes": 6}, "deadline_minutes"), ({"advisor": "oracle"}, "advisor")],
}


@pytest.fixture
def account():
    steps = {"tick": Decimal("0.00001"), "lot": Decimal("0.00001")}
    for symbol, price in (SYMBOLS | PERPETUALS).items():
        base, more = symbol.partition("/")[0], {"perpetual": symbol in PERPETUALS}
        market = MarketFactory(symbol=symbol, base=base, quote="USDT", **steps, **more)
        candled(priced(market, price), 400, price)
    return funded(account_of(alice()), 1_000_000)


def good(key: str) -> tuple[dict[str, Any], Market]:
    """Parameters that may start, and the market they are for."""
    recipe = recipe_of(key)
    assert recipe, f"{key} needs a recipe in bots/recipes.py: its wizard opens with those figures"
    market = Market.objects.get(symbol=recipe.symbol)
    price = Decimal(repr((SYMBOLS | PERPETUALS)[recipe.symbol]))
    return recipe.params(market, price, recipe.budget), market


def shapes(key: str) -> dict[str, dict[str, Any]]:
    properties = params_schema(get_strategy(key).params)["properties"]
    return {name.removeprefix(PREFIX): shape for name, _, shape in walk(properties)}


def bad_values(shape: dict[str, Any]) -> Iterator[Any]:
    kind = kind_of_shape(shape)
    if kind in ("number", "whole"):
        yield from ("abc", "1,5", "NaN")
        bounds = {"minimum": -1, "maximum": 1, "exclusiveMinimum": 0, "exclusiveMaximum": 0}
        yield from (plain(Decimal(str(shape[key])) + step) for key, step in bounds.items() if key in shape)
        if kind == "whole":
            yield "2.5"
    elif kind == "flag":
        yield "perhaps"
    elif kind in ("symbols", "texts"):
        yield ["X/Y"] * (shape["maxItems"] + 1) if "maxItems" in shape else {"a": 1}
        yield 5
    else:
        yield from (5, {"a": 1}) if kind != "choice" else ("no such choice", 5)
        if kind == "condition":
            yield from ("rsi(14) <", "astrology(3) > 1", "rsi(14) < 30 and", "x" * 501)
        if kind in ("symbol", "advisor"):
            yield "NO/SUCH"


def cases(key: str) -> list[Case]:
    return [(name, value) for name, shape in shapes(key).items() for value in bad_values(shape)]


def test_every_parameter_of_every_strategy_has_a_case() -> None:
    for key in STRATEGIES:
        assert {name for name, _ in cases(key)} == set(shapes(key)), key
        assert key in CROSS, f"name the rules across the fields of {key} in CROSS"


@pytest.mark.parametrize("key", STRATEGIES)
def test_the_core_names_field_value_and_what_would_be_right(account, key) -> None:
    params, _ = good(key)
    for name, value in cases(key):
        if kind_of_shape(shapes(key)[name]) in ("symbol", "advisor") and isinstance(value, str):
            continue  # what exists is for the edge to say
        with pytest.raises(InvalidInputs) as caught:
            parse_params(get_strategy(key).params, params | {name: value})
        found = {fault.field: fault for fault in caught.value.faults}
        assert name in found, (name, value, list(found))
        assert found[name].value == value or str(found[name].value) in str(value), (name, value)
        assert len(found[name].message) > LEAST_WORDS, found[name].message


@pytest.mark.parametrize("key", STRATEGIES)
def test_the_api_refuses_each_at_its_field(client: Client, account, key) -> None:
    client.force_login(alice())
    params, market = good(key)
    body = {"account": str(account.public_id), "market": market.symbol, "strategy": key}
    fine = client.post(PREVIEW, body | {"params": params}, content_type="application/json")
    assert fine.status_code == 200, fine.content
    wrong = [({name: value}, name) for name, value in cases(key)] + CROSS[key] + [({"no_such": 1}, "no_such")]
    for changes, field in wrong:
        answer = client.post(PREVIEW, body | {"params": params | changes}, content_type="application/json")
        assert answer.status_code == 400, (changes, answer.content)
        named = [fault["field"] for fault in answer.json().get("errors", [answer.json()["detail"]])]
        assert f"params.{field}" in named, (changes, named)


@pytest.mark.parametrize("key", STRATEGIES)
def test_the_page_tells_each_at_its_field(client: Client, account, key) -> None:
    client.force_login(alice())
    params, market = good(key)
    address = f"/bots/new/{key}/preview/"
    texts = [(name, value) for name, value in cases(key) if isinstance(value, str) and value != "perhaps"]
    wrong = [({name: value}, name) for name, value in texts] + CROSS[key]
    for changes, field in wrong:
        values = {f"params.{name}": sent(value) for name, value in (params | changes).items()}
        values = {name: value for name, value in values.items() if value not in (None, False)}
        values |= {"account": str(account.public_id), "market": market.pk, "name": "x", "timeframe_ms": 60_000}
        answer = client.post(address, values, headers={"HX-Request": "true"})
        assert answer.status_code == 422, (changes, answer.status_code)
        assert told(answer.content.decode(), field), (changes, field)
    assert not Bot.objects.exists()


def sent(value: Any) -> Any:
    """A list of texts of its own is one input with commas; a list of markets is one box each."""
    return ", ".join(value) if isinstance(value, list) and "/" not in value[0] else value


def told(html: str, field: str) -> str:
    found = re.search(rf'id="error-id_params-{field}"[^>]*>(.*?)</p>', html, re.DOTALL)
    assert found, field
    return re.sub(r"<[^>]+>", "", found[1]).strip()
