"""The platform listens to the venue process in a thread: what fills there is booked here without anybody asking."""

from __future__ import annotations

import threading

import pytest

from accounts.models import Account
from tests.exchanges.venue_process import SECRET
from tests.served import until
from tests.trading.wire_world import SPOT, WireWorld
from trading.core.types import Bar
from trading.venue_news import start_news


@pytest.fixture
def process(venue_process, settings):
    settings.PAPER_VENUE_URL, settings.PAPER_VENUE_KEY = venue_process.url, SECRET
    yield venue_process
    venue_process.control("clear", None)


@pytest.mark.django_db(transaction=True)
def test_whatever_fills_there_is_told_here_even_after_the_venue_was_away(process):
    world = WireWorld(process)
    world.bot()
    world.price(101.0)
    told: list[Account] = []

    def book(account: Account) -> set[int]:
        told.append(account)
        return set()

    def moved(last: float) -> None:
        world.ts_ms += 1000
        process.price(SPOT, Bar(world.ts_ms, 100.0, 101.0, min(last, 100.0), last))

    stop = threading.Event()
    thread = start_news(stop, book)
    assert thread is not None
    try:
        until(lambda: told, 120, "whoever has just come asks every account")
        told.clear()
        process.kill()
        process.start()
        moved(94.0)
        until(lambda: world.account in told, 120, "the fills are told")
        assert set(told) == {world.account}
    finally:
        stop.set()
        thread.join(120)
    assert not thread.is_alive()


def test_nobody_listens_where_no_such_venue_is_configured(settings):
    settings.PAPER_VENUE_URL = ""
    assert start_news(threading.Event(), lambda account: set()) is None
