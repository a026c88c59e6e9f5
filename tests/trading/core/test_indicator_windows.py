"""Contract rule 12: a value is the same bit for bit in a backtest and live, wherever a bot starts and data end."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.candles import Candles
from trading.core.indicators import INDICATORS, Windowed
from trading.core.indicators.standard import STANDARD, _Call
from trading.core.indicators.windows import RESIDUAL, ema_settle, wilder_settle

MINUTE = 60_000
WINDOWED = sorted(name for name, indicator in INDICATORS.items() if isinstance(indicator, Windowed))
COMMON = {
    "macd": (12, 26, 9),
    "bbands": (20, 2.0),
    "stoch": (14, 3, 3),
    "stochrsi": (14, 14, 3),
    "sma": (50,),
    "ema": (60,),
}
PATTERNS = {"engulfing", "hammer", "shooting_star", "doji", "harami", "morning_star", "evening_star"}


def args_of(name: str) -> tuple[float, ...]:
    return COMMON.get(name, () if name in PATTERNS else (14,))


def market(count: int, seed: int = 1, start: int = 7_000, timeframe: int = MINUTE) -> Candles:
    """A random walk with jumps, quiet stretches, and some flat candles without volume."""
    rng = np.random.default_rng(seed)
    step = rng.normal(size=count) * np.repeat(rng.choice([0.001, 0.01, 0.1], size=count // 50 + 1), 50)[:count]
    flat = np.repeat(rng.random(count // 20 + 1) < 0.2, 20)[:count]
    step[flat] = 0
    close = np.round(100 * np.exp(np.cumsum(step / 10)), 4)
    open_ = np.concatenate(([100.0], close[:-1]))
    reach = np.where(flat, 0.0, np.abs(rng.normal(size=count)) * 0.2)
    high, low = np.maximum(open_, close) + reach, np.minimum(open_, close) - np.minimum(reach, close / 2)
    open_, high, low = (np.where(flat, close, column) for column in (open_, high, low))
    ts = (start + np.arange(count)) * timeframe
    return Candles.of(ts, open_, high, low, close, np.where(flat, 0.0, rng.integers(0, 50, count)))


CANDLES = market(6000)
WHOLE = {name: INDICATORS[name].outputs_of(CANDLES, args_of(name)) for name in WINDOWED}


def rows(name: str, series, i: int) -> tuple[float, ...] | None:
    return None if i < series[0].start else tuple(one.at(i) for one in series)


@given(st.sampled_from(WINDOWED), st.integers(0, 5999), st.integers(0, 3000))
@settings(max_examples=600, deadline=None)
def test_a_live_value_is_the_backtests_to_the_last_bit(name: str, at: int, more: int):
    indicator, args = INDICATORS[name], args_of(name)
    since = indicator.since_ms(int(CANDLES.ts[at]), MINUTE, args)
    needed = int(np.searchsorted(CANDLES.ts, since))
    seen = CANDLES.slice(max(0, needed - more), at + 1)  # a live bot may remember more than it needs
    assert indicator.last(seen, MINUTE, args) == rows(name, WHOLE[name], at)


@given(st.sampled_from(WINDOWED), st.integers(1, 6000))
@settings(max_examples=200, deadline=None)
def test_cutting_off_the_future_changes_nothing(name: str, stop: int):
    cut = INDICATORS[name].outputs_of(CANDLES.slice(0, stop), args_of(name))
    for short, long in zip(cut, WHOLE[name], strict=True):
        assert short.start == long.start
        assert short.values[short.start :].tobytes() == long.values[long.start : stop].tobytes()


@given(st.sampled_from(WINDOWED), st.integers(0, 4000))
@settings(max_examples=200, deadline=None)
def test_data_that_begin_later_give_the_same_values_once_a_window_is_whole(name: str, start: int):
    indicator, args = INDICATORS[name], args_of(name)
    later = indicator.outputs_of(CANDLES.slice(start), args)
    whole = [
        i for i in range(start, 6000, 7) if indicator.since_ms(int(CANDLES.ts[i]), MINUTE, args) >= CANDLES.ts[start]
    ]
    for i in whole:
        assert rows(name, later, i - start) == rows(name, WHOLE[name], i)
    assert len(whole) > 0 or start > 6000 - 2 * indicator.block(args)


@pytest.mark.parametrize("indicator", STANDARD, ids=lambda row: row.name)
def test_a_settled_window_differs_from_one_long_pass_by_nothing_that_counts(indicator: Windowed):
    args = args_of(indicator.name)
    columns = [getattr(CANDLES, name) for name in indicator.columns]
    scale = max(1.0, float(np.max(CANDLES.close)))
    for ours, theirs in zip(WHOLE[indicator.name], indicator.compute(*columns, *args), strict=True):
        assert np.allclose(ours.values[ours.start :], theirs[ours.start :], rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("name", WINDOWED)
def test_values_are_finite_from_the_lookback_on(name: str):
    for series in WHOLE[name]:
        assert series.start == INDICATORS[name].lookback(args_of(name))
        assert np.isfinite(series.values[series.start :]).all()


@pytest.mark.parametrize("indicator", [row for row in STANDARD if isinstance(row.compute, _Call)], ids=lambda r: r.name)
@pytest.mark.parametrize("add", [0, 5])
def test_the_lookback_is_the_librarys_own(indicator: Windowed, add: int):
    args = tuple(arg + add for arg in args_of(indicator.name))
    columns = [getattr(CANDLES, name) for name in indicator.columns]
    for column in indicator.compute(*columns, *args):
        assert int(np.flatnonzero(np.isfinite(column))[0]) <= indicator.lookback(args)
    first = max(int(np.flatnonzero(np.isfinite(column))[0]) for column in indicator.compute(*columns, *args))
    assert first == indicator.lookback(args)


@pytest.mark.parametrize(
    ("settle", "keeps"), [(ema_settle, lambda n: 1 - 2 / (n + 1)), (wilder_settle, lambda n: 1 - 1 / n)]
)
@pytest.mark.parametrize("period", [2, 3, 14, 200, 2000])
def test_what_is_left_of_the_beginning_is_under_the_residual(settle, keeps, period: int):
    assert keeps(period) ** settle(period) <= RESIDUAL * (1 + 1e-9) < keeps(period) ** (settle(period) - 1) * (1 + 1e-6)
    assert settle(1) == 0


def test_no_period_outgrows_what_a_live_bot_remembers():
    longest = max(
        row.block(tuple(arg.high if not row.rising or k != 0 else arg.high - 1 for k, arg in enumerate(row.args)))
        for row in STANDARD
    )
    assert longest < 120_000
    assert math.isfinite(longest)


def test_the_two_kinds_of_ema_agree_once_settled():
    fast, slow = (INDICATORS["ema"].outputs_of(CANDLES, (span,))[0].values for span in (12, 26))
    ours = INDICATORS["ema_side"].outputs_of(CANDLES, (12, 26))[0].values
    settled = ema_settle(26)
    assert np.array_equal((fast > slow)[settled:], ours[settled:])
    assert len(np.unique(ours[settled:])) == 2
