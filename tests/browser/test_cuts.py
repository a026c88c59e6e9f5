"""A page that was cut off is right again by itself: a dead wire, a killed server, a long absence."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Open
from tests.browser.proxy import Wire
from tests.served import Served, until

pytestmark = [pytest.mark.browser, pytest.mark.embedded]
PATIENCE_S = 240
KEEP_STATES = """() => {
  const box = document.getElementById("link-state");
  window.states = [];
  new MutationObserver(() => window.states.push(box.dataset.state)).observe(box, { attributeFilter: ["data-state"] });
}"""


@pytest.fixture
def fast(chromium: Browser, tmp_path: Path) -> Iterator[Served]:
    """A server whose market runs sixty times as fast, so that much happens during a cut.

    Each test has its own: after six hours of market time its price leaves the bot's grid, and nothing fills any more.
    """
    with Served(tmp_path / "data", DEMO_SPEED="60") as server:
        server.ready()
        server.start_presets("lively-grid")
        yield server


@pytest.fixture
def wire(fast: Served) -> Iterator[Wire]:
    wire = Wire(int(fast.url.rsplit(":", 1)[1]))
    yield wire
    wire.close()


def _watch(visit: Open, url: str) -> Page:
    page = visit(url)
    page.get_by_role("button", name="Try the demo").click()
    page.get_by_role("link", name=re.compile("Lively grid")).first.click()
    page.get_by_role("tab", name="Fills").click()
    expect(page.locator("#link-state")).to_have_attribute("data-state", "live")
    expect(page.locator("#panel [data-fill]").first).to_be_visible()
    page.evaluate(KEEP_STATES)
    page.evaluate("window.stillTheSame = true")
    return page


def _lost(page: Page) -> None:
    """Wait until the page has noticed; a quick server may be back before anybody has looked at it."""
    until(lambda: "lost" in page.evaluate("window.states"), PATIENCE_S, "the page says that the line is lost")


def _fills(page: Page) -> int:
    return int(page.locator("#bot-figures .figure", has_text="Fills").locator(".figure-value").inner_text())


def _told(server: Served) -> int:
    """How many fills the only bot has, as the API says."""
    token = server.sign_in()
    bot = server.api("GET", "/bots/", token=token)["results"][0]["id"]
    return int(server.api("GET", f"/bots/{bot}/pnl/", token=token)["fills"])


def _right_again(page: Page, server: Served, more_than: int) -> bool:
    """Wait until the page shows as many fills as there are; whether it did so without a reload."""
    expect(page.locator("#link-state")).to_have_attribute("data-state", "live")
    least = max(_told(server), more_than + 1)
    until(lambda: _fills(page) >= least, PATIENCE_S, lambda: f"the page shows {least} fills, not {_fills(page)}")
    return bool(page.evaluate("window.stillTheSame === true"))


@pytest.mark.parametrize("seconds", [2, 15])
def test_a_cut_wire(fast: Served, wire: Wire, visit: Open, seconds: int) -> None:
    page = _watch(visit, wire.url)
    before = _fills(page)
    wire.cut()
    _lost(page)
    threading.Event().wait(seconds)
    until(lambda: _told(fast) > before, PATIENCE_S, "something happens meanwhile")
    wire.mend()
    assert _right_again(page, fast, before)


def test_a_killed_server(fast: Served, visit: Open) -> None:
    page = _watch(visit, fast.url)
    before = _fills(page)
    dead = fast.kill_process()
    _lost(page)
    fast.back(dead)
    until(lambda: _told(fast) > before, PATIENCE_S, "the bot goes on")
    assert _right_again(page, fast, before)


def test_a_server_away_for_long_walks_the_candles_it_missed(fast: Served, visit: Open) -> None:
    page = _watch(visit, fast.url)
    before = _fills(page)
    fast.launcher.send_signal(signal.SIGSTOP)
    dead = fast.kill_process()
    _lost(page)
    threading.Event().wait(10)  # ten minutes of market time
    fast.launcher.send_signal(signal.SIGCONT)
    fast.back(dead)
    until(lambda: _told(fast) > before, PATIENCE_S, "the bot goes on")
    assert _right_again(page, fast, before)
