"""DCA's deals from their beginning to their end, one behaviour a test, driven through the contract's own inputs."""

from __future__ import annotations

import pytest
from dca_builders import MINUTE, deal, engine, resting

from bots.strategies.dca.machine import RETRY_MS
from bots.strategies.dca.strategy import LOOK_MS, Dca
from trading.core.types import Command, Filled, Kind, Side, Trail, Woken

# --- a deal from its beginning to its end


def test_a_base_order_is_followed_by_safety_orders_and_an_exit():
    made = engine()
    assert resting(made) == {
        "deal:1:exit": ("sell", 101.0, 1.0),
        "deal:1:safety:1": ("buy", 98.0, 1.0),
        "deal:1:safety:2": ("buy", 95.0, 2.0),
        "deal:1:safety:3": ("buy", 90.0, 4.0),
    }


def test_each_safety_order_lowers_the_exit_and_keeps_its_generation():
    made = engine()
    made.walk(98.0)
    assert resting(made)["deal:1:exit"] == ("sell", 99.99, 2.0)
    made.walk(95.0)
    assert resting(made)["deal:1:exit"] == ("sell", 97.97, 4.0)
    assert made.orders["deal:1:exit"].gen == 1


def test_the_exit_ends_the_deal_and_the_next_one_waits_for_the_cooldown():
    made = engine()
    made.walk(98.0, 100.0)
    assert (made.base, made.working(), made.state["deals"]) == (0.0, [], {})
    assert made.wake.at_ms == made.now_ms + MINUTE
    made.tick(MINUTE)
    made.rest()
    assert made.base == 1.0
    assert made.orders["deal:1:safety:1"].gen == 2


def test_a_gap_fills_several_safety_orders_at_once():
    made = engine()
    made.walk(89.0)
    assert made.base == 8.0
    assert resting(made) == {"deal:1:exit": ("sell", 94.44, 8.0)}  # 748 for 8


def test_unchanged_orders_are_the_same_objects():
    made = engine()
    before = dict(made.orders)
    made.walk(98.0)
    assert {s for s, want in made.orders.items() if before.get(s) is want} == {"deal:1:safety:2", "deal:1:safety:3"}


def test_only_some_safety_orders_rest_when_asked():
    made = engine(active_safety_orders=1)
    assert set(resting(made)) == {"deal:1:exit", "deal:1:safety:1"}
    made.walk(98.0)
    assert set(resting(made)) == {"deal:1:exit", "deal:1:safety:2"}


def test_a_base_order_filled_in_part_is_offered_at_once_and_laid_out_when_it_has_ended():
    made = engine(open_it=False, base_order_type="limit")
    assert resting(made) == {"deal:1:base": ("buy", 100.0, 1.0)}
    made.fill("deal:1:base", 0.4)
    made.settle()
    assert resting(made)["deal:1:exit"] == ("sell", 101.0, 0.4)
    assert "deal:1:safety:1" not in made.orders
    made.now_ms += 10 * MINUTE
    made.decide()
    assert made.cancelling == {"deal:1:base": "cancelled"}
    made.settle()
    assert set(resting(made)) == {"deal:1:exit", "deal:1:safety:1", "deal:1:safety:2", "deal:1:safety:3"}


def test_a_base_order_that_never_fills_is_given_up_and_tried_again_at_the_price_of_then():
    made = engine(open_it=False, base_order_type="limit")
    made.price = 103.0
    made.tick(10 * MINUTE)
    made.settle()
    assert made.state["deals"] == {}
    made.tick(MINUTE)
    made.decide()
    assert resting(made) == {"deal:1:base": ("buy", 103.0, 1.0)}


def test_partial_fills_of_the_exit_and_a_safety_order_in_between():
    made = engine()
    made.fill("deal:1:exit", 0.4)
    made.settle()
    assert resting(made)["deal:1:exit"] == ("sell", 101.0, 0.6)
    made.walk(98.0)  # 0.6 at 100 and 1 at 98
    assert made.orders["deal:1:exit"].qty == 2.0
    assert resting(made)["deal:1:exit"] == ("sell", 99.74, 1.6)
    made.walk(100.0)
    assert made.state["deals"] == {}
    assert made.base == 0.0


@pytest.mark.parametrize("after_fees", [True, False])
def test_a_profit_of_the_base_order_stays_at_its_price_while_the_exit_fills_in_parts(after_fees: bool):
    made = engine(take_profit_of="base", take_profit_after_fees=after_fees, base_order=10)
    target = made.orders["deal:1:exit"].price
    assert target == (101.21 if after_fees else 101.0)
    for part in (3.0, 3.0, 3.0):
        made.fill("deal:1:exit", part)
        made.settle()
        assert resting(made)["deal:1:exit"][1] == target
    made.fill("deal:1:safety:1")  # 1 at 98; of the base order 1 of 10 is left
    made.settle()
    spent = 198 * 1.001 / 0.999 if after_fees else 198
    assert resting(made)["deal:1:exit"][1] == pytest.approx((spent + 1) / 2, abs=0.011)


def test_a_deal_of_older_code_knows_what_is_left_of_its_base_order():
    made = engine(take_profit_of="base", base_order=10)
    made.fill("deal:1:exit", 4.0)
    made.settle()
    old = {**made.state, "deals": {"1": {key: value for key, value in deal(made).items() if key != "due"}}}
    assert Dca().upgrade(1, old)["deals"]["1"]["due"] == deal(made)["due"] == 600.0
    assert Dca().upgrade(1, None) is None
    assert Dca().upgrade(2, made.state) is made.state


def test_a_safety_order_that_fills_while_the_exit_does_is_sold_too():
    made = engine()
    made.fill("deal:1:exit")
    made.fill("deal:1:safety:1")
    made.settle()
    assert resting(made)["deal:1:exit"][2] == 1.0
    assert made.orders["deal:1:exit"].gen == 2
    made.walk(100.0)
    assert (made.base, made.state["deals"]) == (0.0, {})


def test_a_safety_order_that_fills_after_its_cancel_was_asked_goes_at_market():
    made = engine()
    made.fill("deal:1:exit")
    made.decide()
    assert set(made.cancelling) == {"deal:1:safety:1", "deal:1:safety:2", "deal:1:safety:3"}
    made.fill("deal:1:safety:1")
    made.settle()
    assert made.orders["deal:1:exit"].kind is Kind.MARKET
    made.rest()
    assert (made.base, made.state["deals"], made.state["ended"]) == (0.0, {}, 1)


def test_a_fill_that_is_told_late_is_waited_for():
    made = engine()
    made.fill("deal:1:safety:1", 0.5)
    late = made.inbox.pop()
    made.close("deal:1:safety:1", "expired")
    made.settle()
    made.tick(RETRY_MS)
    made.decide()
    assert "deal:1:safety:1" not in made.orders
    made.inbox.append(late)
    made.settle()
    assert resting(made)["deal:1:safety:1"] == ("buy", 98.0, 0.5)
    assert resting(made)["deal:1:exit"][2] == 1.5


def test_a_fill_after_its_deal_has_ended_is_looked_after():
    made = engine()
    made.walk(101.0)
    made.base += 0.5
    made.inbox.append(Filled("deal:1:safety:1", 1, Side.BUY, 0.5, 98.0, 0.049, 0.5, made.now_ms))
    made.settle()
    assert resting(made) == {"deal:1:exit": ("sell", 98.98, 0.5)}


# --- exits


def test_the_stop_counts_from_the_average_or_from_the_base_price():
    for reference, level in (("average", 87.12), ("base", 88.0)):
        made = engine(stop_loss_percent=12, stop_reference=reference)
        made.walk(98.0)
        assert [(wake.level, wake.above) for wake in made.wake.prices] == [(level, False)]


def test_at_the_stop_everything_goes_at_market_once_the_exit_is_withdrawn():
    made = engine(stop_loss_percent=15)
    made.walk(90.0)
    made.jump(79.0)
    made.decide()
    assert set(made.cancelling) == {"deal:1:exit"}
    made.settle()
    assert made.orders["deal:1:exit"].kind is Kind.MARKET
    made.rest()
    assert (made.base, made.state["deals"], made.finish) == (0.0, {}, "")


def test_a_stop_may_end_the_bot():
    made = engine(stop_loss_percent=15, after_stop="stop")
    made.walk(90.0, 79.0)
    assert (made.base, made.finish) == (0.0, "Stop loss reached")


def test_a_stop_touched_between_two_decisions_counts():
    made = engine(stop_loss_percent=15)
    made.low = 84.0
    made.decide()
    assert deal(made)["ending"] == "stop loss"


def test_a_cancelled_take_profit_does_not_hold_up_the_stop():
    made = engine(stop_loss_percent=15)
    made.close("deal:1:exit", "cancelled")
    made.settle()
    made.jump(84.0)
    made.rest()
    assert made.base == 0.0


def test_a_trailing_exit_starts_at_the_target_and_never_loses_its_fees():
    made = engine(trailing_profit_percent=2)
    want = made.orders["deal:1:exit"]
    assert (want.kind, want.trail) == (Kind.TRAILING, Trail(101.0, 0.02, floor=100.21))  # 100 * 1.001 / 0.999
    made.walk(101.0)
    assert made.base == 1.0
    made.walk(110.0, 108.0)
    assert made.base == 1.0
    made.walk(107.8)
    assert made.base == 0.0


def test_a_safety_order_replaces_the_trailing_exit_by_a_new_generation():
    made = engine(trailing_profit_percent=2)
    made.walk(98.0)
    want = made.orders["deal:1:exit"]
    assert (want.gen, want.qty) == (2, 2.0)
    assert want.trail == Trail(99.99, 0.02, floor=99.2)


def test_a_trailing_stop_follows_the_price_and_is_set_anew_by_a_safety_order():
    made = engine(stop_loss_percent=12, trailing_stop=True, take_profit_percent=50)
    assert [wake.trail for wake in made.wake.trails] == [Trail(None, 0.12, floor=88.0)]
    made.walk(98.0)
    assert [wake.trail for wake in made.wake.trails] == [Trail(None, 0.12, floor=87.12)]
    made.walk(120.0, 107.0)
    assert made.base == 2.0
    made.walk(105.6)
    assert (made.base, made.state["deals"]) == (0.0, {})


def test_of_two_trailing_stops_the_older_one_has_fired_unless_the_price_is_at_a_floor():
    made = engine(stop_loss_percent=12, trailing_stop=True, take_profit_percent=50, max_active_deals=2, start="signal")
    for price in (100.0, 110.0):
        made.jump(price)
        made.inbox.append(Command("signal"))
        made.rest()
        made.tick(MINUTE)
    assert set(made.state["deals"]) == {"1", "2"}
    made.inbox.append(Woken("trail"))
    made.decide()
    assert [deal(made, seat)["ending"] for seat in ("1", "2")] == ["stop loss", ""]
    made = engine(stop_loss_percent=12, trailing_stop=True, take_profit_percent=50)
    made.jump(87.9)
    made.inbox.append(Woken("trail"))
    made.decide()
    assert deal(made)["ending"] == "stop loss"


def test_the_stop_moves_to_break_even():
    made = engine(stop_loss_percent=15, break_even_percent="0.5")
    assert [(wake.level, wake.above) for wake in made.wake.prices] == [(85.0, False), (pytest.approx(100.5), True)]
    made.walk(100.6)
    assert [(wake.level, wake.above) for wake in made.wake.prices] == [(100.21, False)]
    made.walk(100.2)
    assert made.base == 0.0
    assert made.quote >= 10_000 - 0.02  # sold a tick below the level in this jump


# --- starts


def test_a_deal_starts_when_the_price_is_far_enough_below_its_recent_high():
    made = engine(open_it=False, start="price_drop", drop_percent=4, drop_candles=30)
    assert made.needs.signals["extreme"].of.args == (30,)
    assert (made.orders, made.wake.signals) == ({}, ("extreme",))
    made.signal("extreme", 110.0)
    made.settle()
    assert set(made.orders) == {"deal:1:base"}  # 100 is below 105.6


def test_until_then_it_waits_for_that_price():
    made = engine(open_it=False, start="price_drop", drop_percent=4)
    made.signal("extreme", 103.0)
    made.settle()
    assert [(wake.level, wake.above) for wake in made.wake.prices] == [(pytest.approx(98.88), False)]
    made.walk(98.8)
    assert made.base == 1.0


def test_a_deal_waits_for_its_condition():
    made = engine(open_it=False, start="condition", start_condition="rsi(14) < 30")
    for value in (None, False):
        made.signal("condition", value)
        made.decide()
        assert made.orders == {}
    made.signal("condition", True)
    made.decide()
    assert set(made.orders) == {"deal:1:base"}


def test_a_signal_starts_a_deal_and_one_without_room_is_dropped():
    made = engine(open_it=False, start="signal")
    assert made.orders == {}
    made.inbox.append(Command("signal"))
    made.rest()
    assert made.base == 1.0
    made.inbox.append(Command("signal"))
    made.rest()
    made.walk(101.0)
    made.tick(MINUTE)
    made.rest()
    assert made.base == 0.0


def test_a_bot_that_waits_for_a_person_alone_looks_around_now_and_then():
    made = engine(open_it=False, start="signal")
    assert made.wake.at_ms == made.now_ms + LOOK_MS


def test_several_deals_run_side_by_side_each_with_its_own_orders():
    made = engine(max_active_deals=2, cooldown_minutes=5)
    made.walk(99.0)
    assert set(made.state["deals"]) == {"1"}
    made.tick(5 * MINUTE)
    made.rest()
    assert resting(made)["deal:1:exit"] == ("sell", 101.0, 1.0)
    assert resting(made)["deal:2:exit"] == ("sell", 99.99, 1.0)
    assert resting(made)["deal:2:safety:1"] == ("buy", 97.02, 1.0)
    made.walk(100.0)
    assert set(made.state["deals"]) == {"1"}
    assert made.base == 1.0


def test_the_bot_ends_after_so_many_deals():
    made = engine(stop_after_deals=2)
    made.walk(101.0)
    made.tick(MINUTE)
    made.rest()
    made.walk(103.0)
    assert made.finish == "2 deals are done"
