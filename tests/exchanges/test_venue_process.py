"""The paper venue as a process: what it has answered outlives a kill, its log says all of it, its news come at once."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections import Counter
from contextlib import closing
from decimal import Decimal

import pytest
import requests
from django.core.management import CommandError, call_command

from exchanges.adapters.paperwire.parse import NEWS
from exchanges.adapters.paperwire.sign import PLATFORM
from exchanges.paper_server.walker import Walker
from tests.exchanges.books import bar, flat, funded, market, place, request
from tests.exchanges.venue_process import SECRET, running
from tests.factories import UserFactory
from tests.served import until
from trading.core.errors import OutcomeUnknown, VenueError

SPOT = "BTC/USDT"


def opened(process, amount: str = "10000"):
    key = str(uuid.uuid4())
    venue = process.venue(key)
    venue.deposit("opening", "USDT", Decimal(amount))
    process.price(SPOT, flat(100.0, 0))
    return key, venue


def test_the_log_tells_the_whole_life_of_an_account(venue_process):
    key, venue = opened(venue_process)
    venue.place([request("a", "buy", "0.5", "99"), request("b", "buy", "1", "60"), request("c", "buy", "900", "99")])
    venue.cancel(["b"])
    venue_process.price(SPOT, flat(98.0, 5))
    rows = venue_process.truth(key)
    assert [(row["kind"], row["client_order_id"]) for row in rows] == [
        ("deposit", "opening"),
        ("accepted", "a"),
        ("accepted", "b"),
        ("refused", "c"),
        ("cancelled", "b"),
        ("executed", "a"),
        ("ended", "a"),
    ]
    placed, fill, end = rows[1]["payload"], rows[5]["payload"], rows[6]["payload"]
    assert (placed["symbol"], placed["side"], placed["kind"], placed["qty"], placed["price"]) == (
        SPOT, "buy", "limit", "0.5", "99",
    )  # fmt: skip
    assert (fill["price"], fill["qty"], fill["fee"], fill["fee_coin"], fill["market_ms"]) == (
        "98", "0.5", "0.049", "USDT", 5,
    )  # fmt: skip
    assert (end["status"], end["filled_qty"]) == ("filled", "0.5")


def test_nobody_changes_the_log_of_a_venue(venue_process):
    opened(venue_process)
    with closing(sqlite3.connect(venue_process.data / "binnacle.sqlite3", timeout=20)) as database:
        for statement in ("UPDATE exchanges_paperlog SET kind = 'ended'", "DELETE FROM exchanges_paperlog"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
                database.execute(statement)


def test_whoever_waits_for_news_hears_at_once_whose_they_are(venue_process):
    key, venue = opened(venue_process)
    newest, keys = venue_process.client(PLATFORM).get("/news?after=-1&wait=20", NEWS, wait_s=20)
    assert keys == []
    venue.place([request("a", "buy", "0.5", "99")])
    heard: list[tuple[int, list[str]]] = []

    def listen() -> None:
        with requests.Session() as session:  # one belongs to one thread
            own = venue_process.client(PLATFORM, session=session)
            while not heard:
                found = own.get(f"/news?after={newest}&wait=20", NEWS, wait_s=20)
                heard.extend([found] if found[1] else [])

    listener = threading.Thread(target=listen)
    listener.start()
    venue_process.price(SPOT, flat(98.0, 5))
    listener.join(120)
    assert heard[0][1] == [key]
    assert heard[0][0] > newest


class Bell:
    """Counts how often it is rung."""

    def __init__(self) -> None:
        self.rung = 0

    def ring(self) -> None:
        self.rung += 1


@pytest.mark.django_db
def test_a_price_that_changes_the_book_rings_and_no_other_does():
    btc, account, bell = market(), funded(), Bell()
    place(account, "a", "buy", "0.5", "99")
    walker = Walker(bell)
    for move, rung in ((flat(100.0, 0), 0), (flat(98.0, 5), 1), (flat(97.0, 6), 1)):
        walker.before({btc.pk})
        walker.on_bar(btc, move, (), received_ms=1, catching_up=False)
        assert bell.rung == rung


def test_killed_amid_orders_it_keeps_what_it_answered(venue_process):
    key, venue = opened(venue_process, "1000000")
    answered: list[str] = []
    asked: list[str] = []
    enough = threading.Event()

    def storm() -> None:
        own = venue_process.venue(key)
        while True:
            name = f"order{len(asked)}"
            asked.append(name)
            try:
                own.place([request(name, "buy", "0.1", "99" if len(asked) % 2 else "50")])
            except VenueError:
                return
            answered.append(name)
            if len(answered) >= 20:
                enough.set()

    sender = threading.Thread(target=storm)
    sender.start()
    assert enough.wait(120)
    venue_process.kill()
    sender.join(120)
    before = venue_process.truth(key)
    venue_process.start()

    known = {report.client_order_id: report for report in venue.lookup(asked)}
    assert set(answered) <= set(known)
    accepted = [row["client_order_id"] for row in venue_process.truth(key, "accepted")]
    assert Counter(accepted) == Counter(known.keys())
    assert venue_process.truth(key)[: len(before)] == before
    venue_process.price(SPOT, bar(100.0, 100.0, 98.0, 98.0, 5))
    filled = [name for name in known if int(name.removeprefix("order")) % 2 == 0]
    assert sorted(fill.client_order_id for fill in venue.executions(0)) == sorted(filled)
    assert venue.balances()["BTC"] == Decimal("0.1") * len(filled)


def test_it_trades_by_itself_while_nobody_calls(tmp_path):
    script = tmp_path / "faults.json"
    script.write_text('[{"fault": "drop_after", "calls": ["place"]}]')
    with running(tmp_path, "--faults", str(script), feed="demo", DEMO_SPEED="60") as process:
        key = str(uuid.uuid4())
        venue = process.venue(key)
        venue.deposit("opening", "USDT", Decimal(1_000_000))
        with pytest.raises(OutcomeUnknown):
            venue.place([request("now", "buy", "0.1")])
        until(lambda: process.truth(key, "executed"), 120, process.log)
        process.kill()
        process.start()
        with pytest.raises(OutcomeUnknown):
            venue.place([request("later", "buy", "0.1")])
        until(lambda: len(process.truth(key, "executed")) == 2, 120, process.log)
        assert [fill.client_order_id for fill in venue.executions(0)] == ["now", "later"]
        assert process.end() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PAPER_VENUE_KEY": "short"}, "at least 32 characters"),
        ({"PAPER_VENUE_CONTROL_KEY": "short"}, "at least 32 characters"),
        ({"EMBEDDED": False}, "unset BROKER_URL"),
        ({"REDIS_URL": "redis://127.0.0.1:6379/0"}, "unset BROKER_URL"),
        ({}, "it is a platform's"),
    ],
)
def test_it_does_not_start_where_it_would_do_harm(settings, changes, words):
    UserFactory()
    safe = {"EMBEDDED": True, "REDIS_URL": "", "PAPER_VENUE_KEY": SECRET, "PAPER_VENUE_CONTROL_KEY": ""}
    for name, value in (safe | changes).items():
        setattr(settings, name, value)
    with pytest.raises(CommandError, match=words):
        call_command("paper_venue", port=0)
