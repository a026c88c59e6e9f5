"""The lock-step walk over several markets: the contract's order of events, and what a replay is told."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchanges.models import PaperPosition
from exchanges.paper import PaperVenue, walk
from exchanges.paper_lockstep import LockstepWalk
from exchanges.paper_match import Terms
from exchanges.trails import Trails, TrailWatch
from tests.exchanges.books import PERPETUAL, bar, check_wallets, flat, funded, market, perpetual, place
from tests.factories import AccountFactory
from trading.core.types import Bar, Side, Trail

pytestmark = pytest.mark.django_db
HOUR = 3_600_000
OFTEN = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def events(stepper: LockstepWalk, *args, **values) -> list[tuple]:
    """Step to the end of the candles: (event, market, price)."""
    found = []
    while (step := stepper.step(*args, **values)).event != "end":
        found.append((step.event, step.market_id, step.price))
    return found


def names(account) -> list[str]:
    return [fill.client_order_id for fill in PaperVenue(account).executions(0)]


def test_events_come_by_leg_and_then_in_the_order_of_the_markets():
    """Leg 0 of both, leg 1 of both (down to the low), leg 2 of both (up to the high), the closes."""
    btc, eth, account = market(), market(symbol="ETH/USDT"), funded(BTC="9", ETH="9")
    for symbol, name in (("ETH/USDT", "e"), ("BTC/USDT", "b")):
        place(account, f"{name} gap", "buy", "1", "101", symbol=symbol)
        place(account, f"{name} low", "buy", "1", "98.5", symbol=symbol)
        place(account, f"{name} high", "sell", "1", "102", symbol=symbol)
        place(account, f"{name} last", "sell", "1", trigger="98.2", symbol=symbol)
    one = bar(100.0, 103.0, 98.3, 98.0)
    candle = Bar(one.ts_ms, 100.0, 103.0, 98.0, 99.0)
    stepper = LockstepWalk([btc, eth])
    stepper.start({btc.pk: candle, eth.pk: candle})
    told = events(stepper)
    assert names(account) == ["b gap", "e gap", "b low", "b last", "e low", "e last", "b high", "e high"]
    assert told == [
        ("fill", pk, price)
        for pk, price in [
            (btc.pk, 100.0),
            (eth.pk, 100.0),
            (btc.pk, 98.5),
            (btc.pk, 98.2),
            (eth.pk, 98.5),
            (eth.pk, 98.2),
            (btc.pk, 102.0),
            (eth.pk, 102.0),
        ]
    ]


def test_the_other_order_of_markets_is_another_order_of_events():
    btc, eth, account = market(), market(symbol="ETH/USDT"), funded()
    place(account, "b", "buy", "1", "99", symbol="BTC/USDT")
    place(account, "e", "buy", "1", "99", symbol="ETH/USDT")
    stepper = LockstepWalk([eth, btc])
    stepper.start({btc.pk: bar(100.0, 103.0, 98.0, 99.0), eth.pk: bar(100.0, 103.0, 98.0, 99.0)})
    events(stepper)
    assert names(account) == ["e", "b"]


def test_an_order_placed_on_a_market_that_has_not_opened_waits_for_its_open():
    btc, eth, account = market(), market(symbol="ETH/USDT"), funded()
    stepper = LockstepWalk([btc, eth])
    stepper.start({btc.pk: flat(100.0), eth.pk: flat(50.0)})
    assert stepper.step().event == "end"
    place(account, "b", "buy", "1", "90")
    stepper.start({btc.pk: bar(90.0, 95.0, 85.0, 95.0, 120_000), eth.pk: bar(60.0, 65.0, 55.0, 60.0, 120_000)})
    assert stepper.step()[:3] == ("fill", btc.pk, 90.0)
    place(account, "e at once", "buy", "1", symbol="ETH/USDT")
    place(account, "b at once", "buy", "1", symbol="BTC/USDT")
    place(account, "e ioc", "buy", "1", "59", symbol="ETH/USDT", tif="ioc")
    assert events(stepper) == [("fill", btc.pk, 90.0), ("fill", eth.pk, 60.0), ("closed", eth.pk, 60.0)]
    assert names(account) == ["b", "b at once", "e at once"]


def test_wakes_name_their_market_at_every_leg():
    btc, eth = market(), market(symbol="ETH/USDT")
    stepper = LockstepWalk([btc, eth])
    stepper.start({btc.pk: bar(100.0, 103.0, 98.0, 101.0), eth.pk: bar(50.0, 53.0, 48.0, 51.0)})
    everywhere = {btc.pk: (99.0, 102.0), eth.pk: (49.0, 50.0)}
    assert events(stepper, everywhere) == [
        ("wake", eth.pk, 50.0),
        ("wake", btc.pk, 99.0),
        ("wake", btc.pk, 98.0),
        ("wake", eth.pk, 49.0),
        ("wake", eth.pk, 48.0),
        ("wake", btc.pk, 102.0),
        ("wake", btc.pk, 103.0),
        ("wake", eth.pk, 50.0),
        ("wake", eth.pk, 53.0),
        ("wake", eth.pk, 51.0),
    ]


def test_trailing_wakes_are_told_once_with_their_name_and_keep_their_peak_from_candle_to_candle():
    btc = market()
    watch = TrailWatch(7, btc.pk, Side.SELL, Trail(None, offset=5.0), 0)
    later = TrailWatch(8, btc.pk, Side.SELL, Trail(130.0, offset=5.0), 0)
    stepper = LockstepWalk([btc])
    stepper.start({btc.pk: bar(100.0, 110.0, 99.0, 108.0)})
    assert events(stepper, trails=[watch, later]) == []
    stepper.start({btc.pk: bar(108.0, 120.0, 106.0, 118.0)})
    assert events(stepper, trails=[watch, later]) == []
    place(funded(), "another order makes it look again", "buy", "1", "1")
    stepper.start({btc.pk: bar(118.0, 119.0, 110.0, 111.0)})
    step = stepper.step(trails=[watch, later])
    assert (step.event, step.trail_id, step.price) == ("trail", 7, 115.0)
    assert events(stepper, trails=[watch, later]) == []


def test_what_expires_and_what_funding_pays_comes_before_the_opens_once():
    btc, future, account = market(), perpetual(), funded()
    place(account, "held", "buy", "1", symbol=PERPETUAL, leverage="2")
    place(account, "late", "buy", "1", "99", expires_ms=8 * HOUR)
    stepper = LockstepWalk([btc, future], timeframe_ms=HOUR)
    stepper.start({btc.pk: flat(100.0, 7 * HOUR), future.pk: flat(100.0, 7 * HOUR)})
    assert events(stepper) == [("fill", future.pk, 100.0)]
    stepper.start({btc.pk: flat(98.0, 8 * HOUR), future.pk: flat(101.0, 8 * HOUR)})
    assert events(stepper) == [("closed", btc.pk, 98.0)]
    assert [payment.amount for payment in PaperVenue(account).funding(0)] == [Decimal("-0.0101")]
    stepper.start({btc.pk: flat(98.0, 16 * HOUR), future.pk: flat(100.0, 16 * HOUR)})
    assert events(stepper) == [("funding", btc.pk, 98.0)]
    check_wallets(account, {"USDT": Decimal(10000)})


def test_a_liquidation_is_told_as_closed_and_its_fills_are_there():
    btc, account = perpetual(), funded()
    place(account, "a", "buy", "1", "100", symbol=PERPETUAL, leverage="20")
    stepper = LockstepWalk([btc])
    stepper.start({btc.pk: bar(101.0, 101.0, 94.0, 99.0)})
    assert events(stepper) == [("fill", btc.pk, 100.0), ("closed", btc.pk, 95.48)]
    assert [fill.liquidation for fill in PaperVenue(account).executions(0)] == [False, True]
    assert PaperPosition.objects.get().qty == 0


def test_a_stop_limit_triggers_silently_and_takes_its_place_then():
    btc, account = market(), funded(BTC="9")
    place(account, "a", "buy", "1", "99", trigger="101")
    place(account, "b", "buy", "1", "99")
    stepper = LockstepWalk([btc])
    stepper.start({btc.pk: bar(100.0, 102.0, 98.0, 100.0)})
    assert events(stepper) == [("fill", btc.pk, 99.0)]
    stepper.start({btc.pk: bar(100.0, 102.0, 98.0, 100.0)})
    assert [price for _, _, price in events(stepper)] == [99.0]
    assert names(account) == ["b", "a"]


def test_a_part_fills_once_a_candle_and_an_exit_may_work_beside_it():
    btc, account = market(), funded(BTC="9")
    place(account, "a", "buy", "1", "99")
    stepper = LockstepWalk([btc], liquidity_ratio=0.1)
    thin = Bar(60_000, 100.0, 101.0, 98.0, 99.0, 4.0)
    for _ in range(3):
        stepper.start({btc.pk: thin})
        assert [price for _, _, price in events(stepper)] == [99.0]
    assert [fill.qty for fill in PaperVenue(account).executions(0)] == [Decimal("0.4"), Decimal("0.4"), Decimal("0.2")]
    check_wallets(account, {"USDT": Decimal(10000), "BTC": Decimal(9)})


# --- the live walk fills what the lock-step walk fills --------------------------------------------------------------

cents = st.integers(9000, 11000)
trails = st.builds(
    Trail,
    st.none() | cents.map(lambda c: c / 100),
    st.sampled_from([0.0, 0.01, 0.03]),
    st.sampled_from([0.5, 2.0]),
    st.none() | cents.map(lambda c: c / 100),
)


@st.composite
def candles(draw) -> list[Bar]:
    rows, close = [], draw(cents)
    for k in range(draw(st.integers(1, 4))):
        open_ = close + draw(st.sampled_from([0, 0, 150, -150]))
        close, a, b = draw(cents), draw(cents), draw(cents)
        high, low = max(open_, close, a, b), min(open_, close, a, b)
        rows.append(Bar((k + 1) * 60_000, open_ / 100, high / 100, low / 100, close / 100, draw(st.integers(0, 50))))
    return rows


@st.composite
def anything(draw) -> dict:
    kind = draw(st.sampled_from(["limit", "stop", "stop_limit", "trailing", "market"]))
    level = [str(Decimal(draw(cents)) / 100) for _ in range(2)]
    values = {"side": draw(st.sampled_from(["buy", "sell"])), "qty": str(draw(st.integers(1, 5))), "price": None}
    values["expires_ms"] = draw(st.sampled_from([None, None, 120_000]))
    if kind in ("limit", "stop_limit"):
        values["price"] = level[0]
        values["tif"] = draw(st.sampled_from(["gtc", "gtc", "ioc", "fok"])) if kind == "limit" else "gtc"
    if kind in ("stop", "stop_limit"):
        values["trigger"] = level[1]
    if kind == "trailing":
        values["trail"] = draw(trails)
    return values


@given(st.lists(anything(), min_size=1, max_size=6), candles(), st.sampled_from([None, 0.1]))
@OFTEN
def test_the_live_walk_fills_what_the_lockstep_walk_fills(script, rows, ratio):
    """The same orders at the same candles: fills, their order, their prices and how every order ended."""
    ends = []
    for live in (True, False):
        source = AccountFactory.build().name
        btc, account = market(source=source, min_notional=0), funded("1000000", BTC="1000")
        account.feed = source
        account.save()
        for number, values in enumerate(script):
            place(account, f"o{number}", **values)
        known, stepper = Trails(), LockstepWalk([btc], liquidity_ratio=ratio)
        for row in rows:
            if live:
                walk(btc, row, known, Terms(60_000, ratio))
            else:
                stepper.start({btc.pk: row})
                events(stepper)
        fills = [(fill.client_order_id, fill.price, fill.qty, fill.ts_ms) for fill in PaperVenue(account).executions(0)]
        orders = PaperVenue(account).lookup([f"o{number}" for number in range(len(script))])
        told = sorted((order.client_order_id, order.status, order.filled_qty, order.reason) for order in orders)
        ends.append((fills, told))
        check_wallets(account, {"USDT": Decimal(1000000), "BTC": Decimal(1000)})
    assert ends[0] == ends[1]
