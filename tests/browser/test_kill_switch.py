"""The kill switch as somebody in a hurry meets it: by keyboard, on a phone, with a page that follows by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Open
from tests.browser.test_pages import _axe, _sticks_out
from tests.served import Served

pytestmark = [pytest.mark.browser, pytest.mark.embedded]
SCREENS = {"desktop": {"viewport": DESKTOP}, "phone": {"viewport": PHONE, "is_mobile": True, "has_touch": True}}


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("screen", SCREENS)
def test_kill_watch_and_rearm(visit: Open, served: Served, signed_in: dict, screen: str, scheme: str) -> None:
    (bot,) = served.start_presets("calm-grid")
    page = visit(f"{served.url}/bots/{bot}/", color_scheme=scheme, storage_state=signed_in, **SCREENS[screen])
    page.get_by_role("link", name="Kill switch" if screen == "desktop" else "Kill", exact=True).press("Enter")
    page.wait_for_url("**/kill/")
    expect(page.get_by_text("placed by hand or by another program")).to_be_visible()
    confirm = page.get_by_role("button", name="Stop trading now")
    expect(confirm).to_be_in_viewport() if screen == "phone" else None
    page.get_by_label("Why?").fill("prices look wrong")
    faults = [*_sticks_out(page), *_axe(page)]
    confirm.press("Enter")
    expect(page.get_by_role("heading", name="Everything has stopped")).to_be_visible()
    faults += [*_sticks_out(page), *_axe(page)]
    for address in ("/", f"/bots/{bot}/", "/risk/"):
        page.goto(served.url + address)
        expect(page.get_by_text("All trading here is halted.")).to_be_visible()
        faults += [f"{address}: {fault}" for fault in (*_sticks_out(page), *_axe(page))]
    page.get_by_role("link", name="Look and re-arm").click()
    page.get_by_label("Resume the").check()
    page.get_by_role("button", name="Re-arm").click()
    expect(page.get_by_text("The kill switch is re-armed.")).to_be_visible()
    expect(page.get_by_text("All trading here is halted.")).to_have_count(0)
    faults += [*_sticks_out(page), *_axe(page)]
    assert faults == []
