"""All kinds of orders at the paper venue: stop-limits, trails, expiry, immediate ones, partial fills, amendments."""

from decimal import Decimal

import pytest

from exchanges.models import PaperExecution, PaperOrder
from exchanges.paper import PaperVenue, walk
from exchanges.paper_match import Terms
from exchanges.prices import quote_put
from exchanges.trails import Trails
from tests.exchanges.books import bar, check_wallets, flat, funded, market, place, wallet
from trading.core.ports import Amendment
from trading.core.types import Bar, Trail

pytestmark = pytest.mark.django_db
START = {"USDT": Decimal(10000), "BTC": Decimal(10)}
TENTH = Terms(liquidity_ratio=0.1)


@pytest.fixture
def btc():
    return market()


@pytest.fixture
def account():
    return funded(BTC="10")


def fills(account):
    return [(fill.client_order_id, fill.price, fill.qty) for fill in PaperVenue(account).executions(0)]


def report(account, name):
    return PaperVenue(account).lookup([name])[0]


def amend(account, name, qty, price=None, trigger=None):
    prices = [Decimal(level) if level else None for level in (price, trigger)]
    return PaperVenue(account).amend([Amendment(name, Decimal(qty), *prices)])[0]


# --- stop-limit -----------------------------------------------------------------------------------------------------


def test_a_stop_limit_rests_as_a_limit_once_its_trigger_is_met(btc, account):
    place(account, "a", "sell", "1", "96", trigger="95")
    assert wallet(account, "BTC")[1] == 1
    assert walk(btc, bar(100.0, 101.0, 94.0, 94.5)) == 1
    assert fills(account) == []
    assert PaperOrder.objects.get().triggered
    walk(btc, bar(94.5, 95.9, 94.0, 95.0))
    assert fills(account) == []
    walk(btc, bar(95.0, 96.5, 95.0, 96.0))
    assert fills(account) == [("a", Decimal(96), Decimal(1))]
    assert PaperExecution.objects.get().maker
    check_wallets(account, START)


def test_a_stop_limit_that_crosses_at_its_trigger_fills_there_as_taker(btc, account):
    place(account, "a", "buy", "1", "106", trigger="105")
    walk(btc, bar(100.0, 110.0, 100.0, 109.0))
    assert fills(account) == [("a", Decimal(105), Decimal(1))]
    assert not PaperExecution.objects.get().maker


def test_a_stop_limit_in_a_gap_beyond_its_limit_waits_there(btc, account):
    place(account, "a", "buy", "1", "106", trigger="105")
    walk(btc, bar(108.0, 109.0, 107.0, 108.0))
    assert fills(account) == []
    walk(btc, bar(108.0, 108.0, 104.0, 104.0))
    assert fills(account) == [("a", Decimal(106), Decimal(1))]


@pytest.mark.parametrize(("tif", "price"), [("post_only", "96"), ("ioc", "106"), ("fok", "106")])
def test_a_stop_limit_keeps_its_tif_when_it_is_triggered(btc, account, tif, price):
    """At the trigger of 97 a sell at 96 would trade at once, one at 106 would not."""
    place(account, "a", "sell", "1", price, trigger="97", tif=tif)
    assert walk(btc, flat(98.0)) == 0, "it waits for its trigger"
    walk(btc, bar(98.0, 98.0, 96.5, 97.5))
    assert report(account, "a").status == "cancelled"
    assert fills(account) == []
    check_wallets(account, START)


# --- trails ---------------------------------------------------------------------------------------------------------


def test_a_trailing_sell_follows_the_high_and_fires_below_it(btc, account):
    trails = Trails()
    place(account, "a", "sell", "1", trail=Trail(None, offset_ratio=0.1))
    for step in (flat(100.0), bar(100.0, 120.0, 100.0, 115.0), bar(115.0, 115.0, 109.0, 110.0)):
        walk(btc, step, trails)
    assert fills(account) == []
    walk(btc, bar(110.0, 111.0, 107.0, 108.0), trails)
    assert fills(account) == [("a", Decimal(108), Decimal(1))]
    check_wallets(account, START)


def test_a_trailing_buy_with_activation_offset_and_floor(btc, account):
    """Armed at 90 or below, 5 above the low, never above 93."""
    trails = Trails()
    place(account, "a", "buy", "1", trail=Trail(90.0, offset=5.0, floor=93.0))
    walk(btc, bar(100.0, 100.0, 90.5, 99.0), trails)
    assert PaperOrder.objects.get().below == 90.0
    walk(btc, bar(91.0, 91.0, 89.0, 90.0), trails)
    assert fills(account) == []
    assert PaperOrder.objects.get().below > 1e300, "armed: any price concerns it"
    walk(btc, bar(90.0, 93.5, 90.0, 93.0), trails)
    assert fills(account) == [("a", Decimal(93), Decimal(1))]


def test_a_trail_armed_and_fired_in_one_bar_and_one_in_a_gap(btc, account):
    place(account, "one", "sell", "1", trail=Trail(110.0, offset=2.0))
    walk(btc, bar(100.0, 112.0, 99.0, 105.0))
    assert fills(account) == [("one", Decimal(110), Decimal(1))]
    trails = Trails()
    place(account, "gap", "sell", "1", trail=Trail(None, offset=2.0))
    walk(btc, flat(100.0), trails)
    walk(btc, flat(90.0), trails)
    assert fills(account)[1:] == [("gap", Decimal(90), Decimal(1))]


@pytest.mark.parametrize(
    ("side", "activation", "gap"), [("sell", 105.0, 89.0), ("sell", 110.0, 89.0), ("buy", 115.0, 131.0)]
)
def test_a_trail_that_is_placed_beyond_its_activation_is_armed_there(btc, account, side, activation, gap):
    """The market stands at 110 and falls (or rises) before it has been at the activation again."""
    trails = Trails()
    quote_put(btc.pk, flat(110.0), 1)
    place(account, "a", side, "1", trail=Trail(activation, offset=20.0))
    assert PaperOrder.objects.get().below > 1e300
    walk(btc, flat(104.0), trails)
    walk(btc, flat(gap), trails)
    assert fills(account) == [("a", Decimal(str(gap)), Decimal(1))]


def test_an_amended_trail_stays_armed_and_keeps_its_peak(btc, account):
    trails = Trails()
    place(account, "a", "sell", "1", trail=Trail(110.0, offset=10.0))
    walk(btc, bar(100.0, 115.0, 100.0, 109.0), trails)
    amend(account, "a", "2")
    walk(btc, flat(106.0), trails)
    assert fills(account) == []
    walk(btc, flat(104.0), trails)
    assert fills(account) == [("a", Decimal(104), Decimal(2))]


def test_a_new_high_costs_no_write(btc, account, django_assert_num_queries):
    trails = Trails()
    place(account, "a", "sell", "1", trail=Trail(None, offset=2.0))
    walk(btc, flat(100.0), trails)
    with django_assert_num_queries(2) as queries:
        assert walk(btc, bar(100.0, 150.0, 100.0, 149.0), trails) == 0
    assert all(query["sql"].lstrip("(").startswith("SELECT") for query in queries.captured_queries)


@pytest.mark.parametrize(
    "trail", [Trail(None, -0.1), Trail(None, 1.0), Trail(None, offset=-1.0), Trail(0.0), Trail(None, floor=-1.0)]
)
def test_a_trail_without_sense_is_refused(btc, account, trail):
    assert place(account, "a", "sell", "1", trail=trail).status == "rejected"


# --- expiry and immediate orders ------------------------------------------------------------------------------------


def test_an_order_expires_before_the_fills_of_the_first_bar_at_or_after_its_time(btc, account):
    place(account, "a", "buy", "1", "99", expires_ms=60_000)
    place(account, "b", "buy", "1", "99", expires_ms=60_001)
    walk(btc, flat(99.0, 60_000))
    assert (report(account, "a").status, report(account, "a").reason) == ("cancelled", "expired")
    assert fills(account) == [("b", Decimal(99), Decimal(1))]
    check_wallets(account, START)


@pytest.mark.parametrize("activation", [None, 150.0])
def test_a_trailing_order_expires_armed_or_not(btc, account, activation):
    trails = Trails()
    place(account, "a", "sell", "1", trail=Trail(activation, offset=5.0), expires_ms=120_000)
    assert walk(btc, flat(100.0, 60_000), trails) == 0
    assert walk(btc, flat(100.0, 120_000), trails) == 1
    assert report(account, "a").reason == "expired"
    check_wallets(account, START)


def test_an_order_far_from_the_price_expires_too(btc, account):
    place(account, "a", "buy", "1", "9", expires_ms=120_000)
    assert walk(btc, flat(100.0, 60_000)) == 0
    assert walk(btc, flat(100.0, 120_000)) == 1


# --- partial fills --------------------------------------------------------------------------------------------------


def test_a_limit_fills_by_its_share_of_the_volume_once_a_bar(btc, account):
    place(account, "a", "buy", "1", "99")
    thin = Bar(60_000, 100.0, 101.0, 98.0, 99.5, 4.0)
    walk(btc, thin, terms=TENTH)
    assert fills(account) == [("a", Decimal(99), Decimal("0.4"))]
    assert (report(account, "a").status, report(account, "a").filled_qty) == ("working", Decimal("0.4"))
    assert wallet(account, "USDT")[1] == Decimal("59.4594")
    check_wallets(account, START)
    walk(btc, thin, terms=TENTH)
    walk(btc, thin, terms=TENTH)
    assert [qty for _, _, qty in fills(account)] == [Decimal("0.4"), Decimal("0.4"), Decimal("0.2")]
    ids = list(PaperExecution.objects.order_by("id").values_list("exec_id", flat=True))
    assert [name.split("-")[1] for name in ids] == ["1", "2", "3"]
    assert report(account, "a").status == "filled"
    check_wallets(account, START)


def test_market_orders_and_stops_fill_whole_and_no_touch_fills_less_than_a_lot(btc, account):
    place(account, "market", "buy", "1")
    place(account, "stop", "sell", "1", trigger="99")
    place(account, "limit", "sell", "1", "100.5")
    walk(btc, Bar(60_000, 100.0, 101.0, 98.0, 99.0, 0.00001), terms=TENTH)
    assert fills(account) == [
        ("market", Decimal(100), Decimal(1)),
        ("limit", Decimal("100.5"), Decimal("0.00001")),
        ("stop", Decimal(99), Decimal(1)),
    ]


def test_nothing_fills_a_limit_where_nothing_is_traded(btc, account):
    for name, tif in (("rests", "gtc"), ("ioc", "ioc"), ("fok", "fok")):
        place(account, name, "buy", "1", "101", tif=tif)
    walk(btc, Bar(60_000, 100.0, 101.0, 99.0, 100.0, 0.0), terms=TENTH)
    assert fills(account) == []
    assert [report(account, name).status for name in ("rests", "ioc", "fok")] == ["working", "cancelled", "cancelled"]
    walk(btc, Bar(120_000, 100.0, 100.0, 100.0, 100.0, 3.0), terms=TENTH)
    assert fills(account) == [("rests", Decimal(100), Decimal("0.3"))]


def test_immediate_orders_and_little_liquidity(btc, account):
    place(account, "ioc", "buy", "1", "101", tif="ioc")
    place(account, "fok", "buy", "1", "101", tif="fok")
    walk(btc, Bar(60_000, 100.0, 101.0, 99.0, 100.0, 3.0), terms=TENTH)
    assert fills(account) == [("ioc", Decimal(100), Decimal("0.3"))]
    for name, filled in (("ioc", "0.3"), ("fok", "0")):
        end = report(account, name)
        assert (end.status, end.filled_qty, end.reason) == ("cancelled", Decimal(filled), "not filled at once")
    check_wallets(account, START)


# --- amendments -----------------------------------------------------------------------------------------------------


def test_an_amendment_changes_price_and_quantity_and_the_lock_with_them(btc, account):
    place(account, "a", "buy", "1", "99")
    changed = amend(account, "a", "2", "98")
    assert (changed.status, changed.qty, changed.price) == ("working", Decimal(2), Decimal(98))
    assert wallet(account, "USDT")[1] == Decimal("196.196")
    walk(btc, flat(98.5))
    assert fills(account) == []
    walk(btc, flat(98.0))
    assert fills(account) == [("a", Decimal(98), Decimal(2))]
    check_wallets(account, START)


def test_an_amended_order_stands_behind_those_that_were_placed_meanwhile_and_an_unchanged_one_keeps_its_place(
    btc, account
):
    for name in "abc":
        place(account, name, "buy", "1", "99")
    amend(account, "a", "1", "98.5")
    amend(account, "a", "1", "99")
    amend(account, "b", "1", "99")
    walk(btc, flat(99.0))
    assert [name for name, _, _ in fills(account)] == ["b", "c", "a"]


def test_an_order_amended_to_no_more_than_it_filled_ends_as_filled(btc, account):
    place(account, "a", "buy", "1", "99")
    walk(btc, Bar(60_000, 99.0, 99.0, 99.0, 99.0, 4.0), terms=TENTH)
    end = amend(account, "a", "0.3", "99")
    assert (end.status, end.filled_qty, end.qty) == ("filled", Decimal("0.4"), Decimal("0.4"))
    check_wallets(account, START)
    assert amend(account, "a", "5", "99").status == "filled"


def test_amending_again_the_same_way_changes_nothing(btc, account):
    place(account, "a", "buy", "1", "99")
    first = amend(account, "a", "2", "98")
    seq = PaperOrder.objects.get().seq
    assert amend(account, "a", "2", "98") == first
    assert PaperOrder.objects.get().seq == seq


@pytest.mark.parametrize(
    ("qty", "price", "words"),
    [
        ("1", "99.001", "multiple of 0.01"),
        ("0.000001", "99", "multiple of 0.00001"),
        ("500", "99", "is free"),
        ("0.01", "99", "below the minimum"),
        ("1", None, "needs a price"),
    ],
)
def test_an_amendment_that_cannot_be_leaves_the_order_as_it_is_and_says_why(btc, account, qty, price, words):
    quote_put(btc.pk, flat(100.0), 1)
    place(account, "a", "buy", "1", "99", tif="post_only")
    kept = amend(account, "a", qty, price)
    assert (kept.status, kept.qty, kept.price) == ("working", Decimal(1), Decimal(99))
    assert words in kept.reason
    assert report(account, "a").price == 99
    check_wallets(account, START)


def test_a_post_only_order_that_would_trade_once_it_is_amended_ends(btc, account):
    quote_put(btc.pk, flat(100.0), 1)
    place(account, "a", "buy", "1", "99", tif="post_only")
    ended = amend(account, "a", "1", "100")
    assert (ended.status, ended.price) == ("cancelled", Decimal(99))
    assert "post-only" in ended.reason
    assert report(account, "a").status == "cancelled"
    check_wallets(account, START)


def test_a_trigger_can_be_amended_and_what_is_not_there_can_not(btc, account):
    place(account, "stop", "sell", "1", trigger="90")
    amend(account, "stop", "1", trigger="95")
    assert walk(btc, flat(95.0)) == 1
    missing = amend(account, "never", "1", "1")
    assert (missing.status, missing.exchange_order_id) == ("rejected", "")
    place(account, "gone", "sell", "1", "120")
    PaperVenue(account).cancel(["gone"])
    assert amend(account, "gone", "2", "120").status == "cancelled"
    assert amend(funded(), "gone", "2", "120").status == "rejected", "a stranger's"
