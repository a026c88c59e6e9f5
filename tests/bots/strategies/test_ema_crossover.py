"""The EMA crossover: entries and exits by its signal, and what becomes of refused, denied and cancelled orders."""

from __future__ import annotations

from decimal import Decimal

import pytest
from fake_engine import FakeEngine

from bots.strategies.desk import RETRY_MS
from bots.strategies.ema_cross import EmaCross, EmaCrossParams
from trading.core.types import Command, MarketRules, Side, SlotStatus

RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"))


def engine(cash: float = 1000.0) -> FakeEngine:
    made = FakeEngine(EmaCross(), EmaCrossParams(quantity=2), RULES, 100.0, cash)
    made.decide()
    return made


def signal(made: FakeEngine, side: bool) -> None:
    made.signals["side"] = side
    made.decide()


def test_nothing_is_wanted_before_the_first_signal():
    made = engine()
    assert made.orders == {}
    assert made.wake.signals == ("side",)


def test_it_buys_on_the_rise_and_sells_all_on_the_fall():
    made = engine()
    signal(made, True)
    assert (made.orders["entry"].side, made.orders["entry"].qty) == (Side.BUY, 2.0)
    made.rest()
    assert made.base == 2.0
    signal(made, False)
    assert (made.orders["exit"].side, made.orders["exit"].qty) == (Side.SELL, 2.0)
    made.rest()
    assert made.base == 0
    signal(made, True)
    assert made.orders["entry"].gen == 2


def test_it_never_goes_short():
    made = engine()
    signal(made, False)
    made.rest()
    assert made.orders == {}
    assert made.base == 0


def test_an_entry_filled_in_part_is_sold_as_far_as_it_filled():
    made = engine()
    signal(made, True)
    made.fill("entry", 0.5)
    made.close("entry", "remainder")
    made.settle()
    made.now_ms += RETRY_MS
    made.decide()
    assert made.orders == {}
    signal(made, False)
    assert made.orders["exit"].qty == 0.5


def test_a_fall_while_the_entry_is_under_way_withdraws_it_and_sells_what_came():
    made = engine()
    signal(made, True)
    made.fill("entry", 0.5)
    signal(made, False)
    assert made.cancelling == {"entry": "cancelled"}
    made.settle()
    assert made.orders["exit"].qty == 0.5


def test_a_denied_entry_stays_wanted_and_goes_with_its_signal():
    made = engine(cash=10.0)
    signal(made, True)
    made.settle()
    assert made.slots["entry"].status is SlotStatus.DENIED
    assert made.orders["entry"].gen == 1
    signal(made, False)
    assert made.orders == {}
    made.quote = 1000.0
    signal(made, True)
    assert made.orders["entry"].gen == 2
    assert made.slots["entry"].status is SlotStatus.WORKING


@pytest.mark.parametrize("side", [True, False])
def test_a_refused_order_is_asked_again_after_a_minute(side: bool):
    made = engine()
    signal(made, True)
    if not side:
        made.rest()
        signal(made, False)
    slot = "entry" if side else "exit"
    made.close(slot, "rejected")
    made.settle()
    assert made.orders == {}
    assert made.wake.at_ms == made.now_ms + RETRY_MS
    made.now_ms += RETRY_MS
    made.decide()
    assert made.orders[slot].gen == 2
    assert made.wake.at_ms is None


@pytest.mark.parametrize("why", ["cancelled", "below_minimum"])
def test_an_entry_cancelled_by_hand_or_too_small_waits_for_the_next_signal_or_a_resume(why: str):
    made = engine()
    signal(made, True)
    made.close("entry", why)
    made.settle()
    made.decide()
    assert made.orders == {}
    made.inbox.append(Command("resume"))
    made.decide()
    assert made.orders["entry"].gen == 2


def test_notes_say_why_it_waits():
    made = engine()
    made.decide(explain=True)
    assert [note.code for note in made.notes] == ["ema.warm_up"]
    signal(made, False)
    made.decide(explain=True)
    assert "below" in made.notes[0].text
