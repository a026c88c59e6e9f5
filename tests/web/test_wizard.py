"""The wizard: a live preview, each fault at its field, and nothing half-done."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from accounts.models import User
from bots.models import Bot
from tests.factories import MarketFactory, candled, priced, viewer_of, workspace_of
from tests.trading.world import World

ADDRESS = "/bots/new/grid/"
GOOD = {
    "name": "Mine",
    "params.lower": "90",
    "params.upper": "110",
    "params.levels": "5",
    "params.spacing": "arithmetic",
    "params.investment": "1000",
    "timeframe_ms": "60000",
}


def form(world: World, **values: str) -> dict[str, str]:
    base = GOOD | {"account": str(world.account.public_id), "market": str(world.market.pk)}
    return base | {key.replace("__", "."): value for key, value in values.items()}


def field_error(html: str, field: str) -> str:
    found = re.search(rf'id="error-id_{field}"[^>]*>(.*?)</p>', html, re.DOTALL)
    assert found, field
    return re.sub(r"<[^>]+>", "", found[1]).strip()


def test_the_form_opens_with_figures_that_work_at_this_price(page: Client, world: World) -> None:
    html = page.get(ADDRESS).content.decode()
    assert "Profit per cell after fees" in html
    assert "note-error" not in html
    lower = re.search(r'name="params.lower" value="([\d.]+)"', html)
    assert lower
    assert 80 < float(lower[1]) < 100


def test_the_preview_answers_what_it_would_do(page: Client, world: World) -> None:
    answer = page.post(f"{ADDRESS}preview/", form(world), headers={"HX-Request": "true"})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in html
    assert html.count('class="side-buy"') == 2
    assert html.count('class="side-sell"') == 2
    assert "10,000.00" in html
    assert not Bot.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("params__lower", "120", "upper price 110 must be above the lower price 120"),
        ("params__lower", "abc", "must be a number"),
        ("params__lower", "-5", "above 0"),
        ("params__levels", "1", "from 3"),
        ("params__levels", "2.5", "whole number"),
        ("params__spacing", "wild", "not one of the available choices"),
        ("params__investment", "1e400", "must be"),
        ("params__investment", "", "Give an investment"),
        ("params__quantity_per_level", "1", "not both"),
        ("params__stop_price", "95", "must be below the lower price"),
        ("params__take_profit_price", "100", "must be above the upper price"),
        ("budget", "NaN", "Budget must be a number above 0"),
        ("budget", "99999", "more than the 10000"),
        ("budget", "1", "at least 5"),
        ("name", "", "required"),
        ("name", "x" * 81, "at most 80"),
        ("market", "999999", "not one of the available choices"),
        ("account", "999999", "not one of the available choices"),
        ("timeframe_ms", "7", "not one of the available choices"),
    ],
)
@pytest.mark.parametrize("where", ["", "preview/"])
def test_each_fault_stands_at_its_field(
    page: Client, world: World, field: str, value: str, told: str, where: str
) -> None:
    values = form(world, **{field: value}) | {"then": "start"}
    answer = page.post(ADDRESS + where, values, headers={"HX-Request": "true"} if where else {})
    assert answer.status_code == 422
    html = answer.content.decode()
    at = {"params__lower": "upper"} if value == "120" else {}
    name = f"params-{at[field]}" if field in at else field.replace("__", "-")
    if field != "account":  # a single account is no field to choose: its fault stands above the form
        assert told in field_error(html, name)
    assert told in html
    assert not Bot.objects.exists()


@pytest.mark.parametrize(
    ("budget", "told"), [("1", "at least 5"), ("99999", "more than the 10000"), ("lots", "above 0")]
)
@pytest.mark.parametrize("where", ["", "preview/"])
def test_a_bad_budget_is_told_beside_the_faults_of_the_parameters(
    page: Client, world: World, budget: str, told: str, where: str
) -> None:
    values = form(world, params__upper="80", budget=budget)
    answer = page.post(ADDRESS + where, values, headers={"HX-Request": "true"} if where else {})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert field_error(html, "params-upper")
    assert told in field_error(html, "budget")


def test_a_grid_that_cannot_pay_its_fees_is_refused(page: Client, world: World) -> None:
    values = form(world, params__lower="99.9", params__upper="100.1", params__levels="20") | {"then": "start"}
    answer = page.post(ADDRESS, values)
    assert answer.status_code == 422
    assert "fee" in answer.content.decode()
    assert not Bot.objects.exists()


def test_what_was_typed_is_not_lost_by_a_fault(page: Client, world: World) -> None:
    html = page.post(ADDRESS, form(world, params__levels="1", name="Keep me")).content.decode()
    assert 'value="Keep me"' in html
    assert 'name="params.upper" value="110"' in html


def test_a_hostile_name_stays_text(page: Client, world: World) -> None:
    html = page.post(ADDRESS, form(world, name='"><script>alert(1)</script>', params__levels="1")).content.decode()
    assert "<script>alert" not in html


def test_create_and_start(page: Client, world: World) -> None:
    answer = page.post(ADDRESS, form(world) | {"then": "start"})
    bot = Bot.objects.get()
    assert answer["Location"] == f"/bots/{bot.public_id}/"
    assert (bot.name, bot.status, bot.params["levels"]) == ("Mine", Bot.Status.RUNNING, 5)


def test_save_as_draft(page: Client, world: World) -> None:
    page.post(ADDRESS, form(world) | {"then": "keep"})
    assert Bot.objects.get().status == Bot.Status.DRAFT


def test_the_other_strategy_brings_its_own_form(page: Client, world: World) -> None:
    html = page.get("/bots/new/ema_cross/").content.decode()
    assert 'name="params.fast"' in html
    assert 'name="params.lower"' not in html


def test_without_a_price_nothing_can_be_started(page: Client, world: World) -> None:
    from django.core.cache import cache

    cache.clear()
    answer = page.post(ADDRESS, form(world) | {"then": "start"})
    assert answer.status_code == 422
    assert "There is no current price of BTC/USDT" in answer.content.decode()
    assert not Bot.objects.exists()


def test_who_may_only_look_cannot_make_one(client: Client, world: World, person: User) -> None:
    client.force_login(viewer_of(workspace_of(person)))
    assert client.get(ADDRESS).status_code == 403
    assert client.post(ADDRESS, form(world)).status_code == 403
    assert not Bot.objects.exists()


def test_there_is_no_page_for_a_strategy_that_is_not_there(page: Client, world: World) -> None:
    assert page.get("/bots/new/astrology/").status_code == 404


def test_the_preview_says_itself_what_a_field_lacks_and_reserves_nothing_absurd(page: Client, world: World) -> None:
    def seen(**values: str) -> str:
        html = page.post(ADDRESS + "preview/", form(world, **values), headers={"HX-Request": "true"}).content.decode()
        return html.partition('class="field-error"')[0]

    assert "A name is required." in seen(name="")
    assert "Budget must be a number above 0" in seen(budget="lots")
    below = seen(budget="-1")
    assert "The budget must be" in below
    assert "Reserved for this bot" not in below
    assert "Reserved for this bot" in seen()


def test_an_empty_field_shows_what_it_stands_for(page: Client, world: World) -> None:
    html = page.get("/bots/new/ema_cross/").content.decode()
    assert re.search(r'name="params\.fast"[^>]*placeholder="12"', html)
    assert 'placeholder="None"' not in page.get(ADDRESS).content.decode()


def test_without_an_account_the_way_leads_to_opening_one(page: Client) -> None:
    answer = page.get(ADDRESS, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    assert "needs an account" in answer.content.decode()


def test_a_fault_away_from_its_field_names_it(page: Client, world: World) -> None:
    values = {"name": "Mine", "timeframe_ms": "60000", "market": str(world.market.pk), "then": "start"}
    values |= {"account": str(world.account.public_id), "params.base_order": "100", "params.start": "condition"}
    values |= {"params.safety_order": "100", "params.take_profit_percent": "1", "params.start_condition": "rsi(14) <"}
    html = page.post("/bots/new/dca/", values).content.decode()
    assert re.search(r'href="#id_params-start_condition">Start condition: At position', html)
    assert "<p>Start condition: At position" in html.split('id="preview"', 1)[1]
    assert re.search(r'id="error-id_params-start_condition"><svg.*?</svg>At position', html)


def test_who_may_only_look_is_not_offered_what_only_others_can_start(
    client: Client, page: Client, world: World, person: User
) -> None:
    for symbol, base in (("DOGE/USDT", "DOGE"), ("SOL/USDT", "SOL")):
        candled(priced(MarketFactory(symbol=symbol, base=base), 100.0), 30)
    assert 'class="presets"' in page.get("/").content.decode()
    client.force_login(viewer_of(workspace_of(person)))
    assert 'class="presets"' not in client.get("/").content.decode()


def test_what_moves_with_the_price_is_not_read_out_over_and_over(page: Client, world: World) -> None:
    """A screen reader hears what was refused and whether the line lives, not each figure every few seconds."""
    html = page.get(ADDRESS).content.decode()
    assert re.findall(r'<[^>]*id="preview"[^>]*>', html) == ['<div id="preview" class="panel">']
    assert '<div id="preview-faults" role="status">' in html
    line = html.split('id="link-state"', 1)[1].split("</header>", 1)[0]
    assert "role" not in line.partition(">")[0]
    assert '<span data-word role="status">' in line


def test_the_page_of_the_api_leads_back(page: Client, world: World) -> None:
    assert 'href="/"' in page.get("/api/docs/").content.decode()


def test_an_empty_form_without_a_price_says_why_it_is_empty(page: Client, world: World) -> None:
    from django.core.cache import cache

    cache.clear()
    html = page.get(ADDRESS).content.decode()
    assert "There is no current price of BTC/USDT, so no figures could be suggested" in html
    assert "is required" not in html
