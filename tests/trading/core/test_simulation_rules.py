"""Single points of the engine's loop: what a decision is told, when it is asked, and what becomes of its orders."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from core_builders import (
    MINUTE,
    RULES,
    Scripted,
    buy,
    candles_of,
    fills,
    flat,
    market_buy,
    market_sell,
    once,
    run,
    sell,
    stop_sell,
)

from trading.core.errors import InvalidInput, StrategyFault
from trading.core.needs import MarketRef, Needs, SignalSpec, Value
from trading.core.simulation import simulate
from trading.core.types import (
    Closed,
    Command,
    Decision,
    Denied,
    Filled,
    Kind,
    PriceWake,
    Side,
    Signal,
    SlotStatus,
    Tif,
    Trail,
    Wake,
    Want,
    Woken,
)


def by_number(*decisions):
    """Answer the first decision with the first, and so on; the last one is repeated."""

    def decide(state, view):
        return decisions[min(view.number, len(decisions)) - 1]

    return Scripted(decide)


def d(orders=None, **more):
    return Decision(None, orders or {}, **more)


def test_the_first_decision_stands_before_the_first_open():
    strategy = by_number(d())
    run(strategy, candles_of((100, 101, 99, 100), start=7 * MINUTE))
    assert strategy.seen == [(7 * MINUTE, 100.0, (Command("start"),))]
    view = strategy.views[0]
    assert (view.number, view.orders, dict(view.slots)) == (1, {}, {})
    assert view.budget == {"USDT": 1000.0, "BTC": 0.0}


def test_a_market_order_of_the_first_decision_fills_at_the_first_open():
    result = run(once({"base": market_buy()}), candles_of((100, 101, 99, 100)))
    assert fills(result) == [(0, "base", 100.0)]


def test_a_fill_is_told_where_the_path_stands_and_its_answer_takes_part_in_the_candle():
    strategy = by_number(d({"a": buy(95)}), d({"b": sell(105)}))
    result = run(strategy, candles_of((100, 110, 94, 100)))
    assert fills(result) == [(0, "a", 95.0), (0, "b", 105.0)]
    filled = Filled("a", 1, Side.BUY, 1.0, 95.0, 0.095, 1.0, 0)
    assert strategy.seen[1] == (0, 95.0, (filled, Closed("a", 1, "filled", 1.0)))


def test_what_the_path_has_passed_already_is_not_filled():
    strategy = by_number(d({"a": buy(95)}), d({"b": sell(99)}))
    assert fills(run(strategy, candles_of((100, 100, 94, 95)))) == [(0, "a", 95.0)]


def test_a_gap_fills_a_limit_at_the_better_open_and_a_stop_at_the_open():
    strategy = by_number(d({"a": buy(95)}), d({"stop": stop_sell(85)}))
    result = run(strategy, candles_of((100, 100, 99, 99), (90, 91, 89, 90), (80, 80, 80, 80)))
    assert fills(result) == [(1, "a", 90.0), (2, "stop", 80.0)]


def test_orders_at_one_price_fill_in_the_order_of_placing():
    strategy = by_number(
        d({"x": buy(95)}, wake=Wake(at_ms=MINUTE)), d({"x": buy(95), "c": buy(95, 2.0), "a": buy(95, 3.0)})
    )
    result = run(strategy, flat(100, 100, 95))
    assert [slot for _, slot, _ in fills(result)] == ["x", "a", "c"]  # those of one decision: by slot


def test_a_time_wake_asks_at_the_first_close_not_before_it():
    strategy = by_number(d(wake=Wake(at_ms=MINUTE + 1)), d())
    run(strategy, flat(100, 101, 102))
    assert [seen[:2] for seen in strategy.seen] == [(0, 100.0), (2 * MINUTE, 101.0)]


def test_a_price_wake_asks_at_its_level_inside_the_candle():
    strategy = by_number(d(wake=Wake(prices=(PriceWake("main", 97.5, above=False),))), d())
    run(strategy, candles_of((100, 101, 99, 100), (100, 101, 95, 100)))
    assert strategy.seen[1] == (MINUTE, 97.5, (Woken("price"),))
    market = strategy.markets[1]
    assert (market.last, market.bid, market.ask, market.mark) == (97.5, 97.5, 97.5, 97.5)
    assert (market.closed_ms, market.low_since, market.high_since) == (MINUTE, 97.5, 101)


def test_a_signal_asks_at_the_close_and_its_order_fills_at_the_next_open():
    def decide(state, view):
        told = [t for t in view.inbox if isinstance(t, Signal) and t.value]
        orders = {"entry": market_buy()} if told else view.orders
        return Decision(None, orders, Wake(signals=("side",)))

    strategy = Scripted(decide, {"side": SignalSpec("main", Value("ema_side", (1, 2)))})
    result = run(strategy, candles_of(*[(p, p, p, p) for p in (100, 99, 98, 105)], (107, 107, 107, 107)))
    assert [seen[0] for seen in strategy.seen[:3]] == [0, 3 * MINUTE, 4 * MINUTE]
    assert strategy.seen[2][2] == (Signal("side", True, 4 * MINUTE),)
    assert fills(result) == [(4, "entry", 107.0)]


def test_signals_in_the_view_are_those_of_the_last_closed_candle():
    seen = []

    def decide(state, view):
        seen.append((view.now_ms, view.markets["main"].signals["side"]))
        return Decision(None, {}, Wake(at_ms=view.now_ms + 1))

    run(Scripted(decide, {"side": SignalSpec("main", Value("ema_side", (1, 2)))}), flat(100, 101, 102, 90))
    assert seen == [(0, None), (MINUTE, None), (2 * MINUTE, None), (3 * MINUTE, True), (4 * MINUTE, False)]


def test_short_of_funds_is_denied_told_once_and_asked_again():
    def decide(state, view):
        return Decision(None, view.orders or {"a": market_buy(10)})

    strategy = Scripted(decide)
    result = run(strategy, flat(100, 100, 100, 99, 99), cash=1000)
    assert [seen[0] for seen in strategy.seen] == [0, MINUTE, 2 * MINUTE, 3 * MINUTE, 4 * MINUTE, 4 * MINUTE]
    reason = "needs 1001 USDT, the bot has 1000 free"
    assert strategy.seen[1][2] == (Denied("a", 1, "budget", reason),)
    assert strategy.seen[2][2] == ()
    assert strategy.views[1].slots["a"].status is SlotStatus.DENIED
    assert (result.denials, fills(result)) == (4, [(4, "a", 99.0)])


def test_back_off_grows_when_candles_are_short():
    strategy = once({"a": market_buy(10)})
    run(strategy, candles_of(*[(100, 100, 100, 100)] * 20, timeframe=1000), cash=1000)
    assert [seen[0] for seen in strategy.seen] == [0, 1000, 3000, 7000, 15000]


def test_orders_of_one_decision_share_what_is_free():
    both = d({"a": buy(90, 6), "b": buy(90, 6)})
    strategy = by_number(both, both, d({"s": sell(110, 4), "t": sell(110, 4)}))
    result = run(strategy, flat(100, 90, 90))
    assert fills(result) == [(1, "a", 90.0)]
    assert strategy.views[1].slots["b"].status is SlotStatus.DENIED
    assert strategy.views[3].slots["t"].reason == "needs 4 BTC, the bot has 2 free"


def test_funds_locked_by_a_cancel_are_free_only_after_it():
    strategy = by_number(d({"a": buy(90, 10)}, wake=Wake(at_ms=1)), d({"b": buy(91, 10)}))
    result = run(strategy, flat(100, 100, 91))
    told = strategy.seen[2][2]
    assert [type(t) for t in told] == [Denied, Closed]
    assert fills(result) == [(2, "b", 91.0)]
    assert result.denials == 1


def test_a_changed_want_is_cancelled_and_asked_again_with_a_new_generation():
    dear = buy(95, gen=2)
    strategy = by_number(d({"a": buy(90)}, wake=Wake(at_ms=1)), d({"a": dear}), d({"a": dear}))
    result = run(strategy, flat(100, 100, 94))
    assert strategy.seen[2] == (MINUTE, 100.0, (Closed("a", 1, "replaced"),))
    assert fills(result) == [(2, "a", 94.0)]
    assert result.orders == 2


def test_a_generation_that_is_done_is_never_placed_again():
    strategy = once({"a": buy(95)})
    assert fills(run(strategy, flat(100, 95, 100, 95))) == [(1, "a", 95.0)]


@pytest.mark.parametrize(
    ("want", "rules"),
    [
        (buy(95, 0.0005), RULES),
        (buy(95, 0.5), replace(RULES, min_qty=Decimal("0.6"))),
        (buy(95, 0.1), replace(RULES, min_notional=Decimal(10))),
    ],
)
def test_below_the_minimum_is_closed_and_not_placed(want, rules):
    strategy = once({"a": want})
    result = run(strategy, flat(100, 95), rules=rules)
    assert strategy.seen[1][2] == (Closed("a", 1, "below_minimum"),)
    assert (result.orders, fills(result)) == (0, [])


def test_prices_go_to_the_tick_and_quantities_down_to_the_lot():
    strategy = by_number(d({"a": buy(95.7, 1.0009)}), d({"b": sell(99.2, 1.0)}))
    result = run(strategy, candles_of((100, 110, 94, 100)))
    assert fills(result) == [(0, "a", 95.0), (0, "b", 100.0)]
    assert result.fills.qty.tolist() == [1.0, 1.0]


def test_a_market_buy_that_the_next_open_makes_too_dear_is_rejected():
    strategy = by_number(d(wake=Wake(at_ms=1)), d({"a": market_buy(9.9)}), d())
    result = run(strategy, flat(100, 110))
    assert strategy.seen[2] == (MINUTE, 110.0, (Closed("a", 1, "rejected"),))
    assert (result.orders, fills(result), result.books().cash) == (1, [], 1000)


def test_a_stop_and_take_profit_that_ends_the_run():
    strategy = by_number(d({"a": market_buy()}), d({"out": stop_sell(90)}), d(finish="stopped out"))
    result = run(strategy, flat(100, 95, 89, 100, 101))
    assert fills(result) == [(0, "a", 100.0), (2, "out", 89.0)]
    assert (result.finish, result.decisions) == ("stopped out", 3)


def test_after_finish_what_still_works_may_fill_but_nobody_decides():
    strategy = by_number(d({"a": market_buy()}), d({"out": sell(105)}, finish="done"))
    result = run(strategy, flat(100, 101, 106, 107))
    assert fills(result) == [(0, "a", 100.0), (2, "out", 106.0)]
    assert result.decisions == 2


def test_position_extremes_and_budget_in_the_view():
    strategy = by_number(d({"a": buy(95, 2.0)}), d({"b": sell(120, 0.5)}, wake=Wake(at_ms=1)), d())
    run(strategy, candles_of((100, 104, 94, 99), (99, 103, 98, 101)))
    seen = strategy.markets[:3]
    assert [(market.low_since, market.high_since) for market in seen] == [(100, 100), (95, 104), (94, 99)]
    assert (seen[2].position.qty, seen[2].position.avg_price) == (2.0, 95.0)
    assert strategy.views[2].budget == {"USDT": 809.81, "BTC": 1.5}


def test_progress_is_told_on_the_way():
    told = []
    strategy = Scripted(lambda state, view: Decision(None, {}, Wake(at_ms=view.now_ms + 1)))
    candles = flat(*range(100, 400))
    simulate(
        strategy, None, candles, cash=Decimal(1), fee=Decimal(0), rules=RULES,
        on_progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == sorted(told)
    assert 50 <= len(told) <= 100
    assert {total for _, total in told} == {300}


@pytest.mark.parametrize(
    "want",
    [
        Want("main", Side.BUY, Kind.LIMIT, 1.0),
        Want("main", Side.BUY, Kind.MARKET, 1.0, price=95.0),
        Want("main", Side.SELL, Kind.MARKET, 1.0, trail=Trail(None, 0.01)),
        Want("main", Side.BUY, Kind.STOP, 1.0),
        Want("main", Side.BUY, Kind.STOP_LIMIT, 1.0, price=95.0),
        Want("main", Side.BUY, Kind.TRAILING, 1.0),
        Want("main", Side.BUY, Kind.LIMIT, 1.0, price=95.0, trail=Trail(None, 0.01)),
    ],
)
def test_an_order_that_lacks_what_its_kind_needs_is_refused_by_name(want):
    with pytest.raises(StrategyFault, match=f"Kind.{want.kind.name} takes .* a limit order needs a price"):
        run(once({"a": want}), flat(100))


@pytest.mark.parametrize("kind", [Kind.MARKET, Kind.TRAILING])
def test_only_a_limit_order_may_be_post_only(kind):
    trail = Trail(None, 0.01) if kind is Kind.TRAILING else None
    with pytest.raises(StrategyFault, match=f"Kind.{kind.name} can't be post_only"):
        run(once({"a": Want("main", Side.BUY, kind, 1.0, tif=Tif.POST_ONLY, trail=trail)}), flat(100))


def test_a_strategy_that_never_rests_is_stopped():
    def decide(state, view):
        return Decision(None, {"a": buy(90, 0.0001, gen=view.number)})

    with pytest.raises(StrategyFault, match="without the price moving"):
        run(Scripted(decide), flat(100))


def test_a_generation_that_goes_back_is_a_fault():
    with pytest.raises(StrategyFault, match="went back"):
        run(by_number(d({"a": market_buy(gen=2)}), d({"a": market_sell(gen=1)})), flat(100, 100))


def test_a_want_on_a_market_that_was_not_asked_for_is_a_fault():
    with pytest.raises(StrategyFault, match="other"):
        run(once({"a": buy(90)._replace(market="other")}), flat(100))


def test_needs_that_one_series_cannot_meet_are_refused():
    strategy = once({})
    strategy.needs = lambda params: Needs({"main": MarketRef("A"), "other": MarketRef("B")})
    with pytest.raises(InvalidInput, match="one market"):
        run(strategy, flat(100))
    unknown = Scripted(lambda s, v: d(), {"x": SignalSpec("main", Value("no_such"))})
    with pytest.raises(InvalidInput, match=r"there are: .*ema_side"):
        run(unknown, flat(100, 101))


def test_a_wake_on_a_signal_that_was_not_asked_for_is_a_fault():
    with pytest.raises(StrategyFault, match="no_such"):
        run(once({}, wake=Wake(signals=("no_such",))), flat(100, 101))
