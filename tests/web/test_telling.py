"""Telling a running bot something on its page: what it does first, faults in place, and who did it in the activity."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import User
from bots.models import Bot, BotInput
from bots.services import bot_stop
from tests.factories import viewer_of, workspace_of
from tests.trading.test_commands import DCA, settle
from tests.trading.world import World, live_orders
from trading.models import Order

HTMX = {"HX-Request": "true"}


@pytest.fixture
def dca(world: World) -> Bot:
    bot = world.bot(strategy="dca", params=dict(DCA), budget=Decimal(400), name="Steady")
    settle(world)
    return bot


def tell(bot: Bot, kind: str, rest: str = "") -> str:
    return f"/bots/{bot.public_id}/tell/{kind}/{rest}"


def test_the_menu_holds_what_the_strategy_declares(page: Client, dca: Bot, world: World) -> None:
    html = page.get(f"/bots/{dca.public_id}/").content.decode()
    for kind in ("close", "add_funds", "signal", "cancel_deal", "resume"):
        assert tell(dca, kind) in html
    other = world.bot(
        name="Grid", budget=Decimal(2000), params={"lower": 90, "upper": 110, "levels": 5, "investment": 1000}
    )
    html = page.get(f"/bots/{other.public_id}/").content.decode()
    assert tell(other, "resume") in html
    assert tell(other, "close") not in html


def test_a_dialog_says_what_it_does_now(page: Client, dca: Bot) -> None:
    html = page.get(tell(dca, "close"), headers=HTMX).content.decode()
    assert "<html" not in html
    assert html.count("dry-cancel") == 3
    assert "go at market once its orders have let go of them" in html
    assert "Deal 1 on seat 1: 1 at 100" in html
    assert '<option value="1" selected>' in html  # the only one that is open
    assert "<html" in page.get(tell(dca, "close")).content.decode()


def test_a_form_that_was_just_opened_complains_of_nothing(page: Client, dca: Bot) -> None:
    html = page.get(tell(dca, "add_funds"), headers=HTMX).content.decode()
    assert "note-error" not in html
    assert "required" not in html
    assert '<span class="unit">USDT</span>' in html


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("", "Amount is required"),
        ("1,5", "with a point"),
        ("900", "at most 99."),
        ("1", "5 would do"),
        ("-3", "above 0"),
    ],
)
def test_a_bad_value_stays_with_its_fault_beside_it(page: Client, dca: Bot, amount: str, words: str) -> None:
    for rest in ("", "preview/"):
        answer = page.post(tell(dca, "add_funds", rest), {"args.quote": amount, "args.deal": "1"}, headers=HTMX)
        html = answer.content.decode()
        assert answer.status_code == 422
        assert words in html.split('id="error-id_args-quote"', 1)[1].split("</p>", 1)[0]
    html = page.post(tell(dca, "add_funds"), {"args.quote": amount, "args.deal": "1"}).content.decode()
    assert not amount or f'value="{amount}"' in html
    assert not BotInput.objects.filter(payload__kind="add_funds").exists()


def test_the_preview_follows_the_amount(page: Client, dca: Bot) -> None:
    html = page.post(tell(dca, "add_funds", "preview/"), {"args.quote": "50"}, headers=HTMX).content.decode()
    assert "deal:1:add" in html
    assert "0.5 BTC/USDT" in html
    assert html.lstrip().startswith('<div class="tell-now"')


def test_a_seat_that_is_gone_is_refused_in_the_services_words(page: Client, dca: Bot) -> None:
    answer = page.post(tell(dca, "close"), {"args.deal": "3"}, headers=HTMX)
    assert answer.status_code == 422
    assert "No deal is open on seat 3; open are 1." in answer.content.decode()


def test_the_bot_is_told_and_the_activity_says_by_whom(page: Client, dca: Bot, world: World) -> None:
    answer = page.post(tell(dca, "add_funds"), {"args.quote": "50"}, headers=HTMX)
    assert answer.status_code == 204
    assert json.loads(answer["HX-Trigger"])["told"]["back"] == f"/bots/{dca.public_id}/"
    settle(world)
    assert live_orders(dca)["deal:1:exit"].qty == Decimal("1.5")
    html = page.get(f"/bots/{dca.public_id}/", {"tab": "activity"}).content.decode()
    assert "Add funds to a deal by Alice: amount 50 USDT" in html


def test_without_scripts_it_goes_back_to_the_bot(page: Client, dca: Bot) -> None:
    answer = page.post(tell(dca, "close"), {"args.deal": "1"}, follow=True)
    assert answer.redirect_chain[-1][0] == f"/bots/{dca.public_id}/"
    assert "Close a deal: Steady was told." in answer.content.decode()


def test_what_cannot_be_done_now_is_said_before_and_after(page: Client, dca: Bot) -> None:
    words = "1 of 1 deals are open: there is no room for another."
    assert words in page.get(tell(dca, "signal"), headers=HTMX).content.decode()
    answer = page.post(tell(dca, "signal"), headers=HTMX)
    assert (answer.status_code, words in answer.content.decode()) == (422, True)
    assert page.get(tell(dca, "explode")).status_code == 404


# --- one order -------------------------------------------------------------------------------------------------------


def test_every_living_order_can_be_cancelled_from_the_table(page: Client, dca: Bot) -> None:
    orders = live_orders(dca)
    engine = orders["deal:1:safety:2"]
    Order.objects.filter(pk=engine.pk).update(slot="engine:exit")
    html = page.get(f"/bots/{dca.public_id}/").content.decode()
    for order in orders.values():
        assert (f"/orders/{order.public_id}/cancel/" in html) is (order.pk != engine.pk)


def test_the_cancel_is_asked_first_and_then_done(page: Client, dca: Bot, world: World) -> None:
    order = live_orders(dca)["deal:1:safety:1"]
    path = f"/orders/{order.public_id}/cancel/"
    html = page.get(path, headers=HTMX).content.decode()
    assert "Free again for Steady" in html
    assert f"{order.locked:.2f}" in html
    assert page.post(path, headers=HTMX).status_code == 204
    html = page.get(f"/bots/{dca.public_id}/").content.decode()
    assert "Being cancelled" in html
    assert path not in html
    assert page.post(path, headers=HTMX).status_code == 422
    settle(world)
    assert "deal:1:safety:1" not in live_orders(dca)
    html = page.get(f"/bots/{dca.public_id}/", {"tab": "activity"}).content.decode()
    assert "Order cancelled by Alice: buy 1.05263 BTC/USDT at 95 (deal:1:safety:1)" in html


def test_a_way_out_says_so(page: Client, dca: Bot) -> None:
    order = live_orders(dca)["deal:1:exit"]
    assert "This order is a way out" in page.get(f"/orders/{order.public_id}/cancel/").content.decode()


def test_what_does_not_run_offers_nothing(page: Client, dca: Bot) -> None:
    order = live_orders(dca)["deal:1:exit"]
    bot_stop(bot=dca, mode="keep", by=None)
    html = page.get(f"/bots/{dca.public_id}/").content.decode()
    assert "Tell the bot" not in html
    assert "/cancel/" not in html
    assert page.post(f"/orders/{order.public_id}/cancel/", headers=HTMX).status_code == 422
    assert page.post(tell(dca, "close"), headers=HTMX).status_code == 422
    assert "only a running or paused bot" in page.get(tell(dca, "close")).content.decode()


def test_somebody_who_may_only_look_finds_no_way_to_tell(client: Client, dca: Bot, person: User) -> None:
    client.force_login(viewer_of(workspace_of(person)))
    html = client.get(f"/bots/{dca.public_id}/").content.decode()
    assert "Tell the bot" not in html
    assert "/cancel/" not in html
    assert client.get(tell(dca, "close")).status_code == 403
    assert client.post(tell(dca, "close")).status_code == 403
