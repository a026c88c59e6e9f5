"""Prices walking over the paper venue's book: the core's matcher, many accounts, money that always adds up."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchanges.models import PaperExecution, PaperOrder
from exchanges.paper import PaperVenue, walk
from exchanges.prices import quote_put
from tests.exchanges.books import OneMarketWalk, bar, check_wallets, flat, funded, market, place, request, wallet
from tests.factories import AccountFactory, MarketFactory
from trading.core.matching import FILL, FLOAT_ROWS, INT_ROWS, STOP, advance
from trading.core.ports import OrderRequest
from trading.core.rows import floats_of, ints_of
from trading.core.types import Bar, Kind, Side, Tif

pytestmark = pytest.mark.django_db
INF = float("inf")
TICK = Decimal("0.01")
OFTEN = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

prices = st.integers(9000, 11000).map(lambda cents: cents / 100)


@st.composite
def bars(draw) -> Bar:
    open_, close, a, b = (draw(prices) for _ in range(4))
    return Bar(draw(st.integers(0, 10)) * 60_000, open_, max(open_, close, a, b), min(open_, close, a, b), close)


@st.composite
def orders(draw) -> OrderRequest:
    kind = draw(st.sampled_from([Kind.LIMIT, Kind.LIMIT, Kind.STOP, Kind.MARKET]))
    level = Decimal(draw(st.integers(9000, 11000))) / 100
    return OrderRequest(
        client_order_id="",
        symbol="BTC/USDT",
        side=draw(st.sampled_from(Side)),
        kind=kind,
        qty=Decimal(draw(st.integers(1, 3_000_000))) / 100_000,
        price=level if kind is Kind.LIMIT else None,
        trigger=level if kind is Kind.STOP else None,
        tif=draw(st.sampled_from([Tif.GTC, Tif.GTC, Tif.IOC, Tif.POST_ONLY])) if kind is Kind.LIMIT else Tif.GTC,
    )


steps = st.lists(st.one_of(orders(), bars(), st.integers(0, 20)), min_size=1, max_size=25)


@given(steps, st.sampled_from(["0.001", "0", "0.000777777777777777"]))
@OFTEN
def test_whatever_happens_wallets_are_deposits_plus_executions(script, rate):
    """Orders, bars and cancels (a number cancels that order) in any order, over two accounts."""
    source = AccountFactory.build().name  # a market and books of its own for each example
    btc = MarketFactory(source=source, maker_fee=Decimal(rate), taker_fee=Decimal(rate))
    deposits = {"USDT": Decimal("1500.000000000000000001"), "BTC": Decimal("7.123456789012345678")}
    accounts = [funded(str(deposits["USDT"]), BTC=str(deposits["BTC"])) for _ in range(2)]
    for account in accounts:
        account.feed = source
        account.save()
    for number, step in enumerate(script):
        venue = PaperVenue(accounts[number % 2])
        if isinstance(step, OrderRequest):
            venue.place([OrderRequest(**{**_fields(step), "client_order_id": f"o{number}"})])
        elif isinstance(step, Bar):
            quote_put(btc.pk, step, number)
            walk(btc, step)
        else:
            venue.cancel([f"o{step}"])
        for account in accounts:
            check_wallets(account, deposits)


def _fields(order: OrderRequest) -> dict:
    return {name: getattr(order, name) for name in OrderRequest.__dataclass_fields__}


def core_fills(bar: Bar, book: list[tuple[str, int, float]]) -> list[tuple[str, float]]:
    """Walk one candle with the core's matcher alone; the book is (name, touch, level) in the order of placing."""
    rest, i, leg, price = list(enumerate(book)), 0, 0, bar.open
    fills = []
    while True:
        orders = [(*floats_of(level, Side.BUY, None, TICK), *ints_of(touch, seq, 0, 0, None))
                  for seq, (_, touch, level) in rest]  # fmt: skip
        columns = [*zip(*orders, strict=True)] or [()] * (FLOAT_ROWS + INT_ROWS)
        points = [[price], [-INF], [INF]]
        prices = [[[bar.open], [bar.high], [bar.low], [bar.close]]]
        floats, ints = columns[:FLOAT_ROWS], columns[FLOAT_ROWS:]
        event, k, i, leg, _, price = advance(prices, floats, ints, len(rest), points, i, leg, 0, 1)
        if event == STOP:
            return fills
        assert event == FILL
        fills.append((rest.pop(k)[1][0], price))


def reduced(order: OrderRequest, name: str) -> tuple[str, int, float]:
    if order.kind is Kind.MARKET:
        return name, 0, 0.0
    falls = (order.side is Side.BUY) == (order.kind is Kind.LIMIT)
    return name, -1 if falls else 1, float(order.price or order.trigger)


@given(st.lists(orders(), min_size=1, max_size=8), st.lists(bars(), min_size=1, max_size=3), st.booleans())
@OFTEN
def test_live_walk_and_lockstep_fill_what_the_cores_matcher_fills(script, candles, lockstep):
    source = AccountFactory.build().name
    btc = MarketFactory(source=source, min_notional=0)
    account = funded("100000000", BTC="100000")
    account.feed = source
    account.save()
    script = [OrderRequest(**{**_fields(o), "tif": Tif.GTC, "client_order_id": f"o{n}"}) for n, o in enumerate(script)]
    PaperVenue(account).place(script)
    book = [reduced(order, order.client_order_id) for order in script]
    expected = []
    for candle in candles:
        fresh = core_fills(candle, book)
        expected += [(name, price, candle.ts_ms) for name, price in fresh]
        book = [entry for entry in book if entry[0] not in dict(fresh)]

    stepper = OneMarketWalk(btc)
    for candle in candles:
        if lockstep:
            stepper.start(candle)
            while stepper.step()[0] != "end":
                pass
        else:
            walk(btc, candle)
    fills = PaperVenue(account).executions(0)
    assert [(fill.client_order_id, float(fill.price), fill.ts_ms) for fill in fills] == expected


def test_a_lockstep_walk_lets_an_order_placed_at_a_stop_take_part_in_the_rest_of_the_candle():
    btc, account = market(), funded()
    place(account, "a", "buy", "1", "99")
    stepper = OneMarketWalk(btc)
    stepper.start(bar(100.0, 103.0, 98.0, 101.0))
    assert stepper.step() == ("fill", 99.0)
    place(account, "below", "buy", "1", "98.5")
    place(account, "above", "sell", "1", "102")
    place(account, "at once", "buy", "1")
    assert stepper.step() == ("fill", 99.0)
    assert stepper.step() == ("fill", 98.5)
    place(account, "missed", "buy", "1", "97")
    assert stepper.step() == ("fill", 102.0)
    assert stepper.step() == ("end", 101.0)
    names = [fill.client_order_id for fill in PaperVenue(account).executions(0)]
    assert names == ["a", "at once", "below", "above"]
    stepper.start(bar(96.0, 96.0, 96.0, 96.0))
    assert stepper.step() == ("fill", 96.0)
    check_wallets(account, {"USDT": Decimal(10000)})


def test_a_lockstep_walk_stops_at_wakes_and_sees_cancels():
    btc, account = market(), funded()
    place(account, "a", "buy", "1", "98.5")
    stepper = OneMarketWalk(btc)
    with pytest.raises(ValueError, match="start"):
        stepper.step()
    stepper.start(bar(100.0, 103.0, 98.0, 101.0))
    assert stepper.step(99.0, INF) == ("wake", 99.0)
    PaperVenue(account).cancel(["a"])
    assert stepper.step(-INF, 102.0) == ("wake", 102.0)
    assert stepper.step() == ("end", 101.0)
    assert not PaperExecution.objects.exists()


def test_a_lockstep_walk_tells_of_an_order_that_the_venue_ended():
    btc, account = market(), funded()
    stepper = OneMarketWalk(btc)
    place(account, "late", "buy", "1", "99", tif="ioc")
    stepper.start(bar(100.0, 101.0, 98.0, 99.0))
    assert stepper.step() == ("closed", 100.0)
    assert PaperVenue(account).lookup(["late"])[0].status == "cancelled"
    place(account, "dear", "buy", "99")
    assert stepper.step() == ("fill", 100.0)
    place(account, "too dear", "buy", "10")
    assert stepper.step() == ("closed", 100.0)
    assert stepper.step()[0] == "end"
    check_wallets(account, {"USDT": Decimal(10000)})


def test_a_lockstep_walk_asks_the_database_nothing_while_nothing_happens(django_assert_num_queries):
    btc, account = market(), funded()
    place(account, "a", "buy", "1", "50")
    stepper = OneMarketWalk(btc)
    stepper.start(flat(100.0))
    stepper.step()
    with django_assert_num_queries(0):
        for price in (100.0, 101.0, 99.0):
            stepper.start(flat(price))
            assert stepper.step(-INF, 101.0)[0] == ("wake" if price == 101.0 else "end")


def test_a_price_that_touches_nothing_costs_one_query(django_assert_num_queries):
    btc, account = market(), funded(BTC="5")
    for n in range(5):
        place(account, f"b{n}", "buy", "1", str(90 - n))
        place(account, f"s{n}", "sell", "1", str(110 + n))
    with django_assert_num_queries(1):
        assert walk(btc, bar(100.0, 109.99, 90.01, 95.0)) == 0


def test_one_walk_serves_many_accounts_with_few_queries(django_assert_max_num_queries):
    btc = market()
    accounts = [funded() for _ in range(30)]
    for account in accounts:
        PaperVenue(account).place([request(f"o{n}", "buy", "1", str(99 - n)) for n in range(4)])
    with django_assert_max_num_queries(14):
        assert walk(btc, bar(100.0, 100.0, 97.5, 98.0)) == 60
    for account in accounts:
        assert PaperOrder.objects.filter(account=account, status="filled").count() == 2
        assert wallet(account, "BTC")[0] == 2
        check_wallets(account, {"USDT": Decimal(10000)})


def test_other_markets_and_ended_orders_are_left_alone():
    btc, eth = market(), market(symbol="ETH/USDT")
    account = funded()
    place(account, "eth", "buy", "1", "100", symbol="ETH/USDT")
    place(account, "gone", "buy", "1", "100")
    PaperVenue(account).cancel(["gone"])
    assert walk(btc, flat(50.0)) == 0
    assert walk(eth, flat(50.0)) == 1
    assert walk(eth, flat(50.0)) == 0


def test_a_walk_over_a_big_book_goes_by_its_indexes():
    btc, account = market(), funded()
    PaperOrder.objects.bulk_create(
        PaperOrder(
            account=account,
            market=btc,
            client_order_id=f"o{n}",
            side="buy" if n % 2 else "sell",
            kind="limit",
            qty=1,
            price=1000 + n if n % 2 else 9000 + n,
            below=1000.0 + n if n % 2 else None,
            above=None if n % 2 else 9000.0 + n,
        )
        for n in range(4000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE exchanges_paperorder")
        with CaptureQueriesContext(connection) as queries:
            assert walk(btc, flat(7000.0)) == 0
        (query,) = queries.captured_queries
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + query["sql"])
        plan = str(cursor.fetchall())
    assert "paper_order_below" in plan
    assert "paper_order_above" in plan
