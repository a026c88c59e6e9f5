"""No operation of the API breaks, whatever stands in its query or its body: an answer, or a fault in our shape."""

from __future__ import annotations

import json

import pytest
from drf_spectacular.generators import SchemaGenerator

from accounts.idempotency import HEADER
from tests.api.test_tenancy import World, as_user

pytestmark = pytest.mark.django_db
NASTY = [
    "",
    " ",
    "x",
    "-1",
    "0",
    "1e999999",
    "NaN",
    "9" * 40,
    "\x00",
    "é" * 300,
    "[]",
    "2026-13-45",
    "'",
    "%",
    "1.5",
    "null",
]
NASTY_JSON = [None, True, [], {}, {"a": {"a": []}}, 10**30, -1, 1e308, "", "x", "NaN", "1e999999", "-1"]
BASES = {
    "deposits": {"coin": "USDT", "amount": "1"},
    "paper": {"name": "A", "amount": "1"},
}  # else all fields but one would be missing
TRIED_ELSEWHERE = {"/api/v1/bots/", "/api/v1/bots/preview/"}  # field by field in test_bot_faults


def document():
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(method: str):
    found = document()["paths"]
    return [(path, methods[method]) for path, methods in found.items() if method in methods]


def fields_of(operation) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return list(document()["components"]["schemas"].get(name, {}).get("properties", {}))


def check_answer(answer) -> None:
    assert answer.status_code < 500 or answer.status_code == 503, answer.content
    if answer.status_code >= 400:
        assert set(answer.json()["detail"]) == {"code", "message", "field", "value"}


def filled(path: str, world: World) -> str:
    for name, value in world.values.items():
        path = path.replace("{" + name + "}", str(value))
    assert "{" not in path, path
    return path


@pytest.mark.parametrize(("path", "operation"), operations("get"), ids=lambda x: x if isinstance(x, str) else "")
def test_queries(path, operation):
    world = World()
    client = as_user(world.alice)
    address = filled(path, world)
    names = [entry["name"] for entry in operation.get("parameters", []) if entry["in"] == "query"]
    for name in [*names, "unheard_of"]:
        for value in NASTY:
            check_answer(client.get(address, {name: value}))


@pytest.mark.parametrize("method", ["post", "patch"])
def test_bodies(method):
    world = World()
    client = as_user(world.alice)
    listed = operations(method)
    assert listed
    for path, operation in listed:
        names = [] if path in TRIED_ELSEWHERE else fields_of(operation)
        for value in NASTY_JSON:
            for name in [*names, "unheard_of"]:
                base = BASES.get(path.rstrip("/").rpartition("/")[2], {})
                raw = json.dumps({**base, name: value})
                check_answer(client.generic(method.upper(), filled(path, world), raw, content_type="application/json"))
            raw = json.dumps(value)
            check_answer(client.generic(method.upper(), filled(path, world), raw, content_type="application/json"))


def test_every_write_that_says_so_honours_its_key():
    world = World()
    client = as_user(world.alice)
    before = world.snapshot()
    keyed = [
        path
        for path, operation in operations("post")
        if any(entry.get("name") == HEADER for entry in operation.get("parameters", []))
    ]
    assert len(keyed) >= 9
    for path in keyed:
        answer = client.post(filled(path, world), "{}", content_type="application/json", headers={HEADER: ""})
        assert (answer.status_code, answer.json()["detail"]["field"]) == (400, HEADER), path
    assert world.snapshot() == before
