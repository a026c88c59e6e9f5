"""A strategy is told the same in a backtest and on the live path: one script, both ways, inbox by inbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trading.scripted import Decide, Scripted, buy, on_the_shelf, sell
from trading.core.candles import Candles
from trading.core.needs import MarketRef, Needs
from trading.core.simoptions import SimMarket
from trading.core.simulation import simulate_markets
from trading.core.types import (
    Closed,
    Decision,
    Denied,
    Filled,
    Kind,
    MarketRules,
    Perpetual,
    Side,
    Tif,
    Trail,
    Trigger,
    Wake,
)
from trading.replay import ReplayMarket, replayed

pytestmark = pytest.mark.django_db
MINUTE = 60_000
START = 1_640_995_200_000
FEE = Decimal("0.001")
SPOT = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), min_notional=Decimal(5))
FUTURE = replace(SPOT, perpetual=Perpetual())
ONE = Needs({"main": MarketRef("")})
TWO = Needs({"x": MarketRef("X/USDT:USDT"), "y": MarketRef("Y/USDT:USDT")})
Row = tuple[float, float, float, float]


def candles_of(rows: Sequence[Row]) -> Candles:
    columns = np.array(rows, dtype=np.float64).T
    ts = START + MINUTE * np.arange(len(rows), dtype=np.int64)
    return Candles(ts, *columns, np.full(len(rows), 1000.0))


def flat(*prices: float) -> list[Row]:
    return [(price, price, price, price) for price in prices]


def told_alike(
    decide: Decide, *rows: Sequence[Row], needs: Needs = ONE, rules: MarketRules = SPOT, cash: str = "1000"
) -> list[Any]:
    """Run the script as backtest and as replay; both are shown the same slots and told the same, which comes back."""
    aliases = list(needs.markets)
    own = {alias: replace(rules, base=alias.upper() if len(aliases) > 1 else rules.base) for alias in aliases}
    candles = dict(zip(aliases, map(candles_of, rows), strict=True))
    seen: list[list[Any]] = []
    lines: list[list[str]] = []
    for live in (False, True):
        shown: list[Any] = []

        def answer(state: Any, view: Any, shown: list[Any] = shown) -> Decision:
            slots = {slot: (one.gen, one.status, one.filled_qty, one.avg_price) for slot, one in view.slots.items()}
            held = {alias: market.position.qty for alias, market in view.markets.items()}
            since = {alias: (market.low_since, market.high_since) for alias, market in view.markets.items()}
            shown.append((view.inbox, slots, held, since, {coin: free for coin, free in view.budget.items() if free}))
            return decide(state, view)

        with on_the_shelf(Scripted(answer, needs)) as strategy:
            if live:
                markets = {alias: ReplayMarket(candles[alias], own[alias]) for alias in aliases}
                with replayed(strategy="scripted", params={}, markets=markets, cash=Decimal(cash), fee=FEE) as run:
                    lines.append(list(run.lines()))
            else:
                simulated = {alias: SimMarket(candles[alias], own[alias]) for alias in aliases}
                result = simulate_markets(strategy, None, simulated, cash=Decimal(cash), fee=FEE)
                lines.append(list(result.lines()))
        seen.append(shown)
    assert seen[0] == seen[1]
    assert lines[0] == lines[1]
    return [item for inbox, *_ in seen[0] for item in inbox]


def script(*steps: dict[str, Any], every: bool = False) -> Decide:
    """Answer the steps one after the other, the last one for ever; `every` decides anew at each close."""

    def decide(state: Any, view: Any) -> Decision:
        at = 0 if state is None else state + 1
        wake = Wake(at_ms=view.now_ms + MINUTE) if every else Wake()
        return Decision(at, dict(steps[min(at, len(steps) - 1)]), wake)

    return decide


def denials(told: list[Any]) -> list[tuple[str, str]]:
    return [(item.slot, item.rule) for item in told if isinstance(item, Denied)]


# --- groups ---------------------------------------------------------------------------------------------------------


def test_the_leg_that_is_short_hears_budget_and_the_others_which_leg_it_was():
    legs = {"x": buy(90.0, 2.0, market="x", group="g"), "y": sell(110.0, 20.0, market="y", group="g")}
    told = told_alike(script(legs, every=True), flat(100, 100, 100), flat(100, 100, 100), needs=TWO, rules=FUTURE)
    assert denials(told) == [("x", "group"), ("y", "budget")]
    first, second = (item.reason for item in told if isinstance(item, Denied))
    assert first == f"y of the same group was denied: {second}"
    assert second.startswith("needs ")


def test_two_legs_that_are_short_both_hear_budget_and_the_first_is_named():
    legs = {name: buy(90.0, 20.0, market="x", group="g") for name in "ac"} | {
        "b": buy(90.0, 1.0, group="g", market="y")
    }
    told = told_alike(script(legs, every=True), flat(100, 100), flat(100, 100), needs=TWO, rules=FUTURE)
    assert denials(told) == [("a", "budget"), ("b", "group"), ("c", "budget")]
    assert next(item.reason for item in told if isinstance(item, Denied) and item.slot == "b").startswith("a of the")


def test_a_leg_that_is_too_small_keeps_the_other_from_being_sent():
    legs = {"x": buy(None, 2.0, market="x", group="g"), "y": sell(None, 0.01, market="y", group="g")}
    told = told_alike(script(legs, {}), flat(100, 100), flat(100, 100), needs=TWO, rules=FUTURE)
    assert denials(told) == [("x", "group")]
    assert next(item.reason for item in told if isinstance(item, Denied)).endswith(
        "y of the same group was refused: below_minimum"
    )
    assert Closed("y", 1, "below_minimum") in told
    assert not any(isinstance(item, Filled) for item in told)


REFUSED = {"too small": sell(None, 0.01, market="y", group="g"), "nothing": sell(market="y", group="g", reduce=True)}


@pytest.mark.parametrize("bad", REFUSED)
def test_a_leg_whose_group_is_broken_stays_denied_however_often_it_is_asked(bad):
    """The other one's end wakes the strategy at once, and time passes: the first never stands alone."""
    legs = {"x": buy(market="x", group="g"), "y": REFUSED[bad]}
    rows = flat(100, 100, 100, 100)
    told = told_alike(script(legs, every=True), rows, rows, needs=TWO, rules=FUTURE)
    assert denials(told) == [("x", "group")]
    assert not any(isinstance(item, Filled) for item in told)


def test_a_leg_that_comes_later_is_told_why_its_group_is_broken_and_a_new_generation_starts_it_anew():
    small, right = REFUSED["too small"], sell(market="y", group="g", gen=2)
    legs = {"x": buy(market="x", group="g"), "y": small}
    late = legs | {"z": buy(90.0, market="x", group="g")}
    rows = flat(100, 100, 100, 100)
    told = told_alike(script(legs, late, late, legs | {"y": right}, every=True), rows, rows, needs=TWO, rules=FUTURE)
    assert denials(told) == [("x", "group"), ("z", "group")]
    assert next(item.reason for item in told if isinstance(item, Denied) and item.slot == "z") == (
        "y of the same group has ended without a fill: its next generation starts the group anew"
    )
    assert [(item.slot, item.gen) for item in told if isinstance(item, Filled)] == [("x", 1), ("y", 2)]


def test_an_exit_does_not_wait_for_a_leg_of_its_group_that_can_not_be():
    opening = {"x": buy(market="x"), "y": sell(market="y")}
    closing = {"x:out": sell(market="x", group="out", reduce=True), "y:out": buy(None, 0.01, market="y", group="out")}
    rows = flat(100, 100, 100, 100)
    told = told_alike(script(opening, opening | closing), rows, rows, needs=TWO, rules=FUTURE)
    assert "x:out" in [item.slot for item in told if isinstance(item, Filled)]


def test_what_only_the_venue_refuses_does_not_hold_the_other_leg_back():
    legs = {"x": buy(90.0, 2.0, group="g"), "y": buy(110.0, 1.0, group="g", tif=Tif.POST_ONLY)}
    told = told_alike(script(legs), flat(100, 100, 90))
    assert denials(told) == []
    assert [item.slot for item in told if isinstance(item, Filled)] == ["x"]
    assert Closed("y", 1, "rejected") in told


def test_a_denied_amendment_is_told_once():
    steps = {"a": buy(90.0)}, {"a": buy(90.0, 50.0)}
    told = told_alike(script(*steps, every=True), flat(100, 100, 100, 100))
    assert denials(told) == [("a", "budget")]


# --- exits, liquidations, empty accounts ----------------------------------------------------------------------------


def test_a_second_exit_opens_what_the_first_one_does_not_close():
    orders = {"in": buy(), "one": sell(105.0), "two": sell(110.0, 2.0)}
    told = told_alike(script({"in": buy()}, orders), flat(100, 100, 105, 110, 112), rules=FUTURE)
    assert [(item.slot, item.qty) for item in told if isinstance(item, Filled)] == [("in", 1), ("one", 1), ("two", 2)]


def test_a_leg_that_follows_a_filled_one_may_open_a_position():
    """The second leg is refused by the venue as post-only and asked again as a market order."""
    first = {"x": buy(None, 1.0, market="x", group="g"), "y": sell(90.0, 1.0, market="y", group="g", tif=Tif.POST_ONLY)}
    second = first | {"y": sell(None, 1.0, market="y", group="g", gen=2)}
    rows = flat(100, 100, 100, 100)
    told = told_alike(script(first, first, second), rows, rows, needs=TWO, rules=FUTURE)
    assert [(item.slot, item.gen) for item in told if isinstance(item, Filled)] == [("x", 1), ("y", 2)]


def test_an_exit_whose_position_another_order_closed_ends():
    """The stop closes what "exit" was to close, and opens the other way round."""
    orders = {
        "in": sell(),
        "exit": buy(90.0, 0.5, reduce=True),
        "stop": buy(None, 2.0, kind=Kind.STOP, trigger=Trigger(104.0)),
    }
    told = told_alike(script({"in": sell()}, orders), flat(100, 100, 105, 105, 89), rules=FUTURE)
    assert told[-1] == Closed("exit", 1, "rejected")
    assert [(item.slot, item.qty) for item in told if isinstance(item, Filled)] == [("in", 1), ("stop", 2)]


def test_a_liquidation_is_told_before_the_exits_that_end_with_it():
    stop = sell(None, 0.5, kind=Kind.STOP, trigger=Trigger(40.0))
    orders = {"in": buy(), "tp": sell(150.0, 0.5, reduce=True), "stop": stop, "add": buy(20.0)}
    needs = replace(ONE, leverage=10)
    told = told_alike(script({"in": buy()}, orders), flat(100, 100, 100, 30, 30), rules=FUTURE, needs=needs)
    filled, *ends = told[-4:]
    assert (filled.slot, filled.side, filled.price) == ("engine:liquidation", Side.SELL, 90.0)
    assert ends == [
        Closed("engine:liquidation", 1, "liquidated", 1.0),
        Closed("stop", 1, "liquidated"),
        Closed("tp", 1, "liquidated"),
    ]


def test_each_market_s_liquidations_carry_its_alias():
    legs = {"x": buy(None, 1.0, market="x"), "y": sell(None, 1.0, market="y")}
    needs = replace(TWO, leverage=10)
    told = told_alike(script(legs), flat(100, 100, 80, 80), flat(100, 100, 100, 120), needs=needs, rules=FUTURE)
    assert [item.gen for item in told if isinstance(item, Filled) and item.slot == "engine:liquidation"] == [1, 2]


def test_funding_takes_no_more_than_is_free_and_a_fee_no_more_than_is_left():
    terms = replace(FUTURE, perpetual=Perpetual(funding_rate=Decimal("0.05"), funding_interval_ms=MINUTE))
    needs = replace(ONE, leverage=10)
    rows = flat(100, 100, 100, 91, 80)
    told = told_alike(script({"in": buy()}), rows, rules=terms, needs=needs, cash="12")
    assert told[-2].price == 90.0
    assert told[-2].fee_quote == 0.0


@pytest.mark.parametrize("sold", [0.5, 1.0])
def test_an_exit_ends_with_the_position_that_another_order_took_from_it(sold):
    bought = {"in": buy(), "tp": sell(110.0, reduce=True)}
    steps = {"in": buy()}, bought, bought | {"out": sell(None, sold)}
    told = told_alike(script(*steps, every=True), flat(100, 100, 100, 110, 110), rules=FUTURE)
    assert sum(item.qty for item in told if isinstance(item, Filled) and item.side is Side.SELL) == 1.0
    assert Closed("tp", 1, "rejected", 1.0 - sold) in told


# --- amendments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("activation", "sold"), [(None, [90.0]), (150.0, [])])
def test_an_amended_trail_goes_on_from_where_it_is(activation, sold):
    first, then = (sell(None, qty, kind=Kind.TRAILING, trail=Trail(activation, 0.1)) for qty in (0.5, 0.6))
    steps = {"in": buy()}, {"in": buy(), "t": first}, {"in": buy(), "t": first}, {"in": buy(), "t": then}
    told = told_alike(script(*steps, every=True), flat(100, 100, 100, 100, 99, 95, 91, 90, 89, 88))
    assert [item.price for item in told if isinstance(item, Filled) and item.slot == "t"] == sold


def test_an_exit_that_grows_with_its_position_needs_no_margin():
    small, all_of_it = sell(102.0, 5.0), sell(101.0, 10.0)
    both = {"in": buy(None, 5.0), "more": buy(98.0, 5.0)}
    steps = {"in": both["in"]}, both | {"tp": small}, both | {"tp": all_of_it}
    told = told_alike(script(*steps), flat(100, 100, 98, 98, 101), rules=FUTURE, cash="1010")
    assert denials(told) == []
    assert [(item.slot, item.qty, item.price) for item in told if isinstance(item, Filled)] == [
        ("in", 5.0, 100.0),
        ("more", 5.0, 98.0),
        ("tp", 10.0, 101.0),
    ]


@pytest.mark.parametrize(("qty", "price"), [(0.04, 90.0), (0.0004, 90.0), (0.06, 80.0)])
def test_an_order_that_becomes_too_small_ends_below_the_minimum(qty, price):
    steps = {"a": buy(90.0), "b": buy(85.0)}, {"a": buy(90.0)}, {"a": buy(price, qty)}
    told = told_alike(script(*steps, every=True), flat(100, 100, 100, 90, 80))
    assert told[1:] == [Closed("b", 1, "cancelled"), Closed("a", 1, "below_minimum")]


def test_an_amended_exit_for_which_the_others_leave_nothing_is_refused():
    halves = {name: sell(120.0, 0.5, reduce=True) for name in ("one", "two")}
    wholes = {name: sell(120.0, 1.0, reduce=True) for name in ("one", "two")}
    steps = {"in": buy()}, {"in": buy(), **halves}, {"in": buy(), **wholes}
    told = told_alike(script(*steps, every=True), flat(100, 100, 100, 110, 120), rules=FUTURE)
    assert Closed("two", 1, "rejected") in told
    assert [(item.slot, item.qty) for item in told if isinstance(item, Filled)] == [("in", 1.0), ("one", 1.0)]


@pytest.mark.parametrize("price", [100.0, 105.0])
def test_a_post_only_order_that_would_take_once_it_is_amended_is_rejected(price):
    steps = [{"a": buy(at, tif=Tif.POST_ONLY)} for at in (90.0, 99.0, price)]
    told = told_alike(script(*steps, every=True), flat(100, 100, 100, 99, 90))
    assert told[1:] == [Closed("a", 1, "rejected")]


def test_amended_orders_take_their_places_by_name_and_not_by_age():
    steps = {"b": buy(90.0)}, {"b": buy(90.0), "a": buy(80.0)}, {"b": buy(95.0), "a": buy(95.0)}
    told = told_alike(script(*steps, every=True), flat(100, 100, 100, 95, 95))
    assert [item.slot for item in told if isinstance(item, Filled)] == ["a", "b"]


def test_what_closes_in_part_stands_in_line_with_what_opens():
    """A buy of 3 over a short of 1 is no exit as a whole: the sell comes first by its name."""
    asked = {"b": sell(None, 1.0, gen=2), "d": buy(None, 3.0, gen=2)}
    told = told_alike(script({"s": sell()}, asked, every=True), flat(100, 100, 100), rules=FUTURE)
    assert [item.slot for item in told if isinstance(item, Filled)] == ["s", "b", "d"]


# --- anything -------------------------------------------------------------------------------------------------------

SIDES = st.sampled_from([buy, sell])
levels = st.integers(80, 120).map(float)
sizes = st.sampled_from([0.5, 1.0, 1.5, 3.0])
limits = st.builds(
    lambda side, price, qty, reduce: side(price, qty, reduce=reduce), SIDES, levels, sizes, st.booleans()
)
stops = st.builds(lambda side, at, qty: side(None, qty, kind=Kind.STOP, trigger=Trigger(at)), SIDES, levels, sizes)
markets = st.builds(lambda side, qty, reduce: side(None, qty, reduce=reduce), SIDES, sizes, st.booleans())
wishes = st.lists(
    st.dictionaries(st.sampled_from("abcd"), limits | stops | markets, max_size=3), min_size=3, max_size=9
)
walks = st.lists(st.tuples(levels, levels, levels, levels), min_size=8, max_size=12).map(
    lambda rows: [(o, max(o, a, b, c), min(o, a, b, c), c) for o, a, b, c in rows]
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(wishes, walks, st.sampled_from(["25", "60", "1000"]), st.sampled_from([2, 10]))
def test_whatever_is_wanted_of_a_perpetual_is_told_alike(steps, rows, cash, leverage):
    """Margin, exits, liquidations, and fundings and fees that are more than there is."""
    asked: list[dict[str, Any]] = []
    for step in steps:  # a want that changes is a new generation
        asked.append({slot: want._replace(gen=len(asked) + 1) for slot, want in step.items()})
    perpetual = Perpetual(funding_rate=Decimal("0.02"), funding_interval_ms=3 * MINUTE)
    rules, needs = replace(SPOT, perpetual=perpetual), replace(ONE, leverage=leverage)
    told = told_alike(script(*asked, every=True), rows, rules=rules, needs=needs, cash=cash)
    assert told[0].kind == "start"
