"""The desk: one order at a time in a slot, its generations, and what becomes of refused and cancelled wishes."""

from __future__ import annotations

from typing import Any

from bots.strategies.desk import RETRY_EXIT_MS, RETRY_MOST_MS, RETRY_MS, Desk
from trading.core.types import Closed, Command, Filled, Kind, Side, SlotStatus, SlotView, Trigger, View, Want

BUY = Want("main", Side.BUY, Kind.MARKET, 2.0, tag="entry")
STOP = Want("main", Side.SELL, Kind.STOP, 2.0, trigger=Trigger(95.0), reduce=True, tag="stop")
EXIT = Want("main", Side.SELL, Kind.MARKET, 2.0, reduce=True, tag="exit")


class Life:
    """A strategy with one slot, from one decision to the next."""

    def __init__(self) -> None:
        self.memory: Any = {}
        self.slots: dict[str, SlotView] = {}
        self.orders: dict[str, Want] = {}
        self.now_ms = 1_000_000
        self.desk: Desk | None = None

    def decide(self, wish: Want | None, *inbox: Any) -> Want | None:
        view = View(self.now_ms, 1, {}, {}, dict(self.slots), inbox, self.orders)
        self.desk = Desk(self.memory, view)
        if wish is not None:
            self.desk.want("one", wish)
        self.orders = self.desk.orders()
        self.memory = self.desk.memory
        return self.orders.get("one")

    def at_venue(self, status: SlotStatus = SlotStatus.WORKING, filled: float = 0.0) -> None:
        want = self.orders.get("one") or self.slots["one"].want
        self.slots["one"] = SlotView(want.gen, want, status, filled)

    def closed(self, why: str, filled: float = 0.0) -> Closed:
        self.at_venue(SlotStatus.FILLED if why == "filled" else SlotStatus.CLOSED, filled)
        return Closed("one", self.slots["one"].gen, why, filled)


def placed(wish: Want) -> Life:
    life = Life()
    assert life.decide(wish) == wish._replace(gen=1)
    life.at_venue()
    return life


def test_an_unchanged_wish_is_the_same_object_again():
    life = placed(STOP)
    before = life.orders["one"]
    assert life.decide(STOP) is before


def test_a_changed_resting_order_is_withdrawn_first_and_asked_again_once_it_has_ended():
    life = placed(STOP)
    moved = STOP._replace(trigger=Trigger(96.0))
    assert life.decide(moved) is None
    assert life.decide(moved) is None
    assert life.decide(moved, life.closed("cancelled")) == moved._replace(gen=2)


def test_a_market_order_under_way_is_left_to_end():
    life = placed(BUY)
    assert life.decide(BUY._replace(qty=1.0)) == BUY._replace(gen=1)


def test_what_has_filled_of_a_resting_order_is_no_change():
    life = placed(STOP)
    life.at_venue(filled=0.5)
    assert life.decide(STOP._replace(qty=1.5)) == STOP._replace(gen=1)


def test_a_denied_wish_may_change_under_its_generation_and_ends_by_being_dropped():
    life = placed(BUY)
    life.at_venue(SlotStatus.DENIED)
    assert life.decide(BUY._replace(qty=1.0)) == BUY._replace(qty=1.0, gen=1)
    assert life.decide(None) is None
    assert not life.desk.live("one")
    assert life.decide(BUY) == BUY._replace(gen=2)


def test_a_refused_entry_waits_longer_each_time_and_a_fill_forgives():
    life, pauses = placed(BUY), []
    for _ in range(9):
        assert life.decide(BUY, life.closed("rejected")) is None
        pauses.append(life.desk.retry_at - life.now_ms)
        life.now_ms = life.desk.retry_at
        assert life.decide(BUY) is not None
        life.at_venue()
    assert pauses == [min(RETRY_MS << n, RETRY_MOST_MS) for n in range(9)]
    life.decide(BUY, Filled("one", 10, Side.BUY, 1.0, 100.0, 0.1, 1.0, life.now_ms), life.closed("remainder", 1.0))
    assert life.desk.retry_at - life.now_ms == RETRY_MS


def test_a_refused_exit_does_not_wait_long():
    life = placed(EXIT)
    life.decide(EXIT, life.closed("rejected"))
    assert life.desk.retry_at - life.now_ms == RETRY_EXIT_MS


def test_what_a_person_cancelled_waits_for_a_resume_but_something_else_may_take_its_place():
    life = placed(STOP)
    assert life.decide(STOP, life.closed("cancelled")) is None
    assert life.desk.parked("one", "stop")
    assert life.desk.retry_at is None
    other = Life()
    other.memory, other.slots, other.orders = life.memory, life.slots, {}
    assert other.decide(EXIT) == EXIT._replace(gen=2)
    assert life.decide(STOP, Command("resume")) == STOP._replace(gen=2)


def test_what_we_withdrew_ourselves_is_not_parked():
    life = placed(STOP)
    assert life.decide(None) is None
    assert life.decide(STOP, life.closed("cancelled")) == STOP._replace(gen=2)


def test_an_order_that_ended_stays_until_all_its_fills_are_in_the_position():
    life = placed(STOP)
    life.at_venue(SlotStatus.CLOSED, 0.5)
    late = Closed("one", 1, "cancelled", 1.5)
    assert life.decide(None) is None
    life.decide(EXIT, late)
    assert life.desk.under_way("one")
    life.at_venue(SlotStatus.CLOSED, 1.5)
    assert life.decide(EXIT._replace(qty=0.5)) == EXIT._replace(qty=0.5, gen=2)


def test_a_generation_is_above_all_that_the_slot_ever_had():
    life = Life()
    life.slots["one"] = SlotView(7, BUY._replace(gen=7), SlotStatus.FILLED, 2.0)
    assert life.decide(BUY) == BUY._replace(gen=8)
