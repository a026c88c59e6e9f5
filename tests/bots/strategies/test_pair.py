"""The pair: both legs or none, by the z-score of their spread; what becomes of a leg that fails, and of its stop."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from fake_engine import FakeEngine
from fake_market import FakeMarket

from bots.strategies.pair.params import PairParams
from bots.strategies.pair.strategy import Pair
from trading.core.errors import InvalidInput
from trading.core.types import Command, MarketRules, Perpetual, PriceWake, Side, SlotStatus

Y = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1), Perpetual())
X = MarketRules("ETH", "USDT", Decimal("0.01"), Decimal("0.01"), Decimal("0.01"), Decimal(1), Perpetual())
SPOT = MarketRules("ETH", "USDT", Decimal("0.01"), Decimal("0.01"))
DEVIATION = 0.01


def spread(made: FakeEngine) -> float:
    return math.log(made.markets["main"].price) - float(made.params.hedge_ratio) * math.log(made.markets["other"].price)


def z(made: FakeEngine, value: float | None) -> FakeEngine:
    """A candle has closed with this z-score, at the prices of now; every signal agrees with it."""
    known = value is not None
    made.signals |= {
        "z": value,
        "deviation": DEVIATION if known else None,
        "close": spread(made) if known else None,
        "high": value >= 2 if known else None,
        "low": value <= -2 if known else None,
        "calm": abs(value) <= 0.5 if known else None,
    }
    made.now_ms += 60_000
    made.decide(explain=True)
    return made


def engine(cash: float = 1000, **values: Any) -> FakeEngine:
    params = PairParams(symbol="ETH/USDT:USDT", leg_quote=100, **values)
    made = FakeEngine.on(Pair(), params, {"main": FakeMarket(Y, 100.0), "other": FakeMarket(X, 40.0)}, cash)
    return z(made, 0.0)


def held(made: FakeEngine) -> tuple[float, float]:
    return made.markets["main"].qty, made.markets["other"].qty


def code(made: FakeEngine) -> str:
    made.decide(explain=True)
    return made.notes[0].code


def opened(value: float = 2.1, **values: Any) -> FakeEngine:
    made = z(engine(**values), value)
    made.rest()
    return made


def test_nothing_is_done_while_the_spread_is_near_its_mean():
    made = z(engine(), 1.9)
    assert made.orders == {}
    assert made.wake.signals == ("high", "low")
    assert code(made) == "pair.waiting"


@pytest.mark.parametrize(("value", "expected"), [(2.1, (-1.0, 2.5)), (-2.1, (1.0, -2.5))])
def test_the_dear_one_is_sold_and_the_cheap_one_bought(value: float, expected: tuple[float, float]):
    made = z(engine(), value)
    assert {want.group for want in made.orders.values()} == {"pair:1:open"}
    made.rest()
    assert held(made) == expected
    assert made.state["phase"] == "hold"
    assert code(made) == "pair.held"


def test_the_second_leg_is_worth_the_hedge_ratio_of_the_first():
    assert held(opened(hedge_ratio="0.5")) == (-1.0, 1.25)


def test_both_legs_are_closed_when_the_spread_is_back_and_opened_again():
    made = opened()
    z(made, 0.6)
    assert held(made) == (-1.0, 2.5)
    z(made, 0.5)
    assert {(w.side, w.qty, w.reduce) for w in made.orders.values()} == {(Side.BUY, 1.0, True), (Side.SELL, 2.5, True)}
    made.rest()
    assert held(made) == (0, 0)
    z(made, -2.0)
    made.rest()
    assert held(made) == (1.0, -2.5)


def test_beyond_the_stop_nothing_is_opened():
    made = z(engine(), 4.2)
    assert made.orders == {}
    assert code(made) == "pair.beyond"


def test_a_stop_at_a_close_closes_both_and_waits_until_the_spread_is_calm():
    made = opened()
    z(made, 4.0)
    made.rest()
    assert held(made) == (0, 0)
    z(made, 2.5)
    assert made.orders == {}
    assert code(made) == "pair.disarmed"
    assert "calm" in made.wake.signals
    z(made, 0.2)
    z(made, 2.5)
    made.rest()
    assert held(made) == (-1.0, 2.5)


def test_between_closes_the_stop_watches_the_spread_itself():
    made = opened()
    level = spread(made) + (4 - 2.1) * DEVIATION
    assert made.wake.prices == (PriceWake("spread", pytest.approx(level), above=True),)
    made.jump(100 * math.exp(1.8 * DEVIATION), "main")
    assert made.inbox == []
    made.jump(100 * math.exp(1.95 * DEVIATION), "main")
    made.rest()
    assert held(made) == (0, 0)


def test_the_stop_moves_with_mean_and_deviation_at_each_close():
    made = opened()
    z(made, 1.0)
    made.signals |= {"deviation": 0.02}
    made.decide()
    assert made.wake.prices[0].level == pytest.approx(spread(made) + (4 - 1) * 0.02)
    assert made.wake.signals == ("z",)


def test_it_is_held_no_longer_than_allowed():
    made = opened(max_hold_minutes=10)
    due = made.wake.at_ms
    made.tick(due - made.now_ms)
    made.rest()
    assert held(made) == (0, 0)
    assert made.state["armed"] == 0


def test_a_refused_leg_is_asked_again_within_the_time():
    made = z(engine(), 2.1)
    made.fill("main:open")
    made.close("other:open", "rejected")
    made.settle()
    assert made.wake.at_ms == made.now_ms + 1000
    made.tick(1000)
    made.rest()
    assert held(made) == (-1.0, 2.5)
    assert made.state["phase"] == "hold"
    assert made.slots["other:open"].gen == 2


def test_a_leg_that_cannot_be_had_takes_the_other_back():
    made = z(engine(complete_within_s=20), 2.1)
    made.fill("main:open")
    made.settle()
    for _ in range(4):
        if "other:open" in made.working():
            made.close("other:open", "rejected")
        made.settle()
        assert made.state["phase"] == "open"
        made.tick(5000)
    made.decide()
    assert made.state["why"] == "the other leg could not be completed"
    assert made.orders["main:close"].qty == 1.0
    assert "other:open" not in made.orders
    made.rest()
    assert held(made) == (0, 0)
    assert made.state["phase"] == "flat"
    assert made.state["armed"] == 0


def test_a_leg_filled_in_part_is_completed():
    made = z(engine(), 2.1)
    made.fill("main:open")
    made.fill("other:open", 1.0)
    made.close("other:open", "remainder")
    made.settle()
    made.tick(1000)
    made.decide()
    assert made.orders["other:open"].qty == 1.5
    assert made.orders["other:open"].group == "pair:1:open"
    made.rest()
    assert held(made) == (-1.0, 2.5)


def test_a_small_imbalance_is_accepted_when_the_time_is_over():
    made = z(engine(complete_within_s=1, max_imbalance_percent=10), 2.1)
    made.fill("main:open")
    made.fill("other:open", 2.3)
    made.close("other:open", "remainder")
    made.settle()
    made.tick(1000)
    made.decide()
    assert made.state["phase"] == "hold"
    assert held(made) == (-1.0, 2.3)


def test_a_denied_group_opens_no_leg_and_goes_with_its_reason():
    made = z(engine(cash=50), 2.1)
    made.settle()
    assert {known.status for known in made.slots.values()} == {SlotStatus.DENIED}
    assert code(made) == "pair.opening"
    assert {note.code for note in made.notes[1:]} == {"pair.denied"}
    z(made, 1.0)
    assert made.orders == {}
    assert made.state["phase"] == "flat"
    assert held(made) == (0, 0)


def test_a_liquidated_leg_takes_the_other_with_it():
    made = opened(leverage=5)
    made.markets["other"].price = 52.0  # both rise alike: the spread hasn't moved, the short leg is gone
    made.jump(130.0, "main")
    assert held(made) == (0, 2.5)
    made.decide()
    assert made.state["why"] == "a leg is gone"
    made.rest()
    assert held(made) == (0, 0)


def test_a_leg_cancelled_by_hand_takes_the_other_back_and_waits_for_a_resume():
    made = z(engine(), 2.1)
    made.fill("main:open")
    made.close("other:open", "cancelled")
    made.rest()
    assert held(made) == (0, 0)
    z(made, 0.0)
    z(made, 2.1)
    assert made.orders == {}
    made.inbox.append(Command("resume"))
    made.rest()
    assert held(made) == (-1.0, 2.5)


def test_a_refused_exit_is_asked_again_until_both_legs_are_closed():
    made = opened()
    z(made, 0.1)
    made.fill("main:close")
    made.close("other:close", "rejected")
    made.settle()
    assert held(made) == (0, 2.5)
    made.tick(made.wake.at_ms - made.now_ms)
    made.rest()
    assert held(made) == (0, 0)


def test_a_person_closes_it():
    made = opened()
    made.inbox.append(Command("close"))
    made.rest()
    assert held(made) == (0, 0)
    assert made.state["armed"] == 0


def test_a_spot_market_is_refused_with_the_reason():
    params = PairParams(symbol="ETH/USDT", leg_quote=100)
    made = FakeEngine.on(Pair(), params, {"main": FakeMarket(Y, 100.0), "other": FakeMarket(SPOT, 40.0)}, 1000)
    with pytest.raises(InvalidInput, match="The second market is a spot market") as caught:
        made.decide()
    assert caught.value.field == "symbol"


def test_an_edit_can_change_levels_but_not_the_pair_while_it_is_open():
    made = opened()
    old = made.params
    new = old.model_copy(update={"exit": Decimal("1.5"), "leg_quote": Decimal(50)})
    assert Pair().adopt(old, new, made.state, made.view(())) == made.state
    with pytest.raises(InvalidInput, match="can't change while the pair is open") as caught:
        Pair().adopt(old, old.model_copy(update={"symbol": "SOL/USDT:USDT"}), made.state, made.view(()))
    assert caught.value.field == "symbol"
