"""Perpetuals in a backtest: exits that end with their position, and a leverage that a person changes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from core_builders import MINUTE, RULES, Scripted, buy, fills, flat, market_buy, market_sell, run, sell

from trading.core.needs import MarketRef, Needs
from trading.core.types import Closed, Decision, Perpetual, Wake

PERP = replace(RULES, perpetual=Perpetual())


class Levered(Scripted):
    """Its parameters are its leverage."""

    def needs(self, params: Any) -> Needs:
        return Needs({"main": MarketRef("BTC/USDT:USDT")}, leverage=float(params))

    def adopt(self, old: Any, params: Any, state: Any, view: Any) -> Any:
        return state


def minutes(*orders: dict[str, Any], kind: type[Scripted] = Scripted) -> Scripted:
    """Want the first orders at first, the second from the first close on, and so on; the last for ever."""

    def decide(state: Any, view: Any) -> Decision:
        return Decision(None, orders[min(view.now_ms // MINUTE, len(orders) - 1)], Wake(at_ms=view.now_ms + MINUTE))

    return kind(decide)


def told(strategy: Scripted) -> list[Any]:
    return [item for _, _, inbox in strategy.seen for item in inbox]


# --- rule 5: an exit never exceeds the position ---------------------------------------------------------------------


@pytest.mark.parametrize("reduce", [True, False])
def test_an_exit_ends_with_the_position_that_another_order_closed(reduce):
    tp = sell(110)._replace(reduce=reduce)
    bought = {"in": market_buy()}
    strategy = minutes(bought, bought | {"tp": tp}, bought | {"tp": tp, "out": market_sell()})
    result = run(strategy, flat(100, 100, 100, 110, 110), rules=PERP)
    assert [slot for _, slot, _ in fills(result)] == ["in", "out"]
    assert Closed("tp", 1, "rejected") in told(strategy)
    assert result.holdings()["main"].qty == 0


def test_an_exit_takes_no_more_than_what_another_order_left():
    tp = sell(110, 2.0)._replace(reduce=True)
    bought = {"in": market_buy(2.0)}
    strategy = minutes(bought, bought | {"tp": tp}, bought | {"tp": tp, "out": market_sell(0.5)})
    result = run(strategy, flat(100, 100, 100, 110, 110), rules=PERP)
    assert result.fills.qty.tolist() == [2.0, 0.5, 1.5]
    assert Closed("tp", 1, "rejected", 1.5) in told(strategy)
    assert result.holdings()["main"].qty == 0


# --- an edit of the leverage ----------------------------------------------------------------------------------------


def test_the_next_position_has_the_leverage_of_the_edit():
    first = {"a": market_buy()}
    second = first | {"b": market_sell()}
    third = second | {"c": market_buy()}
    strategy = minutes(first, first, second, third, kind=Levered)
    run(strategy, flat(100, 100, 100, 100, 100, 100), params=1, rules=PERP, edits=((MINUTE, 10),), fee=0)
    free = [(view.now_ms // MINUTE, view.budget["USDT"]) for view in strategy.views]
    assert [[usdt for minute, usdt in free if minute == at][-1] for at in (1, 2, 4)] == [900.0, 1000.0, 990.0]


def test_an_order_keeps_the_leverage_that_it_was_placed_with():
    """Resting, it adds to the position; what is placed after the edit can't, and an exit can."""
    before = {"in": market_buy(), "rests": buy(90)}
    strategy = minutes(before, before, before | {"new": buy(85)}, before | {"out": sell(110, 2.0)}, kind=Levered)
    result = run(strategy, flat(100, 100, 100, 90, 110), params=1, rules=PERP, edits=((MINUTE, 10),))
    assert [(slot, price) for _, slot, price in fills(result)] == [("in", 100.0), ("rests", 90.0), ("out", 110.0)]
    assert Closed("new", 1, "rejected") in told(strategy)
    assert result.holdings()["main"].qty == 0
    assert Decimal(strategy.views[-1].budget["USDT"]) > 1000


def test_what_turns_a_position_brings_its_own_leverage():
    turn = {"in": market_buy()}
    strategy = minutes(turn, turn, turn | {"turn": market_sell(2.0)}, kind=Levered)
    run(strategy, flat(100, 100, 100, 100), params=1, rules=PERP, edits=((MINUTE, 10),), fee=0)
    assert strategy.views[-1].budget["USDT"] == 990.0
