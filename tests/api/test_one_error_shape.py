"""Whatever goes wrong under /api/ is answered in one shape, and never with a stack trace."""

from __future__ import annotations

import json

import pytest
from django.test import Client, RequestFactory, override_settings
from rest_framework.test import APIClient

from accounts.api_errors import bad_request, csrf_failure, fault, permission_denied, server_error
from tests.factories import PASSWORD, alice, bot_of

pytestmark = pytest.mark.django_db
BOTS = "/api/v1/bots/"
KEYS = {"code", "message", "field", "value"}


def shape_of(answer) -> dict[str, str | None]:
    assert answer["Content-Type"] == "application/json"
    body = json.loads(answer.content)
    for one in [*body.get("errors", []), body["detail"]]:
        assert set(one) == KEYS
        assert one["code"]
        assert one["message"]
    assert "Traceback" not in answer.content.decode()
    return body["detail"]


@pytest.fixture
def api():
    client = APIClient()
    client.force_authenticate(alice())
    return client


def send(api, raw: bytes | str, content_type: str = "application/json"):
    return api.generic("POST", BOTS, raw, content_type=content_type)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/", "not_found"),
        ("/api/v1/nothing/", "not_found"),
        ("/api/v1/bots/not-a-uuid/", "not_found"),
        ("/api/v1/bots/00000000-0000-0000-0000-000000000000/", "not_found"),
        ("/api/v1/strategies/nothing/", "not_found"),
        ("/api/v1/%00/", "not_found"),
    ],
)
def test_nothing_there(api, path, code):
    answer = api.get(path)
    assert answer.status_code == 404
    assert shape_of(answer)["code"] == code


def test_without_its_slash_a_post_is_not_redirected_into_a_get(api):
    answer = api.post("/api/v1/bots", {}, format="json")
    assert answer.status_code == 404
    assert "slash" in shape_of(answer)["message"]
    assert Client().post("/api/v1/auth/login").status_code == 404


def test_a_method_that_is_not_there(api):
    answer = api.put(BOTS, {}, format="json")
    assert answer.status_code == 405
    assert shape_of(answer)["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        '{"name": NaN}',
        '{"budget": Infinity}',
        '{"name": "a", "name": "b"}',
        '{"name": "a\\u0000b"}',
        '{"name": "\\ud800"}',
        '{"\\u0000": 1}',
        b"\xff\xfe{}",
        "[" * 100_000,
        '{"budget": ' + "9" * 5000 + "}",
    ],
    ids=range(11),
)
def test_json_that_cannot_be_read(api, raw):
    answer = send(api, raw)
    assert answer.status_code == 400
    assert shape_of(answer)["code"] in {"malformed", "required"}


@pytest.mark.parametrize("raw", ["[]", "1", '"text"', "null", "[[]]"])
def test_json_that_is_no_object(api, raw):
    answer = send(api, raw)
    assert answer.status_code == 400
    shape_of(answer)


def test_a_body_that_is_too_large(api):
    answer = send(api, json.dumps({"name": "x" * 300_000}))
    assert answer.status_code == 413
    assert shape_of(answer)["code"] == "body_too_large"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
def test_another_language_than_json(api, content_type):
    answer = send(api, "name=x", content_type)
    assert answer.status_code == 415
    assert shape_of(answer)["code"] == "unsupported_media_type"


@override_settings(ROOT_URLCONF="tests.api.broken_urls")
def test_our_own_fault_says_nothing_of_our_insides(caplog):
    client = Client(raise_request_exception=False)
    client.force_login(alice())
    answer = client.get("/api/v1/broken/")
    assert answer.status_code == 500
    assert shape_of(answer)["code"] == "server_error"
    assert "secret" not in answer.content.decode()
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("handler", "status", "code"),
    [
        (lambda request: bad_request(request, ValueError()), 400, "malformed"),
        (lambda request: permission_denied(request, ValueError()), 403, "permission_denied"),
        (lambda request: csrf_failure(request, "no cookie"), 403, "csrf_failed"),
        (server_error, 500, "server_error"),
    ],
)
def test_djangos_own_answers(handler, status, code):
    answer = handler(RequestFactory().get("/api/v1/x/"))
    assert answer.status_code == status
    assert shape_of(answer)["code"] == code
    page = handler(RequestFactory().get("/x/"))
    assert page.status_code == status
    assert page["Content-Type"].startswith("text/html")


def test_a_browser_session_needs_its_csrf_token():
    client = Client(enforce_csrf_checks=True)
    client.login(username=alice().email, password=PASSWORD)
    bot = bot_of(alice(), status="running")
    refused = client.post(f"{BOTS}{bot.public_id}/pause/", "{}", content_type="application/json")
    assert refused.status_code == 403
    assert shape_of(refused)["code"] == "csrf_failed"
    client.get("/sign-in/")
    token = (
        client.cookies["csrftoken"].value if "csrftoken" in client.cookies else client.get("/").context["csrf_token"]
    )
    allowed = client.post(
        f"{BOTS}{bot.public_id}/pause/", "{}", content_type="application/json", headers={"X-CSRFToken": str(token)}
    )
    assert allowed.status_code == 200


@pytest.mark.parametrize(
    "field", ["password", "api_key", "refresh", "totp_secret", "params.access_token", "keys[0].secret"]
)
def test_a_secret_is_never_repeated(field):
    assert fault("invalid", "Not right", field, "hunter2")["value"] is None
    assert fault("invalid", "Not right", "params.lower", "hunter2")["value"] == "hunter2"


def test_a_long_value_is_cut():
    assert len(fault("invalid", "Too long", "name", "x" * 9000)["value"]) == 256


@pytest.mark.parametrize(
    "cursor", ["x", "cD1hYmM=", "cD0lMDA=", "bz0tMQ==", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "%00"]
)
def test_a_forged_cursor(api, cursor):
    bot_of(alice())
    answer = api.get(BOTS, {"cursor": cursor})
    assert answer.status_code in {200, 404}
    if answer.status_code == 404:
        shape_of(answer)


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        (BOTS, {"status": "asleep"}, "status"),
        (BOTS, {"status": "\x00"}, "status"),
        (BOTS, {"account": "x"}, "account"),
        (BOTS, {"strategy": "\x00"}, "strategy"),
        (BOTS, {"statis": "draft"}, "statis"),
        ("/api/v1/events/", {"after": "-1"}, "after"),
        ("/api/v1/events/", {"after": "9" * 40}, "after"),
        ("/api/v1/events/", {"after": "x"}, "after"),
        ("/api/v1/events/", {"limit": "0"}, "limit"),
        ("/api/v1/events/", {"bot": "x"}, "bot"),
        ("/api/v1/events/", {"before": "1"}, "before"),
    ],
)
def test_a_bad_query_names_its_field(api, path, query, field):
    answer = api.get(path, query)
    assert answer.status_code == 400
    assert shape_of(answer)["field"] == field
