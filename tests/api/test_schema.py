"""The OpenAPI document is complete, valid and free of warnings, and every operation may answer with our error shape."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import get_resolver


@pytest.fixture(scope="module")
def document():
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
    return json.loads(out.getvalue())


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    assert len(list(operations(document))) >= 25


def test_every_route_of_the_api_is_in_it(document):
    api = next(entry for entry in get_resolver().url_patterns if str(entry.pattern) == "api/v1/")

    def routes(resolver):
        for entry in resolver.url_patterns:
            if hasattr(entry, "url_patterns"):
                yield from (str(entry.pattern) + rest for rest in routes(entry))
            else:
                yield str(entry.pattern)

    def shown(route: str) -> str:
        return "/api/v1/" + route.replace("<uuid:", "{").replace("<slug:", "{").replace("<int:", "{").replace(">", "}")

    assert {shown(route) for route in routes(api)} == set(document["paths"])


def test_every_operation_is_described_and_may_fail_in_our_shape(document):
    for name, operation in operations(document):
        assert operation.get("description") or operation.get("summary"), name
        assert operation["tags"] != ["v1"], name
        answer = operation["responses"]["default"]["content"]["application/json"]["schema"]
        assert answer == {"$ref": "#/components/schemas/Error"}, name
    assert set(document["components"]["schemas"]["Fault"]["properties"]) == {"code", "message", "field", "value"}


def test_money_is_a_text_of_a_decimal(document):
    assert document["components"]["schemas"]["BotOut"]["properties"]["budget"] == {
        "type": "string",
        "format": "decimal",
        "examples": ["1000.5"],
    }


def test_operation_ids_are_unique(document):
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))


@pytest.mark.django_db
def test_the_document_and_its_page_need_no_other_host(client):
    assert client.get("/api/schema/").status_code == 200
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert "//cdn" not in page.content.decode()
