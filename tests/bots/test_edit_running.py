"""A bot that trades is edited: its parameters and a command, together or not at all, never behind somebody's back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import Event
from bots.models import Bot, BotInput
from bots.parameters import revision_of
from bots.preflight import edit_bot
from bots.services import bot_edit
from tests.factories import GRID, BotFactory, MarketFactory, account_of, alice, bot_of, candled, funded, priced
from trading.core.errors import InvalidInput
from trading.models import Order, Position

pytestmark = pytest.mark.django_db
Status = Bot.Status
WIDER = {**GRID, "upper": 112}


def commands(bot: Bot) -> list[str]:
    return [row.payload["kind"] for row in BotInput.objects.filter(bot=bot, kind="command").order_by("id")]


@pytest.fixture
def bot(db: None) -> Bot:
    account = funded(account_of(alice(), name="Practice"), 10_000)
    market = candled(priced(MarketFactory()), 50)
    return BotFactory(account=account, market=market, status=Status.RUNNING, budget=Decimal(1010))


@pytest.fixture
def page(client: Client, bot: Bot) -> Client:
    client.force_login(alice())
    return client


def url(bot: Bot, rest: str = "") -> str:
    return f"/api/v1/bots/{bot.public_id}/{rest}"


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PAUSED, Status.ERROR])
def test_new_parameters_come_with_a_command(bot, status) -> None:
    Bot.objects.filter(pk=bot.pk).update(status=status)
    edit_bot(bot=bot, by=alice(), changes={"params": WIDER})
    bot.refresh_from_db()
    assert Decimal(bot.params["upper"]) == 112
    assert commands(bot) == ["edit"]
    assert Event.objects.filter(kind="bot.edited", bot=bot.public_id).count() == 1


@pytest.mark.parametrize("status", [Status.STOPPING, Status.STOPPED])
def test_what_has_ended_keeps_its_parameters(bot, status) -> None:
    Bot.objects.filter(pk=bot.pk).update(status=status)
    with pytest.raises(InvalidInput) as caught:
        bot_edit(bot=bot, by=alice(), changes={"params": WIDER})
    assert (caught.value.field, caught.value.code) == ("params", "wrong_state")
    assert commands(bot) == []
    bot_edit(bot=bot, by=alice(), changes={"name": "Remembered"})
    assert Bot.objects.get().name == "Remembered"


def test_the_same_again_changes_nothing_and_tells_nobody(bot) -> None:
    edit_bot(bot=bot, by=alice(), changes={"params": WIDER})
    edit_bot(bot=bot, by=alice(), changes={"params": {**WIDER, "upper": "112.0"}, "name": bot.name})
    assert commands(bot) == ["edit"]
    assert Event.objects.filter(kind="bot.edited").count() == 1


def test_a_draft_takes_no_command() -> None:
    draft = bot_of(alice())
    bot_edit(bot=draft, by=alice(), changes={"params": WIDER})
    assert commands(draft) == []


def test_parameters_that_cannot_work_change_nothing(bot) -> None:
    for params, field in (({**GRID, "upper": 80}, "params.upper"), ({**GRID, "investment": 5000}, "budget")):
        with pytest.raises(InvalidInput) as caught:
            edit_bot(bot=bot, by=alice(), changes={"params": params})
        assert caught.value.field == field
    bot.refresh_from_db()
    assert bot.params == GRID
    assert commands(bot) == []


def test_an_edit_behind_somebodys_back_is_told(page, bot) -> None:
    seen = page.get(url(bot)).json()["revision"]
    edit_bot(bot=bot, by=alice(), changes={"params": WIDER})
    body = {"params": {**GRID, "upper": 111}, "revision": seen}
    answer = page.patch(url(bot), body, content_type="application/json")
    assert answer.status_code == 409
    assert answer.json()["detail"]["code"] == "conflict"
    now = page.get(url(bot)).json()["revision"]
    assert page.patch(url(bot), body | {"revision": now}, content_type="application/json").status_code == 200
    assert commands(bot) == ["edit", "edit"]


def test_the_preview_names_what_changes_and_changes_nothing(page, bot) -> None:
    before = (bot.params, commands(bot))
    answer = page.post(url(bot, "edit-preview/"), {"params": WIDER}, content_type="application/json")
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert shown["differences"] == [{"field": "params.upper", "title": "Upper price", "old": "110", "new": "112"}]
    assert shown["revision"] == revision_of(bot.params)
    assert shown["preview"]["levels"]
    wrong = page.post(url(bot, "edit-preview/"), {"params": {**GRID, "levels": 1}}, content_type="application/json")
    assert wrong.json()["detail"]["field"] == "params.levels"
    bot.refresh_from_db()
    assert (bot.params, commands(bot)) == before


def test_the_page_shows_the_change_beside_the_form_and_makes_it(page, bot) -> None:
    address = f"/bots/{bot.public_id}/edit/"
    html = page.get(address).content.decode()
    assert 'name="params.upper" value="110"' in html
    assert "No parameter changes." in html
    assert "other exits at once" in html, "the strategy's own word on what an edit does"
    sent = {f"params.{name}": value for name, value in WIDER.items()}
    sent |= {"name": "Wider", "revision": revision_of(bot.params)}
    seen = page.post(f"{address}preview/", sent, headers={"HX-Request": "true"}).content.decode()
    assert "<s>110</s>" in seen
    assert commands(bot) == []
    assert page.post(address, sent)["Location"] == f"/bots/{bot.public_id}/"
    bot.refresh_from_db()
    assert (bot.name, Decimal(bot.params["upper"])) == ("Wider", 112)
    again = page.post(address, sent | {"params.upper": "111"})
    assert again.status_code == 422
    assert "was edited meanwhile" in again.content.decode()


def test_a_fault_stands_at_its_field(page, bot) -> None:
    sent = {f"params.{name}": value for name, value in GRID.items()} | {"name": "x", "params.levels": "1"}
    for rest in ("", "preview/"):
        answer = page.post(f"/bots/{bot.public_id}/edit/{rest}", sent)
        assert answer.status_code == 422
        assert "from 3 to 500" in answer.content.decode()
    assert commands(bot) == []


# --- what it would do ------------------------------------------------------------------------------------------------


def test_what_it_would_do_now_is_told_and_not_done(page, bot) -> None:
    answer = page.get(url(bot, "what-now/"))
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert {change["kind"] for change in shown["changes"]} == {"place"}
    assert {change["market"] for change in shown["changes"]} == {"BTC/USDT"}
    html = page.get(f"/bots/{bot.public_id}/what-now/", headers={"HX-Request": "true"}).content.decode()
    assert html.count("dry-row dry-place") == len(shown["changes"])
    assert "<html" not in html
    assert not Order.objects.exists()
    assert commands(bot) == []


def test_the_edits_preview_says_what_the_new_parameters_would_do(page, bot) -> None:
    body = {"params": {**GRID, "levels": 9}}
    run = page.post(url(bot, "edit-preview/"), body, content_type="application/json").json()["run"]
    now = page.get(url(bot, "what-now/")).json()
    assert len(run["changes"]) > len(now["changes"])
    assert not Order.objects.exists()


def test_without_a_price_nobody_can_say(page, bot) -> None:
    cache.clear()
    assert page.get(url(bot, "what-now/")).status_code == 503
    assert "no current price" in page.get(f"/bots/{bot.public_id}/what-now/").content.decode()


# --- what is held stays reachable ------------------------------------------------------------------------------------


def scan(**values: object) -> Bot:
    account = funded(account_of(alice(), name="Scanning"), 10_000)
    steps = {"tick": Decimal("0.01"), "lot": Decimal("0.00001")}
    symbols = ("ETH/USDT", "SOL/USDT", "LTC/USDT")
    markets = {symbol: candled(priced(MarketFactory(symbol=symbol, **steps)), 50) for symbol in symbols}
    watched = {symbol: markets[symbol] for symbol in symbols[:2]}
    params = {"symbols": list(watched), "max_deals": 1, "quote_per_deal": "100", "entry": "close < 90"}
    return BotFactory(
        account=account, market=markets["ETH/USDT"], markets=watched, strategy="scan", params=params, **values
    )


@pytest.mark.parametrize("held", ["position", "order", ""])
def test_a_market_in_which_something_is_held_cannot_go(held: str) -> None:
    bot = scan(status=Status.RUNNING)
    sol = bot.bot_markets.get(alias="SOL/USDT").market
    if held == "position":
        Position.objects.create(bot=bot, market=sol, qty=1, cost=100)
    elif held == "order":
        Order.objects.create(
            workspace=bot.workspace, account=bot.account, bot=bot, market=sol, slot="x", gen=1, number=1,
            client_order_id="x1", side="buy", kind="limit", want={}, qty=1, price=90, status="working",
        )  # fmt: skip
    params = bot.params | {"symbols": ["ETH/USDT", "LTC/USDT"]}
    if not held:
        edit_bot(bot=bot, by=alice(), changes={"params": params})
        assert set(bot.bot_markets.values_list("alias", flat=True)) == {"ETH/USDT", "LTC/USDT"}
        return
    with pytest.raises(InvalidInput, match="holds or has orders on SOL/USDT"):
        edit_bot(bot=bot, by=alice(), changes={"params": params})
    assert set(bot.bot_markets.values_list("alias", flat=True)) == {"ETH/USDT", "SOL/USDT"}
    assert commands(bot) == []
