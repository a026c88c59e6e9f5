"""Pair, scan and adviser over candles: what they did is checked against figures computed anew from the closes."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from bots.advisors.local import LocalAdvisor
from bots.advisors.simulated import Simulated
from bots.strategies.registry import STRATEGIES
from trading.core.candles import Candles
from trading.core.params import parse_params
from trading.core.simoptions import SimMarket, SimOptions
from trading.core.simulation import simulate_markets
from trading.core.types import Bar, MarketRules, Perpetual

MINUTE, COUNT = 60_000, 3000
NAMES = tuple(f"C{n:02d}/USDT" for n in range(20))


def candles(closes: Any) -> Candles:
    """Candles that open at the last close, with a little wick."""
    closes = np.round(closes, 2)
    opens = np.concatenate((closes[:1], closes[:-1]))
    rows = zip(range(len(closes)), opens.tolist(), closes.tolist(), strict=True)
    return Candles.from_bars(
        [Bar(i * MINUTE, o, round(max(o, c) * 1.0005, 2), round(min(o, c) * 0.9995, 2), c, 10.0) for i, o, c in rows]
    )


def market(coin: str, closes: Any, *, perpetual: bool = False) -> SimMarket:
    future = Perpetual() if perpetual else None
    rules = MarketRules(coin, "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal("0.0001"), Decimal(5), future)
    return SimMarket(candles(closes), rules)


def run(key: str, raw: dict[str, Any], markets: dict[str, SimMarket], **options: Any) -> Any:
    strategy = STRATEGIES[key]
    params = parse_params(strategy.params, raw)
    fee, chosen = Decimal("0.0005"), SimOptions(json_state=True, **options)
    return simulate_markets(strategy, params, markets, cash=Decimal(10_000), fee=fee, options=chosen)


# --- pair -----------------------------------------------------------------------------------------------------------


def twins(seed: int) -> tuple[Any, Any]:
    """Two markets whose spread comes back to zero: an Ornstein-Uhlenbeck process on a common random walk."""
    rng = np.random.default_rng(seed)
    common, apart = np.cumsum(rng.normal(0, 0.001, COUNT)), np.zeros(COUNT)
    for i in range(1, COUNT):
        apart[i] = apart[i - 1] * 0.97 + rng.normal(0, 0.002)
    return np.round(90_000 * np.exp(common + apart), 2), np.round(3_000 * np.exp(common), 2)


def zscores(y: Any, x: Any, window: int) -> Any:
    spread = np.log(y) - np.log(x)
    views = np.lib.stride_tricks.sliding_window_view(spread, window)
    found = np.full(len(spread), np.nan)
    found[window - 1 :] = (spread[window - 1 :] - views.mean(axis=1)) / views.std(axis=1)
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_pair_opens_and_closes_both_legs_by_the_z_score(seed: int):
    y, x = twins(seed)
    raw = {"symbol": "ETH/USDT:USDT", "leg_quote": "3000", "leverage": "3"}
    result = run("pair", raw, {"main": market("BTC", y, perpetual=True), "other": market("ETH", x, perpetual=True)})
    fills, z = result.fills, zscores(y, x, 120)
    by_slot = defaultdict(list)
    for k, slot in enumerate(fills.slot):
        by_slot[slot].append((int(fills.candle[k]), int(fills.side[k])))
    opened, closed = by_slot["main:open"], by_slot["main:close"]
    assert len(opened) > 10
    assert [candle for candle, _ in opened] == [candle for candle, _ in by_slot["other:open"]]
    assert [candle for candle, _ in closed] == [candle for candle, _ in by_slot["other:close"]]
    for candle, side in opened:  # decided at the close before
        assert abs(z[candle - 1]) >= 2
        assert side == -np.sign(z[candle - 1])
    for (_, side), (candle, _) in zip(opened, closed, strict=False):
        away = -side * z[candle - 1]  # back within the exit, or at the stop as the close before had it
        assert away <= 0.5 or away > 3.0
    sides = Counter(side for slot in by_slot.values() for _, side in slot)
    assert sides[1] == sides[-1]


def test_a_pair_on_spot_says_what_is_wrong():
    y, x = twins(1)
    with pytest.raises(Exception, match="must be perpetual futures"):
        run("pair", {"symbol": "ETH/USDT", "leg_quote": "3000"}, {"main": market("BTC", y), "other": market("ETH", x)})


# --- scan -----------------------------------------------------------------------------------------------------------


def crowd(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    common = np.cumsum(rng.normal(0, 0.001, COUNT)) / 2
    return {name: np.round(100 * np.exp(common + np.cumsum(rng.normal(0, 0.002, COUNT))), 2) for name in NAMES}


def low(closes: Any) -> Any:
    """Whether the close is 1 % below the average of the last ten."""
    average = np.full(len(closes), np.nan)
    average[9:] = np.lib.stride_tricks.sliding_window_view(closes, 10).mean(axis=1)
    return closes < average


@pytest.mark.parametrize("extra", [{}, {"trailing_percent": "1"}, {"take_profit_percent": "1", "exit": ""}])
def test_a_scan_holds_at_most_three_of_twenty_and_buys_by_its_condition_in_order(extra: dict[str, Any]):
    closes = crowd(4)
    raw = {
        "symbols": list(NAMES), "entry": "close < sma(10)", "exit": "rsi(14) > 70", "quote_per_deal": "1000",
        "stop_percent": "2", "cooldown_minutes": 30, "max_deals": 3, **extra,
    }  # fmt: skip
    result = run("scan", raw, {name: market(name[:3], closes[name]) for name in NAMES})
    fills, met = result.fills, {name: low(closes[name]) for name in NAMES}
    held: set[str] = set()
    bought = 0
    for k, slot in enumerate(fills.slot):
        name, candle = NAMES[int(fills.market[k])], int(fills.candle[k])
        if fills.side[k] > 0:
            assert met[name][candle - 1], f"{name} bought at {candle} without its condition"
            held.add(name)
            bought += 1
        else:
            held.remove(name)
        assert len(held) <= 3
        assert slot == f"{name}:{'entry' if fills.side[k] > 0 else 'exit'}"
    assert bought > 50
    assert result.denials == 0


def test_with_one_place_the_first_of_the_list_wins():
    closes = crowd(5)
    raw = {"symbols": list(NAMES), "entry": "close < sma(10)", "quote_per_deal": "1000", "max_deals": 1}
    result = run("scan", raw, {name: market(name[:3], closes[name]) for name in NAMES})
    first = int(result.fills.candle[0]) - 1
    assert NAMES[int(result.fills.market[0])] == next(name for name in NAMES if low(closes[name])[first])


# --- adviser --------------------------------------------------------------------------------------------------------

ADVISED = {"investment": "5000", "every_minutes": 30, "deadline_minutes": 5, "max_allocation_percent": "40",
           "min_confidence": "0.5", "stop_percent": "1", "take_profit_percent": "1"}  # fmt: skip


def advised(seed: int = 1, **fates: Any) -> Any:
    advisor = Simulated(LocalAdvisor(), **fates)
    return run("adviser", ADVISED, {"main": market("BTC", twins(seed)[0])}, advisor=advisor)


def test_an_advised_bot_trades_at_most_once_a_question_and_never_above_its_limit():
    fills = advised().fills
    buys = [k for k, side in enumerate(fills.side) if side > 0]
    assert len(buys) > 10
    assert max(fills.price[k] * fills.qty[k] for k in buys) <= 2000 * 1.01  # the price moves until the fill
    turns = [int(fills.candle[k]) * MINUTE // (30 * MINUTE) for k in buys]
    assert len(turns) == len(set(turns))


@pytest.mark.parametrize(
    "fates", [{"never": 1.0}, {"failing": 1.0}, {"absurd": 1.0}, {"delay_ms": (301_000, 400_000)}], ids=str
)
def test_without_a_usable_answer_nothing_is_ever_bought(fates: dict[str, Any]):
    assert len(advised(**fates).fills.slot) == 0


def test_now_and_then_an_answer_is_missing_late_or_absurd_and_the_others_count():
    fates = {"never": 0.2, "failing": 0.2, "absurd": 0.2, "delay_ms": (1_000, 400_000)}
    some, others = advised(**fates), advised()
    assert 0 < len(some.fills.slot) < len(others.fills.slot)
    assert len(advised(**fates).fills.slot) == len(some.fills.slot)
