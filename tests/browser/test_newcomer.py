"""What a newcomer does with the demo: sign in, start a ready-made bot, see why it waits, see it fill. No reload."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Open
from tests.served import Served, until

pytestmark = [pytest.mark.browser, pytest.mark.embedded]
WAITING_OR_FILLED = re.compile(r"no fill yet: next (buy|sell)|bought|sold|next (buy|sell)", re.IGNORECASE)


class Clicks:
    """Counts what the newcomer has to press."""

    def __init__(self) -> None:
        self.count = 0

    def press(self, page: Page, name: str, within: str = "body") -> None:
        page.locator(within).get_by_role("button", name=name).first.click()
        self.count += 1


def _card(title: str) -> str:
    return f"article.preset:has(h3:text-is('{title}'))"


def _never_reloaded(page: Page) -> bool:
    return bool(page.evaluate("window.stillTheSame === true"))


def _parts(page: Page) -> dict[str, Decimal]:
    """Read all of them at one moment: the page follows the price."""
    cells = page.locator("#bot-result [data-part]")
    read = cells.evaluate_all("cells => cells.map((cell) => [cell.dataset.part, cell.title])")
    return {part: Decimal(figure) for part, figure in read}


def test_from_sign_in_to_the_first_fill(visit: Open, served: Served) -> None:
    page, clicks = visit(served.url), Clicks()
    clicks.press(page, "Try the demo")
    page.wait_for_url(f"{served.url}/")
    clicks.press(page, "Start this bot", within=_card("Lively grid"))
    page.wait_for_url(re.compile(r"/bots/[0-9a-f-]{36}/"))
    assert clicks.count <= 3
    expect(page.locator("#bot-why .why-line")).to_have_text(WAITING_OR_FILLED)
    page.evaluate("window.stillTheSame = true")
    page.get_by_role("tab", name="Fills").click()
    expect(page.locator("#panel [data-fill]").first).to_be_visible()
    expect(page.locator("#bot-figures")).to_contain_text(re.compile(r"Fills\s*[1-9]"))
    assert _never_reloaded(page)
    parts = _parts(page)
    assert parts["realised"] + parts["unrealised"] - parts["fees"] == parts["total"]


def test_a_person_with_a_password_signs_in_and_out(visit: Open, served: Served) -> None:
    page = visit(f"{served.url}/bots/")
    page.get_by_label("E-mail").fill("demo@binnacle.local")
    page.get_by_label("Password").fill("demo-binnacle")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{served.url}/bots/")
    page.get_by_label("Your menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(f"{served.url}/bots/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_phone_can_do_the_same(visit: Open, served: Served) -> None:
    page = visit(served.url, viewport=PHONE, is_mobile=True, has_touch=True)
    page.get_by_role("button", name="Try the demo").tap()
    page.wait_for_url(f"{served.url}/")
    page.locator(_card("Calm grid")).get_by_role("button", name="Start this bot").tap()
    page.wait_for_url(re.compile(r"/bots/[0-9a-f-]{36}/"))
    expect(page.locator("#bot-why .why-line")).to_have_text(WAITING_OR_FILLED)
    page.get_by_role("button", name="Pause").tap()
    expect(page.locator("#bot-head")).to_contain_text("Paused")
    page.get_by_role("button", name="Resume").tap()
    expect(page.locator("#bot-head")).to_contain_text("Running")


def test_a_bot_is_stopped_from_its_page(visit: Open, served: Served) -> None:
    page = visit(served.url)
    page.get_by_role("button", name="Try the demo").click()
    page.locator(_card("Trend follower")).get_by_role("button", name="Start this bot").click()
    page.get_by_role("link", name="Stop…").click()
    sheet = page.locator("#sheet")
    expect(sheet).to_be_visible()
    sheet.get_by_role("button", name=re.compile("stop", re.IGNORECASE)).last.click()
    expect(page.locator("#bot-head")).to_contain_text("Stopped")


def test_prices_move_without_a_reload(visit: Open, served: Served) -> None:
    page = visit(served.url)
    page.get_by_role("button", name="Try the demo").click()
    page.get_by_role("link", name=re.compile("Lively grid")).first.click()
    page.evaluate("window.stillTheSame = true")
    last = page.locator("[data-chart-last]")
    seen = {last.inner_text()}
    until(lambda: seen.add(last.inner_text()) or len(seen) > 3, 120, lambda: f"the price moves: {seen}")
    expect(page.locator("#link-state")).to_have_attribute("data-state", "live")
    expect(page.locator("[data-chart-canvas] canvas").first).to_be_visible()
    assert _never_reloaded(page)
