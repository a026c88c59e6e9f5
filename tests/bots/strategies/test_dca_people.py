"""DCA when things go another way: refusals, denials, hands of people, edits, stops, dust, liquidation."""

from __future__ import annotations

from decimal import Decimal

import pytest
from dca_builders import BASE, MINUTE, SWAP, engine, resting

from bots.strategies.dca.params import DcaParams
from bots.strategies.dca.strategy import Dca
from bots.strategies.desk import RETRY_MS
from trading.core.types import Command, Kind, MarketRules, SlotStatus

# --- refusals, denials, people


def test_a_denied_safety_order_stays_wanted_and_the_exit_works():
    made = engine(cash=250.0)
    assert made.denied() == ["deal:1:safety:2", "deal:1:safety:3"]
    assert resting(made)["deal:1:exit"] == ("sell", 101.0, 1.0)
    made.walk(101.0)
    assert (made.base, made.state["deals"]) == (0.0, {})


def test_a_denied_base_order_is_given_up_after_its_time():
    made = engine(cash=50.0)
    assert made.denied() == ["deal:1:base"]
    made.tick(10 * MINUTE)
    made.settle()
    assert made.state["deals"] == {}
    made.tick(MINUTE)
    made.decide()
    assert made.orders["deal:1:base"].gen == 2


@pytest.mark.parametrize("why", ["rejected", "expired", "remainder", "below_minimum"])
def test_a_refused_base_order_is_tried_again_after_a_minute(why: str):
    made = engine(open_it=False)
    made.close("deal:1:base", why)
    made.settle()
    assert made.state["deals"] == {}
    assert made.wake.at_ms == made.now_ms + RETRY_MS
    made.tick(RETRY_MS)
    made.rest()
    assert made.base == 1.0


def test_a_refused_exit_is_asked_again_soon():
    made = engine()
    made.close("deal:1:exit", "rejected")
    made.settle()
    assert "deal:1:exit" not in made.orders
    made.tick(made.wake.at_ms - made.now_ms)
    made.decide()
    assert made.orders["deal:1:exit"].gen == 2


def test_what_a_person_cancelled_stays_away_until_a_resume():
    made = engine()
    made.close("deal:1:exit", "cancelled")
    made.close("deal:1:safety:2", "cancelled")
    made.settle()
    made.walk(98.0)
    assert set(resting(made)) == {"deal:1:safety:3"}
    made.inbox.append(Command("resume"))
    made.settle()
    assert resting(made)["deal:1:exit"] == ("sell", 99.99, 2.0)
    assert made.orders["deal:1:safety:2"].gen == 2


def test_a_base_order_that_a_person_cancelled_holds_new_deals_back():
    made = engine(open_it=False, base_order_type="limit")
    made.close("deal:1:base", "cancelled")
    made.settle()
    made.tick(5 * MINUTE)
    made.decide()
    assert made.orders == {}
    made.inbox.append(Command("resume"))
    made.decide()
    assert made.orders["deal:1:base"].gen == 2


def test_a_pause_takes_the_safety_orders_and_leaves_the_exit():
    made = engine()
    made.pause()
    made.settle()
    assert set(resting(made)) == {"deal:1:exit"}
    made.walk(101.0)
    made.tick(5 * MINUTE)
    made.rest()
    assert made.orders == {}
    made.resume()
    made.rest()
    assert len(resting(made)) == 4


def test_a_resume_brings_the_safety_orders_back():
    made = engine()
    made.pause()
    made.settle()
    made.resume()
    made.settle()
    assert len(resting(made)) == 4


def test_one_order_that_a_person_cancels_ends_no_deal():
    made = engine()
    gen = made.slots["deal:1:safety:1"].gen
    made.inbox.append(Command("cancel", {"slot": "deal:1:safety:1", "gen": gen}, "ann"))
    made.close("deal:1:safety:1", "cancelled")
    made.settle()
    assert set(resting(made)) == {"deal:1:exit", "deal:1:safety:2", "deal:1:safety:3"}
    made.inbox.append(Command("resume"))
    made.settle()
    assert made.orders["deal:1:safety:1"].gen == gen + 1


def test_a_word_that_comes_in_with_it_does_not_hide_a_stop_that_was_touched():
    made = engine(stop_loss_percent=20)
    made.low = 79.0  # and back, before the bot has decided
    made.inbox.append(Command("add_funds", {"quote": "10"}))
    made.decide()
    assert made.state["deals"]["1"]["ending"] == "stop loss"


def test_close_sells_a_deal_at_market_and_cancel_deal_keeps_its_coins():
    made = engine()
    made.inbox.append(Command("close", {"deal": "1"}))
    made.rest()
    assert (made.base, made.state["deals"]) == (0.0, {})
    made.tick(MINUTE)
    made.rest()
    made.inbox.append(Command("cancel_deal", {"deal": "1"}))
    made.rest()
    assert (made.base, made.working(), made.state["kept"]) == (1.0, [], 1.0)


def test_closing_all_deals_starts_none_until_a_resume():
    made = engine()
    made.inbox.append(Command("close"))
    made.rest()
    made.tick(5 * MINUTE)
    made.rest()
    assert (made.base, made.orders) == (0.0, {})
    made.inbox.append(Command("resume"))
    made.rest()
    assert made.base == 1.0


@pytest.mark.parametrize("raw", ["98", 98, Decimal(98)])
def test_added_funds_are_bought_at_market_and_move_the_exit(raw: object):
    made = engine()
    made.jump(98.0)
    made.inbox.append(Command("add_funds", {"deal": "1", "quote": raw}))
    made.decide()
    assert (made.orders["deal:1:add"].kind, made.orders["deal:1:add"].qty) == (Kind.MARKET, 1.0)
    made.fill("deal:1:add")
    made.settle()
    assert resting(made)["deal:1:exit"] == ("sell", 99.99, 2.0)


@pytest.mark.parametrize("raw", ["", "x", None, -5, 0, "inf", "nan"])
def test_an_amount_that_makes_no_sense_adds_nothing(raw: object):
    made = engine()
    made.inbox.append(Command("add_funds", {"quote": raw}))
    made.settle()
    assert "deal:1:add" not in made.orders


def test_an_edit_moves_the_exit_of_a_running_deal_and_leaves_its_safety_orders():
    made = engine()
    before = dict(made.orders)
    changes = {**BASE, "take_profit_percent": 3, "custom_steps": ["4:1"], "stop_loss_percent": 20}
    made.edit(DcaParams.model_validate(changes))
    made.settle()
    assert resting(made)["deal:1:exit"] == ("sell", 103.0, 1.0)
    assert made.orders["deal:1:safety:2"] is before["deal:1:safety:2"]
    assert made.wake.prices[0].level == 80.0


def test_another_direction_waits_for_the_end_of_the_deals_of_the_first():
    made = engine(rules=SWAP)
    made.edit(DcaParams.model_validate({**BASE, "direction": "short"}))
    made.settle()
    made.walk(101.0)
    made.tick(MINUTE)
    made.rest()
    assert made.base == -1.0


def test_after_a_stop_of_the_bot_a_start_takes_what_is_there():
    made = engine()
    made.walk(98.0)
    for slot in made.working():
        made.close(slot, "stopping")
    made.inbox = [Command("start")]  # the ends were never told: the bot was stopped
    made.base = 1.2
    made.settle()
    assert resting(made)["deal:1:exit"][2] == 1.2
    assert made.slots["deal:1:exit"].gen == 2


def test_a_start_with_a_lost_state_looks_after_the_position_and_repeats_no_generation():
    made = engine()
    for slot in made.working():
        made.close(slot, "cancelled")
    made.state, made.inbox, made.orders = None, [Command("start")], {}
    made.settle()
    assert resting(made) == {"deal:1:exit": ("sell", 101.0, 1.0)}
    assert made.slots["deal:1:exit"].gen == 2


# --- dust, shorts, liquidation, notes


def test_what_is_too_small_to_sell_waits_for_more_or_ends_its_deal():
    rules = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.5"), Decimal(1))
    made = engine(open_it=False, rules=rules)
    made.fill("deal:1:base", 0.4)
    made.close("deal:1:base", "remainder")
    made.settle()
    assert "deal:1:exit" not in made.orders
    made.walk(98.0)
    assert resting(made)["deal:1:exit"][2] == 1.4
    made = engine(open_it=False, rules=rules, custom_steps=[])
    made.fill("deal:1:base", 0.4)
    made.close("deal:1:base", "remainder")
    made.settle()
    assert made.state["deals"] == {}
    assert made.state["kept"] == 0.4


def test_a_short_sells_first_and_buys_back_lower():
    made = engine(rules=SWAP, direction="short", leverage=2, stop_loss_percent=20)
    assert resting(made) == {
        "deal:1:exit": ("buy", 99.0, 1.0),
        "deal:1:safety:1": ("sell", 102.0, 1.0),
        "deal:1:safety:2": ("sell", 105.0, 2.0),
        "deal:1:safety:3": ("sell", 110.0, 4.0),
    }
    assert made.orders["deal:1:exit"].reduce
    assert [(wake.level, wake.above) for wake in made.wake.prices] == [(120.0, True)]
    made.walk(102.0)
    assert resting(made)["deal:1:exit"] == ("buy", 99.99, 2.0)
    made.walk(99.9)
    assert (made.base, made.state["deals"]) == (0.0, {})
    assert made.quote > 10_000


def test_a_liquidation_ends_every_deal_and_the_bot():
    made = engine(cash=500.0, rules=SWAP, leverage=10, custom_steps=["2:1"])
    made.walk(98.0)
    made.jump(88.0)
    made.settle()
    assert made.base == 0.0
    assert made.finish.startswith("Liquidated at 89.1")


def test_notes_say_how_the_deals_stand_and_what_is_waited_for():
    made = engine()
    made.decide(explain=True)
    assert made.notes[0].text == "Deal 1 (seat 1) holds 1 at 100, target 101; 3 safety orders are left."
    made.close("deal:1:safety:2", "cancelled")
    made.settle()
    made.decide(explain=True)
    assert [note.code for note in made.notes] == ["dca.open", "dca.parked"]
    made.walk(101.0)
    made.decide(explain=True)
    assert [note.code for note in made.notes] == ["dca.cooldown"]
    made = engine(open_it=False, start="condition", start_condition="rsi(14) < 30")
    made.decide(explain=True)
    assert "too few candles" in made.notes[0].text


def test_denied_orders_are_named():
    made = engine(cash=250.0)
    made.decide(explain=True)
    assert [note.data["slot"] for note in made.notes if note.code == "dca.denied"] == [
        "deal:1:safety:2",
        "deal:1:safety:3",
    ]
    assert made.slots["deal:1:safety:2"].status is SlotStatus.DENIED


def test_an_average_between_two_ticks_is_told_on_the_tick():
    made = engine(custom_steps=["1:0.5", "2:0.7"])
    made.walk(98.5)  # 149.5 for 1.5: 99.6666...
    made.decide(explain=True)
    assert made.notes[0].text.startswith("Deal 1 (seat 1) holds 1.5 at 99.66, target ")
    choose = Dca.commands["close"].options
    assert choose is not None
    assert choose(made.params, made.state) == {"deal": {"1": "Deal 1 on seat 1: 1.5 at 99.66"}}
