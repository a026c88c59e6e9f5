"""One test or more for each of the contract's fifteen rules (docs/strategies.md), as far as the pure core shows them.

What only the live path shows (transactions, sends, client order ids) stands in test_contract_rules_live.py.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest
from core_builders import (
    MINUTE,
    RULES,
    Scripted,
    buy,
    candles_of,
    flat,
    market_buy,
    market_sell,
    sell,
    stop_sell,
)

from trading.core.candles import Candles
from trading.core.control import PositionOf, plan
from trading.core.errors import StrategyFault
from trading.core.needs import MarketRef, Needs, SignalSpec, Value
from trading.core.simoptions import SimMarket, SimOptions
from trading.core.simulation import simulate_markets
from trading.core.types import (
    Closed,
    Command,
    Decision,
    Denied,
    Filled,
    Kind,
    Perpetual,
    PriceWake,
    Side,
    SlotStatus,
    SlotView,
    Tif,
    Trail,
    View,
    Wake,
    Want,
    Woken,
)

PERP = replace(RULES, perpetual=Perpetual(max_leverage=D(10), funding_rate=D(0)))


class Actor(Scripted):
    """Scripted, on any markets; `told` is everything that it ever had in its inbox."""

    def __init__(self, decide: Any, needs: Needs | None = None) -> None:
        super().__init__(decide)
        self._needs = needs or Needs({"main": MarketRef("BTC/USDT")})
        self.told: list[Any] = []

    def needs(self, params: Any) -> Needs:
        return self._needs

    def decide(self, params: Any, state: Any, view: View) -> Decision:
        self.told += view.inbox
        self.views.append(replace(view, slots=dict(view.slots), budget=dict(view.budget)))
        decision: Decision = self._decide(state, view)
        return decision


def play(actor: Any, *series: Candles, rules: Any = RULES, cash: int = 1000, fee: str = "0.001", **options: Any):
    """Run on candles of one market or of several, in the order of the needs."""
    aliases = actor.needs(None).markets
    markets = {alias: SimMarket(candles, rules) for alias, candles in zip(aliases, series, strict=True)}
    return simulate_markets(actor, None, markets, cash=D(cash), fee=D(fee), options=SimOptions(**options))


def script(*orders: dict[str, Want], needs: Needs | None = None, **more: Any) -> Actor:
    """Answer the first decision with the first set of orders, and so on; the last one is repeated."""
    return Actor(lambda state, view: Decision(None, orders[min(view.number, len(orders)) - 1], **more), needs)


def with_volume(candles: Candles, *volumes: float) -> Candles:
    return Candles.of(candles.ts, candles.open, candles.high, candles.low, candles.close, volumes)


def closed(actor: Actor) -> list[tuple[str, int, str, float]]:
    return [tuple(item) for item in actor.told if isinstance(item, Closed)]


def denials(actor: Actor) -> list[Denied]:
    return [item for item in actor.told if isinstance(item, Denied)]


def filled(actor: Actor) -> list[tuple[str, float, float]]:
    return [(item.slot, item.qty, item.price) for item in actor.told if isinstance(item, Filled)]


# --- 1. identity


def test_rule_1_an_intent_is_sent_once_and_only_a_higher_generation_asks_again():
    actor = Actor(lambda state, view: Decision(None, {"a": buy(100, gen=1 if view.now_ms < 3 * MINUTE else 2)}))
    again = [(i * MINUTE, Command("look")) for i in range(1, 6)]
    result = play(actor, flat(100, 100, 100, 100, 100, 100), commands=again)
    assert result.fills.gen.tolist() == [1, 2]
    assert result.orders == 2


def test_rule_1_a_slot_left_out_is_cancelled():
    actor = script({"a": buy(90)}, {}, wake=Wake(at_ms=MINUTE))
    result = play(actor, flat(100, 100, 90))
    assert (closed(actor), len(result.fills)) == ([("a", 1, "cancelled", 0.0)], 0)


def test_rule_1_a_generation_never_goes_back():
    with pytest.raises(StrategyFault, match="from generation 2 to 1"):
        play(script({"a": buy(100, gen=2)}, {"a": buy(100)}), flat(100, 100))


# --- 2. quantity is the total; amend or replace


def test_rule_2_an_amended_quantity_counts_what_has_filled():
    candles = with_volume(flat(100, 90, 90, 90, 90), 0, 1, 1, 1, 1)
    actor = script({"a": buy(90, 3)}, {"a": buy(90, 2)})
    result = play(actor, candles, liquidity_ratio=1.0)
    assert filled(actor) == [("a", 1, 90), ("a", 1, 90)]
    assert closed(actor) == [("a", 1, "filled", 2)]
    assert result.orders == 1


def test_rule_2_an_amendment_to_what_has_filled_ends_the_order_as_filled():
    candles = with_volume(flat(100, 90, 90, 90), 0, 1, 5, 5)
    actor = script({"a": buy(90, 3)}, {"a": buy(90, 1)})
    play(actor, candles, liquidity_ratio=1.0)
    assert (filled(actor), closed(actor)) == ([("a", 1, 90)], [("a", 1, "filled", 1)])


def test_rule_2_a_changed_price_is_amended_and_loses_its_place():
    orders = {"a": buy(80), "b": buy(90)}
    actor = script(orders, orders | {"a": buy(90)}, wake=Wake(at_ms=MINUTE))
    result = play(actor, flat(100, 100, 85), cash=100_000)
    assert result.fills.slot == ("b", "a")
    assert result.fills.gen.tolist() == [1, 1]


def test_rule_2_another_order_waits_for_the_end_of_the_one_that_it_replaces():
    actor = script({"a": buy(90)}, {"a": sell(110)}, {"a": sell(110)}, {"a": buy(95, gen=2)}, wake=Wake(at_ms=MINUTE))
    result = play(actor, flat(100, 100, 100, 95))
    assert closed(actor)[0] == ("a", 1, "replaced", 0.0)
    assert all(view.slots["a"].want.side is Side.BUY for view in actor.views[1:])  # the sell was never sent
    assert (result.orders, result.fills.gen.tolist()) == (2, [2])


# --- 3. one-shots


def test_rule_3_what_an_ioc_leaves_comes_back_as_closed():
    candles = with_volume(flat(100, 100, 100), 1, 1, 1)
    want = buy(100, 3)._replace(tif=Tif.IOC)
    actor = script({"a": want})
    play(actor, candles, liquidity_ratio=1.0)
    assert (filled(actor), closed(actor)) == ([("a", 1, 100)], [("a", 1, "remainder", 1)])


def test_rule_3_an_acknowledgement_wakes_nobody():
    actor = script({"a": buy(90)})
    assert play(actor, flat(100, 100, 100, 100)).decisions == 1


# --- 4. order of work


def test_rule_4_cancels_then_what_reduces_then_what_adds():
    orders = {"add": buy(95), "exit": sell(105)}
    result = plan(Decision(None, orders), {"old": SlotView(1, buy(90), SlotStatus.WORKING)}, (), {})
    assert result.cancels == [("old", "cancelled")]
    assert (result.reduces, result.adds) == ([("exit", orders["exit"])], [("add", orders["add"])])


def test_rule_4_what_reduces_is_placed_before_what_adds():
    orders = {"a": buy(100, 1), "z": sell(100, 1)}  # both at one price: the order of placing decides
    result = play(script({"m": market_buy()}, orders), flat(100, 100, 100), cash=100_000)
    assert result.fills.slot == ("m", "z", "a")


def test_rule_4_an_add_that_needs_the_coins_of_a_cancel_waits_for_its_end():
    actor = script({"a": buy(90, 10)}, {"b": buy(80, 10)}, wake=Wake(at_ms=MINUTE))
    play(actor, flat(100, 100, 100, 80, 80))
    assert [(item.slot, item.rule) for item in denials(actor)] == [("b", "budget")]  # the cancel frees them
    assert (closed(actor)[0], filled(actor)) == (("a", 1, "cancelled", 0.0), [("b", 10, 80)])


# --- 5. groups and exits


PAIR = Needs({"x": MarketRef("X/USDT"), "y": MarketRef("Y/USDT")})


def leg(alias: str, side: Side, qty: float, gen: int = 1, kind: Kind = Kind.MARKET) -> Want:
    return Want(alias, side, kind, qty, gen=gen, group="pair")


def test_rule_5_a_group_passes_the_gate_whole_or_not_at_all():
    actor = script({"x": leg("x", Side.BUY, 1), "y": leg("y", Side.BUY, 100)}, needs=PAIR)
    result = play(actor, flat(100, 100, 100), flat(100, 100, 100))
    assert (len(result.fills), result.orders) == (0, 0)
    assert {(item.slot, item.rule) for item in denials(actor)} == {("x", "group"), ("y", "budget")}
    alone = script({"x": leg("x", Side.BUY, 1)}, needs=PAIR)
    assert len(play(alone, flat(100, 100), flat(100, 100)).fills) == 1


def test_rule_5_once_a_leg_has_filled_the_others_count_as_exits():
    x, y = leg("x", Side.BUY, 1), leg("y", Side.SELL, 1, gen=2)
    slots = {"x": SlotView(1, x, SlotStatus.FILLED, 1.0), "y": SlotView(1, y._replace(gen=1), SlotStatus.CLOSED)}
    flat_now = {"x": PositionOf(1.0, spot=False), "y": PositionOf(0.0, spot=False)}
    result = plan(Decision(None, {"x": x, "y": y}), slots, (), flat_now)
    assert (result.hedges, result.reduces, result.adds) == ({"y"}, [("y", y)], [])


def test_rule_5_an_exit_never_exceeds_the_position():
    actor = script({"m": market_buy()}, {"tp": sell(110, 5)._replace(reduce=True)})
    result = play(actor, flat(100, 100, 110, 110), rules=PERP)
    assert [(slot, qty) for slot, qty, _ in filled(actor)] == [("m", 1), ("tp", 1)]
    assert result.holdings()["main"].qty == 0


def test_rule_5_two_exits_share_the_position():
    exits = {name: sell(110, 1)._replace(reduce=True) for name in ("tp1", "tp2")}
    actor = script({"m": market_buy()}, exits)
    result = play(actor, flat(100, 100, 110, 110), rules=PERP)
    assert (filled(actor)[1:], closed(actor)[1]) == ([("tp1", 1, 110)], ("tp2", 1, "rejected", 0.0))
    assert result.holdings()["main"].qty == 0


# --- 6. no decision on old news


def test_rule_6_nothing_fills_between_a_fill_and_the_decision_that_saw_it():
    orders = {"a": buy(95), "b": buy(94), "c": buy(93)}
    actor = Actor(lambda state, view: Decision(None, orders if not filled(actor) else {}))
    result = play(actor, candles_of((100, 100, 100, 100), (100, 100, 90, 90)), cash=100_000)
    assert result.fills.slot == ("a",)  # the answer to the first fill takes the other two away in time
    assert [view.number for view in actor.views] == list(range(1, len(actor.views) + 1))


# --- 7. a denied bot never falls asleep


def test_rule_7_a_denied_want_is_asked_again_until_there_are_coins():
    def decide(state: Any, view: View) -> Decision:
        later = {"b": market_buy()} if view.now_ms >= 3 * MINUTE else {}
        return Decision(None, {"a": sell(110)} | later)

    actor = Actor(decide)
    result = play(actor, flat(100, 100, 100, 100, 100, 110))
    assert [(item.slot, item.rule) for item in denials(actor)] == [("a", "budget")]  # told once
    assert "BTC" in denials(actor)[0].reason
    assert {view.now_ms for view in actor.views} >= {MINUTE, 2 * MINUTE, 3 * MINUTE}  # nothing else would wake it
    assert result.fills.slot == ("b", "a")


def test_rule_7_a_refusal_is_closed_and_not_repeated():
    actor = script({"a": buy(101)._replace(tif=Tif.POST_ONLY)})
    result = play(actor, flat(100, 100, 100))
    assert (closed(actor), result.orders, result.decisions) == ([("a", 1, "rejected", 0.0)], 0, 2)


# --- 8. minimums and dust


def test_rule_8_an_order_below_the_minimum_is_never_sent():
    actor = script({"a": buy(90, 0.5)})
    result = play(actor, flat(100, 90, 90), rules=replace(RULES, min_notional=D(50)))
    assert (closed(actor), result.orders) == ([("a", 1, "below_minimum", 0.0)], 0)


def test_rule_8_what_is_left_is_dust_and_a_position_of_dust_is_flat():
    actor = script({"m": market_buy(1.0)}, {"m": market_buy(1.0), "x": market_sell(0.996)}, {})
    views: list[Any] = []
    inner = actor._decide
    actor._decide = lambda state, view: (views.append(view.markets["main"].position), inner(state, view))[1]
    play(actor, flat(100, 100, 100), rules=replace(RULES, min_qty=D("0.005")))
    assert [(position.qty, position.flat) for position in views] == [(0, True), (1, False), (0.004, True)]


# --- 9. each input once, in order


def test_rule_9_every_input_is_told_exactly_once_and_in_order():
    orders = {"a": buy(95), "b": buy(94)}
    actor = Actor(lambda state, view: Decision([*(state or []), len(view.inbox)], orders))
    commands = [(MINUTE, Command("one")), (MINUTE, Command("two")), (2 * MINUTE, Command("three"))]
    play(actor, flat(100, 100, 95, 94, 94), cash=100_000, commands=commands, json_state=True)
    assert [item.kind for item in actor.told if isinstance(item, Command)] == ["start", "one", "two", "three"]
    assert filled(actor) == [("a", 1, 95), ("b", 1, 94)]
    assert [item[0] for item in closed(actor)] == ["a", "b"]


# --- 10. wakes


def test_rule_10_a_wake_is_level_triggered_inside_the_candle():
    wake = Wake(prices=(PriceWake("main", 97.0, above=False),))
    seen: list[float] = []
    actor = Actor(lambda state, view: (seen.append(view.markets["main"].last), Decision(None, {}, wake))[1])
    play(actor, candles_of((100, 101, 99, 100), (100, 101, 95, 100)))
    assert seen[:2] == [100, 97]


def test_rule_10_a_level_that_was_passed_already_wakes_at_once():
    wake = Wake(prices=(PriceWake("main", 105.0, above=False),))
    actor = Actor(lambda state, view: Decision(None, {}, wake if view.number == 1 else Wake()))
    play(actor, flat(100, 100))
    assert [item.by for item in actor.told if isinstance(item, Woken)] == ["price"]
    assert actor.views[1].now_ms == 0


# --- 11. peaks belong to the engine


def test_rule_11_a_new_high_costs_no_decision():
    rising = [100.0 + k for k in range(500)]
    trail = Trail(None, offset=20.0)
    exit_ = Want("main", Side.SELL, Kind.TRAILING, 1.0, trail=trail)
    actor = script({"m": market_buy()}, {"t": exit_})
    result = play(actor, flat(*rising, 590.0, 579.0, 570.0))
    assert filled(actor)[1:] == [("t", 1, 579)]  # peak 599, 20 below it; a gap fills at the open
    assert result.decisions == 3


# --- 12. signals


def test_rule_12_a_signal_is_the_same_wherever_the_bot_starts():
    rng = np.random.default_rng(7)
    close = 100 + np.cumsum(rng.normal(size=400)) / 10
    candles = Candles.of(np.arange(400) * MINUTE, close, close, close, close)
    needs = Needs({"main": MarketRef("BTC/USDT")}, {"e": SignalSpec("main", Value("ema", (20,)))})

    def values(start: int) -> dict[int, float]:
        seen: dict[int, float] = {}

        def decide(state: Any, view: View) -> Decision:
            market = view.markets["main"]
            seen[market.closed_ms] = market.signals["e"]
            return Decision(None, {}, Wake(at_ms=view.now_ms + MINUTE))

        play(Actor(decide, needs), candles, start_ms=start * MINUTE)
        return seen

    early, late = values(50), values(210)
    assert len(late) > 150
    assert late == {at: early[at] for at in late}


def test_rule_12_a_signal_knows_closed_candles_only():
    needs = Needs({"main": MarketRef("BTC/USDT")}, {"c": SignalSpec("main", Value("close"))})
    seen: list[tuple[int, Any]] = []

    def decide(state: Any, view: View) -> Decision:
        seen.append((view.now_ms, view.markets["main"].signals["c"]))
        return Decision(None, {}, Wake(signals=("c",)))

    play(Actor(decide, needs), candles_of((1, 9, 1, 5), (5, 9, 5, 7), (7, 9, 7, 8)))
    assert seen[:3] == [(0, None), (MINUTE, 5.0), (2 * MINUTE, 7.0)]


# --- 13. several markets


def test_rule_13_events_go_by_time_then_leg_then_order_of_the_needs():
    orders = {"x1": _limit("x", 97), "x2": _limit("x", 94), "y1": _limit("y", 99), "y2": _limit("y", 93)}
    rows = [(100.0, 100.0, 100.0, 100.0), (98.0, 101.0, 90.0, 92.0)]  # open, high (nearer), low, close
    result = play(script(orders, needs=PAIR), candles_of(*rows), candles_of(*rows), cash=100_000)
    assert result.fills.slot == ("y1", "x1", "x2", "y2")


def _limit(alias: str, price: float) -> Want:
    return Want(alias, Side.BUY, Kind.LIMIT, 1.0, price=price)


def test_rule_13_bid_and_ask_are_modelled_around_the_last_price():
    seen: list[Any] = []
    actor = Actor(lambda state, view: (seen.append(view.markets["main"]), Decision(None, {}))[1])
    play(actor, flat(100, 100), half_spread_ratio=0.01)
    view = seen[0]
    assert (view.bid, view.last, view.ask, view.mark) == (99, 100, 101, 100)


# --- 14. the engine's own orders, and people


def test_rule_14_a_liquidation_is_the_engines_order_and_ends_what_would_have_reduced():
    needs = Needs({"main": MarketRef("BTC/USDT")}, leverage=10.0)
    actor = script(
        {"m": market_buy(10)}, {"m": market_buy(10), "stop": stop_sell(80, 10)._replace(reduce=True)}, needs=needs
    )
    result = play(actor, flat(100, 100, 85, 85), rules=PERP, cash=1000)
    assert result.fills.slot == ("m", "engine:liquidation")
    assert result.fills.price.tolist() == [100, 90]
    assert ("stop", 1, "liquidated", 0.0) in closed(actor)


def test_rule_14_what_a_person_cancels_stays_cancelled():
    actor = script({"a": buy(90)})
    commands = [(MINUTE, Command("cancel", {"slot": "a"}, "ann"))]
    result = play(actor, flat(100, 100, 100, 90, 90), commands=commands)
    assert closed(actor) == [("a", 1, "cancelled", 0.0)]
    assert [item.kind for item in actor.told if isinstance(item, Command)] == ["start", "cancel"]
    assert (len(result.fills), result.orders) == (0, 1)


# --- 15. identity first


class Untouchable(Want):
    """A want that nobody may compare by value."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("an unchanged want was compared by value")

    __ne__ = __eq__
    __hash__ = Want.__hash__


def test_rule_15_unchanged_wants_are_compared_by_identity_only():
    resting = {f"far{k}": Untouchable("main", Side.BUY, Kind.LIMIT, 1.0, price=10.0 + k) for k in range(5)}
    actor = Actor(lambda state, view: Decision(None, resting | {"a": buy(95, gen=view.number)}))
    result = play(actor, flat(100, 95, 95), cash=100_000)
    assert len(result.fills) >= 1
    slots = {name: SlotView(1, want, SlotStatus.WORKING) for name, want in resting.items()}
    assert plan(Decision(None, resting), slots, (), {"main": PositionOf(1.0, spot=False)}).cancels == []


def test_rule_15_notes_are_not_asked_for_in_a_backtest():
    actor = script({})
    play(actor, flat(100, 100))
    assert [view.explain for view in actor.views] == [False]
