"""Every page on a desktop and a phone, dark and light: nothing sticks out, nothing complains, axe finds nothing."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE, Open
from tests.served import Served

pytestmark = [pytest.mark.browser, pytest.mark.embedded]
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
PAGES = ["/sign-in/", "/", "/bots/", "/bots/new/", "/bots/new/grid/", "/bots/new/ema_cross/", "/bots/new/dca/",
         "/bots/new/pair/", "/bots/new/scan/", "/bots/new/adviser/", "/strategies/", "/strategies/dca/", "BOT",
         "BOT?tab=fills", "BOT?tab=decision", "BOT?tab=activity", "BOT?tab=settings", "BOTtell/resume/",
         "BOTedit/", "/risk/", "/risk/incidents/", "/risk/limits/", "/kill/"]  # fmt: skip
SCREENS = {"desktop": {"viewport": DESKTOP}, "phone": {"viewport": PHONE, "is_mobile": True, "has_touch": True}}


@pytest.fixture(scope="module")
def lived_in(served: Served, signed_in: dict) -> tuple[Served, str, dict]:
    """A server with a bot on it, and the cookies of somebody signed in."""
    (bot,) = served.start_presets("calm-grid")
    return served, bot, signed_in


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page(visit: Open, lived_in: tuple[Served, str, dict], screen: str, scheme: str) -> None:
    served, bot, state = lived_in
    page = visit("about:blank", color_scheme=scheme, storage_state=state, **SCREENS[screen])
    faults: list[str] = []
    for address in PAGES:
        answer = page.goto(served.url + address.replace("BOT", f"/bots/{bot}/"))
        assert answer is not None
        assert answer.status == 200, address
        expect(page.locator("h1").first).to_be_visible()
        faults += [f"{address}: {fault}" for fault in (*_sticks_out(page), *_axe(page))]
    assert faults == []


def _sticks_out(page: Page) -> list[str]:
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"scrolls sideways by {wide} px"] if wide > 0 else []


def _axe(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{fault['id']} at {[node['target'] for node in fault['nodes']][:3]}" for fault in found]


def test_dark_is_the_default_and_the_choice_is_kept(visit: Open, lived_in: tuple[Served, str, dict]) -> None:
    served, _, state = lived_in
    page = visit(served.url, storage_state=state)
    theme = page.locator("html")
    first = theme.get_attribute("data-bs-theme")
    page.get_by_label("Switch between dark and light").click()
    other = {"dark": "light", "light": "dark"}[str(first)]
    expect(theme).to_have_attribute("data-bs-theme", other)
    page.reload()
    expect(theme).to_have_attribute("data-bs-theme", other)


def test_the_keyboard_reaches_the_content_first(visit: Open, lived_in: tuple[Served, str, dict]) -> None:
    served, _, state = lived_in
    page = visit(served.url, storage_state=state)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#content$"))


def test_the_wizard_previews_and_names_the_wrong_field(visit: Open, lived_in: tuple[Served, str, dict]) -> None:
    served, _, state = lived_in
    page = visit(f"{served.url}/bots/new/grid/", storage_state=state)
    expect(page.locator("body")).to_contain_text(re.compile("profit", re.IGNORECASE))
    page.locator("[name$=levels]").fill("1")
    page.keyboard.press("Tab")
    expect(page.locator(".field-error", has_text=re.compile(r"\S")).first).to_be_visible()


def test_markets_are_picked_from_a_list_and_conditions_put_together(
    visit: Open, lived_in: tuple[Served, str, dict]
) -> None:
    served, _, state = lived_in
    page = visit(f"{served.url}/bots/new/scan/", storage_state=state)
    picker = page.locator("[data-picker]")
    picker.get_by_role("button", name="None").click()
    expect(picker.locator("[data-picked]")).to_have_text("0")
    expect(page.locator(".field-symbols .field-error")).to_contain_text("required")
    picker.get_by_role("searchbox").fill("eth/usdt")
    expect(picker.locator(".pick:visible")).to_have_count(2)  # the spot market and the perpetual
    picker.get_by_label("ETH/USDT", exact=True).check()
    picker.get_by_role("searchbox").fill("bnb")
    picker.get_by_label("BNB/USDT").check()
    page.get_by_label("Deals at once").fill("2")
    entry = page.locator("[name='params.entry']")
    entry.fill("rsi(14) <")
    expect(page.locator("#error-id_params-entry")).to_contain_text("position")
    entry.fill("")
    page.locator("[data-helper-for=id_params-entry] summary").click()
    page.locator("[data-helper-for=id_params-entry]").get_by_role("button", name="rsi(14)", exact=True).click()
    entry.press_sequentially("< 30")
    expect(entry).to_have_value("rsi(14) < 30")
    expect(page.locator("#error-id_params-entry")).to_be_empty()
    expect(page.locator("#preview")).to_contain_text("Watches ETH/USDT, BNB/USDT")


def test_fields_of_no_use_are_away(visit: Open, lived_in: tuple[Served, str, dict]) -> None:
    served, _, state = lived_in
    page = visit(f"{served.url}/bots/new/dca/", storage_state=state)
    condition = page.locator("[name='params.start_condition']")
    expect(condition).to_be_hidden()
    page.get_by_label("Start a deal").select_option("condition")
    expect(condition).to_be_visible()
    expect(page.locator("#error-id_params-start_condition")).to_contain_text("Write the condition")


def test_a_running_bot_is_edited(visit: Open, lived_in: tuple[Served, str, dict]) -> None:
    served, bot, state = lived_in
    page = visit(f"{served.url}/bots/{bot}/", storage_state=state)
    page.get_by_role("link", name="Edit").click()
    stop = page.get_by_label("Stop price")
    stop.fill(f"{float(stop.input_value()) * 0.99:.2f}")
    expect(page.locator("#preview .differences")).to_contain_text("Stop price")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(rf"/bots/{bot}/$"))
    expect(page.locator("#toasts")).to_contain_text("was changed")


def test_what_it_would_do_now_opens_over_the_page(visit: Open, lived_in: tuple[Served, str, dict]) -> None:
    served, bot, state = lived_in
    page = visit(f"{served.url}/bots/{bot}/", storage_state=state)
    page.get_by_role("link", name="What now?").click()
    sheet = page.locator("#sheet")
    expect(sheet).to_contain_text("A dry run on a copy")
    expect(sheet).to_contain_text("It decides again when")
    assert _axe(page) == []
    sheet.get_by_role("button", name="Close").first.click()
    expect(sheet).to_be_hidden()


def test_the_api_page_breaks_no_policy(visit: Open, lived_in: tuple[Served, str, dict]) -> None:
    served, _, state = lived_in
    page = visit(f"{served.url}/api/docs/", storage_state=state)
    expect(page.locator(".swagger-ui .opblock").first).to_be_visible()


TYPED_AT_ONCE = """
new MutationObserver(() => {
  const amount = document.querySelector("#sheet[open] #id_args-quote");
  if (!amount || amount.value) return;
  amount.value = "1,5";
  amount.dispatchEvent(new Event("input", { bubbles: true }));
}).observe(document.getElementById("sheet"), { attributes: true });
"""


def test_a_dialog_hears_what_is_typed_the_moment_it_opens(visit: Open, lived_in: tuple[Served, str, dict]) -> None:
    served, _, state = lived_in
    (bot,) = served.start_presets("steady-dca")
    page = visit(f"{served.url}/bots/{bot}/", storage_state=state)
    page.evaluate(TYPED_AT_ONCE)
    page.locator(".tell-menu > summary").click()
    page.get_by_role("link", name="Add funds to a deal").click()
    expect(page.locator("#error-id_args-quote")).to_contain_text("with a point")


def test_a_bot_is_told_and_an_order_cancelled_by_keyboard(visit: Open, lived_in: tuple[Served, str, dict]) -> None:
    served, _, state = lived_in
    (bot,) = served.start_presets("steady-dca")
    page = visit(f"{served.url}/bots/{bot}/", storage_state=state)
    expect(page.locator("#panel")).to_contain_text("deal:1:exit")
    page.locator(".tell-menu > summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_contain_text("Add funds to a deal")
    page.keyboard.press("Enter")
    sheet, amount = page.locator("#sheet"), page.locator("#id_args-quote")
    amount.fill("1,5")
    expect(page.locator("#error-id_args-quote")).to_contain_text("with a point")
    amount.press("Enter")
    expect(page.locator("#error-id_args-quote")).to_contain_text("with a point")
    expect(amount).to_have_value("1,5")
    amount.fill("55")
    expect(page.locator("#tell-now")).to_contain_text("deal:1:add")
    assert _axe(page) == []
    amount.press("Enter")
    expect(sheet).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text("was told")
    page.get_by_role("link", name="Cancel buy deal:1:safety:1").click()
    expect(sheet).to_contain_text("Free again for")
    assert _axe(page) == []
    sheet.get_by_role("button", name="Cancel the order").click()
    expect(sheet).to_be_hidden()
    living = page.locator("#panel tr[id^=order-]")
    expect(living.filter(has_text="deal:1:safety:1")).to_have_count(0)
    page.get_by_role("tab", name="Activity").click()
    for words in ("Add funds to a deal by Demo: amount 55 USDT", "Order cancelled by Demo: buy"):
        expect(page.locator("#panel")).to_contain_text(words)
