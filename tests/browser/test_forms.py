"""Long forms and dialogs at work: what is at fault is seen, buttons stay in sight, the focus comes back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Open
from tests.served import Served

pytestmark = [pytest.mark.browser, pytest.mark.embedded]


def test_a_field_at_fault_is_never_away_and_the_refusal_has_the_focus(
    visit: Open, served: Served, signed_in: dict
) -> None:
    page = visit(f"{served.url}/bots/new/dca/", storage_state=signed_in)
    condition, start = page.locator("[name='params.start_condition']"), page.get_by_label("Start a deal")
    start.select_option("condition")
    condition.fill("rsi(14) <")
    start.select_option("immediately")
    expect(page.locator("#error-id_params-start_condition")).to_contain_text("At position")
    expect(condition).to_be_visible()
    page.get_by_role("button", name="Create and start").click()
    expect(page.locator("#summary")).to_be_focused(timeout=10_000)
    page.locator("#summary a").click()
    expect(condition).to_be_visible()
    condition.fill("")
    expect(condition).to_be_hidden(timeout=10_000)


@pytest.mark.parametrize("size", [DESKTOP, {"width": 1280, "height": 640}, PHONE], ids=["desktop", "low", "phone"])
def test_the_buttons_of_a_long_form_are_always_in_sight(
    visit: Open, served: Served, signed_in: dict, size: dict
) -> None:
    page = visit(f"{served.url}/bots/new/dca/", storage_state=signed_in, viewport=size)
    create = page.get_by_role("button", name="Create and start")
    for place in ("0", "document.documentElement.scrollHeight / 2", "document.documentElement.scrollHeight"):
        page.evaluate(f"scrollTo(0, {place})")
        expect(create).to_be_in_viewport(ratio=1)
        create.click(trial=True)  # nothing lies over it


def test_settings_of_many_markets_stay_on_the_page(visit: Open, served: Served, signed_in: dict) -> None:
    (bot,) = served.start_presets("dip-scan")
    page = visit(f"{served.url}/bots/{bot}/?tab=settings", storage_state=signed_in, viewport=PHONE)
    expect(page.locator("#panel")).to_contain_text("Amount per deal")
    page.locator("#panel").scroll_into_view_if_needed()
    page.locator(".tab-list").scroll_into_view_if_needed()
    expect(page.get_by_role("tab", name="Settings")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_dialog_from_a_menu_gives_the_focus_back(visit: Open, served: Served, signed_in: dict) -> None:
    (bot,) = served.start_presets("trend")
    page = visit(f"{served.url}/bots/{bot}/", storage_state=signed_in)
    button = page.locator(".tell-menu > summary")
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Take up again").press("Enter")
    expect(page.get_by_role("dialog", name="Take up again")).to_be_visible()  # named by what it asks
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(button).to_be_focused()  # the menu has closed: its entry couldn't take it


def test_a_phone_leafs_through_what_else_could_be_started(visit: Open, served: Served, signed_in: dict) -> None:
    served.start_presets("calm-grid")
    page = visit(f"{served.url}/", storage_state=signed_in, viewport=PHONE)
    presets = page.locator(".presets .preset")
    last = presets.last
    last.scroll_into_view_if_needed()
    expect(last.get_by_role("heading")).to_be_in_viewport(ratio=1)
    boxes = [one.bounding_box() for one in presets.all()]
    assert len({round(box["y"]) for box in boxes if box}) == 1  # one row, not one below the other
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
