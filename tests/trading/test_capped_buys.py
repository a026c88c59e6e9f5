"""What an order of unknown price may cost: its share of what its bot has to spare, in backtest and live alike."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trading.scripted import buy, sell
from tests.trading.test_told_alike import FUTURE, MINUTE, SPOT, denials, flat, levels, script, sizes, told_alike, walks
from trading.core.caps import caps, is_capped
from trading.core.needs import MarketRef, Needs
from trading.core.types import Closed, Filled, Kind, Perpetual, Side, Trigger

pytestmark = pytest.mark.django_db
TWO = Needs({"x": MarketRef("X/USDT"), "y": MarketRef("Y/USDT")})
FUTURES = Needs({"x": MarketRef("X/USDT:USDT"), "y": MarketRef("Y/USDT:USDT")}, leverage=4)
FUNDED = replace(SPOT, perpetual=Perpetual(funding_rate=Decimal("0.02"), funding_interval_ms=3 * MINUTE))
BOTH = {"x": buy(None, 4.0, market="x"), "y": buy(None, 4.0, market="y")}


def filled(told):
    return [(item.slot, item.price) for item in told if isinstance(item, Filled)]


def ended(told):
    return [(item.slot, item.why) for item in told if isinstance(item, Closed)]


def late_script():
    """Ask at the close of the second candle: what is asked for fills at the open of the third."""
    return script({}, {}, BOTH, every=True)


def test_both_fill_after_a_gap_that_their_shares_pay():
    """Each is judged at 400.40; of the 199.20 to spare each may use the half, and 120 costs 80.08 more."""
    told = told_alike(late_script(), flat(100, 100, 120, 120), flat(100, 100, 120, 120), needs=TWO)
    assert filled(told) == [("x", 120.0), ("y", 120.0)]


def test_neither_takes_the_share_of_the_other():
    """At 130 one costs 520.52: more than its 500, though the whole account could pay for it."""
    told = told_alike(late_script(), flat(100, 100, 130, 130), flat(100, 100, 101, 101), needs=TWO)
    assert filled(told) == [("y", 101.0)]
    assert ("x", "rejected") in ended(told)


def test_nothing_else_is_bought_with_what_an_order_at_market_may_still_cost():
    """x fills first; the buy that this leads to must wait for y, which may still cost all that is left."""
    late = dict(BOTH) | {"z": buy(90.0, 1.5, market="x")}
    steps = script({}, {}, BOTH, late, every=True)
    told = told_alike(steps, flat(100, 100, 100, 100), flat(100, 100, 110, 110), needs=TWO)
    assert filled(told) == [("x", 100.0), ("y", 110.0)]
    assert denials(told) == [("z", "budget")]


def test_a_stop_holds_only_what_it_was_judged_by_and_others_may_rest_beside_it():
    stop = buy(None, 4.0, kind=Kind.STOP, trigger=Trigger(110.0))
    told = told_alike(script({"a": stop}, {"a": stop, "b": buy(90.0, 5.0)}, every=True), flat(100, 100, 89, 120, 120))
    assert filled(told) == [("b", 89.0), ("a", 120.0)] or filled(told) == [("b", 89.0)]
    assert not denials(told)


def test_margin_is_capped_too():
    """At 4 times leverage each leg is judged at 252.00 margin and fee, a gap to 245 makes it 617.40: more than 500."""
    legs = {"x": buy(None, 10.0, market="x"), "y": buy(None, 10.0, market="y")}
    steps = script({}, {}, legs, every=True)
    told = told_alike(steps, flat(100, 100, 245, 245), flat(100, 100, 150, 150), needs=FUTURES, rules=FUTURE)
    assert filled(told) == [("y", 150.0)]
    assert ("x", "rejected") in ended(told)


wants = st.one_of(
    st.builds(lambda qty, market: buy(None, qty, market=market), sizes, st.sampled_from("xy")),
    st.builds(lambda qty, market: sell(None, qty, market=market), sizes, st.sampled_from("xy")),
    st.builds(lambda price, qty, market: buy(price, qty, market=market), levels, sizes, st.sampled_from("xy")),
    st.builds(
        lambda at, qty, market: buy(None, qty, kind=Kind.STOP, trigger=Trigger(at), market=market),
        levels,
        sizes,
        st.sampled_from("xy"),
    ),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), wants, max_size=4), min_size=3, max_size=9),
    walks,
    walks,
    st.sampled_from(["300", "700", "1000"]),
    st.sampled_from([(TWO, SPOT), (FUTURES, FUNDED)]),
)
def test_whatever_is_bought_on_two_markets_is_told_alike(steps, x, y, cash, on):
    needs, rules = on
    asked = [{slot: want._replace(gen=n + 1) for slot, want in step.items()} for n, step in enumerate(steps)]
    length = min(len(x), len(y))
    told = told_alike(script(*asked, every=True), x[:length], y[:length], needs=needs, rules=rules, cash=cash)
    assert told[0].kind == "start"


money = st.decimals(min_value="0.01", max_value=10**9, places=8)


@given(st.lists(money, min_size=1, max_size=20), st.decimals(min_value=0, max_value=10**9, places=18))
def test_shares_are_fair_and_never_more_than_there_is(costs, spare):
    got = caps(costs, spare)
    shares = [cap - cost for cap, cost in zip(got, costs, strict=True)]
    assert all(share >= 0 for share in shares)
    assert spare - len(costs) * Decimal("1e-18") <= sum(shares) <= spare
    fair = [spare * cost / sum(costs) for cost in costs]
    assert all(abs(share - own) < Decimal("1e-17") for share, own in zip(shares, fair, strict=True))


def test_what_takes_any_price_and_locks_quote_is_capped():
    def capped(side, *, spot):
        return [kind for kind in Kind if is_capped(side, kind, Decimal(1), spot=spot)]

    takers = [Kind.MARKET, Kind.STOP, Kind.TRAILING]
    assert capped(Side.BUY, spot=True) == capped(Side.BUY, spot=False) == capped(Side.SELL, spot=False) == takers
    assert capped(Side.SELL, spot=True) == []
    assert not is_capped(Side.SELL, Kind.MARKET, Decimal(0), spot=False)  # an exit
