"""Several markets, perpetuals, derived series, and what reaches a bot from outside."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from core_builders import MINUTE, RULES, Scripted, buy, candles_of, fills, flat, market_buy, random_candle, run, sell
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.errors import InvalidInput, StrategyFault
from trading.core.needs import DerivedSpec, MarketRef, Needs, SignalSpec, Value
from trading.core.simulation import SimMarket, SimOptions, simulate_markets
from trading.core.types import (
    Advice,
    Ask,
    Closed,
    Command,
    Decision,
    Kind,
    Perpetual,
    PriceWake,
    Side,
    Signal,
    Trigger,
    Wake,
    Want,
    Woken,
)

HOUR = 60 * MINUTE
PERP = replace(RULES, perpetual=Perpetual())
SOON = Wake(at_ms=1)


class Several(Scripted):
    """A scripted strategy of the markets "main" and "other"."""

    def __init__(self, decide, derived=None, signals=None, leverage=1.0):
        super().__init__(decide, signals)
        self._derived, self._leverage = derived or {}, leverage

    def needs(self, params):
        markets = {"main": MarketRef(""), "other": MarketRef("ETH/USDT")}
        return Needs(markets, self._signals, self._derived, leverage=self._leverage)


def several(strategy, main, other, cash=1000, **options):
    markets = {"main": SimMarket(main, RULES), "other": SimMarket(other, replace(RULES, base="ETH"))}
    return simulate_markets(
        strategy, None, markets, cash=Decimal(cash), fee=Decimal("0.001"), options=SimOptions(**options)
    )


def on_other(want):
    return want._replace(market="other")


def constant(orders, **more):
    return lambda state, view: Decision(None, orders, **more)


# --- several markets --------------------------------------------------------------------------------------------------


def test_fills_of_several_markets_are_ordered_by_leg_then_by_market_and_their_lines_start_with_the_alias():
    orders = {"a": on_other(buy(47)), "b": buy(97), "c": on_other(buy(49)), "d": buy(99)}
    strategy = Several(constant(orders))
    result = several(strategy, candles_of((100, 104, 96, 100)), candles_of((50, 54, 46, 50)))
    assert result.fills.slot == ("d", "b", "c", "a")
    assert [line.split(",")[0] for line in result.lines()] == ["main", "main", "other", "other"]
    holdings = result.holdings()
    assert (holdings["main"].qty, holdings["other"].qty) == (2, 2)
    spent = Decimal(97 + 99 + 47 + 49)
    assert result.final_equity() == 1000 - spent - spent / 1000 + 200 + 100
    assert result.equity()[-1] == pytest.approx(float(result.final_equity()))


def test_a_fill_on_one_market_may_be_hedged_on_another_where_that_one_stands():
    hedge = on_other(Want("", Side.BUY, Kind.MARKET, 1.0))

    def decide(state, view):
        filled = view.slots.get("a") is not None and view.slots["a"].filled_qty > 0
        return Decision(None, {"a": buy(97)} | ({"h": hedge} if filled else {}))

    result = several(Several(decide), candles_of((100, 104, 96, 100)), candles_of((50, 51, 46, 50)))
    assert fills(result) == [(0, "a", 97.0), (0, "h", 50.0)]  # the other stands at its open still


def test_funds_are_shared_by_all_markets():
    strategy = Several(constant({"a": buy(90, 6.0), "b": on_other(buy(90, 6.0))}))
    result = several(strategy, flat(100, 90), flat(100, 90))
    assert result.fills.slot == ("a",)
    assert dict(strategy.views[-1].budget) == {"USDT": float(1000 - Decimal("540.54")), "BTC": 6.0, "ETH": 0.0}


def test_candles_that_do_not_fit_together_are_refused():
    with pytest.raises(InvalidInput, match="other open times"):
        several(Several(constant({})), flat(1, 2), candles_of((1, 1, 1, 1), (2, 2, 2, 2), start=MINUTE))
    with pytest.raises(InvalidInput, match="no candles for other"):
        simulate_markets(
            Several(constant({})), None, {"main": SimMarket(flat(1), RULES)}, cash=Decimal(1), fee=Decimal(0)
        )


def test_a_derived_series_wakes_at_the_close_at_which_it_is_beyond_a_level():
    spread = {"spread": DerivedSpec((("main", 1.0), ("other", -2.0)))}
    wake = Wake(prices=(PriceWake("spread", 5.0, above=True),))
    seen = []

    def decide(state, view):
        seen.append((view.now_ms, view.inbox[-1], view.derived["spread"].value))
        return Decision(None, {}, wake if len(seen) == 1 else Wake())

    several(Several(decide, spread), flat(100, 103, 106, 120), flat(50, 50, 50, 50))
    assert seen == [(0, Command("start"), None), (3 * MINUTE, Woken("derived"), 6.0)]


# --- perpetuals -----------------------------------------------------------------------------------------------------


def long_then(*orders):
    """Buy one at market with leverage, then ask for these."""

    def decide(state, view):
        wants = {"in": market_buy()}
        return Decision(None, wants if view.number == 1 else wants | dict(orders))

    return decide


class Levered(Scripted):
    def needs(self, params):
        return Needs({"main": MarketRef("")}, leverage=5.0)


def test_a_position_locks_its_margin_and_gets_it_back_with_its_profit():
    strategy = Levered(long_then(("out", sell(110)._replace(reduce=True))))
    result = run(strategy, flat(100, 105, 110), rules=PERP)
    assert fills(result) == [(0, "in", 100.0), (2, "out", 110.0)]
    assert strategy.views[1].budget == {"USDT": 1000 - 20 - 0.1}
    position = strategy.markets[1].position
    assert (position.qty, position.avg_price, position.liquidation_price) == (1.0, 100.0, 81.0)  # 80 / 0.995, tick 1
    assert strategy.views[-1].budget == {"USDT": 1000 + 10 - 0.1 - 0.11}
    assert result.final_equity() == Decimal("1009.79")


def test_a_short_earns_when_the_price_falls():
    orders = {"in": Want("main", Side.SELL, Kind.MARKET, 2.0)}
    out = orders | {"out": buy(90, 2.0)._replace(reduce=True)}
    strategy = Levered(lambda state, view: Decision(None, orders if view.number == 1 else out))
    result = run(strategy, flat(100, 95, 90), rules=PERP)
    assert strategy.markets[1].position.qty == -2.0
    assert result.final_equity() == 1000 + 20 - Decimal("0.2") - Decimal("0.18")


def test_a_touch_of_the_liquidation_price_closes_at_the_bankruptcy_price_and_ends_the_exits():
    strategy = Levered(long_then(("tp", sell(130)._replace(reduce=True))))
    result = run(strategy, candles_of((100, 100, 82, 90), (90, 90, 75, 85)), rules=PERP)
    assert fills(result) == [(0, "in", 100.0), (1, "engine:liquidation", 80.0)]
    assert result.liquidations == 1
    assert Closed("tp", 1, "liquidated") in strategy.seen[2][2]
    assert result.final_equity() == 1000 - 20 - Decimal("0.1") - Decimal("0.08")  # the margin and two fees, no more
    assert strategy.views[2].budget == {"USDT": float(result.final_equity())}


def test_funding_is_paid_at_each_full_multiple_by_the_position_that_stands_before_the_open():
    terms = Perpetual(funding_interval_ms=2 * MINUTE, funding_rate=Decimal("0.01"))
    strategy = Levered(long_then())
    result = run(strategy, flat(100, 101, 110, 111, 120), rules=replace(PERP, perpetual=terms))
    assert [(paid.candle, paid.amount) for paid in result.funding] == [(2, Decimal("-1.1")), (4, Decimal("-1.2"))]
    assert result.final_equity() == 1000 + 20 - Decimal("0.1") - Decimal("2.3")
    assert result.equity()[-1] == pytest.approx(float(result.final_equity()))
    assert [row.amount for row in result.funding_rows()] == [Decimal("-1.1"), Decimal("-1.2")]


def test_reducing_orders_are_clipped_to_the_position_and_never_turn_it():
    greedy = Want("main", Side.SELL, Kind.STOP, 5.0, trigger=Trigger(95.0), reduce=True)
    result = run(Levered(long_then(("stop", greedy))), flat(100, 94, 90), rules=PERP)
    assert (fills(result)[1], result.fills.qty.tolist()) == ((1, "stop", 94.0), [1.0, 1.0])
    nothing = Levered(constant({"out": sell(90)._replace(reduce=True)}))
    assert fills(run(nothing, flat(100, 100), rules=PERP)) == []
    assert Closed("out", 1, "rejected") in nothing.seen[1][2]


# --- from outside ---------------------------------------------------------------------------------------------------


class Adviser:
    def __init__(self, delay_ms, value="buy", error=""):
        self.answer = delay_ms, value, error

    def simulate(self, ask, now_ms):
        return self.answer


class Asking(Scripted):
    """Asks once, with a deadline after ten minutes."""

    def __init__(self):
        question = (Ask("q1", "opinion", {}, 10 * MINUTE),)
        super().__init__(lambda state, view: Decision(None, {}, asks=question))

    def needs(self, params):
        return Needs({"main": MarketRef("")}, advice=("opinion",))


@pytest.mark.parametrize(
    ("adviser", "at", "told"),
    [
        (Adviser(3 * MINUTE), 3, Advice("q1", "buy")),
        (Adviser(3 * MINUTE + 1, (1, 2)), 4, Advice("q1", [1, 2])),  # as JSON brings it
        (Adviser(0), 1, Advice("q1", "buy")),
        (Adviser(2 * MINUTE, None, "failed"), 2, Advice("q1", None, "failed")),
        (Adviser(11 * MINUTE), 10, Advice("q1", None, "deadline")),
        (Adviser(-1), 10, Advice("q1", None, "deadline")),
        (None, 10, Advice("q1", None, "deadline")),
    ],
)
def test_each_question_gets_one_answer_late_or_a_deadline(adviser, at, told):
    strategy = Asking()
    run(strategy, flat(*[100] * 30), advisor=adviser)
    assert [seen[2] for seen in strategy.seen[1:]] == [(told,)]
    assert strategy.seen[1][0] == at * MINUTE


def test_a_question_of_a_kind_that_was_not_named_is_a_fault():
    with pytest.raises(StrategyFault, match="opinion"):
        run(Scripted(lambda state, view: Decision(None, {}, asks=(Ask("q", "opinion", {}, 1),))), flat(100))


def test_commands_of_people_come_at_the_close_and_a_cancel_by_hand_is_not_undone():
    commands = [(MINUTE + 5, Command("cancel", {"slot": "a"}, "alice"))]
    strategy = Scripted(constant({"a": buy(95)}))
    result = run(strategy, flat(100, 100, 95, 95), commands=commands)
    assert strategy.seen[1] == (2 * MINUTE, 100.0, (Closed("a", 1, "cancelled"), commands[0][1]))
    assert fills(result) == []


def test_an_edit_is_adopted_before_the_decision_that_hears_of_it():
    class Edited(Scripted):
        def adopt(self, old, new, state, view):
            return {"adopted": [old, new]}

    strategy = Edited(lambda state, view: Decision(state, {}))
    states = []
    strategy._decide = lambda state, view: (states.append(state), Decision(state, {}))[1]
    run(strategy, flat(100, 101, 102), params="old", edits=[(MINUTE, "new")])
    assert states == [None, {"adopted": ["old", "new"]}]
    assert strategy.seen[1][2] == (Command("edit"),)


def test_the_decision_that_hears_of_an_edit_sees_its_series_and_wakes_at_them_from_then_on():
    class Spread(Several):
        def needs(self, params):
            return replace(super().needs(params), derived={"spread": DerivedSpec((("main", 1.0), ("other", -params)))})

        def adopt(self, old, new, state, view):
            adopted.append(view.derived["spread"].value)

    adopted: list[float] = []
    seen: list[tuple[int, str, float]] = []

    def decide(state, view):
        last = view.inbox[-1]
        seen.append((view.now_ms, last.by if isinstance(last, Woken) else last.kind, view.derived["spread"].value))
        return Decision(None, {}, Wake(prices=(PriceWake("spread", 50.0, above=True),)))

    markets = {alias: SimMarket(flat(*[100] * 5), RULES) for alias in ("main", "other")}
    options = SimOptions(edits=[(2 * MINUTE, 0.1)])
    simulate_markets(Spread(decide), 1.0, markets, cash=Decimal(1000), fee=Decimal(0), options=options)
    assert adopted == [90.0]
    assert seen[1] == (2 * MINUTE, "edit", 90.0)
    assert seen[2:] == [(k * MINUTE, "derived", 90.0) for k in (3, 4, 5)]


# --- where it starts ------------------------------------------------------------------------------------------------


def signals_seen(strategy, candles, **options):
    run(strategy, candles, **options)
    return [told for _, _, inbox in strategy.seen for told in inbox if isinstance(told, Signal)]


@given(st.lists(random_candle(), min_size=8, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_a_bot_that_starts_later_has_the_same_signals(rows, data):
    candles = candles_of(*rows)
    start = data.draw(st.integers(0, len(rows) - 1))
    specs = {"side": SignalSpec("main", Value("ema_side", (2, 5)))}
    waiting = constant({}, wake=Wake(signals=("side",)))
    early = signals_seen(Scripted(waiting, specs), candles)
    late = signals_seen(Scripted(waiting, specs), candles, start_ms=start * MINUTE)
    assert late == [signal for signal in early if signal.at_ms > start * MINUTE]


def test_the_first_decision_waits_for_the_warm_up_and_too_few_candles_are_refused_by_number():
    class Warm(Scripted):
        def needs(self, params):
            return Needs({"main": MarketRef("")}, warmup=3)

    strategy = Warm(constant({}))
    run(strategy, flat(100, 101, 102, 103))
    assert [seen[:2] for seen in strategy.seen] == [(3 * MINUTE, 102.0)]
    with pytest.raises(InvalidInput, match="there are 3 candles; the strategy needs 3 closed ones") as caught:
        run(Warm(constant({})), flat(100, 101, 102))
    assert caught.value.value == 3


def test_the_state_goes_through_json_when_asked():
    states = []

    def decide(state, view):
        states.append(state)
        return Decision({"pair": (1, 2)}, {}, SOON)

    run(Scripted(decide), flat(100, 101, 102), json_state=True)
    assert states[1:] == [json.loads(json.dumps({"pair": (1, 2)}))] * len(states[1:])


def test_two_markets_alike_trade_alike():
    """The same candles twice: each market's fills are those of a run over it alone."""
    rng = np.random.default_rng(7)
    closes = 100 + np.cumsum(rng.integers(-2, 3, 400))
    rows = [
        (a, max(a, b) + 1, min(a, b) - 1, b) for a, b in zip(closes[:-1].tolist(), closes[1:].tolist(), strict=True)
    ]
    candles = candles_of(*rows)
    wants = {f"{k}": buy(100 - k, 0.5) for k in range(1, 8)} | {f"s{k}": sell(100 + k, 0.5) for k in range(1, 8)}
    alone = run(Scripted(constant(wants)), candles, cash=10_000)
    both = {f"m{slot}": want for slot, want in wants.items()}
    both |= {f"o{slot}": on_other(want) for slot, want in wants.items()}
    result = several(Several(constant(both)), candles, candles, cash=100_000)
    for prefix in "mo":
        own = [(i, slot[1:], price) for i, slot, price in fills(result) if slot.startswith(prefix)]
        assert own == fills(alone)
