"""The kill switch, incidents and limits over the API."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from risk.models import Halt, Incident, Limits
from tests.factories import PASSWORD, account_of, alice, bob, member_of
from tests.trading.halts import operator, sweep
from tests.trading.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World(account=account_of(alice()))


@pytest.fixture
def client() -> Client:
    found = Client()
    found.force_login(alice())
    return found


def send(client: Client, path: str, body: dict, method: str = "post", **headers: str):
    found = getattr(client, method)(
        f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers
    )
    return found.status_code, found.json()


def test_pull_watch_and_rearm(world, client):
    bot = world.bot()
    world.price(100.0)
    status, halt = send(client, "halts/", {"scope": "bot", "bot": str(bot.public_id), "reason": "odd prices"})
    assert (status, halt["scope"], halt["reason"], halt["set_by"]) == (201, "bot", "odd prices", "Alice")
    assert send(client, "halts/", {"scope": "bot", "bot": str(bot.public_id)})[1]["id"] == halt["id"]
    before = client.get(f"/api/v1/halts/{halt['id']}/").json()["progress"]
    assert before["open"] > 0
    assert not before["done"]
    sweep()
    after = client.get(f"/api/v1/halts/{halt['id']}/").json()["progress"]
    assert (after["open"], after["done"], after["paused"]) == (0, True, 1)
    assert after["asked"] == after["confirmed"] == before["open"]
    status, refused = send(client, f"halts/{halt['id']}/rearm/", {"password": "wrong"})
    assert (status, refused["detail"]["field"], refused["detail"]["value"]) == (400, "password", None)
    status, done = send(client, f"halts/{halt['id']}/rearm/", {"password": PASSWORD, "resume": True})
    assert (status, done["resumed"], done["not_resumed"], done["rearmed_by"]) == (200, 1, [], "Alice")
    assert send(client, f"halts/{halt['id']}/rearm/", {"password": PASSWORD})[0] == 200
    (incident,) = client.get("/api/v1/incidents/?open=false").json()["results"]
    assert incident["halts"] == [halt["id"]]
    assert client.get("/api/v1/incidents/?open=true").json()["results"] == []
    assert client.get(f"/api/v1/incidents/{incident['id']}/").json() == incident
    assert client.get("/api/v1/halts/?active=true").json()["results"] == []
    assert len(client.get("/api/v1/halts/").json()["results"]) == 1


def test_sent_twice_under_one_key_it_is_answered_twice_and_done_once(world, client):
    key = {"Idempotency-Key": "one"}
    first, second = (send(client, "halts/", {"scope": "workspace"}, **key) for _ in range(2))
    assert first == second
    assert Halt.objects.count() == Incident.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "scope"),
        ({"scope": "bot"}, "bot"),
        ({"scope": "account"}, "account"),
        ({"scope": "workspace", "bot": "6f1c2a34-0000-4000-8000-000000000000"}, "bot"),
        ({"scope": "galaxy"}, "scope"),
        ({"scope": "workspace", "flaten": True}, "flaten"),
        ({"scope": "workspace", "reason": "x" * 201}, "reason"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(world, client, body, field):
    status, answer = send(client, "halts/", body)
    assert (status, answer["detail"]["field"]) == (400, field)
    assert Halt.objects.count() == 0


def test_the_platform_is_for_operators(world, client):
    assert send(client, "halts/", {"scope": "platform"})[0] == 403
    staff = Client()
    staff.force_login(operator())
    status, halt = send(staff, "halts/", {"scope": "platform", "reason": "exchange hacked"})
    assert status == 201
    assert client.get(f"/api/v1/halts/{halt['id']}/").status_code == 200, "everybody sees why"
    assert send(client, f"halts/{halt['id']}/rearm/", {"password": PASSWORD})[0] == 403
    assert send(staff, f"halts/{halt['id']}/rearm/", {"password": PASSWORD})[0] == 200


def test_a_trader_pulls_it_and_an_owner_rearms(world):
    trader = Client()
    trader.force_login(member_of(world.account.workspace, "trader"))
    status, halt = send(trader, "halts/", {"scope": "workspace"})
    assert status == 201
    assert send(trader, f"halts/{halt['id']}/rearm/", {"password": PASSWORD})[0] == 403


def test_a_strangers_bot_or_account_cannot_be_named(world):
    bot = world.bot()
    client = Client()
    client.force_login(bob())
    assert send(client, "halts/", {"scope": "bot", "bot": str(bot.public_id)})[0] == 404
    assert send(client, "halts/", {"scope": "account", "account": str(world.account.public_id)})[0] == 404
    assert send(client, "limits/", {"account": str(world.account.public_id)}, "put")[0] == 404
    assert Halt.objects.count() == 0


def test_limits_are_replaced_as_a_whole(world, client):
    account = str(world.account.public_id)
    given = {"max_order": "500.5", "max_position": "5000", "max_orders": 20, "max_deviation": "0.05"}
    assert send(client, "limits/", given, "put") == (200, {"account": None, **given})
    assert send(client, "limits/", {"account": account, "max_orders": 5}, "put")[0] == 200
    rows = client.get("/api/v1/limits/").json()
    assert [row["account"] for row in rows] == [None, account]
    assert rows[1] == {
        "account": account,
        "max_order": None,
        "max_position": None,
        "max_orders": 5,
        "max_deviation": None,
    }
    send(client, "limits/", {}, "put")
    assert Limits.objects.get(account=None).max_order is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_order", "0"), ("max_position", "-1"), ("max_orders", 0), ("max_deviation", "1.01"), ("max_order", "much")],
)
def test_a_limit_out_of_range_is_named_with_what_would_be_right(world, client, name, value):
    status, answer = send(client, "limits/", {name: value}, "put")
    assert (status, answer["detail"]["field"], answer["detail"]["value"]) in [
        (400, name, str(value)),
        (400, name, None),
    ]
    assert "must be" in answer["detail"]["message"].lower()
    assert Limits.objects.count() == 0


def test_a_trader_does_not_change_limits(world):
    trader = Client()
    trader.force_login(member_of(world.account.workspace, "trader"))
    assert send(trader, "limits/", {"max_orders": 5}, "put")[0] == 403
