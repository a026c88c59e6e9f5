"""What pair, scan and adviser show before they start: sizes, funds, warnings, and what they refuse."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from bots.strategies.pair.statistics import critical_value, dickey_fuller, kinship
from bots.strategies.registry import STRATEGIES
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.params import parse_params
from trading.core.previews import MarketFacts, Preview
from trading.core.types import Fees, MarketRules, Perpetual

NAMES = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]


def facts(
    price: float, closes: Any = (), *, perpetual: bool = False, least: str = "5", symbol: str = ""
) -> MarketFacts:
    future = Perpetual() if perpetual else None
    rules = MarketRules("BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(least), future)
    return MarketFacts(price, rules, Fees(0.001, 0.001), symbol, tuple(closes))


def preview(key: str, markets: dict[str, MarketFacts], **raw: Any) -> Preview:
    strategy = STRATEGIES[key]
    return strategy.preview(parse_params(strategy.params, raw), markets)


def figures(shown: Preview) -> dict[str, Decimal]:
    return {figure.key: figure.value for figure in shown.figures}


# --- pair -----------------------------------------------------------------------------------------------------------


def pair(y: Any = (), x: Any = (), **raw: Any) -> Preview:
    markets = {"main": facts(100.0, y, perpetual=True), "other": facts(40.0, x, perpetual=True, symbol="ETH/USDT:USDT")}
    return preview("pair", markets, **{"symbol": "ETH/USDT:USDT", "leg_quote": "1000", **raw})


def twins(pull: float, count: int = 500) -> tuple[Any, Any]:
    rng = np.random.default_rng(7)
    common, apart = np.cumsum(rng.normal(0, 0.002, count)), np.zeros(count)
    for i in range(1, count):
        apart[i] = apart[i - 1] * pull + rng.normal(0, 0.001)
    return 100 * np.exp(common + apart), 40 * np.exp(common)


def test_a_pair_shows_both_legs_their_margin_and_fees():
    shown = pair(hedge_ratio="0.5", leverage="2")
    known = figures(shown)
    assert (known["first"], known["second"]) == (Decimal(10), Decimal("12.5"))
    assert known["value"] == 1500
    assert known["fees"] == 3  # 2 x 1500 x 0.1 %
    assert shown.funds == {"USDT": (Decimal(750) + 3) * Decimal("1.02")}
    assert shown.warnings == (
        "0 closes of both markets are stored; whether they belong together can be said from 30 on.",
    )


def test_two_that_belong_together_are_taken_without_a_warning_about_it():
    shown = pair(*twins(0.9))
    known = figures(shown)
    assert known["correlation"] > Decimal("0.8")
    assert abs(known["fitted_ratio"] - 1) < Decimal("0.1")
    units = {figure.key: figure.unit for figure in shown.figures}
    assert units["fitted_ratio"] == ""  # as the field beside it takes it, not in percent
    assert 4 < known["half_life"] < 11  # -ln 2 / ln 0.9 = 6.6 of the process itself
    assert known["dickey_fuller"] < Decimal("-3.34")
    assert not any("comes back" in text or "alike" in text or "half-life" in text for text in shown.warnings)


def test_two_that_drift_apart_are_warned_of():
    warnings = " ".join(pair(*twins(1.0)).warnings)
    assert "doesn't show that it comes back" in warnings


def test_a_hedge_ratio_that_is_far_off_and_a_way_that_does_not_pay_are_warned_of():
    warnings = " ".join(pair(*twins(0.9), hedge_ratio="2", entry="0.6").warnings)
    assert "give a hedge ratio of" in warnings
    assert "the fees of a round are" in warnings


@pytest.mark.parametrize(
    ("raw", "field", "words"),
    [
        ({"leg_quote": "3"}, "leg_quote", "give it at least"),
        ({"hedge_ratio": "0.001"}, "leg_quote", "ETH/USDT:USDT, which is too small"),
        ({"leverage": "11"}, "leverage", "at most 10"),
    ],
)
def test_a_pair_that_its_markets_do_not_take_is_refused(raw: dict[str, Any], field: str, words: str):
    with pytest.raises(InvalidInput, match=words) as caught:
        pair(**raw)
    assert caught.value.field == field


def test_the_smallest_leg_that_a_refusal_names_is_taken():
    with pytest.raises(InvalidInput) as caught:
        pair(leg_quote="3")
    least = caught.value.message.split("at least ")[1].split(" ")[0]
    assert figures(pair(leg_quote=least))["first"] > 0


def test_a_pair_on_spot_is_refused():
    markets = {"main": facts(100.0), "other": facts(40.0, perpetual=True)}
    with pytest.raises(InvalidInput, match="The bot's own market is a spot market"):
        preview("pair", markets, symbol="ETH/USDT:USDT", leg_quote="1000")


def test_the_dickey_fuller_statistic_is_that_of_an_ordinary_regression():
    series = np.cumsum(np.random.default_rng(3).normal(0, 1, 200)) * 0.5
    before, change = series[:-1], np.diff(series)
    design = np.column_stack((np.ones(len(before)), before))
    found, residuals, *_ = np.linalg.lstsq(design, change, rcond=None)
    variance = residuals[0] / (len(change) - 2)
    error = np.sqrt(variance * np.linalg.inv(design.T @ design)[1, 1])
    assert dickey_fuller(series) == pytest.approx((found[1], found[1] / error))


def test_the_critical_value_is_the_published_one():
    """Engle and Granger's test, two variables, 5 %: -3.34 without limit, -3.40 for 100 (MacKinnon 2010)."""
    assert critical_value(10**9) == pytest.approx(-3.336, abs=0.001)
    assert critical_value(100) == pytest.approx(-3.398, abs=0.001)


@pytest.mark.parametrize("flat", [0, 1])
def test_prices_that_never_move_say_nothing(flat: int):
    moving, still = twins(0.9)[0], np.full(500, 40.0)
    series = (still, moving) if flat == 0 else (moving, still)
    assert kinship(*series, 1.0) is None


def test_a_market_that_stands_still_is_said_to():
    shown = pair([100.0] * 200, [40.0] * 200)
    [text] = shown.warnings
    assert text.startswith("Over 200 stored closes one of the two markets, or their spread, has not moved")


# --- beyond measure -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "field", "raw"),
    [
        ("pair", "leg_quote", {"symbol": "ETH/USDT:USDT"}),
        ("scan", "quote_per_deal", {"symbols": ["main"], "max_deals": 1}),
        ("adviser", "investment", {"max_allocation_percent": "100"}),
        ("ema_cross", "quantity", {}),
    ],
)
def test_a_size_of_more_lots_than_can_be_counted_is_named_at_its_field(key: str, field: str, raw: dict[str, Any]):
    one = facts(0.5, perpetual=key == "pair")
    with pytest.raises(InvalidInput, match="makes more lots of") as caught:
        preview(key, {"main": one, "other": one} if key == "pair" else {"main": one}, **raw, **{field: "9e14"})
    assert caught.value.field == field


# --- scan -----------------------------------------------------------------------------------------------------------


def scan(markets: dict[str, MarketFacts] | None = None, **raw: Any) -> Preview:
    markets = markets or {name: facts(100.0) for name in NAMES}
    return preview("scan", markets, **{"symbols": NAMES, "quote_per_deal": "200", **raw})


def test_a_scan_shows_its_size_and_its_worst():
    shown = scan(max_deals=2, stop_percent="5")
    known = figures(shown)
    assert (known["markets"], known["at_once"]) == (3, 2)
    assert known["worst_deal"] == Decimal("10.4")  # 5 % and two fees of 0.1 % of 200
    assert known["worst_all"] == Decimal("20.8")
    assert shown.funds == {"USDT": Decimal(402)}


def test_markets_on_which_a_deal_is_too_small_are_all_named():
    markets = {"BTC/USDT": facts(250_000.0), "ETH/USDT": facts(100.0), "SOL/USDT": facts(50.0, least="500")}
    with pytest.raises(InvalidInputs) as caught:
        scan(markets)
    texts = [fault.message for fault in caught.value.faults]
    assert [fault.field for fault in caught.value.faults] == ["quote_per_deal"] * 2
    assert "costs about 250.25 USDT" in texts[0]
    assert "SOL/USDT" in texts[1]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "Only the stop ends a deal"),
        ({"take_profit_percent": "0.2"}, "doesn't pay the two fees of a deal (0.2 %)"),
        ({"exit": "close > 5", "trailing_percent": "5"}, "is wider than the stop"),
    ],
)
def test_exits_that_make_no_sense_are_warned_of(raw: dict[str, Any], words: str):
    assert words in " ".join(scan(**raw).warnings)


def test_a_scan_of_a_perpetual_is_refused():
    markets = {name: facts(100.0, perpetual=name == "ETH/USDT") for name in NAMES}
    with pytest.raises(InvalidInput, match="ETH/USDT is a perpetual future"):
        scan(markets)


# --- adviser --------------------------------------------------------------------------------------------------------


def adviser(market: MarketFacts | None = None, **raw: Any) -> Preview:
    return preview("adviser", {"main": market or facts(100.0)}, **{"investment": "1000", **raw})


def test_an_advised_bot_shows_the_most_that_an_answer_can_do():
    shown = adviser(max_allocation_percent="40", stop_percent="2", every_minutes=30)
    known = figures(shown)
    assert known["most"] == 400
    assert known["worst"] == Decimal("8.8")
    assert known["asks_a_day"] == 48
    assert known["worst_day"] == 402  # 48 times 8.8 would be more than it has
    assert figures(adviser(stop_percent="2", every_minutes=360))["worst_day"] < 100
    assert shown.funds == {"USDT": Decimal(402)}


@pytest.mark.parametrize(
    ("raw", "words"),
    [({"take_profit_percent": "0.1"}, "two fees"), ({"min_confidence": "0.4"}, "more unsure than sure")],
)
def test_limits_that_make_no_sense_are_warned_of(raw: dict[str, Any], words: str):
    assert words in " ".join(adviser(**raw).warnings)


@pytest.mark.parametrize(
    ("market", "raw", "words"),
    [
        (facts(100.0, perpetual=True), {}, "spot markets only"),
        (facts(100.0), {"investment": "5"}, "costs about 5.21 USDT"),
    ],
)
def test_an_advised_bot_that_cannot_work_is_refused(market: MarketFacts, raw: dict[str, Any], words: str):
    with pytest.raises(InvalidInput, match=words):
        adviser(market, **raw)
