"""Deals near the smallest order of a market: what is bought can be sold again at its stop, or isn't bought."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from fake_engine import FakeEngine
from fake_market import FakeMarket

from bots.strategies.registry import STRATEGIES
from trading.core.errors import InvalidInput
from trading.core.params import parse_params
from trading.core.previews import MarketFacts
from trading.core.types import Fees, Kind, MarketRules, Perpetual

SPOT = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(5))
SWAP = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(5), Perpetual())
SCAN = {"symbols": ["BTC/USDT"], "max_deals": 1, "entry": "close > 1", "stop_percent": "10"}
ADVISER = {"max_allocation_percent": "100", "stop_percent": "10"}
LONG = {"safety_orders": 0, "take_profit_percent": "1", "stop_loss_percent": "10"}
SHORT = {"safety_orders": 0, "take_profit_percent": "10", "direction": "short"}
# strategy, its name of the size, the other parameters, the market, the least size at 100, and one below it
CASES = [
    ("scan", "quote_per_deal", SCAN, SPOT, "5.61", "5.57"),  # 0.056 x 90 is an order; 0.055 isn't
    ("adviser", "investment", ADVISER, SPOT, "5.61", "5.57"),
    ("dca", "base_order", LONG, SPOT, "5.6", "5.59"),
    ("dca", "base_order", {**LONG, "size_in": "base"}, SPOT, "0.056", "0.055"),
    ("dca", "base_order", SHORT, SWAP, "5.6", "5.59"),  # it buys back at 90
]


def facts(rules: MarketRules) -> MarketFacts:
    return MarketFacts(100.0, rules, Fees(0.001, 0.001))


@pytest.mark.parametrize(("key", "field", "params", "rules", "least", "less"), CASES)
def test_a_preview_names_the_size_that_can_still_be_sold_at_its_stop(
    key: str, field: str, params: dict[str, Any], rules: MarketRules, least: str, less: str
):
    strategy = STRATEGIES[key]
    alias = "BTC/USDT" if key == "scan" else "main"
    with pytest.raises(InvalidInput) as caught:
        strategy.preview(parse_params(strategy.params, {**params, field: less}), {alias: facts(rules)})
    assert caught.value.field == field
    assert f" {least} " in caught.value.message
    assert strategy.preview(parse_params(strategy.params, {**params, field: least}), {alias: facts(rules)}).figures


def test_percent_sizes_ask_for_a_budget_that_can_be_sold_at_the_stop():
    dca = STRATEGIES["dca"]
    params = parse_params(dca.params, {**LONG, "size_in": "percent", "base_order": "10"})
    shown = dca.preview(params, {"main": facts(SPOT)})
    assert shown.levels[0].qty == Decimal("0.056")


def engine(key: str, price: float = 100.0, **raw: Any) -> FakeEngine:
    strategy = STRATEGIES[key]
    made = FakeEngine(strategy, parse_params(strategy.params, raw), SPOT, price, 1000)
    if key == "scan":
        made = FakeEngine.on(strategy, made.params, {"BTC/USDT": FakeMarket(SPOT, price)}, 1000)
    made.decide()
    return made


def scanning(quote: str) -> FakeEngine:
    made = engine("scan", **SCAN, quote_per_deal=quote)
    made.signal("BTC/USDT entry", True)
    made.decide(explain=True)
    return made


def test_a_scan_leaves_out_what_it_could_not_sell_at_its_stop():
    made = scanning("5.57")
    assert made.orders == {}
    assert "scan.too_small" in {note.code for note in made.notes}
    assert scanning("5.61").orders["BTC/USDT:entry"].qty == 0.056


def test_an_advised_bot_leaves_it_out_too():
    made = engine("adviser", **ADVISER, investment="100")
    made.signals |= {"close": 100.0, "ema_fast": 1.0, "ema_slow": 1.0, "rsi": 50.0, "natr": 1.0, "roc": 1.0}
    for ratio, wanted in ((0.0557, []), (0.0561, [0.056])):
        made.tick(3_600_000)
        made.decide()
        [ask_id] = made.asks
        made.answer(ask_id, {"side": "buy", "confidence": 1.0, "allocation_ratio": ratio})
        made.decide()
        assert [want.qty for want in made.orders.values()] == wanted


def test_dca_starts_no_deal_that_it_could_not_sell_at_its_stop():
    made = engine("dca", **LONG, base_order="5.6")
    assert made.orders["deal:1:base"].qty == 0.056
    made = engine("dca", price=101.0, **LONG, base_order="5.6")  # 0.055: the market has moved since the preview
    assert made.orders == {}
    made.jump(100.0)
    made.tick(made.wake.at_ms - made.now_ms)
    made.decide()
    assert made.orders["deal:1:base"].qty == 0.056


# --- what is held all the same


def held(qty: float, price: float = 100.0) -> FakeEngine:
    """A scan that holds so much, bought at this price."""
    made = engine("scan", **SCAN, quote_per_deal="100")
    made.markets["BTC/USDT"].book(1, qty, price)
    made.decide()
    return made


def test_a_stop_never_stands_below_the_smallest_order():
    made = held(0.052)
    stop = made.orders["BTC/USDT:exit"]
    assert (stop.kind, stop.trigger.level) == (Kind.STOP, 96.16)  # at 90 it would be 4.68 USDT
    made.settle()
    assert made.working() == ["BTC/USDT:exit"]
    assert held(0.06).orders["BTC/USDT:exit"].trigger.level == 90.0


def test_a_stop_that_was_refused_sells_at_market_once_the_price_has_passed_it():
    made = held(1.0)
    made.settle()
    made.close("BTC/USDT:exit", "rejected")
    made.settle()
    assert made.orders == {}
    made.jump(89.0)
    made.tick(made.wake.at_ms - made.now_ms)
    made.decide()
    assert made.orders["BTC/USDT:exit"].kind is Kind.STOP
    made.settle()
    made.close("BTC/USDT:exit", "rejected")  # a venue takes no stop above the price
    made.decide()
    assert made.orders["BTC/USDT:exit"].kind is Kind.MARKET
    made.rest()
    assert made.base == 0.0


def test_an_advised_bot_sells_then_too():
    made = engine("adviser", **ADVISER, investment="1000")
    made.first.book(1, 1.0, 100.0)
    made.decide()
    made.settle()
    made.first.price = made.first.low = 89.0
    made.close("exit", "rejected")
    made.decide()
    assert made.orders["exit"].kind is Kind.MARKET
