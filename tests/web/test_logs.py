"""Log lines: one id from the request to the task, as text or JSON; slow statements without their parameters."""

from __future__ import annotations

import json
import logging

import pytest
from celery import shared_task
from django.db import connection

from accounts.correlation import correlated, correlation
from config.celery import _carry, _leave, _take
from config.logs import Correlated, JsonLines, SlowQueries, logging_of, slow_queries_watch
from tests.factories import alice

SECRET = "not-for-the-log"


def _record(**values) -> logging.LogRecord:
    record = logging.LogRecord("a.b", logging.WARNING, "file", 1, "Hello %s", ("you",), None)
    record.__dict__.update(values)
    return record


def test_every_record_gets_the_id_of_its_work():
    record = _record()
    with correlated("abc-1"):
        assert Correlated().filter(record)
    assert record.correlation == "abc-1"
    Correlated().filter(record)
    assert record.correlation == "-"


def test_a_json_line_is_one_object():
    line = JsonLines().format(_record(correlation="abc-1"))
    assert "\n" not in line
    told = json.loads(line)
    assert (told["level"], told["logger"], told["correlation"], told["text"]) == (
        "WARNING",
        "a.b",
        "abc-1",
        "Hello you",
    )


@pytest.mark.parametrize("form", ["line", "json"])
def test_both_forms_can_be_set_up(form):
    made = logging_of("INFO", form)
    assert made["handlers"]["stderr"]["formatter"] == form
    assert made["handlers"]["stderr"]["filters"] == ["correlated"]


@pytest.mark.django_db
def test_an_answer_bears_its_id_and_an_id_that_could_forge_a_line_is_not_taken(client):
    client.force_login(alice())
    first, second = (client.get("/").headers["X-Request-ID"] for _ in range(2))
    assert first != second
    assert client.get("/", headers={"X-Request-ID": "mine-7"}).headers["X-Request-ID"] == "mine-7"
    forged = client.get("/", headers={"X-Request-ID": "x INFO all is well"}).headers["X-Request-ID"]
    assert " " not in forged
    assert correlation() == ""


@pytest.mark.django_db
def test_the_page_of_an_error_names_it(client, rf):
    from accounts.api_errors import server_error

    with correlated("abc-2"):
        page = server_error(rf.get("/"))
    assert page.status_code == 500
    assert b"abc-2" in page.content


def test_a_message_carries_the_id_to_its_task():
    headers: dict[str, str] = {}
    with correlated("abc-3"):
        _carry(headers)
    assert headers == {"correlation": "abc-3"}

    @shared_task(name="tests.said")
    def said() -> None:
        raise NotImplementedError

    said.push_request(**headers)
    try:
        _take(said)
        assert correlation() == "abc-3"
        _leave()
        assert correlation() == ""
    finally:
        said.pop_request()


@pytest.mark.django_db
def test_a_slow_statement_is_logged_without_its_parameters(caplog):
    with connection.execute_wrapper(SlowQueries(-1)), connection.cursor() as cursor:
        cursor.execute("SELECT %s", [SECRET])
    assert "SELECT %s" in caplog.text
    assert SECRET not in caplog.text
    caplog.clear()
    with connection.execute_wrapper(SlowQueries(60_000)), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert caplog.text == ""


@pytest.mark.django_db
def test_a_connection_that_comes_again_is_watched_once(settings):
    settings.SLOW_QUERY_MS = 5
    for _ in range(3):
        slow_queries_watch(connection)
    assert sum(isinstance(one, SlowQueries) for one in connection.execute_wrappers) == 1
