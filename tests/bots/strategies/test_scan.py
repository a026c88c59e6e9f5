"""The scan: which markets are bought, in which order, how they are protected, and how a deal ends."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from fake_engine import FakeEngine
from fake_market import FakeMarket

from bots.strategies.scan.params import ScanParams
from bots.strategies.scan.strategy import Scan
from trading.core.errors import InvalidInput
from trading.core.types import Command, Kind, MarketRules, Perpetual, PriceWake, SlotStatus

NAMES = ("AAA/USDT", "BBB/USDT", "CCC/USDT", "DDD/USDT")
A, B, C, D = NAMES


def rules(symbol: str, **values: Any) -> MarketRules:
    base, quote = symbol.split("/")
    return MarketRules(base, quote, Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(1), **values)


def engine(cash: float = 1000, **values: Any) -> FakeEngine:
    given = {"entry": "rsi(14) < 30", "exit": "rsi(14) > 70", "max_deals": 2, "quote_per_deal": 100, "stop_percent": 5}
    params = ScanParams(symbols=NAMES, **{**given, **values})
    made = FakeEngine.on(Scan(), params, {name: FakeMarket(rules(name), 50.0) for name in NAMES}, cash)
    made.decide()
    return made


def meets(made: FakeEngine, *names: str, value: bool = True) -> FakeEngine:
    """A candle has closed, and the entry condition of these markets changed."""
    for name in names:
        made.signal(f"{name} entry", value)
    made.now_ms += 60_000
    made.decide(explain=True)
    return made


def held(made: FakeEngine) -> list[str]:
    return [name for name in NAMES if not made.markets[name].flat]


def codes(made: FakeEngine) -> set[str]:
    made.decide(explain=True)
    return {note.code for note in made.notes}


def holding(**values: Any) -> FakeEngine:
    made = meets(engine(**values), A)
    made.rest()
    assert held(made) == [A]
    return made


def test_nothing_is_wanted_while_no_market_meets_the_condition():
    made = engine()
    assert made.orders == {}
    assert set(made.wake.signals) == {f"{name} entry" for name in NAMES}
    assert codes(made) == {"scan.deals", "scan.idle"}


def test_a_market_that_meets_it_is_bought_for_the_amount_with_its_fee():
    made = meets(engine(), B)
    assert list(made.orders) == [f"{B}:entry"]
    assert made.orders[f"{B}:entry"].qty == 1.998  # 100 / (50 x 1.001), down to the lot
    made.rest()
    assert held(made) == [B]


def test_the_first_of_the_list_go_first_and_no_more_than_allowed():
    made = meets(engine(), D, C, B)
    made.rest()
    assert held(made) == [B, C]
    assert "scan.full" in codes(made)


def test_a_place_that_becomes_free_goes_to_who_waits():
    made = meets(engine(), B, C, D)
    made.rest()
    made.signal(f"{B} exit", True)
    made.rest()
    assert held(made) == [C, D]


def test_a_stop_rests_from_the_purchase_on():
    made = holding()
    stop = made.orders[f"{A}:exit"]
    assert (stop.kind, stop.trigger.level, stop.qty, stop.reduce) == (Kind.STOP, 47.5, 1.998, True)
    made.move(47.4, A)
    made.rest()
    assert held(made) == []


def test_a_trailing_stop_follows_and_never_lies_below_the_stop():
    made = holding(trailing_percent=2)
    assert made.orders[f"{A}:exit"].kind is Kind.TRAILING
    assert made.orders[f"{A}:exit"].trail.floor == 47.5
    made.move(60.0, A)
    made.move(58.9, A)
    assert held(made) == [A]
    made.move(58.7, A)
    made.rest()
    assert held(made) == []


def test_the_take_profit_is_watched_and_sold_at_market_after_the_stop_is_withdrawn():
    made = holding(take_profit_percent=4)
    assert made.wake.prices == (PriceWake(A, 52.0, above=True),)
    made.jump(52.0, A)
    made.settle()
    assert made.orders[f"{A}:exit"].kind is Kind.MARKET
    assert "scan.exit" in codes(made)
    made.rest()
    assert held(made) == []


def test_the_exit_condition_sells():
    made = holding()
    assert f"{A} exit" in made.wake.signals
    made.signal(f"{A} exit", True)
    made.rest()
    assert held(made) == []


def test_a_market_whose_exit_condition_is_true_is_not_bought():
    made = engine()
    made.signals[f"{A} exit"] = True
    meets(made, A)
    assert made.orders == {}


def test_one_stretch_of_the_condition_makes_one_deal():
    made = holding(cooldown_minutes=0)
    made.signal(f"{A} exit", True)
    made.rest()
    made.signals[f"{A} exit"] = False
    made.decide()
    assert made.orders == {}
    made.signal(f"{A} entry", False)
    made.signal(f"{A} entry", True)  # both before the next decision
    made.rest()
    assert held(made) == [A]


def test_a_condition_that_was_false_while_nobody_looked_counts_too():
    made = holding(cooldown_minutes=0)
    made.signal(f"{A} exit", True)
    made.rest()
    made.signals |= {f"{A} exit": False, f"{A} entry": False}
    made.decide()
    meets(made, A)
    made.rest()
    assert held(made) == [A]


def test_a_market_rests_after_its_deal():
    made = holding(cooldown_minutes=10)
    made.signal(f"{A} exit", True)
    made.rest()
    made.signals[f"{A} exit"] = False
    meets(made, A, value=False)
    meets(made, A)
    assert made.orders == {}
    assert "scan.rest" in codes(made)
    made.tick(made.wake.at_ms - made.now_ms)
    made.rest()
    assert held(made) == [A]


def test_a_purchase_filled_in_part_is_a_smaller_deal():
    made = meets(engine(), A)
    made.fill(f"{A}:entry", 0.5)
    made.close(f"{A}:entry", "remainder")
    made.settle()
    assert made.orders[f"{A}:exit"].qty == 0.5
    assert f"{A}:entry" not in made.orders


def test_the_stop_grows_with_what_comes_in():
    made = meets(engine(), A)
    made.fill(f"{A}:entry", 0.5)
    made.settle()
    assert made.orders[f"{A}:exit"].qty == 0.5
    made.rest()
    assert made.orders[f"{A}:exit"].qty == 1.998
    assert made.slots[f"{A}:exit"].status is SlotStatus.WORKING


def test_a_denied_purchase_goes_with_its_signal():
    made = meets(engine(cash=50), A)
    assert made.slots[f"{A}:entry"].status is SlotStatus.DENIED
    assert "scan.denied" in codes(made)
    meets(made, A, value=False)
    assert made.orders == {}
    assert made.state["deals"] == {}


def test_a_refused_purchase_is_asked_again_while_the_condition_holds():
    made = meets(engine(), A)
    made.close(f"{A}:entry", "rejected")
    made.settle()
    assert made.orders == {}
    assert made.wake.at_ms == made.now_ms + 60_000
    made.tick(60_000)
    made.rest()
    assert held(made) == [A]


def test_a_stop_cancelled_by_hand_comes_back_after_a_resume():
    made = holding()
    made.close(f"{A}:exit", "cancelled")
    made.settle()
    assert made.orders == {}
    assert "scan.parked" in codes(made)
    made.inbox.append(Command("resume"))
    made.decide()
    assert made.orders[f"{A}:exit"].gen == 2


def test_without_its_stop_the_exit_condition_still_sells():
    made = holding()
    made.close(f"{A}:exit", "cancelled")
    made.settle()
    made.signal(f"{A} exit", True)
    made.rest()
    assert held(made) == []


@pytest.mark.parametrize(("args", "left"), [({}, []), ({"market": A}, [B])])
def test_a_person_closes_one_deal_or_all(args: dict[str, str], left: list[str]):
    made = meets(engine(), A, B)
    made.rest()
    made.inbox.append(Command("close", args))
    made.rest()
    assert held(made) == left


def test_a_deal_that_would_be_too_small_is_left_out_with_a_note():
    made = engine()
    made.markets[A].price = made.markets[A].low = made.markets[A].high = 500_000.0
    meets(made, A, B)
    assert list(made.orders) == [f"{B}:entry"]
    assert "scan.too_small" in {note.code for note in made.notes}


def test_a_perpetual_is_refused():
    markets = {name: FakeMarket(rules(name, perpetual=Perpetual()), 50.0) for name in NAMES}
    made = FakeEngine.on(Scan(), engine().params, markets, 1000)
    with pytest.raises(InvalidInput, match="spot markets only") as caught:
        made.decide()
    assert caught.value.field == "symbols"


def test_an_edit_counts_at_once_but_cannot_drop_a_market_with_a_deal():
    made = holding()
    made.edit(made.params.model_copy(update={"stop_percent": Decimal(10)}))
    made.settle()
    assert made.orders[f"{A}:exit"].trigger.level == 45.0
    with pytest.raises(InvalidInput, match="can't be left out while a deal is open") as caught:
        made.edit(made.params.model_copy(update={"symbols": (B, C)}))
    assert caught.value.field == "symbols"
