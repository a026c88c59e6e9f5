"""The advised bot: an answer acts within the limits or not at all, and what is held always has its stop."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from fake_engine import FakeEngine

from bots.advisors.registry import simulated_advisor
from bots.advisors.simulated import ABSURD
from bots.strategies.adviser.opinion import Opinion, opinion_of
from bots.strategies.adviser.params import AdviserParams
from bots.strategies.adviser.strategy import Adviser
from trading.core.candles import Candles
from trading.core.simoptions import SimOptions
from trading.core.simulation import simulate
from trading.core.types import Command, Kind, MarketRules, SlotStatus, Woken

RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1))
FIGURES = {"close": 100.0, "ema_fast": 101.0, "ema_slow": 100.0, "rsi": 55.0, "natr": 1.0, "roc": 0.5}
MINUTE = 60_000
BUY = {"side": "buy", "confidence": 0.9, "allocation_ratio": 0.3}
SELL = {"side": "sell", "confidence": 0.9, "allocation_ratio": 0.0}


def engine(cash: float = 1000, **values: Any) -> FakeEngine:
    params = AdviserParams(**{"investment": 500, "stop_percent": 5, **values})
    made = FakeEngine(Adviser(), params, RULES, 100.0, cash)
    made.signals |= FIGURES
    made.decide()
    return made


def answered(made: FakeEngine, value: Any, error: str = "") -> FakeEngine:
    [ask_id] = made.asks
    made.answer(ask_id, value, error)
    made.decide(explain=True)
    return made


def next_question(made: FakeEngine) -> FakeEngine:
    made.tick(made.wake.at_ms - made.now_ms)
    made.decide()
    return made


def holding(**values: Any) -> FakeEngine:
    made = answered(engine(**values), BUY)
    made.rest()
    assert made.base == 1.498
    return made


def heard(made: FakeEngine) -> str:
    return made.notes[0].code


def test_a_question_carries_closed_figures_its_turn_and_a_deadline():
    made = engine()
    [ask] = made.asks.values()
    turn = made.now_ms // (60 * MINUTE) * 60 * MINUTE
    assert (ask.id, ask.kind) == (f"direction:{turn}", "direction")
    assert ask.deadline_ms == made.now_ms + 10 * MINUTE
    assert ask.payload == {"market": "BTC/USDT", "closed_ms": 960_000, **FIGURES, "held": None}
    assert made.wake.at_ms == turn + 60 * MINUTE


def test_questions_go_out_at_full_multiples_each_once():
    made = engine(every_minutes=30)
    made.decide()
    assert len(made.asks) == 1
    for _ in range(3):
        next_question(made)
    turns = [int(ask_id.split(":")[1]) for ask_id in made.asks]
    assert [turn % (30 * MINUTE) for turn in turns] == [0] * 4
    assert turns == sorted(set(turns))


def test_nothing_is_asked_before_all_figures_are_known():
    params = AdviserParams(investment=500)
    made = FakeEngine(Adviser(), params, RULES, 100.0, 1000)
    made.signals |= FIGURES | {"ema_slow": None}
    made.decide(explain=True)
    assert made.asks == {}
    assert heard(made) == "adviser.warm_up"
    assert made.wake.at_ms is not None


def test_a_buy_is_followed_with_what_was_allocated():
    made = answered(engine(), BUY)
    assert made.orders["entry"].qty == 1.498  # 500 x 0.3 / (100 x 1.001), down to the lot
    made.rest()
    stop = made.orders["exit"]
    assert (stop.kind, stop.trigger.level, stop.qty) == (Kind.STOP, 95.0, 1.498)


def test_an_answer_cannot_raise_the_largest_allocation():
    made = answered(engine(max_allocation_percent=20), {**BUY, "allocation_ratio": 1.0})
    assert made.orders["entry"].qty == 0.999
    assert "bounded to 20.0%" in made.notes[0].text


@pytest.mark.parametrize(("confidence", "acts"), [(0.59, False), (0.6, True), (1, True)])
def test_an_answer_that_is_less_sure_than_asked_for_changes_nothing(confidence: float, acts: bool):
    made = answered(engine(min_confidence="0.6"), {**BUY, "confidence": confidence})
    assert bool(made.orders) is acts
    assert heard(made) == ("adviser.buy" if acts else "adviser.unsure")


def test_while_something_is_held_nothing_more_is_bought():
    made = next_question(holding())
    answered(made, BUY)
    made.rest()
    assert made.base == 1.498
    assert "entry" not in made.orders


def test_a_sell_sells_everything_after_the_stop_is_withdrawn():
    made = next_question(holding())
    answered(made, SELL)
    assert made.cancelling == {"exit": "cancelled"}
    made.rest()
    assert made.base == 0
    assert made.orders == {}


def test_a_sell_without_a_position_and_a_hold_change_nothing():
    assert answered(engine(), SELL).orders == {}
    assert answered(engine(), {**SELL, "side": "hold"}).orders == {}


@pytest.mark.parametrize("value", ABSURD, ids=str)
def test_an_absurd_answer_is_refused_and_noted(value: Any):
    made = answered(engine(), value)
    assert made.orders == {}
    assert heard(made) == "adviser.absurd"
    assert "was refused" in made.notes[0].text


@pytest.mark.parametrize("error", ["deadline", "failed", "absurd"])
def test_a_missing_answer_leaves_the_position_and_its_stop(error: str):
    made = next_question(holding())
    before = made.orders
    answered(made, None, error)
    assert made.orders == before
    assert heard(made) == "adviser.no_answer"


@pytest.mark.parametrize("back", [Command("start"), Command("resume"), Woken("restart")])
def test_an_answer_that_waited_for_the_bot_until_after_its_deadline_never_acts(back: Any):
    made = engine()
    made.tick(10 * MINUTE + 1)
    made.inbox.append(back)
    answered(made, BUY)
    assert made.orders == {}
    assert heard(made) == "adviser.late"


@pytest.mark.parametrize("minutes", [5, 15, 60, 240])
def test_an_answer_in_time_acts_on_candles_of_any_length(minutes: int):
    """It is told at a candle's close: of long ones that is after the deadline, and after the next question's time."""
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0.0003, 0.004, 1000)))
    opens = np.r_[closes[0], closes[:-1]]
    times, ones = np.arange(len(closes)) * minutes * MINUTE, np.ones(len(closes))
    candles = Candles.of(times, opens, np.maximum(opens, closes), np.minimum(opens, closes), closes, ones)
    params = AdviserParams(investment=500, min_confidence=0)
    options = SimOptions(advisor=simulated_advisor("local"))
    result = simulate(Adviser(), params, candles, cash=Decimal(1000), fee=Decimal(0), rules=RULES, options=options)
    assert len(result.fills) > 1


def test_an_answer_to_a_question_that_was_given_up_never_acts():
    made = next_question(engine())
    first = min(made.asks, key=lambda ask_id: int(ask_id.split(":")[1]))
    made.answer(first, BUY)
    made.decide()
    assert made.orders == {}


def test_without_any_answer_it_goes_on_asking():
    made = engine()
    for count in range(2, 6):
        next_question(made)
        assert len(made.asks) == count


def test_a_purchase_that_is_denied_is_dropped_at_the_next_question():
    made = answered(engine(cash=10), BUY)
    assert made.slots["entry"].status is SlotStatus.DENIED
    next_question(made)
    assert made.orders == {}
    made.quote = 1000
    made.decide()
    assert made.orders == {}


def test_after_a_stop_it_waits_for_new_advice():
    made = holding()
    made.move(94.0)
    made.rest()
    assert made.base == 0
    made.decide()
    assert made.orders == {}


def test_the_take_profit_sells():
    made = holding(take_profit_percent=2)
    assert made.wake.prices[0].level == 102.0
    made.jump(102.0)
    made.rest()
    assert made.base == 0


def test_a_purchase_below_the_smallest_order_is_left_out():
    made = answered(engine(investment=5), {**BUY, "allocation_ratio": 0.01})
    assert made.orders == {}
    assert heard(made) == "adviser.too_small"


def test_a_person_closes_it_and_an_edit_moves_the_stop():
    made = holding()
    made.edit(made.params.model_copy(update={"stop_percent": Decimal(10)}))
    made.settle()
    assert made.orders["exit"].trigger.level == 90.0
    made.inbox.append(Command("close"))
    made.rest()
    assert made.base == 0


def test_an_edit_of_the_interval_moves_the_next_question():
    made = engine(every_minutes=1440)
    made.edit(made.params.model_copy(update={"every_minutes": 30}))
    made.decide()
    assert made.wake.at_ms == (made.now_ms // (30 * MINUTE) + 1) * 30 * MINUTE


def test_an_opinion_is_taken_exactly_or_not_at_all():
    assert opinion_of({"side": "buy", "confidence": 1, "allocation_ratio": 0, "why": "…"}) == Opinion("buy", 1.0, 0.0)
    assert [value for value in ABSURD if isinstance(opinion_of(value), Opinion)] == []
