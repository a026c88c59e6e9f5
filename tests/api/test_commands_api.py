"""Commands through the API: declared by the strategy, sent once, refused in the one error shape."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import Event
from bots.models import Bot, BotInput
from bots.strategies.registry import STRATEGIES
from tests.factories import account_of, alice, viewer_of, workspace_of
from tests.trading.test_commands import DCA, settle
from tests.trading.world import World, live_orders
from trading.models import Order

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> APIClient:
    client = APIClient()
    client.force_authenticate(alice())
    return client


@pytest.fixture
def world() -> World:
    return World(account=account_of(alice()))


@pytest.fixture
def dca(world: World) -> Bot:
    bot = world.bot(strategy="dca", params=dict(DCA), budget=Decimal(400))
    settle(world)
    return bot


def send(api: APIClient, bot: Bot, kind: str, key: str = "", **args: object):
    headers = {"Idempotency-Key": key} if key else {}
    path = f"/api/v1/bots/{bot.public_id}/commands/"
    return api.post(path, {"kind": kind, "args": args}, format="json", headers=headers)


def cancel(api: APIClient, order: Order, key: str = ""):
    headers = {"Idempotency-Key": key} if key else {}
    return api.post(f"/api/v1/orders/{order.public_id}/cancel/", {}, format="json", headers=headers)


def test_a_strategy_lists_its_commands_with_their_schemas(api: APIClient) -> None:
    for key in STRATEGIES:
        shown = api.get(f"/api/v1/strategies/{key}/").json()["commands"]
        assert shown[-1]["kind"] == "resume"
        assert all(set(one) == {"kind", "title", "help", "confirm", "adds", "schema"} for one in shown)
    funds = api.get("/api/v1/strategies/dca/").json()["commands"][1]
    assert (funds["kind"], funds["adds"], funds["schema"]["required"]) == ("add_funds", True, ["quote"])
    assert funds["schema"]["properties"]["quote"]["unit"] == "quote"


def test_a_command_is_taken_and_obeyed(api: APIClient, world: World, dca: Bot) -> None:
    answer = send(api, dca, "add_funds", quote="50", deal=1)
    assert answer.status_code == 202, answer.content
    told = {"kind": "add_funds", "args": {"quote": "50", "deal": 1}, "by": "alice@example.org"}
    assert answer.json() == {"bot": str(dca.public_id), **told}
    settle(world)
    assert live_orders(dca)["deal:1:exit"].qty == Decimal("1.5")
    kinds = [event["kind"] for event in api.get("/api/v1/events/").json()["results"]]
    assert "bot.command.add_funds" in kinds


def test_the_same_call_is_done_once(api: APIClient, dca: Bot) -> None:
    first, second = (send(api, dca, "add_funds", "once", quote="20") for _ in range(2))
    assert (first.status_code, second.status_code, second["Idempotent-Replayed"]) == (202, 202, "true")
    assert first.json() == second.json()
    assert BotInput.objects.filter(payload__kind="add_funds").count() == 1
    order = live_orders(dca)["deal:1:safety:1"]
    first, second = (cancel(api, order, "gone") for _ in range(2))
    assert (first.status_code, second.json()) == (200, first.json())
    assert first.json()["cancelling"] is True
    assert (cancel(api, order).status_code, cancel(api, order).json()["detail"]["code"]) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("kind", "args", "status", "code", "field", "value"),
    [
        ("add_funds", {}, 400, "required", "args.quote", None),
        ("add_funds", {"quote": "1,5"}, 400, "invalid", "args.quote", "1,5"),
        ("add_funds", {"quote": "5000"}, 400, "budget_too_low", "args.quote", "5000"),
        ("add_funds", {"quote": "50", "deal": 7}, 400, "unknown", "args.deal", "7"),
        ("add_funds", {"quote": "50", "dael": 1}, 400, "unknown", "args.dael", "1"),
        ("close", {"deal": 2}, 400, "unknown", "args.deal", "2"),
        ("signal", {}, 409, "wrong_state", None, None),
        ("cancel", {"slot": "deal:1:exit"}, 400, "unknown", "kind", "cancel"),
        ("start", {}, 400, "unknown", "kind", "start"),
    ],
)
def test_what_is_wrong_is_named(
    api: APIClient, dca: Bot, kind: str, args: dict, status: int, code: str, field: str | None, value: str | None
) -> None:
    before = BotInput.objects.count(), Event.objects.count()
    answer = send(api, dca, kind, **args)
    detail = answer.json()["detail"]
    assert (answer.status_code, detail["code"], detail["field"], detail["value"]) == (status, code, field, value)
    assert (BotInput.objects.count(), Event.objects.count()) == before


def test_arguments_must_be_an_object_and_nothing_else_is_taken(api: APIClient, dca: Bot) -> None:
    path = f"/api/v1/bots/{dca.public_id}/commands/"
    for body, field in (({"kind": "close", "args": [1]}, "args"), ({"kind": "close", "deal": 1}, "deal"), ({}, "kind")):
        answer = api.post(path, body, format="json")
        assert (answer.status_code, answer.json()["detail"]["field"]) == (400, field)


def test_a_viewer_tells_nobody_anything(dca: Bot) -> None:
    api = APIClient()
    api.force_authenticate(viewer_of(workspace_of(alice())))
    assert send(api, dca, "close").status_code == 403
    assert cancel(api, live_orders(dca)["deal:1:exit"]).status_code == 403
    assert api.post(f"/api/v1/orders/{uuid4()}/cancel/", {}, format="json").status_code == 403
