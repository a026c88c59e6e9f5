"""A bot's life through the API, from its first preview to its end, and who may do what."""

from __future__ import annotations

from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from accounts.models import Event, Role
from bots.models import Bot, BotInput
from exchanges.services import demo_markets_ensure
from tests.factories import GRID, MarketFactory, account_of, alice, bob, bot_of, funded, member_of, priced, workspace_of

pytestmark = pytest.mark.django_db
BOTS = "/api/v1/bots/"


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def api():
    return client_of(alice())


@pytest.fixture
def account():
    priced(MarketFactory())
    return funded(account_of(alice()))


def post(api, path, body=None):
    return api.post(path, body if body is not None else {}, format="json")


def wish(account, **values):
    return {
        "account": str(account.public_id),
        "market": "BTC/USDT",
        "strategy": "grid",
        "name": "Mine",
        "params": dict(GRID),
        **values,
    }


def test_a_preview_shows_what_the_bot_would_do_and_changes_nothing(api, account):
    body = wish(account)
    del body["name"]
    answer = post(api, f"{BOTS}preview/", body)
    shown = answer.json()
    assert answer.status_code == 200, answer.content
    assert [level["price"] for level in shown["levels"]] == ["90", "95", "100", "105", "110"]
    assert (shown["price"], shown["free"], shown["quote"]) == ("100", "10000", "USDT")
    assert all(isinstance(figure["value"], str) for figure in shown["figures"])
    assert not Bot.objects.exists()
    assert not Event.objects.exists()


def test_a_bots_whole_life(api, account):
    made = post(api, BOTS, wish(account))
    assert (made.status_code, made.json()["status"]) == (201, "draft")
    one = f"{BOTS}{made.json()['id']}/"
    assert api.get(one).json() == made.json()
    assert api.patch(one, {"name": "Better"}, format="json").json()["name"] == "Better"
    for verb, status in (("start", "running"), ("pause", "paused"), ("resume", "running")):
        answer = post(api, f"{one}{verb}/")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
    stopped = post(api, f"{one}stop/", {"mode": "sell"})
    assert (stopped.json()["status"], stopped.json()["stop_mode"]) == ("stopping", "sell")
    assert [entry.payload["kind"] for entry in BotInput.objects.order_by("id")] == ["start", "pause", "resume", "stop"]
    kinds = [event["kind"] for event in api.get("/api/v1/events/").json()["results"]]
    assert kinds == ["bot.created", "bot.edited", "bot.started", "bot.paused", "bot.resumed", "bot.stopping"]


def test_created_and_started_in_one_step(api, account):
    answer = post(api, BOTS, wish(account, start=True, budget="1500"))
    assert (answer.status_code, answer.json()["status"], answer.json()["budget"]) == (201, "running", "1500")


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "stop"])
def test_a_wrong_step_is_a_conflict_that_says_why(api, account, verb):
    bot = bot_of(alice(), account=account, status="stopped")
    body = {"mode": "keep"} if verb == "stop" else {}
    answer = post(api, f"{BOTS}{bot.public_id}/{verb}/", body)
    assert (answer.status_code, answer.json()["detail"]["code"]) == (409, "wrong_state")
    assert "stopped" in answer.json()["detail"]["message"]
    assert Bot.objects.get().status == "stopped"


@pytest.mark.parametrize(
    ("body", "code"), [({}, "required"), ({"mode": "sold"}, "invalid_choice"), ({"mode": None}, "required")]
)
def test_a_stop_needs_its_mode(api, account, body, code):
    bot = bot_of(alice(), account=account, status="running")
    answer = post(api, f"{BOTS}{bot.public_id}/stop/", body)
    assert answer.status_code == 400
    assert (answer.json()["detail"]["field"], answer.json()["detail"]["code"]) == ("mode", code)
    assert Bot.objects.get().status == "running"


def test_an_action_takes_no_stray_fields(api, account):
    bot = bot_of(alice(), account=account, status="running")
    answer = post(api, f"{BOTS}{bot.public_id}/pause/", {"mode": "keep"})
    assert (answer.status_code, answer.json()["detail"]["code"]) == (400, "unknown_field")
    assert Bot.objects.get().status == "running"


def test_money_that_went_elsewhere_meanwhile_stops_the_start(api, account):
    bot = bot_of(alice(), account=account, budget=Decimal(10_001), market=MarketFactory())
    answer = post(api, f"{BOTS}{bot.public_id}/start/")
    assert answer.status_code == 400
    assert answer.json()["detail"]["code"] == "budget_above_balance"
    assert Bot.objects.get().status == "draft"
    assert not BotInput.objects.exists()


def test_two_bots_are_not_promised_the_same_money(api, account):
    first = post(api, BOTS, wish(account, start=True, budget="6000"))
    assert first.status_code == 201
    second = post(api, BOTS, wish(account, start=True, budget="6000"))
    assert second.status_code == 400
    assert second.json()["detail"]["code"] == "budget_above_balance"
    assert "4000 free" in second.json()["detail"]["message"]
    assert Bot.objects.count() == 1


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"budget": "NaN"}, {"params": {"lower": 1}}, {"timeframe_ms": 5}, {"x": 1}]
)
def test_a_bad_edit_changes_nothing(api, account, body):
    bot = bot_of(alice(), account=account)
    before = Bot.objects.values().get()
    answer = api.patch(f"{BOTS}{bot.public_id}/", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["detail"]["field"].startswith(next(iter(body)))
    assert Bot.objects.values().get() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"params": {**GRID, "lower": 99, "upper": 101, "levels": 41}}, "params."),
        ({"budget": "10001"}, "budget"),
        ({"budget": "999"}, "budget"),
    ],
)
def test_an_edit_that_could_not_start_changes_nothing(api, account, changes, field):
    bot = bot_of(alice(), account=account, budget=Decimal(1100))
    before = Bot.objects.values().get()
    answer = api.patch(f"{BOTS}{bot.public_id}/", {"name": "New", **changes}, format="json")
    assert answer.status_code == 400
    assert answer.json()["detail"]["field"].startswith(field)
    assert Bot.objects.values().get() == before


def test_clone_and_delete(api, account):
    bot = bot_of(alice(), account=account, status="stopped")
    copy = post(api, f"{BOTS}{bot.public_id}/clone/", {"name": "Second try"})
    assert (copy.status_code, copy.json()["status"], copy.json()["name"]) == (201, "draft", "Second try")
    assert api.delete(f"{BOTS}{copy.json()['id']}/").status_code == 204
    assert api.delete(f"{BOTS}{bot.public_id}/").status_code == 409
    assert Bot.objects.get() == bot


def test_lists_come_in_pages_and_filters(api, account):
    bots = [bot_of(alice(), account=account, status="paused" if n % 2 else "draft") for n in range(5)]
    bot_of(bob())
    first = api.get(BOTS, {"limit": 2}).json()
    assert [row["id"] for row in first["results"]] == [str(bots[4].public_id), str(bots[3].public_id)]
    second = api.get(first["next"]).json()
    assert [row["id"] for row in second["results"]] == [str(bots[2].public_id), str(bots[1].public_id)]
    assert len(api.get(BOTS, {"status": "paused"}).json()["results"]) == 2
    assert len(api.get(BOTS, {"account": str(account.public_id), "strategy": "grid"}).json()["results"]) == 5
    assert api.get(BOTS, {"strategy": "ema_cross"}).json()["results"] == []


@pytest.mark.parametrize("role", [Role.OWNER, Role.TRADER, Role.VIEWER])
def test_who_may_do_what(account, role):
    api = client_of(member_of(workspace_of(alice()), role))
    made = post(api, BOTS, wish(account))
    if role == Role.VIEWER:
        assert (made.status_code, made.json()["detail"]["code"]) == (403, "permission_denied")
        assert "viewer" in made.json()["detail"]["message"]
        assert not Bot.objects.exists()
    else:
        assert made.status_code == 201
    assert api.get(BOTS).status_code == 200


def test_strategies_carry_the_schema_of_their_parameters(api):
    found = {row["key"]: row for row in api.get("/api/v1/strategies/").json()}
    assert {"grid", "ema_cross"} <= set(found)
    properties = found["grid"]["schema"]["properties"]
    assert {"lower", "upper", "levels", "spacing", "investment", "stop_price"} <= set(properties)
    assert api.get("/api/v1/strategies/grid/").json() == found["grid"]


def test_a_preset_starts_in_one_call(api):
    markets = {market.symbol: market for market in demo_markets_ensure()}
    priced(markets["DOGE/USDT"], 0.36)
    account = funded(account_of(alice()))
    listed = {row["key"]: row for row in api.get("/api/v1/presets/").json()}
    assert listed["lively-grid"]["params"]
    assert listed["calm-grid"] == {**listed["calm-grid"], "params": {}, "price": None}
    answer = post(api, "/api/v1/presets/lively-grid/start/", {"account": str(account.public_id)})
    assert (answer.status_code, answer.json()["status"]) == (201, "running")
    refused = post(api, "/api/v1/presets/calm-grid/start/", {"account": str(account.public_id)})
    assert (refused.status_code, refused.json()["detail"]["code"]) == (503, "no_price")
    assert Bot.objects.count() == 1


def test_events_are_read_from_where_one_was(api, account):
    for name in ("one", "two", "three"):
        post(api, BOTS, wish(account, name=name))
    body = api.get("/api/v1/events/", {"after": 1, "limit": 1}).json()
    assert ([event["seq"] for event in body["results"]], body["last"]) == ([2], 3)
    bot = Bot.objects.get(name="three")
    assert [e["seq"] for e in api.get("/api/v1/events/", {"bot": str(bot.public_id)}).json()["results"]] == [3]
