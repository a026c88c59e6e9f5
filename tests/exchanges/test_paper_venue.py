"""The paper venue as its callers see it: idempotent placing, refusals, locks, cancels, executions."""

from decimal import Decimal

import pytest

from exchanges.models import PaperExecution, PaperOrder
from exchanges.paper import PaperVenue, deposit, reset, walk
from exchanges.prices import quote_put
from tests.exchanges.books import bar, check_wallets, flat, funded, market, place, request, wallet
from trading.core.errors import InvalidInput

pytestmark = pytest.mark.django_db


def test_a_buy_locks_its_cost_with_the_fee_and_gives_the_rest_back_when_it_fills_better():
    btc, account = market(), funded()
    report = place(account, "a", "buy", "0.5", "100")
    assert report.status == "working"
    assert wallet(account, "USDT") == (Decimal(10000), Decimal("50.05"))

    assert walk(btc, flat(99.0)) == 1
    assert wallet(account, "USDT") == (Decimal("9950.4505"), Decimal(0))
    assert wallet(account, "BTC") == (Decimal("0.5"), Decimal(0))
    check_wallets(account, {"USDT": Decimal(10000)})


def test_placing_again_under_the_same_id_answers_what_became_of_it_and_changes_nothing():
    btc, account = market(), funded()
    first = place(account, "a", "buy", "0.5", "100")
    assert place(account, "a", "buy", "0.5", "100") == first
    walk(btc, flat(100.0))
    again = place(account, "a", "buy", "0.5", "100")
    assert (again.status, again.filled_qty) == ("filled", Decimal("0.5"))
    twice = PaperVenue(account).place([request("b", "buy", "0.1", "50"), request("b", "buy", "0.1", "50")])
    assert twice[0] == twice[1]
    assert PaperOrder.objects.count() == 2
    check_wallets(account, {"USDT": Decimal(10000)})


def test_two_accounts_may_use_the_same_order_id():
    market()
    one, two = funded(), funded()
    place(one, "a", "buy", "0.5", "100")
    place(two, "a", "buy", "0.5", "100")
    assert PaperOrder.objects.filter(client_order_id="a").count() == 2


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (request("a", "buy", "0.5", "100", symbol="XRP/USDT"), "no market XRP/USDT"),
        (request("a", "buy", "0.000001", "100"), "multiple of 0.00001"),
        (request("a", "buy", "0", "100"), "positive multiple"),
        (request("a", "buy", "-1", "100"), "positive multiple"),
        (request("a", "buy", "1", "100.001"), "multiple of 0.01"),
        (request("a", "buy", "1", "-100"), "positive multiple of 0.01"),
        (request("a", "buy", "1e30", "100"), "more than a price or quantity can hold"),
        (request("a", "buy", "0.01", "100"), "1 USDT is below the minimum of 5"),
        (request("a", "buy", "1000", "100"), "needs 100100 USDT, 10000 is free"),
        (request("a", "sell", "1", "100"), "needs 1 BTC, 0 is free"),
        (request("a", "buy", "1", "100", kind="trailing"), "needs a trail"),
        (request("a", "buy", "1", kind="limit"), "needs a price"),
    ],
)
def test_what_an_exchange_would_refuse_is_refused_with_its_reason(order, words):
    market()
    account = funded()
    report = PaperVenue(account).place([order])[0]
    assert report.status == "rejected"
    assert words in report.reason
    assert wallet(account, "USDT") == (Decimal(10000), Decimal(0))
    assert not PaperVenue(account).open_orders()


def test_each_order_of_one_call_sees_the_funds_that_the_earlier_ones_left():
    market()
    account = funded("100")
    reports = PaperVenue(account).place([request(name, "buy", "0.5", "100") for name in "abc"])
    assert [report.status for report in reports] == ["working", "rejected", "rejected"]
    assert wallet(account, "USDT") == (Decimal(100), Decimal("50.05"))


def test_a_market_closed_for_trading_takes_no_orders():
    market(active=False)
    assert "closed" in place(funded(), "a", "buy", "1", "100").reason


def test_post_only_is_refused_when_it_would_trade_at_once_and_a_crossing_order_pays_the_takers_fee():
    btc, account = market(maker_fee=Decimal(0), taker_fee=Decimal("0.01")), funded()
    quote_put(btc.pk, flat(100.0), 1)
    assert "post-only" in place(account, "a", "buy", "1", "100", tif="post_only").reason
    assert place(account, "b", "buy", "1", "99.99", tif="post_only").status == "working"
    assert place(account, "c", "buy", "1", "101").status == "working"
    walk(btc, bar(100.0, 100.0, 99.0, 99.5))
    fees = dict(PaperExecution.objects.values_list("order__client_order_id", "fee"))
    assert fees == {"b": Decimal(0), "c": Decimal(1)}
    check_wallets(account, {"USDT": Decimal(10000)})


def test_a_cancel_frees_the_lock_and_says_how_the_order_ended():
    btc, account = market(), funded(BTC="1")
    venue = PaperVenue(account)
    place(account, "a", "buy", "0.5", "100")
    place(account, "b", "sell", "1", "110")
    walk(btc, flat(99.0))
    reports = venue.cancel(["a", "b", "never"])
    assert [report.status for report in reports] == ["filled", "cancelled", "rejected"]
    assert "knows no order" in reports[2].reason
    assert [report.status for report in venue.cancel(["b"])] == ["cancelled"]
    assert wallet(account, "BTC") == (Decimal("1.5"), Decimal(0))
    assert walk(btc, flat(120.0)) == 0
    check_wallets(account, {"USDT": Decimal(10000), "BTC": Decimal(1)})


def test_a_stranger_cannot_cancel_or_see_an_order():
    market()
    owner, stranger = funded(), funded()
    place(owner, "a", "buy", "0.5", "100")
    assert PaperVenue(stranger).cancel(["a"])[0].status == "rejected"
    assert not PaperVenue(stranger).lookup(["a"])
    assert [report.client_order_id for report in PaperVenue(owner).open_orders()] == ["a"]


def test_a_market_order_waits_for_the_next_price_and_fills_at_exactly_that_float():
    btc, account = market(), funded()
    assert place(account, "a", "buy", "0.5").status == "working"
    price = 101.12345678901234
    walk(btc, bar(price, 102.0, 101.0, 101.5))
    fill = PaperVenue(account).executions(0)[0]
    assert fill.price == Decimal("101.12345678901234")
    assert fill.fee == Decimal("0.05056172839450617")
    assert not fill.maker
    check_wallets(account, {"USDT": Decimal(10000)})


def test_a_market_order_that_turned_too_dear_is_cancelled_and_leaves_no_debt():
    btc, account = market(), funded("100")
    quote_put(btc.pk, flat(100.0), 1)
    assert place(account, "a", "buy", "0.99").status == "working"
    assert wallet(account, "USDT")[1] == Decimal("99.099")
    assert walk(btc, flat(120.0)) == 1
    report = PaperVenue(account).lookup(["a"])[0]
    assert (report.status, "insufficient funds" in report.reason) == ("cancelled", True)
    assert wallet(account, "USDT") == (Decimal(100), Decimal(0))


def test_stops_fill_where_the_path_meets_them_and_at_the_open_after_a_gap():
    btc, account = market(), funded(BTC="2")
    place(account, "low", "sell", "1", trigger="95")
    place(account, "gap", "sell", "1", trigger="90")
    place(account, "up", "buy", "1", trigger="105")
    walk(btc, bar(100.0, 101.0, 94.0, 96.0))
    walk(btc, bar(80.0, 106.0, 79.0, 100.0))
    prices = dict(PaperExecution.objects.values_list("order__client_order_id", "price"))
    assert prices == {"low": Decimal(95), "gap": Decimal(80), "up": Decimal(105)}


def test_an_immediate_order_fills_at_the_next_price_or_ends():
    btc, account = market(), funded()
    place(account, "late", "buy", "1", "99", tif="ioc")
    place(account, "now", "buy", "1", "101", tif="fok")
    assert walk(btc, bar(100.0, 102.0, 98.0, 99.0)) == 2
    reports = {report.client_order_id: report for report in PaperVenue(account).lookup(["late", "now"])}
    assert (reports["late"].status, reports["now"].status) == ("cancelled", "filled")
    check_wallets(account, {"USDT": Decimal(10000)})


def test_executions_come_once_each_in_booking_order_after_a_cursor():
    btc, account = market(), funded()
    for name, price in (("a", "100"), ("b", "99"), ("c", "98")):
        place(account, name, "buy", "0.1", price)
    walk(btc, bar(101.0, 101.0, 98.5, 99.0, ts_ms=5))
    walk(btc, bar(99.0, 99.0, 97.0, 98.0, ts_ms=6))
    venue = PaperVenue(account)
    fills = venue.executions(0)
    assert [(fill.client_order_id, fill.ts_ms) for fill in fills] == [("a", 5), ("b", 5), ("c", 6)]
    assert [fill.client_order_id for fill in venue.executions(fills[0].cursor)] == ["b", "c"]
    assert venue.executions(fills[-1].cursor) == []
    assert fills[0].exec_id == f"{fills[0].exchange_order_id}-1"


def test_balances_are_exact_and_a_reset_empties_the_account():
    market()
    account = funded("0.000000000000000001", BTC="12345678901234567890.123456789012345678")
    assert PaperVenue(account).balances() == {
        "USDT": Decimal("0.000000000000000001"),
        "BTC": Decimal("12345678901234567890.123456789012345678"),
    }
    place(account, "a", "sell", "1", "100")
    reset(account)
    assert PaperVenue(account).balances() == {}
    assert PaperVenue(account).lookup(["a"]) == []


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity"])
def test_a_deposit_must_be_a_positive_amount(amount):
    with pytest.raises(InvalidInput, match="above 0"):
        deposit(funded(), "USDT", Decimal(amount))
