"""The pages of the kill switch: within reach everywhere, clear before, live while it works, and a way back."""

from __future__ import annotations

import pytest
from django.test import Client

from bots.models import Bot
from exchanges.models import PaperOrder
from exchanges.paper import PaperVenue
from risk.models import Halt, Limits
from tests.factories import PASSWORD, member_of, viewer_of
from tests.trading.halts import Away, operator, pull, sweep, venue
from trading.core.errors import VenueUnavailable

PAGES = ("/", "/bots/", "/strategies/", "/risk/", "/risk/incidents/", "/risk/limits/", "/kill/")


def text_of(answer) -> str:
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize("path", PAGES)
def test_it_is_within_reach_on_every_page(page, path):
    assert 'href="/kill/"' in text_of(page.get(path))


def test_a_viewer_is_not_offered_what_he_may_not(running):
    viewer = Client()
    viewer.force_login(viewer_of(running.workspace))
    assert 'href="/kill/"' not in text_of(viewer.get("/"))
    assert viewer.get("/kill/").status_code == 403


def test_it_says_first_what_it_will_do(page, running, world):
    orders = running.orders.filter(status__in=("planned", "sending", "working", "unknown")).count()
    PaperOrder.objects.create(
        account=world.account,
        market=world.market,
        client_order_id="by-hand",
        side="buy",
        kind="limit",
        qty=1,
        price=50,
        status="working",
    )
    text = text_of(page.get(f"/kill/?bot={running.public_id}"))
    assert "Only the bot Steady" in text
    assert f'<strong class="num">{orders}</strong> open orders' in text
    assert "1 running bot" in text
    assert 'hx-get="/kill/foreign/"' in text, "an exchange that is slow to answer doesn't hold the page up"
    assert "1 order placed by hand or by another program" in text_of(page.get("/kill/foreign/"))


class Broken(PaperVenue):
    def open_orders(self):
        raise self.fault


@pytest.mark.parametrize(("fault", "told"), [(VenueUnavailable("504"), "504"), (KeyError("x"), "could not be counted")])
def test_an_exchange_that_fails_keeps_nobody_from_the_switch(page, running, fault, told):
    Broken.fault = fault
    with venue(Broken):
        assert page.get("/kill/").status_code == 200
        text = text_of(page.get("/kill/foreign/"))
    assert told in text
    assert "their number isn't known" in text


def test_what_hangs_is_listed_with_its_reason(page, running):
    page.post("/kill/", {"scope": "workspace"})
    address = f"/halts/{Halt.objects.get().public_id}/"
    with venue(Away):
        assert "Still open, and why" not in text_of(page.get(address)), "what is just on its way is only counted"
        sweep()
        text = text_of(page.get(address))
    assert "Still open, and why" in text
    assert "The exchange did not answer: connection refused; it is tried again every few seconds" in text


def test_one_click_halts_and_leads_to_the_progress(page, running):
    answer = page.post("/kill/", {"scope": "workspace", "reason": "odd prices"})
    halt = Halt.objects.get()
    assert answer.headers["Location"] == f"/halts/{halt.public_id}/"
    busy = text_of(page.get(answer.headers["Location"]))
    assert "still open" in busy
    assert 'hx-trigger="every 2s"' in busy
    assert "Odd prices" in busy
    sweep()
    done = page.get(f"/halts/{halt.public_id}/", headers={"HX-Request": "true"})
    assert done.status_code == 286, "htmx stops asking"
    assert "Everything has stopped" in text_of(done)
    assert "<html" not in text_of(done)


def test_every_page_says_that_it_is_halted_who_did_it_and_where_the_way_back_is(page, running):
    page.post("/kill/", {"scope": "workspace", "reason": "odd prices"})
    halt = Halt.objects.get()
    for path in PAGES:
        text = text_of(page.get(path))
        assert "All trading here is halted." in text
        assert "Odd prices" in text
        assert "Alice" in text
        assert f'href="/halts/{halt.public_id}/">Look and re-arm' in text


def test_a_halt_of_the_platform_is_shown_to_everybody(page, running):
    pull(running, "platform")
    text = text_of(page.get("/"))
    assert "The operator has halted all trading." in text
    halt = Halt.objects.get()
    assert "Only an operator of this installation can re-arm it" in text_of(page.get(f"/halts/{halt.public_id}/"))


def test_rearming_asks_for_the_password_and_lets_the_bots_go_on(page, running):
    page.post("/kill/", {"scope": "workspace"})
    sweep()
    address = f"/halts/{Halt.objects.get().public_id}/"
    assert "Resume the 1 bot that it paused" in text_of(page.get(address))
    refused = page.post(f"{address}rearm/", {"password": "wrong", "resume": "1"})
    assert refused.status_code == 422
    assert "That is not your password" in text_of(refused)
    assert 'name="resume" value="1" checked' in text_of(refused)
    done = page.post(f"{address}rearm/", {"password": PASSWORD, "resume": "1"}, follow=True)
    assert "1 bot goes on" in text_of(done)
    assert "halted" not in text_of(page.get("/")).lower()
    assert Bot.objects.get().status == "running"


def test_a_trader_may_pull_it_and_is_told_who_rearms(running):
    trader = Client()
    trader.force_login(member_of(running.workspace, "trader"))
    answer = trader.post("/kill/", {"scope": "workspace"}, follow=True)
    assert "Only an owner of this workspace can re-arm it" in text_of(answer)


def test_the_bots_page_offers_to_kill_it_and_says_why_it_stands(page, running):
    address = f"/bots/{running.public_id}/"
    assert f'href="/kill/?bot={running.public_id}"' in text_of(page.get(address))
    page.post(f"/kill/?bot={running.public_id}", {"scope": f"bot:{running.public_id}", "reason": "odd prices"})
    sweep()
    text = text_of(page.get(address))
    assert "Kill switch: odd prices" in text
    page.post(f"{address}do/resume/")
    assert "Somebody has to re-arm it first" in text_of(page.get(address))


def test_incidents_tell_what_happened(page, running):
    assert "No incident yet" in text_of(page.get("/risk/incidents/"))
    page.post("/kill/", {"scope": "workspace", "reason": "odd prices"})
    sweep()
    incident = Halt.objects.get().incident
    assert "Odd prices" in text_of(page.get("/risk/incidents/"))
    detail = text_of(page.get(f"/risk/incidents/{incident.public_id}/"))
    assert "<dt>Bots paused</dt><dd>1</dd>" in detail
    assert "still halted" in detail


def test_limits_are_kept_as_percent_and_amounts(page, world):
    answer = page.post(
        "/risk/limits/", {"max_order": "500", "max_deviation": "5", "max_orders": "", "max_position": ""}
    )
    assert answer.status_code == 302
    row = Limits.objects.get()
    assert (str(row.max_order.normalize()), str(row.max_deviation.normalize()), row.max_orders) == (
        "5E+2",
        "0.05",
        None,
    )
    assert 'value="5"' in text_of(page.get("/risk/limits/"))
    text = text_of(page.get(f"/risk/limits/{world.account.public_id}/"))
    assert "What counts here now" in text
    assert "Practice" in text_of(page.get("/risk/"))


def test_a_wrong_limit_is_told_beside_its_field(page):
    answer = page.post("/risk/limits/", {"max_order": "much", "max_orders": "0", "max_deviation": "101"})
    assert answer.status_code == 422
    text = text_of(answer)
    assert "Enter a number such as 500, or nothing" in text
    assert "The most open orders must be a whole number from 1 to 10,000" in text
    assert "The price deviation must be above 0 and at most 100 %" in text
    assert Limits.objects.count() == 0


def test_a_trader_sees_the_limits_and_does_not_change_them(world):
    trader = Client()
    trader.force_login(member_of(world.account.workspace, "trader"))
    assert "Only an owner" in text_of(trader.get("/risk/limits/"))
    assert trader.post("/risk/limits/", {"max_orders": "3"}).status_code == 403


def test_an_operator_halts_the_platform_in_the_admin(running):
    staff = operator()
    staff.is_superuser = True
    staff.save()
    admin = Client()
    admin.force_login(staff)
    assert admin.get("/admin/risk/halt/add/").status_code == 200
    admin.post("/admin/risk/halt/add/", {"reason": "exchange hacked"})
    sweep()
    running.refresh_from_db()
    assert running.status == "paused"
    halt = Halt.objects.get()
    assert (halt.scope, halt.set_by) == ("platform", staff)
    for name in ("halt", "incident", "limits"):
        assert admin.get(f"/admin/risk/{name}/").status_code == 200
    assert admin.get(f"/admin/risk/halt/{halt.pk}/change/").status_code == 200
