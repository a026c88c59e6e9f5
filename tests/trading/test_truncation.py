"""Nobody knows the future: cutting the candles off anywhere changes no earlier signal, decision or fill; and a bot that
starts later sees the same signals."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from shapes import SHAPES, Trial, trial

from bots.strategies.registry import STRATEGIES
from trading.core.lookahead import Recording, look_ahead
from trading.core.types import Side

CUTS_A_SERIES = 20
KEYS = [key for key in SHAPES if key in STRATEGIES]


def lines(one: Trial, strategy: Any, candles: Any) -> list[tuple[int, str]]:
    result = one.simulate(strategy=strategy, candles=candles)
    return list(zip(result.fills.ts.tolist(), result.lines(), strict=True))


def check(key: str, seed: int) -> int:
    """Cut one random series at random places; returns the fills of the whole."""
    one, rng = trial(key, seed), random.Random(seed + 1)
    count, least = len(next(iter(one.candles.values()))), max(1, one.strategy.needs(one.params).warmup) + 1
    cuts = [rng.randint(least, count) for _ in range(CUTS_A_SERIES)]
    found = look_ahead(
        lambda strategy, candles: lines(one, strategy, candles), one.strategy, one.params, one.candles, cuts
    )
    assert found is None, (seed, found)
    return len(one.simulate().fills)


@pytest.mark.parametrize("key", KEYS)
def test_cutting_the_future_off_changes_nothing_before(key: str):
    assert sum(check(key, seed) for seed in range(10)) > 10


@pytest.mark.drill
@pytest.mark.parametrize("key", KEYS)
def test_ten_thousand_cuts_change_nothing_before(key: str):
    fills = [check(key, seed) for seed in range(1_000, 1_000 + 10_000 // CUTS_A_SERIES)]
    assert sum(count > 0 for count in fills) > len(fills) / 2


class Watching(Recording):
    """Keeps every signal that the strategy could see, by time of the last closed candle and name."""

    def __init__(self, strategy: Any) -> None:
        super().__init__(strategy)
        self.seen: dict[tuple[int, str], Any] = {}

    def decide(self, params: Any, state: Any, view: Any) -> Any:
        for market in view.markets.values():
            self.seen |= {(market.closed_ms, name): value for name, value in market.signals.items()}
        for name, series in view.derived.items():
            self.seen[view.now_ms, name] = series.value
        return super().decide(params, state, view)


@pytest.mark.parametrize("key", KEYS)
def test_a_bot_that_starts_later_sees_the_same_signals(key: str):
    compared = 0
    for seed in range(10):
        one = trial(key, seed)
        ts = next(iter(one.candles.values())).ts
        whole, late = Watching(one.strategy), Watching(one.strategy)
        one.simulate(strategy=whole)
        one.simulate(strategy=late, start_ms=int(ts[random.Random(seed).randrange(1, len(ts))]))
        both = whole.seen.keys() & late.seen.keys()
        compared += len(both)
        assert {at: whole.seen[at] for at in both} == {at: late.seen[at] for at in both}
    assert compared or not one.strategy.needs(one.params).signals


def trades_after(one: Trial, ts: list[int], rows: list[Any], start_ms: int) -> dict[int, list[tuple[Any, ...]]]:
    """Return what is traded after each candle from `start_ms` on at whose close nothing is held."""
    held: Counter[str] = Counter()
    flat, k = {}, 0
    for at in ts:
        while k < len(rows) and rows[k].ts_ms <= at:
            held[rows[k].market] += int(rows[k].qty * 100_000) * (1 if rows[k].side is Side.BUY else -1)
            k += 1
        if at >= start_ms and not any(held.values()):
            flat[at] = [(row.market, row.ts_ms, row.side, row.price, row.qty) for row in rows[k:]]
    return flat


@pytest.mark.parametrize("key", ["ema_cross", "pair"])
def test_once_both_are_flat_a_bot_that_started_later_trades_like_the_first(key: str):
    """The crossover, and a pair that never stops: the others remember deals (cooldowns, stops, used conditions)."""
    compared = 0
    for seed in range(20):
        one = trial(key, seed)
        if key == "pair":
            calm = one.params.model_copy(update={"stop": Decimal(20), "max_hold_minutes": None})
            one = replace(one, params=calm)
        ts = next(iter(one.candles.values())).ts.tolist()
        start_ms = ts[random.Random(seed).randrange(one.strategy.needs(one.params).warmup + 1, len(ts))]
        whole, late = list(one.simulate().fill_rows()), list(one.simulate(start_ms=start_ms).fill_rows())
        first, second = (trades_after(one, ts, rows, start_ms) for rows in (whole, late))
        both = [at for at in ts if at in first and at in second]
        assert [first[at] for at in both] == [second[at] for at in both]
        compared += bool(both and first[both[0]])
    assert compared > 5
