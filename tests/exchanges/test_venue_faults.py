"""What goes wrong between us and the venue process, on purpose, and what its client makes of it."""

from __future__ import annotations

import json
import socket
import time
import uuid
from decimal import Decimal

import pytest
import requests

from exchanges.adapters.paperwire import sign
from exchanges.adapters.paperwire.client import Client
from exchanges.adapters.paperwire.venue import PaperWireVenue
from tests.exchanges.books import bar, flat, request
from tests.exchanges.venue_process import SECRET, wall_ms
from tests.served import until
from trading.core.errors import CredentialRejected, InvalidInput, OutcomeUnknown, RateLimited, VenueUnavailable
from trading.core.ports import Amendment

SPOT = "BTC/USDT"
ORDER = request("a", "buy", "0.5", "99")


class Account:
    """A fresh account with 10,000 USDT, while BTC stands at 100; faults hit nobody else."""

    def __init__(self, process) -> None:
        self.process, self.key = process, str(uuid.uuid4())
        self.venue = process.venue(self.key)
        self.venue.deposit("opening", "USDT", Decimal(10000))
        process.price(SPOT, flat(100.0, 0))

    def fault(self, fault: str, *calls: str, **values: object) -> None:
        self.process.fault(fault, *calls, account=self.key, **values)

    def ids(self) -> list[str]:
        """What the venue really has."""
        return [row["client_order_id"] for row in self.process.truth(self.key, "accepted")]


@pytest.fixture
def account(venue_process):
    yield Account(venue_process)
    venue_process.control("clear", None)


def call_of(account: Account, name: str):
    venue = account.venue
    return {
        "place": lambda: venue.place([ORDER]),
        "cancel": lambda: venue.cancel(["kept"]),
        "amend": lambda: venue.amend([Amendment("kept", Decimal("0.6"), Decimal(50))]),
        "deposit": lambda: venue.deposit("again", "USDT", Decimal(1)),
        "lookup": lambda: venue.lookup(["kept"]),
        "open_orders": venue.open_orders,
        "executions": lambda: venue.executions(0),
        "funding": lambda: venue.funding(0),
        "balances": venue.balances,
    }[name]


WRITES = ["place", "cancel", "amend", "deposit"]
READS = ["lookup", "open_orders", "executions", "funding", "balances"]
LOST = ["drop_before", "drop_after", "gateway_before", "gateway_after", "truncated", "garbled", "wrong_type"]


@pytest.mark.parametrize("fault", LOST)
def test_a_write_without_a_usable_answer_is_an_unknown_outcome_and_a_read_is_no_answer(account, fault):
    account.venue.place([request("kept", "buy", "0.5", "50")])
    for name in WRITES:
        account.fault(fault, name)
        with pytest.raises(OutcomeUnknown):
            call_of(account, name)()
    for name in READS:
        account.fault(fault, name)
        with pytest.raises(VenueUnavailable) as refusal:
            call_of(account, name)()
        assert not isinstance(refusal.value, RateLimited)
    told = [row["payload"]["fault"] for row in account.process.truth(account.key, "fault")]
    assert told == [fault] * (len(WRITES) + len(READS))
    assert call_of(account, "balances")()  # the next call goes well


@pytest.mark.parametrize("fault", ["drop_after", "gateway_after", "truncated", "garbled", "wrong_type"])
def test_an_order_whose_answer_was_lost_is_there_once(account, fault):
    account.fault(fault, "place")
    with pytest.raises(OutcomeUnknown):
        account.venue.place([ORDER])
    assert [report.status for report in account.venue.lookup(["a"])] == ["working"]
    assert [report.status for report in account.venue.place([ORDER])] == ["working"]  # asked again: the same one
    assert account.ids() == ["a"]


@pytest.mark.parametrize("fault", ["drop_before", "gateway_before", "rate_limited"])
def test_an_order_that_never_arrived_is_nowhere(account, fault):
    account.fault(fault, "place")
    with pytest.raises((OutcomeUnknown, RateLimited)):
        account.venue.place([ORDER])
    assert account.venue.lookup(["a"]) == []
    assert account.ids() == []


def test_an_order_that_filled_before_anybody_looked_is_found_in_history_and_executions(account):
    account.fault("drop_after", "place")
    with pytest.raises(OutcomeUnknown):
        account.venue.place([request("gone", "buy", "0.5")])
    account.process.price(SPOT, flat(101.0, 5))
    assert account.venue.open_orders() == []
    assert [(report.status, report.filled_qty) for report in account.venue.lookup(["gone"])] == [
        ("filled", Decimal("0.5"))
    ]
    assert [fill.client_order_id for fill in account.venue.executions(0)] == ["gone"]


def test_no_answer_of_random_bytes_is_believed(account):
    """F05: none crashes the client, none is taken for an answer, and each order is there once."""
    names = [f"fuzz{number}" for number in range(120)]
    for number, name in enumerate(names):
        account.fault("garbled" if number % 2 else "truncated", "place", seed=number)
        with pytest.raises(OutcomeUnknown):
            account.venue.place([request(name, "buy", "0.1", "60")])
        account.fault("truncated" if number % 2 else "garbled", "lookup", seed=number)
        with pytest.raises(VenueUnavailable):
            account.venue.lookup([name])
    assert {report.client_order_id for report in account.venue.lookup(names)} == set(names)
    assert account.ids() == names


def test_a_read_that_lags_behind_knows_the_order_later(account):
    account.fault("lag", "lookup", "open_orders", count=None, seconds=600)
    account.venue.place([ORDER])
    assert account.venue.lookup(["a"]) == []
    assert account.venue.open_orders() == []
    account.process.control("clear", None)
    assert [report.status for report in account.venue.lookup(["a"])] == ["working"]


def test_patience_is_asked_for_in_seconds(account):
    account.fault("rate_limited", "balances")
    with pytest.raises(RateLimited) as refusal:
        account.venue.balances()
    assert refusal.value.retry_after_s == 2.0


@pytest.mark.parametrize("fault", ["missing", "duplicated", "reordered"])
def test_executions_left_out_told_twice_or_in_another_order_are_each_booked_once(account, fault):
    names = [f"fill{number}" for number in range(6)]
    account.venue.place([request(name, "buy", "0.1", "99") for name in names])
    account.process.price(SPOT, bar(100.0, 100.0, 98.0, 98.0, 5))
    for seed in range(25):
        account.fault(fault, "executions", count=3, seed=seed)
        booked: list[str] = []
        cursor = 0
        for _ in range(10):
            try:
                fills = account.venue.executions(cursor)
            except VenueUnavailable:
                continue
            booked += [fill.client_order_id for fill in fills]
            cursor = fills[-1].cursor if fills else cursor
        assert booked == names, seed
        account.process.control("clear", None)


def test_a_silent_venue_is_given_up_and_what_it_did_is_found_later(account):
    impatient = account.process.venue(account.key, read_s=0.3)
    account.fault("delay_after", "place", seconds=5.0)
    with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
        impatient.place([ORDER])
    assert until(lambda: account.venue.lookup(["a"]), 60, "the order is there")[0].status == "working"


def test_an_order_that_was_on_its_way_for_too_long_has_no_effect(account):
    impatient = account.process.venue(account.key, read_s=0.3)
    account.fault("delay", "place", seconds=1.5)
    with pytest.raises(OutcomeUnknown):
        impatient.place([request("slow", "buy", "0.5", "99", valid_until_ms=wall_ms() + 500)])
    until(lambda: account.process.truth(account.key, "fault"), 60, "it has arrived")
    account.venue.place([ORDER])
    assert account.ids() == ["a"]


@pytest.mark.parametrize("apart_ms", [-10_000, 10_000])
def test_a_call_of_another_time_is_refused_and_does_nothing(account, apart_ms):
    secret = sign.account_secret(SECRET, account.key)
    client = Client(
        account.process.session, account.process.url, account.key, secret, lambda: wall_ms() + apart_ms, time.monotonic
    )
    with pytest.raises(VenueUnavailable, match="clocks differ"):
        PaperWireVenue(client).place([ORDER])
    assert account.ids() == []


def test_another_key_or_secret_is_rejected(account):
    for key, secret in ((account.key, "x" * 40), ("platform", SECRET), ("control", SECRET), ("no key", SECRET)):
        with pytest.raises(CredentialRejected):
            PaperWireVenue(account.process.client(key, secret)).place([ORDER])
    assert account.ids() == []


@pytest.mark.parametrize("part", ["body", "path", "time", "window"])
def test_a_call_that_was_tampered_with_is_refused(account, part):
    path, body = "/v1/place", b"[]"
    headers = sign.headers(account.key, sign.account_secret(SECRET, account.key), path, wall_ms(), body)
    if part == "body":
        body = json.dumps([{"client_order_id": "x"}]).encode()
    elif part == "path":
        path = "/v1/cancel"
    elif part == "time":
        headers[sign.TIME] = str(int(headers[sign.TIME]) + 1)
    else:
        headers[sign.WINDOW] = "60000"
    answer = account.process.session.post(account.process.url + path, data=body, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature")


def test_an_account_cannot_control(account):
    path, body = "/control/clear", b"null"
    for key in (account.key, sign.CONTROL, sign.PLATFORM):
        headers = sign.headers(key, sign.account_secret(SECRET, key), path, wall_ms(), body)
        answer = account.process.session.post(account.process.url + path, data=body, headers=headers, timeout=60)
        assert answer.status_code == 401


def test_nobody_there_means_that_nothing_was_sent():
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    client = Client(requests.Session(), f"http://127.0.0.1:{port}", "k", "s", wall_ms, time.monotonic)
    with pytest.raises(VenueUnavailable, match="can't be reached"):
        PaperWireVenue(client).place([ORDER])


def test_a_deposit_is_made_once_for_each_id(account):
    account.fault("drop_after", "deposit")
    with pytest.raises(OutcomeUnknown):
        account.venue.deposit("more", "USDT", Decimal(5))
    account.venue.deposit("more", "USDT", Decimal(5))
    assert account.venue.balances() == {"USDT": Decimal(10005)}
    with pytest.raises(InvalidInput, match="more"):
        account.venue.deposit("more", "USDT", Decimal(6))
    with pytest.raises(InvalidInput, match="above 0"):
        account.venue.deposit("less", "USDT", Decimal(-1))


@pytest.mark.parametrize("values", [{"qty": "1e999999"}, {"qty": "1", "max_quote": Decimal("1e999999")}])
def test_a_number_beyond_all_measure_is_refused_before_anything_is_done(account, values):
    with pytest.raises(VenueUnavailable, match="beyond all measure"):
        account.venue.place([ORDER, request("b", "buy", price="99", **values)])
    assert account.ids() == []


def test_somebody_elses_order_is_seen_and_bears_its_own_id(account):
    answer = account.process.act(
        account.key, "place", [{"client_order_id": "by-hand", "symbol": SPOT, "side": "buy", "kind": "limit",
                                "qty": "0.2", "price": "90"}],
    )  # fmt: skip
    assert answer[0]["status"] == "working"
    assert [report.client_order_id for report in account.venue.open_orders()] == ["by-hand"]
