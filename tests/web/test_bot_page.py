"""The page of one bot: what it shows is what stands in the books, and it can be steered from there."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from bots.models import Bot, BotInput
from tests.factories import viewer_of, workspace_of
from tests.trading.world import World
from trading.models import Fill, Order

Status = Bot.Status


def url(bot: Bot, rest: str = "") -> str:
    return f"/bots/{bot.public_id}/{rest}"


def part(html: str, name: str) -> Decimal:
    """Read one part of the result as it is written on the page."""
    block = html.split(f'data-part="{name}"', 1)[1].split("</dd>", 1)[0]
    number = re.search(r'<span class="num[^"]*">([+\N{MINUS SIGN}]?[\d,]+\.\d\d)</span>', block)
    assert number, block
    return Decimal(number[1].replace("\N{MINUS SIGN}", "-").replace(",", ""))


def test_the_parts_of_the_result_add_up_as_they_are_written(page: Client, running: Bot) -> None:
    assert Fill.objects.filter(bot=running).count() >= 3
    html = page.get(url(running)).content.decode()
    assert part(html, "realised") + part(html, "unrealised") + part(html, "fees") == part(html, "total")


@pytest.mark.parametrize("tab", ["orders", "fills", "performance", "activity", "settings"])
def test_every_tab_stays_within_its_queries(
    page: Client, running: Bot, tab: str, django_assert_max_num_queries: object
) -> None:
    page.get(url(running))
    with django_assert_max_num_queries(24):  # type: ignore[operator]
        answer = page.get(url(running), {"tab": tab})
    assert answer.status_code == 200
    assert f'id="panel" role="tabpanel" aria-labelledby="tab-{tab}"' in answer.content.decode()


@pytest.mark.parametrize("address", ["/", "/bots/", "BOT"])
def test_a_page_knows_its_place_in_the_stream_before_it_reads_anything_else(
    page: Client, running: Bot, address: str
) -> None:
    """Else an event between the two would be neither on the page nor sent to it."""
    with CaptureQueriesContext(connection) as queries:
        page.get(url(running) if address == "BOT" else address)
    tables = [re.findall(r'FROM "(\w+)"', query["sql"])[:1] for query in queries.captured_queries]
    place = tables.index(["accounts_eventcounter"])
    others = [i for i, table in enumerate(tables) if table and table[0].startswith(("bots_", "trading_"))]
    assert others
    assert place < min(others)


def test_orders_fills_activity_and_settings_are_the_bots_own(page: Client, running: Bot) -> None:
    order = Order.objects.filter(bot=running, status="working").first()
    fill = Fill.objects.filter(bot=running).order_by("-id").first()
    assert order
    assert fill
    assert f'id="order-{order.pk}"' in page.get(url(running)).content.decode()
    assert f'id="fill-{fill.pk}"' in page.get(url(running), {"tab": "fills"}).content.decode()
    assert "Steady started" in page.get(url(running), {"tab": "activity"}).content.decode()
    assert "Upper price" in page.get(url(running), {"tab": "settings"}).content.decode()


def test_htmx_gets_the_panel_alone_and_no_cache_mixes_them_up(page: Client, running: Bot) -> None:
    answer = page.get(url(running), {"tab": "fills"}, headers={"HX-Request": "true"})
    assert answer.content.decode().lstrip().startswith('<div id="panel"')
    assert "HX-Request" in answer["Vary"]
    assert "HX-Request" in page.get(url(running))["Vary"]


def test_the_moving_blocks_come_out_of_band(page: Client, running: Bot) -> None:
    html = page.get(url(running, "live/"), {"tab": "orders"}, headers={"HX-Request": "true"}).content.decode()
    for block in ("bot-head", "bot-figures", "bot-why", "bot-result", "bot-latest", "panel"):
        opening = re.search(rf'<[a-z]+ [^>]*id="{block}"[^>]*>', html)
        assert opening, block
        assert 'hx-swap-oob="morph"' in opening[0]
    assert 'id="panel"' not in page.get(url(running, "live/")).content.decode()


def test_every_page_that_shows_the_demo_market_says_so(page: Client, running: Bot) -> None:
    for address in ("/", "/bots/", "/bots/new/grid/", url(running), url(running, "stop/")):
        assert "DEMO" in page.get(address).content.decode(), address


def test_the_chart_is_told_orders_and_fills_as_exact_texts(page: Client, running: Bot) -> None:
    chart = page.get(url(running, "chart/")).json()
    prices = sorted(Decimal(order["price"]) for order in chart["orders"])
    assert prices == sorted(order.price for order in Order.objects.filter(bot=running, status="working"))
    fills = page.get(url(running, "markers/")).json()["fills"]
    assert [fill["side"] for fill in fills] == list(Fill.objects.filter(bot=running).values_list("side", flat=True))
    assert all(isinstance(fill["price"], str) for fill in fills)


def test_markers_keep_to_the_stretch_asked_for(page: Client, running: Bot) -> None:
    last = Fill.objects.filter(bot=running).order_by("-ts_ms").first()
    assert last
    newest = page.get(url(running, "markers/"), {"from": last.ts_ms, "to": last.ts_ms}).json()["fills"]
    assert {fill["ts"] for fill in newest} == {last.ts_ms}
    assert page.get(url(running, "markers/"), {"from": last.ts_ms + 1}).json()["fills"] == []
    assert page.get(url(running, "markers/"), {"from": "9" * 40, "to": "x"}).status_code == 200


def test_candles_refuse_a_timeframe_that_the_chart_does_not_have(page: Client, running: Bot) -> None:
    assert page.get(url(running, "candles/"), {"timeframe_ms": "7"}).status_code == 422
    assert set(page.get(url(running, "candles/")).json()) == {"ts", "open", "high", "low", "close", "volume"}


def test_pause_and_resume(page: Client, running: Bot) -> None:
    page.post(url(running, "do/pause/"))
    running.refresh_from_db()
    assert running.status == Status.PAUSED
    html = page.get(url(running)).content.decode()
    assert "Resume" in html
    page.post(url(running, "do/resume/"))
    running.refresh_from_db()
    assert running.status == Status.RUNNING


def test_a_move_that_is_not_possible_is_refused_in_words(page: Client, running: Bot) -> None:
    answer = page.post(url(running, "do/delete/"), follow=True)
    assert "only a bot that is draft can be deleted" in answer.content.decode()
    assert Bot.objects.filter(pk=running.pk).exists()
    assert page.post(url(running, "do/explode/")).status_code == 404
    assert page.get(url(running, "do/pause/")).status_code == 405


def test_the_stop_dialog_says_what_each_way_does_to_the_money(page: Client, running: Bot, world: World) -> None:
    html = page.get(url(running, "stop/"), headers={"HX-Request": "true"}).content.decode()
    held = Order.objects.filter(bot=running, status="working", side="buy")
    locked = sum(order.locked for order in held)
    assert f"{locked:,.2f}" in html
    assert "<html" not in html
    assert html.count('type="radio"') == 3
    assert "estimated fee" in html


@pytest.mark.parametrize("mode", ["keep", "sell", "leave"])
def test_stopping(page: Client, running: Bot, mode: str) -> None:
    page.post(url(running, "stop/"), {"mode": mode})
    running.refresh_from_db()
    assert (running.status, running.stop_mode) == (Status.STOPPING, mode)
    assert BotInput.objects.filter(bot=running, payload__kind="stop").count() == 1


def test_an_unknown_way_to_stop_changes_nothing(page: Client, running: Bot) -> None:
    answer = page.post(url(running, "stop/"), {"mode": "burn"})
    assert answer.status_code == 422
    assert "Stop mode must be one of" in answer.content.decode()
    running.refresh_from_db()
    assert running.status == Status.RUNNING


def test_somebody_who_may_only_look_sees_no_buttons_and_cannot_act(client: Client, running: Bot, person: User) -> None:
    client.force_login(viewer_of(workspace_of(person)))
    assert "do/pause" not in client.get(url(running)).content.decode()
    assert client.post(url(running, "do/pause/")).status_code == 403
    assert client.post(url(running, "stop/"), {"mode": "keep"}).status_code == 403
    running.refresh_from_db()
    assert running.status == Status.RUNNING


def test_a_stranger_finds_nothing(client: Client, running: Bot) -> None:
    from tests.factories import bob

    client.force_login(bob())
    for rest in ("", "live/", "stop/", "chart/", "markers/", "candles/"):
        assert client.get(url(running, rest)).status_code == 404, rest
    assert client.post(url(running, "do/pause/")).status_code == 404


def test_somebody_not_signed_in_is_sent_to_the_sign_in(client: Client, running: Bot) -> None:
    answer = client.get(url(running))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/?next=")


def test_a_bot_that_failed_says_why(page: Client, running: Bot) -> None:
    from bots.services import bot_failed

    bot_failed(bot=running, reason="decide() raised ZeroDivisionError")
    assert "decide() raised ZeroDivisionError" in page.get(url(running)).content.decode()
    assert "needs you: decide() raised ZeroDivisionError" in page.get("/").content.decode()


def test_many_orders_denied_for_one_reason_are_told_once(page: Client, running: Bot) -> None:
    held = Order.objects.filter(bot=running, status=Order.Status.WORKING)
    assert held.count() >= 3
    held.update(status=Order.Status.DENIED, reason="the last price is older than 10 s", current=True, wanted=True)
    html = page.get(url(running)).content.decode()
    count = Order.objects.filter(bot=running, status=Order.Status.DENIED).count()
    panel = html.split('id="panel"', 1)[1].partition("Ended orders")[0]
    assert panel.count("the last price is older than 10 s") == 1
    assert f"<strong>{count} orders</strong> were not placed" in html
    assert f"{count} orders: the last price is older than 10" in html.split('id="bot-why"', 1)[1]


def test_reasons_without_end_do_not_fill_the_page(page: Client, running: Bot) -> None:
    for number, order in enumerate(Order.objects.filter(bot=running).order_by("id")):
        order.status, order.current, order.wanted = Order.Status.DENIED, True, True
        order.reason = f"{number} USDT are missing"
        order.save()
    denied = Order.objects.filter(bot=running, status=Order.Status.DENIED).count()
    panel = page.get(url(running)).content.decode().split('id="panel"', 1)[1]
    assert panel.count("was not placed: ") == 5
    assert f"{denied - 5} more" in panel
