"""One suite for every adapter: what a Venue promises, from the venue in this process and from the one over the wire."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Account
from exchanges.paper import PaperVenue, deposit, walk
from exchanges.prices import quote_put
from tests.exchanges.books import bar, flat, request
from tests.factories import AccountFactory
from trading.core.errors import OutcomeUnknown
from trading.core.ports import Amendment, OrderRequest, Venue
from trading.core.types import Bar, Side, Trail

pytestmark = pytest.mark.django_db
SPOT, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"
HOUR_8 = 28_800_000


class Here:
    """The venue within the platform."""

    def __init__(self, markets) -> None:
        self.markets = markets
        self.account: Account = AccountFactory()
        self.venue: Venue = PaperVenue(self.account)

    def deposit(self, coin: str, amount: str) -> None:
        deposit(self.account, coin, Decimal(amount))

    def price(self, move: Bar, symbol: str = SPOT) -> None:
        walk(self.markets[symbol], move)
        quote_put(self.markets[symbol].pk, move, int(timezone.now().timestamp() * 1000))


class Wire:
    """The venue as a process."""

    def __init__(self, process) -> None:
        self.process = process
        self.venue = process.venue(str(uuid.uuid4()))

    def deposit(self, coin: str, amount: str) -> None:
        self.venue.deposit(uuid.uuid4().hex, coin, Decimal(amount))

    def price(self, move: Bar, symbol: str = SPOT) -> None:
        self.process.price(symbol, move)


@pytest.fixture(params=["here", "wire"])
def place_of(request, venue_process):
    """A fresh account with 10,000 USDT and 2 BTC, while the markets stand at 100."""
    markets = venue_process.markets_here(SPOT, PERPETUAL)
    place = Here(markets) if request.param == "here" else Wire(venue_process)
    place.deposit("USDT", "10000")
    place.deposit("BTC", "2")
    place.price(flat(100.0, 0))
    place.price(flat(100.0, 0), PERPETUAL)
    return place


def placed(place, *orders: OrderRequest):
    return place.venue.place(list(orders))


def perpetual(name: str, side: str, qty: str, price: str | None = None, **values) -> OrderRequest:
    return request(name, side, qty, price, symbol=PERPETUAL, **values)


def test_money_and_coins_come_back_to_the_last_digit(place_of):
    place_of.deposit("XRP", "12345678901234567890.123456789012345678")
    assert place_of.venue.balances() == {
        "USDT": Decimal(10000),
        "BTC": Decimal(2),
        "XRP": Decimal("12345678901234567890.123456789012345678"),
    }


def test_a_limit_order_rests_fills_and_is_executed_once(place_of):
    report = placed(place_of, request("a", "buy", "0.5", "99"))[0]
    assert (report.status, report.filled_qty, report.qty, report.price) == ("working", 0, Decimal("0.5"), Decimal(99))
    assert report.exchange_order_id
    place_of.price(bar(100.0, 100.0, 98.0, 98.5, 5))
    found = place_of.venue.lookup(["a", "never"])
    assert [(one.client_order_id, one.status, one.filled_qty) for one in found] == [("a", "filled", Decimal("0.5"))]
    assert found[0].exchange_order_id == report.exchange_order_id
    (fill,) = place_of.venue.executions(0)
    assert (fill.client_order_id, fill.symbol, fill.side, fill.price) == ("a", SPOT, Side.BUY, Decimal(99))
    assert (fill.qty, fill.fee, fill.fee_coin, fill.maker, fill.ts_ms) == (
        Decimal("0.5"), Decimal("0.0495"), "USDT", True, 5,
    )  # fmt: skip
    assert not fill.liquidation
    assert place_of.venue.executions(fill.cursor) == []
    assert place_of.venue.balances() == {"USDT": Decimal("9950.4505"), "BTC": Decimal("2.5")}


@pytest.mark.parametrize(
    ("order", "prices", "at"),
    [
        (request("a", "buy", "0.5"), flat(101.25), "101.25"),
        (request("a", "sell", "0.5", trigger="95"), bar(100.0, 100.0, 94.0, 94.0), "95"),
        (request("a", "buy", "0.5", "106", trigger="105"), bar(100.0, 107.0, 100.0, 105.5), "105"),
        (request("a", "sell", "0.5", trail=Trail(None, 0.0, 3.0)), bar(100.0, 110.0, 100.0, 104.0), "107"),
        (request("a", "buy", "0.5", "101", tif="ioc"), flat(100.5), "100.5"),
        (request("a", "buy", "0.5", "101", tif="fok"), flat(100.5), "100.5"),
        (request("a", "buy", "0.5", "99", tif="post_only"), flat(98.0), "98"),
        (perpetual("a", "buy", "0.5", leverage="5"), flat(100.5), "100.5"),
        (perpetual("a", "sell", "0.5", "103", leverage="2"), bar(100.0, 104.0, 100.0, 104.0), "103"),
    ],
    ids=lambda value: f"{value.kind}-{value.tif}-{value.symbol}" if isinstance(value, OrderRequest) else None,
)
def test_every_kind_of_order_fills_where_the_path_meets_it(place_of, order, prices, at):
    assert placed(place_of, order)[0].status == "working"
    place_of.price(prices, order.symbol)
    fills = place_of.venue.executions(0)
    assert [(fill.client_order_id, fill.price, fill.qty) for fill in fills] == [("a", Decimal(at), Decimal("0.5"))]
    assert place_of.venue.lookup(["a"])[0].status == "filled"


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (request("a", "buy", "0.5", "100", symbol="ABC/USDT"), "no market ABC/USDT"),
        (request("a", "buy", "0.000001", "100"), "multiple of 0.00001"),
        (request("a", "buy", "1", "100.001"), "multiple of 0.01"),
        (request("a", "buy", "0.01", "100"), "below the minimum"),
        (request("a", "buy", "1000", "100"), "needs 100100 USDT, 10000 is free"),
        (request("a", "buy", "1", "100", tif="post_only"), "would trade at once"),
        (request("a", "buy", "1", kind="limit"), "needs a price"),
        (perpetual("a", "sell", "1", "100", reduce=True), "no position to reduce"),
    ],
)
def test_what_is_refused_says_why_and_leaves_nothing(place_of, order, words):
    report = placed(place_of, order)[0]
    assert report.status == "rejected"
    assert words in report.reason
    assert place_of.venue.open_orders() == []


def test_an_id_that_is_there_already_is_answered_with_what_became_of_it(place_of):
    placed(place_of, request("a", "buy", "0.5", "99"))
    place_of.price(flat(98.0))
    again = placed(place_of, request("a", "buy", "0.5", "99"))[0]
    assert (again.status, again.filled_qty) == ("filled", Decimal("0.5"))
    assert len(place_of.venue.executions(0)) == 1


def test_a_cancel_says_how_each_order_ended(place_of):
    placed(place_of, request("a", "buy", "0.5", "99"), request("b", "sell", "1", "110"))
    place_of.price(flat(98.0))
    reports = place_of.venue.cancel(["a", "b", "never"])
    assert [report.status for report in reports] == ["filled", "cancelled", "rejected"]
    assert reports[2].exchange_order_id == ""
    assert place_of.venue.open_orders() == []


def test_an_amendment_changes_what_rests_and_leaves_what_it_cannot(place_of):
    placed(place_of, request("a", "buy", "0.5", "90"), request("b", "buy", "0.5", "91"))
    changes = [
        Amendment("a", Decimal("0.7"), Decimal(92)),
        Amendment("b", Decimal(5000), Decimal(91)),
        Amendment("never", Decimal(1), Decimal(1)),
    ]
    first, second, third = place_of.venue.amend(changes)
    assert (first.status, first.qty, first.price) == ("working", Decimal("0.7"), Decimal(92))
    assert (second.qty, second.price) == (Decimal("0.5"), Decimal(91))
    assert "needs" in second.reason
    assert (third.status, third.exchange_order_id) == ("rejected", "")
    assert [(one.client_order_id, one.qty) for one in place_of.venue.open_orders()] == [
        ("a", Decimal("0.7")), ("b", Decimal("0.5")),
    ]  # fmt: skip


def test_what_comes_too_late_has_no_effect(place_of):
    placed(place_of, request("a", "buy", "0.5", "90"))
    with pytest.raises(OutcomeUnknown, match="later than it was valid"):
        placed(place_of, request("late", "buy", "0.5", "90", valid_until_ms=1))
    with pytest.raises(OutcomeUnknown, match="later than it was valid"):
        place_of.venue.amend([Amendment("a", Decimal("0.7"), Decimal(90), valid_until_ms=1)])
    assert place_of.venue.lookup(["late"]) == []
    assert place_of.venue.lookup(["a"])[0].qty == Decimal("0.5")


def test_an_order_ends_when_its_time_is_over(place_of):
    placed(place_of, request("a", "buy", "0.5", "99", expires_ms=60_000))
    place_of.price(flat(98.0, 60_000))
    report = place_of.venue.lookup(["a"])[0]
    assert (report.status, report.reason) == ("cancelled", "expired")


def test_executions_come_in_the_order_of_booking_after_a_cursor(place_of):
    placed(place_of, *[request(name, "buy", "0.1", price) for name, price in (("a", "99"), ("b", "98"), ("c", "97"))])
    place_of.price(bar(100.0, 100.0, 97.5, 98.0, 5))
    place_of.price(flat(96.0, 6))
    fills = place_of.venue.executions(0)
    assert [fill.client_order_id for fill in fills] == ["a", "b", "c"]
    assert [fill.cursor for fill in fills] == sorted({fill.cursor for fill in fills})
    assert len({fill.exec_id for fill in fills}) == 3
    assert [fill.client_order_id for fill in place_of.venue.executions(fills[0].cursor)] == ["b", "c"]


def test_a_position_pays_funding_and_is_liquidated(place_of):
    placed(place_of, perpetual("a", "buy", "1", leverage="10"))
    place_of.price(flat(100.0, HOUR_8 - 60_000), PERPETUAL)
    place_of.price(flat(100.0, HOUR_8), PERPETUAL)
    (payment,) = place_of.venue.funding(0)
    assert (payment.symbol, payment.coin, payment.ts_ms) == (PERPETUAL, "USDT", HOUR_8)
    assert payment.amount == -100 * payment.rate
    assert place_of.venue.funding(payment.cursor) == []
    placed(place_of, perpetual("exit", "sell", "1", "120", reduce=True, leverage="10"))
    place_of.price(bar(100.0, 100.0, 80.0, 80.0, HOUR_8 + 60_000), PERPETUAL)
    fills = place_of.venue.executions(0)
    assert [(fill.client_order_id, fill.liquidation) for fill in fills] == [("a", False), ("", True)]
    report = place_of.venue.lookup(["exit"])[0]
    assert (report.status, report.reason) == ("cancelled", "liquidated")


def test_asking_for_nothing_answers_nothing(place_of):
    assert place_of.venue.place([]) == []
    assert place_of.venue.cancel([]) == []
    assert place_of.venue.amend([]) == []
    assert place_of.venue.lookup([]) == []


def test_many_orders_are_found_again(place_of):
    place_of.deposit("USDT", "100000")
    names = [f"many{number}" for number in range(450)]
    placed(place_of, *[request(name, "buy", "0.1", "60") for name in names])
    assert {report.client_order_id for report in place_of.venue.lookup(names)} == set(names)
    assert len(place_of.venue.open_orders()) == 450
