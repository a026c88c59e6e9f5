"""Several writers on one paper account: placing, cancelling and walking at once neither deadlock nor lose a coin."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connection, connections

from exchanges.models import PaperExecution
from exchanges.paper import PaperVenue, walk
from tests.exchanges.books import PERPETUAL, bar, check_wallets, funded, market, perpetual, request
from trading.core.ports import Amendment

ROUNDS = 25


def place_and_cancel(account, name):
    venue = PaperVenue(account)
    for n in range(ROUNDS):
        venue.place([request(f"{name}{n}b", "buy", "1", "99"), request(f"{name}{n}s", "sell", "1", "101")])
        venue.cancel([f"{name}{n - 2}b"])


def walk_up_and_down(btc):
    for n in range(ROUNDS):
        walk(btc, bar(100.0, 101.0 + n % 2, 99.0 - n % 2, 100.0))


def read_executions(account, seen):
    venue, cursor = PaperVenue(account), 0
    for _ in range(ROUNDS):
        for fill in venue.executions(cursor):
            cursor = fill.cursor
            seen.append(cursor)


def all_at_once(*jobs):
    ready = threading.Barrier(len(jobs))

    def run(work, *args):
        try:
            ready.wait()
            work(*args)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(run, *job) for job in jobs]:
            done.result(timeout=300)


@pytest.mark.django_db(transaction=True)
def test_placing_cancelling_and_walking_at_once_keeps_the_books_right():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite in memory has one writer; this runs on PostgreSQL")
    btc, seen = market(), []
    one, two = (funded("5000", BTC="50") for _ in range(2))
    all_at_once(
        (place_and_cancel, one, "a"),
        (place_and_cancel, one, "b"),
        (place_and_cancel, two, "a"),
        (walk_up_and_down, btc),
        (read_executions, one, seen),
    )
    for account in (one, two):
        check_wallets(account, {"USDT": Decimal(5000), "BTC": Decimal(50)})
    booked = list(PaperExecution.objects.filter(account=one).order_by("id").values_list("id", flat=True))
    assert booked
    assert seen == booked[: len(seen)], "an execution became visible after a later one"


def trade_both_ways(account, name, fills):
    venue = PaperVenue(account)
    for n in range(ROUNDS):
        values = {"symbol": PERPETUAL, "leverage": "10"}
        venue.place([request(f"{name}{n}b", "buy", "0.1", **values), request(f"{name}{n}s", "sell", "0.2", **values)])
        venue.place([request(f"{name}{n}r", "buy", "0.1", "99", reduce=True, **values)])
        venue.amend([Amendment(f"{name}{n}r", Decimal("0.1"), Decimal(100 - n % 3))])
        fills.append(len(venue.executions(0)))


@pytest.mark.django_db(transaction=True)
def test_trading_amending_funding_and_liquidating_at_once_keeps_positions_right():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite in memory has one writer; this runs on PostgreSQL")
    btc, fills = perpetual(), []
    one, two = funded("500"), funded("500")
    all_at_once(
        (trade_both_ways, one, "a", fills),
        (trade_both_ways, one, "b", fills),
        (trade_both_ways, two, "a", fills),
        (walk_far, btc),
    )
    for account in (one, two):
        check_wallets(account, {"USDT": Decimal(500)})
    assert PaperExecution.objects.exists()


def walk_far(btc):
    for n in range(2 * ROUNDS):
        walk(btc, bar(100.0, 104.0 + n % 9, 96.0 - n % 9, 100.0, n * 3_600_000))
