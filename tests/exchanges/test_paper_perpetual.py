"""Perpetuals at the paper venue: margin, exits, liquidation and funding in figures worked out by hand."""

from decimal import Decimal

import pytest

from exchanges.models import PaperExecution, PaperFunding, PaperOrder, PaperPosition
from exchanges.paper import PaperVenue, reset, walk
from exchanges.paper_match import Terms
from exchanges.prices import quote_put
from tests.exchanges.books import PERPETUAL, bar, check_wallets, flat, funded, perpetual, place, wallet
from trading.core.types import Trail

pytestmark = pytest.mark.django_db
HOUR = 3_600_000
START = {"USDT": Decimal(10000)}


def trade(account, name, side, qty, price=None, **values):
    return place(account, name, side, qty, price, symbol=PERPETUAL, **values)


def position(account) -> PaperPosition:
    return PaperPosition.objects.get(account=account)


def opened(market, account, side="buy", qty="1", price=100.0, leverage="10", ts_ms=60_000):
    """Open a position at `price` with a market order."""
    quote_put(market.pk, flat(price, ts_ms), 1)
    assert trade(account, f"open {side} {qty}", side, qty, leverage=leverage).status == "working"
    assert walk(market, flat(price, ts_ms)) == 1
    return position(account)


def test_a_long_locks_its_margin_pays_its_fee_and_gives_both_profit_and_margin_back():
    btc, account = perpetual(), funded()
    held = opened(btc, account)
    assert (held.qty, held.cost, held.margin, held.leverage) == (1, 100, 10, 10)
    assert wallet(account, "USDT") == (Decimal("9999.95"), Decimal(10))
    trade(account, "half", "sell", "0.4", "110", reduce=True)
    walk(btc, bar(100.0, 111.0, 100.0, 105.0))
    held = position(account)
    assert (held.qty, held.cost, held.margin) == (Decimal("0.6"), 60, 6)
    assert wallet(account, "USDT") == (Decimal("9999.95") + 4 - Decimal("0.022"), Decimal(6))
    trade(account, "rest", "sell", "0.6", reduce=True)
    walk(btc, flat(90.0 + 1.0))
    assert position(account).qty == 0
    assert wallet(account, "USDT") == (Decimal("10003.928") - Decimal("5.4") - Decimal("0.0273"), Decimal(0))
    check_wallets(account, START)


def test_a_short_is_the_mirror_image():
    btc, account = perpetual(), funded()
    held = opened(btc, account, "sell", "2", 100.0, "4")
    assert (held.qty, held.cost, held.margin, held.below) == (-2, -200, 50, None)
    trade(account, "back", "buy", "2", "80", reduce=True)
    walk(btc, bar(100.0, 100.0, 79.0, 85.0))
    assert wallet(account, "USDT") == (Decimal(10000) - Decimal("0.1") + 40 - Decimal("0.08"), Decimal(0))
    check_wallets(account, START)


@pytest.mark.parametrize(
    ("side", "leverage", "liquidated_at", "closed_at"),
    [  # 100 x (1 - 1/10) / 0.995 = 90.4523 and 100 x (1 + 1/10) / 1.005 = 109.4527, on the tick towards the entry
        ("buy", "10", 90.46, "90"),
        ("sell", "10", 109.45, "110"),
        ("buy", "2", 50.26, "50"),
        ("buy", "20", 95.48, "95"),
        ("sell", "20", 104.47, "105"),
    ],
)
def test_a_position_is_liquidated_at_its_level_and_closed_where_its_margin_is_gone(
    side, leverage, liquidated_at, closed_at
):
    btc, account = perpetual(), funded("200")
    held = opened(btc, account, side, leverage=leverage)
    assert (held.below if side == "buy" else held.above) == liquidated_at
    step = 0.01 if side == "buy" else -0.01
    assert walk(btc, flat(liquidated_at + step)) == 0
    assert walk(btc, flat(liquidated_at)) == 1
    fill = PaperVenue(account).executions(0)[-1]
    assert (fill.liquidation, fill.client_order_id, fill.side) == (True, "", "sell" if side == "buy" else "buy")
    assert (fill.price, fill.qty, fill.fee) == (Decimal(closed_at), 1, Decimal(closed_at) * Decimal("0.0005"))
    lost = Decimal(100) / Decimal(leverage)
    assert wallet(account, "USDT") == (Decimal(200) - Decimal("0.05") - lost - fill.fee, Decimal(0))
    check_wallets(account, {"USDT": Decimal(200)})
    assert walk(btc, flat(liquidated_at)) == 0


def test_a_gap_beyond_the_bankruptcy_price_costs_no_more_than_the_margin():
    btc, account = perpetual(), funded("10.06")
    opened(btc, account)
    walk(btc, bar(40.0, 41.0, 39.0, 40.0))
    assert wallet(account, "USDT") == (Decimal(0), Decimal(0)), "its fee is what was left, and no debt remains"
    check_wallets(account, {"USDT": Decimal("10.06")})


def test_a_liquidation_comes_before_orders_at_its_price_and_closes_those_that_reduce_it():
    btc, account = perpetual(), funded()
    opened(btc, account)
    trade(account, "stop", "sell", "1", trigger="91", reduce=True)
    trade(account, "profit", "sell", "0.5", "120", reduce=True)
    trade(account, "trail", "sell", "0.5", trail=Trail(150.0, offset=1.0), reduce=True)
    trade(account, "other", "sell", "1", "130", leverage="10")
    trade(account, "more", "buy", "1", "50", leverage="10")
    walk(btc, bar(85.0, 86.0, 84.0, 85.0))
    assert [fill.liquidation for fill in PaperVenue(account).executions(0)] == [False, True]
    reports = {report.client_order_id: report for report in PaperVenue(account).lookup(["stop", "profit", "trail"])}
    assert {(report.status, report.reason) for report in reports.values()} == {("cancelled", "liquidated")}
    assert len(reports) == 3
    assert {report.client_order_id for report in PaperVenue(account).open_orders()} == {"other", "more"}
    check_wallets(account, START)


def test_a_stop_on_the_way_saves_what_the_liquidation_would_take():
    btc, account = perpetual(), funded()
    opened(btc, account)
    trade(account, "stop", "sell", "1", trigger="95", reduce=True)
    walk(btc, bar(100.0, 100.0, 85.0, 86.0))
    assert [fill.price for fill in PaperVenue(account).executions(0)] == [100, 95]
    assert position(account).qty == 0


def test_a_position_opened_in_a_bar_may_be_liquidated_in_it():
    btc, account = perpetual(), funded()
    trade(account, "a", "buy", "1", "100", leverage="20")
    assert walk(btc, bar(101.0, 101.0, 94.0, 99.0)) == 2
    assert [fill.price for fill in PaperVenue(account).executions(0)] == [100, 95]


def test_a_reducing_order_needs_a_position_and_never_turns_it_round():
    btc, account = perpetual(), funded()
    quote_put(btc.pk, flat(100.0), 1)
    assert "no position to reduce" in trade(account, "early", "sell", "1", "110", reduce=True).reason
    opened(btc, account)
    assert "no position to reduce" in trade(account, "same side", "buy", "1", "90", reduce=True).reason
    trade(account, "first", "sell", "0.7", "110", reduce=True)
    trade(account, "second", "sell", "0.7", "111", reduce=True)
    trade(account, "third", "sell", "0.7", "112", reduce=True)
    walk(btc, bar(100.0, 111.5, 100.0, 101.0))
    assert position(account).qty == 0
    reports = PaperVenue(account).lookup(["first", "second", "third"])
    assert [(report.status, report.filled_qty) for report in reports] == [
        ("filled", Decimal("0.7")),
        ("cancelled", Decimal("0.3")),
        ("cancelled", Decimal(0)),
    ]
    assert {report.reason for report in reports[1:]} == {"there is no position left to reduce"}
    check_wallets(account, START)


def test_a_reducing_fill_or_kill_order_is_whole_when_it_closes_the_position():
    btc, account = perpetual(), funded()
    opened(btc, account)
    trade(account, "a", "sell", "2", "99", tif="fok", reduce=True)
    walk(btc, flat(100.0))
    end = PaperVenue(account).lookup(["a"])[0]
    assert (end.status, end.filled_qty, position(account).qty) == ("cancelled", 1, 0)


def test_an_order_through_zero_closes_first_and_opens_the_rest_with_margin():
    btc, account = perpetual(), funded()
    opened(btc, account, leverage="10")
    assert trade(account, "turn", "sell", "3", "110", leverage="5").status == "working"
    assert wallet(account, "USDT")[1] == 10 + Decimal("44.11"), "margin and fee of the two beyond"
    walk(btc, flat(110.0))
    held = position(account)
    assert (held.qty, held.cost, held.margin, held.leverage) == (-2, -220, 44, 5)
    assert wallet(account, "USDT") == (Decimal(10000) - Decimal("0.05") + 10 - Decimal("0.165"), Decimal(44))
    check_wallets(account, START)


def test_margin_that_is_not_there_refuses_an_order_and_ends_one_that_became_dearer():
    btc, account = perpetual(), funded("20")
    quote_put(btc.pk, flat(100.0), 1)
    assert "needs 25.05 USDT, 20 is free" in trade(account, "dear", "buy", "1", "100", leverage="4").reason
    assert trade(account, "market", "buy", "1", leverage="10").status == "working"
    walk(btc, flat(210.0))
    assert "insufficient funds" in PaperVenue(account).lookup(["market"])[0].reason
    assert wallet(account, "USDT") == (Decimal(20), Decimal(0))


def test_leverage_has_bounds_and_is_one_for_a_position():
    btc, account = perpetual(), funded()
    opened(btc, account, leverage="10")
    assert "1 to 20" in trade(account, "a", "buy", "1", "90", leverage="21").reason
    assert "1 to 20" in trade(account, "b", "buy", "1", "90", leverage="0.5").reason
    assert "position has leverage 10" in trade(account, "c", "buy", "1", "90", leverage="5").reason
    assert trade(account, "d", "buy", "1", "90", leverage="10").status == "working"
    spot = funded()
    assert "1 to 1" in place(spot, "e", "buy", "1", "90", symbol="BTC/USDT", leverage="2").reason or btc


def test_funding_is_paid_by_longs_to_shorts_at_each_multiple_at_the_price_there():
    btc = perpetual()
    long, short = funded(), funded()
    opened(btc, long, "buy", "2", ts_ms=7 * HOUR)
    opened(btc, short, "sell", "2", ts_ms=7 * HOUR)
    assert walk(btc, flat(105.0, 8 * HOUR - 1)) == 0
    assert walk(btc, flat(105.0, 8 * HOUR)) == 2
    assert walk(btc, flat(106.0, 8 * HOUR + 60_000)) == 0
    (paid,), (got,) = PaperVenue(long).funding(0), PaperVenue(short).funding(0)
    assert (paid.amount, got.amount) == (Decimal("-0.021"), Decimal("0.021"))
    assert (paid.symbol, paid.coin, paid.rate, paid.ts_ms) == (PERPETUAL, "USDT", Decimal("0.0001"), 8 * HOUR)
    assert PaperVenue(long).funding(paid.cursor) == []
    walk(btc, flat(100.0, 33 * HOUR))
    assert [payment.ts_ms // HOUR for payment in PaperVenue(long).funding(paid.cursor)] == [16, 24, 32]
    for account in (long, short):
        check_wallets(account, START)


def test_funding_comes_before_the_fills_of_its_bar_and_a_new_position_waits_for_the_next():
    btc, account = perpetual(), funded()
    trade(account, "a", "buy", "1", leverage="10")
    walk(btc, flat(100.0, 8 * HOUR))
    assert not PaperFunding.objects.exists()
    trade(account, "b", "sell", "1", reduce=True)
    walk(btc, flat(100.0, 16 * HOUR))
    assert PaperFunding.objects.get().ts_ms == 16 * HOUR
    walk(btc, flat(100.0, 24 * HOUR))
    assert PaperFunding.objects.count() == 1


def test_all_funding_within_a_long_candle_is_paid_at_its_open():
    btc, account = perpetual(), funded()
    day = Terms(span_ms=24 * HOUR)
    opened(btc, account, ts_ms=23 * HOUR)
    walk(btc, bar(100.0, 140.0, 99.0, 130.0, 24 * HOUR), terms=day)
    assert list(PaperFunding.objects.values_list("ts_ms", "amount").order_by("id")) == [
        (hours * HOUR, Decimal("-0.01")) for hours in (24, 32, 40)
    ]


def test_funding_takes_no_more_than_is_free():
    btc, account = perpetual(funding_rate=Decimal("0.01")), funded("10.06")
    opened(btc, account, ts_ms=HOUR)
    walk(btc, flat(100.0, 8 * HOUR))
    assert PaperFunding.objects.get().amount == Decimal("-0.01")
    assert wallet(account, "USDT") == (Decimal(10), Decimal(10))


def test_a_price_that_touches_no_position_costs_two_queries(django_assert_num_queries):
    btc, account = perpetual(), funded()
    opened(btc, account)
    with django_assert_num_queries(2):
        assert walk(btc, bar(100.0, 109.0, 91.0, 100.0)) == 0


def test_a_reset_forgets_positions_and_funding():
    btc, account = perpetual(), funded()
    opened(btc, account, ts_ms=HOUR)
    walk(btc, flat(100.0, 8 * HOUR))
    reset(account)
    assert not PaperPosition.objects.exists()
    assert not PaperFunding.objects.exists()
    assert not PaperOrder.objects.exists()
    assert not PaperExecution.objects.exists()
