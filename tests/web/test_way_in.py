"""Coming in, the demo, going out, and the pages that say no."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from accounts.services import user_create
from tests.factories import PASSWORD, alice
from tests.trading.world import World

pytestmark = pytest.mark.django_db
SIGN_IN = "/sign-in/"


def test_signing_in_leads_to_where_one_wanted_to_go(client: Client) -> None:
    alice()
    answer = client.post(SIGN_IN, {"username": " Alice@Example.org ", "password": PASSWORD, "next": "/bots/"})
    assert (answer.status_code, answer["Location"]) == (302, "/bots/")


def test_another_site_is_no_place_to_go(client: Client) -> None:
    alice()
    answer = client.post(
        SIGN_IN, {"username": "alice@example.org", "password": PASSWORD, "next": "https://evil.example"}
    )
    assert answer["Location"] == "/"


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"username": "nobody@example.org"}])
def test_every_failure_gets_the_same_answer(client: Client, wrong: dict[str, str]) -> None:
    alice()
    html = client.post(SIGN_IN, {"username": "alice@example.org", "password": PASSWORD} | wrong).content.decode()
    assert "Wrong e-mail or password." in html


def test_somebody_deactivated_gets_it_too(client: Client) -> None:
    User.objects.filter(pk=alice().pk).update(is_active=False)
    html = client.post(SIGN_IN, {"username": "alice@example.org", "password": PASSWORD}).content.decode()
    assert "Wrong e-mail or password." in html


@pytest.fixture
def own_machine(settings: Any) -> Any:
    """Settings of the embedded mode on loopback: the demo is offered there."""
    settings.EMBEDDED = settings.LOOPBACK = True
    return settings


@pytest.mark.usefixtures("own_machine")
def test_the_demo_is_one_click_where_it_is_offered(client: Client) -> None:
    assert client.post("/demo/").status_code == 404
    user = user_create(email="demo@example.org", password=None, demo=True)
    assert "Try the demo" in client.get(SIGN_IN).content.decode()
    assert client.post("/demo/")["Location"] == "/"
    assert client.session["_auth_user_id"] == str(user.pk)


@pytest.mark.parametrize("missing", ["EMBEDDED", "LOOPBACK"])
def test_the_demo_is_not_offered_to_the_world(client: Client, own_machine: Any, missing: str) -> None:
    user_create(email="demo@example.org", password=None, demo=True)
    setattr(own_machine, missing, False)
    assert "Try the demo" not in client.get(SIGN_IN).content.decode()
    assert client.post("/demo/").status_code == 404
    assert "_auth_user_id" not in client.session


@pytest.mark.usefixtures("own_machine")
def test_the_demo_and_the_way_out_need_a_form_of_ours() -> None:
    user_create(email="demo@example.org", password=None, demo=True)
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/demo/")
    assert answer.status_code == 403
    assert "This form is too old" in answer.content.decode()
    assert strict.get("/demo/").status_code == 405
    assert strict.get("/sign-out/").status_code == 405


def test_going_out(client: Client) -> None:
    client.force_login(alice())
    assert client.post("/sign-out/")["Location"] == SIGN_IN
    assert client.get("/").status_code == 302


def test_a_page_that_is_not_there_looks_like_ours(client: Client) -> None:
    client.force_login(alice())
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "Nothing here" in answer.content.decode()


def test_the_dashboard_offers_ready_made_bots_and_one_click_starts_one(page: Client, world: World) -> None:
    html = page.get("/").content.decode()
    assert "Start your first bot" in html
    assert "Required capital" in html
    answer = page.post(reverse("bots:preset", args=["calm-grid"]), {"account": world.account.public_id})
    assert answer.status_code == 302
    detail = page.get(answer["Location"]).content.decode()
    assert "Calm grid BTC" in detail
    assert "No fill yet" in detail


def test_a_preset_that_cannot_start_says_why_and_changes_nothing(page: Client, world: World) -> None:
    answer = page.post(reverse("bots:preset", args=["nonsense"]), {"account": world.account.public_id})
    assert answer.status_code == 422
    assert "There is no preset" in answer.content.decode()
    assert page.post(reverse("bots:preset", args=["calm-grid"]), {"account": "nonsense"}).status_code == 404


def test_lists_do_not_cost_a_query_per_bot(page: Client, world: World) -> None:
    def queries(address: str) -> int:
        page.get(address)
        with CaptureQueriesContext(connection) as found:
            page.get(address)
        return len(found)

    world.bot(name="Bot 0", start=False)
    before = {address: queries(address) for address in ("/", "/bots/")}
    for number in range(1, 6):
        world.bot(name=f"Bot {number}", start=False)
    assert {address: queries(address) for address in before} == before
    assert "Bot 5" in page.get("/bots/").content.decode()


def test_a_draft_has_no_result_yet(page: Client, world: World) -> None:
    world.bot(name="Sleeper", start=False)
    html = page.get("/bots/").content.decode()
    assert "hasn&#x27;t been started" in html or "hasn't been started" in html


def test_bots_that_trade_come_before_drafts_on_the_dashboard(page: Client, world: World) -> None:
    world.bot(name="At work", budget=1005)
    for number in range(7):
        world.bot(start=False, name=f"Draft {number}")
    html = page.get("/").content.decode()
    assert ">At work<" in html
    assert html.index(">At work<") < html.index(">Draft 6<")
    assert ">Draft 0<" not in html
