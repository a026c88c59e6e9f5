"""The grid's cells, one behaviour a test, driven through the contract's own inputs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from fake_engine import FakeEngine

from bots.strategies.grid.machine import RETRY_MS
from bots.strategies.grid.params import GridParams
from bots.strategies.grid.state import phase_of, total_held
from bots.strategies.grid.strategy import Grid
from trading.core.types import Closed, Command, Filled, MarketRules, Side, SlotStatus

RULES = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1))
# lines 100 110 120 130 140 150: at 125.5 line 130 is empty, cells 3 and 4 start held, cells 0 to 2 start with a buy
BASE = {"lower": 100, "upper": 150, "levels": 6, "quantity_per_level": 1}


def engine(price: float = 125.5, cash: float = 1000.0, *, start: bool = True, **changes: object) -> FakeEngine:
    made = FakeEngine(Grid(), GridParams(**{**BASE, **changes}), RULES, price, cash)
    if start:
        made.rest()
    return made


def phases(made: FakeEngine) -> list[str]:
    return [phase_of(cell) for cell in made.state["cells"]]


def resting(made: FakeEngine) -> dict[str, tuple[str, float, float]]:
    return {
        slot: (made.slots[slot].want.side.value, made.slots[slot].want.price, made.left(slot))
        for slot in sorted(made.working())
    }


# --- start


def test_cells_above_the_empty_line_are_bought_and_offered_cells_below_get_a_buy():
    made = engine()
    assert resting(made) == {
        "grid:0:buy": ("buy", 100.0, 1.0),
        "grid:1:buy": ("buy", 110.0, 1.0),
        "grid:2:buy": ("buy", 120.0, 1.0),
        "grid:3:sell": ("sell", 140.0, 1.0),
        "grid:4:sell": ("sell", 150.0, 1.0),
    }
    assert made.base == 2.0
    assert phases(made) == ["BUY", "BUY", "BUY", "SELL", "SELL"]


def test_no_sell_is_wanted_before_the_opening_buy_has_filled():
    made = engine(start=False)
    made.decide()
    assert set(made.orders) == {"grid:open", "grid:0:buy", "grid:1:buy", "grid:2:buy"}
    assert made.orders["grid:open"].qty == 2.0


def test_a_partly_filled_opening_serves_whole_cells_first():
    made = engine(start=False)
    made.decide()
    made.fill("grid:open", 1.4)
    made.decide()
    assert phases(made) == ["BUY", "BUY", "BUY", "SELL", "EMPTY"]
    assert made.state["reserve"] == 400
    made.fill("grid:open")
    made.decide()
    assert phases(made) == ["BUY", "BUY", "BUY", "SELL", "SELL"]
    assert made.state["reserve"] == 0


def test_an_opening_that_ended_short_is_asked_again_for_what_is_missing():
    made = engine(start=False)
    made.decide()
    made.fill("grid:open", 1.25)
    made.close("grid:open", "remainder")
    made.settle()
    assert "grid:open" not in made.orders
    assert made.wake.at_ms == made.now_ms + RETRY_MS
    made.now_ms += RETRY_MS
    made.decide()
    assert made.orders["grid:open"].qty == 0.75
    assert made.orders["grid:open"].gen == 2


def test_a_cell_whose_line_was_passed_while_the_opening_was_refused_buys_at_its_line():
    made = engine(start=False)
    made.decide()
    made.close("grid:open", "rejected")
    made.settle()
    made.price, made.now_ms = 141.0, made.now_ms + RETRY_MS
    made.decide()
    assert made.orders["grid:open"].qty == 1.0  # cell 4 alone; cell 3 sells at 140 and would have sold already
    assert made.orders["grid:3:buy"].price == 130.0


@pytest.mark.parametrize(("price", "held"), [(90.0, 5.0), (160.0, 0.0), (130.0, 2.0), (125.0, 3.0)])
def test_outside_the_range_and_on_a_line(price: float, held: float):
    made = engine(price=price)
    assert made.base == held
    assert len(resting(made)) == 5


# --- rounds


def test_a_filled_buy_is_sold_one_line_higher_and_a_filled_sell_bought_again():
    made = engine()
    made.walk(120.0)
    assert resting(made)["grid:2:sell"] == ("sell", 130.0, 1.0)
    assert "grid:2:buy" not in made.orders
    made.walk(130.0)
    assert resting(made)["grid:2:buy"] == ("buy", 120.0, 1.0)
    assert made.orders["grid:2:buy"].gen == 2
    made.walk(120.0)
    assert made.orders["grid:2:sell"].gen == 2


def test_a_gap_through_several_lines_turns_every_cell():
    made = engine()
    made.walk(95.0)
    assert phases(made) == ["SELL"] * 5
    made.walk(155.0)
    assert phases(made) == ["BUY"] * 5
    assert made.base == 0
    assert made.quote > 1000


def test_wants_that_did_not_change_are_the_same_objects():
    made = engine()
    before = dict(made.orders)
    made.walk(120.0)
    same = {slot for slot, want in made.orders.items() if before.get(slot) is want}
    assert same == {"grid:0:buy", "grid:1:buy", "grid:3:sell", "grid:4:sell"}


# --- partial fills


def test_a_partly_filled_buy_is_sold_at_once_and_the_rest_joins_when_the_buy_has_ended():
    made = engine()
    made.fill("grid:2:buy", 0.4)
    made.settle()
    assert resting(made)["grid:2:sell"] == ("sell", 130.0, 0.4)
    made.fill("grid:2:buy", 0.3)
    made.settle()
    assert resting(made)["grid:2:sell"] == ("sell", 130.0, 0.4)
    made.fill("grid:2:buy")
    made.settle()
    assert resting(made)["grid:2:sell"] == ("sell", 130.0, 1.0)
    assert made.orders["grid:2:sell"].gen == 2


def test_a_fill_too_small_to_sell_waits_for_more():
    made = engine()
    made.rules = RULES
    made.state["min"] = 500
    made.fill("grid:2:buy", 0.4)
    made.settle()
    assert "grid:2:sell" not in made.orders
    made.fill("grid:2:buy", 0.2)
    made.settle()
    assert resting(made)["grid:2:sell"] == ("sell", 130.0, 0.6)


def test_dust_left_by_a_cancelled_sell_is_topped_up_by_the_next_buy():
    made = engine()
    made.state["min"] = 10
    made.walk(120.0)
    made.fill("grid:2:sell", 0.995)
    made.close("grid:2:sell", "rejected")
    made.settle()
    made.now_ms += RETRY_MS
    made.decide()
    assert made.orders["grid:2:buy"].qty == 0.995
    made.walk(120.0)
    assert made.orders["grid:2:sell"].qty == 1.0


def test_a_sell_that_fills_while_it_is_being_replaced_is_never_sold_twice():
    made = engine()
    made.fill("grid:2:buy", 0.4)
    made.settle()
    made.fill("grid:2:buy")
    made.decide()  # wants the larger sell, the cancel is under way
    assert made.cancelling == {"grid:2:sell": "cancelled"}
    made.fill("grid:2:sell", 0.1)
    made.settle()
    assert resting(made)["grid:2:sell"] == ("sell", 130.0, 0.9)


# --- what people and venues do


def test_an_order_cancelled_by_hand_stays_away_until_a_resume():
    made = engine()
    made.close("grid:1:buy", "cancelled")
    made.settle()
    made.walk(120.0, 130.0, 105.0)
    assert "grid:1:buy" not in made.orders
    made.inbox.append(Command("resume"))
    made.settle()
    assert made.orders["grid:1:buy"].gen == 2


def test_a_sell_cancelled_by_hand_keeps_its_coins_until_a_resume():
    made = engine()
    made.close("grid:3:sell", "cancelled")
    made.settle()
    assert phases(made)[3] == "HELD"
    made.inbox.append(Command("resume"))
    made.settle()
    assert resting(made)["grid:3:sell"] == ("sell", 140.0, 1.0)


def test_a_pause_that_closed_everything_is_undone_by_a_resume():
    made = engine()
    before = resting(made)
    for slot in made.working():
        made.close(slot, "paused")
    made.inbox.append(Command("resume"))
    made.settle()
    assert resting(made) == before


@pytest.mark.parametrize("why", ["rejected", "expired", "below_minimum"])
def test_a_refused_order_is_asked_again_after_a_while_and_at_growing_distance(why: str):
    made = engine()
    made.close("grid:1:buy", why)
    made.settle()
    assert "grid:1:buy" not in made.orders
    first = made.wake.at_ms - made.now_ms
    made.now_ms = made.wake.at_ms
    made.decide()
    assert made.orders["grid:1:buy"].gen == 2
    assert made.wake.at_ms is None
    made.close("grid:1:buy", why)
    made.settle()
    assert made.wake.at_ms - made.now_ms == 2 * first


def test_a_denied_buy_stays_wanted_under_its_generation():
    made = engine(cash=500.0)
    assert set(made.denials) == {"grid:2:buy"}
    assert made.orders["grid:2:buy"].gen == 1
    assert made.slots["grid:2:buy"].status is SlotStatus.DENIED
    made.walk(140.0)
    made.retry_denied()
    assert made.slots["grid:2:buy"].status is SlotStatus.WORKING


def test_a_buy_that_ended_with_more_filled_than_told_is_not_bought_twice():
    made = engine()
    made.fill("grid:1:buy", 0.5)
    late = made.inbox.pop()
    made.close("grid:1:buy", "rejected")
    made.settle()
    made.now_ms += RETRY_MS
    made.decide()
    assert "grid:1:buy" not in made.orders
    made.inbox.append(late)
    made.settle()
    assert resting(made)["grid:1:sell"] == ("sell", 120.0, 0.5)


def test_a_sell_that_ended_with_more_sold_than_told_is_not_sold_twice():
    made = engine()
    made.fill("grid:3:sell", 0.6)
    late = made.inbox.pop()
    made.close("grid:3:sell", "rejected")
    made.settle()
    made.now_ms += RETRY_MS
    made.decide()
    assert resting(made)["grid:3:sell"] == ("sell", 140.0, 0.4)
    made.fill("grid:3:sell")
    made.settle()
    assert "grid:3:buy" not in made.orders  # what was sold first hasn't been told yet
    made.inbox.append(late)
    made.settle()
    assert resting(made)["grid:3:buy"] == ("buy", 130.0, 1.0)


def test_a_fill_that_comes_after_its_sell_was_given_up_is_paid_from_what_the_cell_holds():
    made = engine()
    made.close("grid:3:sell", "cancelled")
    made.settle()
    made.inbox.append(Filled("grid:3:sell", 1, Side.SELL, 0.25, 140.0, 0.0, 0.25, made.now_ms))
    made.base -= 0.25
    made.inbox.append(Command("resume"))
    made.settle()
    assert resting(made)["grid:3:sell"] == ("sell", 140.0, 0.75)


def test_what_an_opening_lacks_by_less_than_an_order_is_left_to_its_last_cell():
    made = engine(start=False)
    made.decide()
    made.state["min"] = 10
    made.fill("grid:open", 1.995)
    made.slots["grid:open"] = made.slots["grid:open"]._replace(filled_qty=2.0)
    made.close("grid:open", "filled")  # a venue that takes its fee from the coins
    made.settle()
    assert resting(made)["grid:4:sell"] == ("sell", 150.0, 0.995)
    assert made.slots["grid:open"].gen == 1


def test_the_end_of_an_older_opening_changes_nothing():
    made = engine(start=False)
    made.decide()
    made.inbox.append(Closed("grid:open", 0, "cancelled"))
    made.decide()
    assert made.orders["grid:open"].gen == 1


# --- exits


def test_at_the_stop_everything_is_cancelled_and_sold_and_the_bot_ends():
    made = engine(stop_price=90)
    made.walk(95.0)
    assert made.base == 5.0
    made.move(89.0)
    made.settle()
    assert set(made.orders) == {"grid:exit"}
    assert made.orders["grid:exit"].qty == 5.0
    made.rest()
    assert made.base == 0
    assert made.finish == "Stop price 90 reached at 89"
    assert made.working() == []


def test_at_the_take_profit_price_the_bot_ends():
    made = engine(take_profit_price=160)
    made.walk(155.0)
    assert made.finish == ""
    made.walk(161.0)
    assert made.finish == "Take-profit price 160 reached at 161"


def test_wakes_stand_at_both_exits():
    made = engine(stop_price=90, take_profit_price=160)
    assert [(wake.level, wake.above) for wake in made.wake.prices] == [(90.0, False), (160.0, True)]


def test_a_stop_touched_between_two_decisions_counts():
    made = engine(stop_price=90)
    made.low, made.price = 89.5, 101.0
    made.rest()
    made.decide()
    assert made.state["phase"] in ("exit", "done")


def test_a_buy_that_fills_during_the_exit_is_sold_too():
    made = engine(stop_price=90)
    made.move(95.0)
    made.settle()
    made.price = 89.0
    made.decide()
    slots = [slot for slot in made.cancelling if slot.endswith(":buy")]
    assert slots == []  # all have filled at 95
    made.rest()
    assert (made.base, bool(made.finish)) == (0.0, True)


def test_an_exit_that_filled_in_part_goes_on_until_all_is_sold():
    made = engine(stop_price=99)
    made.move(98.9)
    made.settle()
    made.fill("grid:exit", 2.0)
    made.close("grid:exit", "remainder")
    made.settle()
    assert made.finish == ""
    made.now_ms = made.wake.at_ms
    made.decide()
    assert made.orders["grid:exit"].gen == 2
    made.rest()
    assert (made.base, bool(made.finish)) == (0.0, True)


def test_a_denied_order_does_not_hold_up_the_exit():
    made = engine(cash=500.0, stop_price=99)
    assert made.slots["grid:2:buy"].status is SlotStatus.DENIED
    made.walk(98.0)
    assert made.finish
    assert made.base == 0


def test_a_denied_sell_does_not_hold_up_the_exit_either():
    made = engine(stop_price=99)
    made.slots["grid:3:sell"] = made.slots["grid:3:sell"]._replace(status=SlotStatus.DENIED)
    made.walk(98.0)
    assert made.finish
    assert made.base == 0


# --- edits and restarts


def edit(made: FakeEngine, **changes: object) -> None:
    new = GridParams(**{**BASE, **changes})
    made.state = made.strategy.adopt(made.params, new, made.state, made.view(()))
    made.params = new
    made.inbox.append(Command("edit"))
    made.rest()


def test_an_edit_lays_out_a_new_grid_with_the_coins_that_are_held():
    made = engine()
    made.walk(110.0)  # cells 1 and 2 bought
    assert made.base == 4.0
    edit(made, lower=90, upper=140, levels=6)
    # at 110 the line 110 is empty: cells 2, 3, 4 (sells at 120, 130, 140) hold the four coins
    sells = {slot: left for slot, (side, _, left) in resting(made).items() if side == "sell"}
    assert sum(sells.values()) == 4.0
    assert set(sells) == {"grid:2:sell", "grid:3:sell", "grid:4:sell"}
    assert made.base == 4.0
    assert total_held(made.state) == 4000


def test_an_edit_that_needs_more_coins_buys_the_difference():
    made = engine(cash=2000.0)
    edit(made, quantity_per_level=2)
    assert made.base == 4.0
    assert resting(made)["grid:4:sell"] == ("sell", 150.0, 2.0)


def test_a_new_stop_alone_leaves_every_order_as_it_is():
    made = engine()
    before = dict(made.slots)
    edit(made, stop_price=80)
    assert made.slots == before
    assert made.wake.prices[0].level == 80.0


def test_a_start_after_a_stop_takes_the_position_as_it_is_and_never_repeats_a_generation():
    made = engine()
    for slot in made.working():
        made.close(slot, "cancelled")
    made.base, made.quote = 0.0, made.quote + 2 * made.price  # sold by hand in between
    made.inbox.append(Command("start"))
    made.rest()
    assert made.base == 2.0
    assert made.orders["grid:0:buy"].gen == 2
    assert made.slots["grid:open"].gen == 2


def test_a_start_with_a_lost_state_still_never_repeats_a_generation():
    made = engine()
    for slot in made.working():
        made.close(slot, "cancelled")
    made.state, made.inbox = None, [Command("start")]
    made.rest()
    assert made.orders["grid:0:buy"].gen == 2
    assert resting(made)["grid:3:sell"] == ("sell", 140.0, 1.0)
    assert made.base == 2.0


def test_notes_are_made_only_when_somebody_asks():
    made = engine()
    made.decide()
    assert made.notes == ()
    made.decide(explain=True)
    assert [note.code for note in made.notes][:2] == ["grid.next_buy", "grid.next_sell"]
    assert "Next buy: 1 at 120" in made.notes[0].text


def test_sells_are_sells():
    made = engine()
    assert all((want.side is Side.SELL) == slot.endswith(":sell") for slot, want in made.orders.items())


def test_a_word_that_comes_in_with_it_does_not_hide_a_stop_that_was_touched():
    made = engine(stop_price=90)
    made.low = 89.0  # and back, before the bot has decided
    made.inbox.append(Command("cancel", {"slot": "grid:0:buy", "gen": 1}, "ann"))
    made.decide()
    assert made.state["phase"] == "exit"
