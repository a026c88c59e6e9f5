"""Chromium before the real server. Every page is watched: an error in its console or a broken policy fails the test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.served import Served

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"]
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
PATIENCE_MS = 120_000  # for what must come; on an idle machine it comes at once
expect.set_options(timeout=PATIENCE_MS)
WATCH = """
addEventListener("securitypolicyviolation", (e) => console.error("CSP " + e.violatedDirective + " " + e.blockedURI));
"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing: the browser tests can't run")
        pytest.skip(f"no {CHROMIUM}: apt-get install chromium, or set CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("browser") / "data") as server:
        server.ready()
        yield server


@pytest.fixture(scope="module")
def signed_in(served: Served, chromium: Browser) -> dict[str, Any]:
    """The cookies of somebody signed in."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(served.url)
    page.get_by_role("button", name="Try the demo").click()
    page.wait_for_url(f"{served.url}/")
    state = dict(context.storage_state())
    context.close()
    return state


Open = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Open]:
    """Open a page of its own browser context; `complaints` of all of them must be empty at the end."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and not _expected(message.text):
            complaints.append(f"{message.location.get('url', '')}: {message.text}")

    def opened(url: str, **options: Any) -> Page:
        context = chromium.new_context(**({"viewport": DESKTOP, "reduced_motion": "reduce"} | options))
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(WATCH)
        contexts.append(context)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _expected(text: str) -> bool:
    """What Chromium and htmx say of a wire that a test has cut, and of a form that was refused."""
    return any(words in text for words in ("net::ERR_", "WebSocket connection to", "htmx:", "status of 422"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show the end of the server's own log beside a failure."""
    report = yield
    if report.failed:
        for server in getattr(item, "funcargs", {}).values():
            if isinstance(server, Served):
                report.sections.append(("serve", server.log()[-5000:]))
    return report
