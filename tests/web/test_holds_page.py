"""A held bot says so where people look: on its page, in the lists, in the API; a person lifts what waits for one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Event
from tests.factories import account_of, alice, bob, funded, viewer_of
from tests.trading.world import World
from trading.models import Hold, Order
from trading.services.holds import hold_set

pytestmark = pytest.mark.django_db
REASON = "Somebody else traded here"


@pytest.fixture
def world() -> World:
    return World(account=funded(account_of(alice())))


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(alice())
    return client


def held(bot, **values) -> Hold:
    values = {"cause": "foreign", "ref": "a", "reason": REASON} | values
    hold_set(account=bot.account, bot=bot, **values)
    return Hold.objects.latest("id")


def text_of(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def test_the_page_says_that_a_bot_is_held_why_and_what_a_person_can_do(world, client):
    bot = world.bot()
    path = f"/bots/{bot.public_id}/"
    assert "Held" not in text_of(client, path)
    row = held(bot)
    page = text_of(client, path)
    assert REASON in page
    assert "lifted by itself" in page
    assert "Lift the hold" not in page
    Hold.objects.filter(pk=row.pk).update(needs_person=True)
    assert "Lift the hold" in text_of(client, path)
    assert f"Held: {REASON}" in text_of(client, path)


def test_a_viewer_sees_it_and_has_no_button(world):
    bot = world.bot()
    held(bot, needs_person=True)
    client = Client()
    client.force_login(viewer_of(bot.workspace))
    page = text_of(client, f"/bots/{bot.public_id}/")
    assert REASON in page
    assert "Lift the hold" not in page


def test_the_lists_mark_held_bots(world, client):
    bots = [world.bot(), world.bot()]
    assert "Held" not in text_of(client, "/bots/")
    held(bots[0])
    assert text_of(client, "/bots/").count(">Held<") == 1
    hold_set(account=world.account, cause="balance", ref="USDT", reason="Coins are missing")
    assert text_of(client, "/bots/").count(">Held<") == 2


def test_the_button_lifts_the_hold_and_the_record_says_who(world, client):
    bot = world.bot()
    row = held(bot, needs_person=True)
    answer = client.post(f"/holds/{row.pk}/lift/", {"bot": str(bot.public_id)}, follow=True)
    assert "The hold is lifted." in answer.content.decode()
    row.refresh_from_db()
    assert row.lifted_by == alice()
    assert "by Alice" in Event.objects.get(kind="hold.lifted").text


def test_what_lifts_itself_isnt_lifted_by_hand(world, client):
    bot = world.bot()
    row = held(bot)
    answer = client.post(f"/holds/{row.pk}/lift/", {"bot": str(bot.public_id)}, follow=True)
    assert "lifted by itself" in answer.content.decode()
    row.refresh_from_db()
    assert row.lifted_at is None


def test_an_order_in_doubt_says_so_in_words(world, client):
    bot = world.bot()
    since = timezone.now() - timedelta(seconds=5)
    Order.objects.filter(bot=bot, slot="grid:0:buy").update(status="unknown", unknown_at=since)
    path = f"/bots/{bot.public_id}/"
    words = f"Outcome unknown, asking since {since:%H:%M:%S} UTC"
    assert text_of(client, path).count(words) == 2, "in the list of orders and among the reasons"
    order = Order.objects.get(bot=bot, slot="grid:1:buy")
    Order.objects.filter(pk=order.pk).update(amend_tries=2, amend_after=since, amend_qty=1, reason="not changed: no")
    assert "change refused, asked again at" in text_of(client, path)


def test_the_api_lists_holds_and_lifts_those_that_wait_for_a_person(world, client):
    bot = world.bot()
    row, other = held(bot, needs_person=True), held(bot, ref="b")
    listed = client.get("/api/v1/holds/?active=true").json()["results"]
    assert [one["id"] for one in listed] == [other.pk, row.pk]
    assert listed[1] | {"since": "", "seen_at": ""} == {
        "id": row.pk,
        "account": str(bot.account.public_id),
        "bot": str(bot.public_id),
        "cause": "foreign",
        "ref": "a",
        "reason": REASON,
        "needs_person": True,
        "since": "",
        "seen_at": "",
        "lifted_at": None,
        "lifted_by": "",
        "lifted_why": "",
    }
    lifted = client.post(f"/api/v1/holds/{row.pk}/lift/", {}, content_type="application/json")
    assert (lifted.status_code, lifted.json()["lifted_by"]) == (200, "Alice")
    refused = client.post(f"/api/v1/holds/{other.pk}/lift/", {}, content_type="application/json")
    assert refused.json()["detail"]["code"] == "lifts_itself"
    assert [one["id"] for one in client.get("/api/v1/holds/?active=true").json()["results"]] == [other.pk]
    assert len(client.get("/api/v1/holds/").json()["results"]) == 2


def test_a_stranger_has_no_such_hold(world):
    row = held(world.bot(), needs_person=True)
    client = Client()
    client.force_login(bob())
    assert client.post(f"/holds/{row.pk}/lift/").status_code == 404
    assert client.get("/api/v1/holds/").json()["results"] == []
