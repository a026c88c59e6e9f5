"""Longer candles from shorter ones: whole ones only, at the right close, the same in one go and one by one."""

from __future__ import annotations

import numpy as np
import pytest
from core_builders import MINUTE, candles_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_indicator_windows import market

from trading.core.candles import COLUMNS, Candles
from trading.core.errors import InvalidInput
from trading.core.timeframes import Resampler, resample, timeframe_name, timeframe_of, whole_series


@given(st.integers(1, 400), st.integers(0, 500), st.sampled_from([2, 3, 5, 60, 240]))
@settings(max_examples=100, deadline=None)
def test_in_one_go_and_one_by_one_are_the_same(count: int, start: int, minutes: int):
    candles, length = market(count, start=start), minutes * MINUTE
    made = resample(candles, length, MINUTE)
    resampler = Resampler(length, MINUTE)
    found = [(bar.ts_ms + MINUTE, whole) for bar in candles.bars() if (whole := resampler.add(bar)) is not None]
    assert [whole for _, whole in found] == list(made.bars())
    assert all(closed == whole.ts_ms + length for closed, whole in found)  # at the minute that completes it


@given(st.integers(1, 300), st.integers(0, 100), st.sampled_from([2, 5, 15]))
@settings(max_examples=60, deadline=None)
def test_each_longer_candle_is_what_its_minutes_say(count: int, start: int, minutes: int):
    candles = market(count, start=start)
    made = list(resample(candles, minutes * MINUTE, MINUTE).bars())
    rows = list(candles.bars())
    whole = [k for k in range(count) if rows[k].ts_ms % (minutes * MINUTE) == 0 and k + minutes <= count]
    assert [bar.ts_ms for bar in made] == [rows[k].ts_ms for k in whole]
    for bar, k in zip(made, whole, strict=True):
        part = rows[k : k + minutes]
        assert (bar.open, bar.close) == (part[0].open, part[-1].close)
        assert (bar.high, bar.low) == (max(b.high for b in part), min(b.low for b in part))
        assert bar.volume == sum(b.volume for b in part)


def test_missing_minutes_are_flat_in_the_longer_candle():
    candles = candles_of(*((p, p, p, p) for p in (10, 11, 12, 13, 14, 15, 16, 17)))
    keep = np.array([0, 1, 4, 6, 7])
    gapped = Candles(*(getattr(candles, name)[keep] for name in COLUMNS))
    made = list(whole_series(gapped, 4 * MINUTE, MINUTE).bars())
    assert [(bar.open, bar.high, bar.low, bar.close) for bar in made] == [(10, 11, 10, 11), (14, 17, 14, 17)]


def test_its_own_length_changes_nothing():
    candles = market(10)
    assert resample(candles, MINUTE, MINUTE) is candles
    assert len(resample(market(3, start=1), 5 * MINUTE, MINUTE)) == 0


def test_lengths_have_names():
    for name in ("1m", "5m", "90m", "4h", "1d", "7d"):
        assert timeframe_name(timeframe_of(name)) == name
    assert timeframe_name(timeframe_of("60m")) == "1h"
    assert timeframe_name(1500) == "1500 ms"


@pytest.mark.parametrize("name", ["", "0m", "5", "m", "1w", "8d", "1.5h", "-1h", "1H", "99999m"])
def test_other_names_are_refused(name: str):
    with pytest.raises(InvalidInput, match="like 5m, 1h or 1d") as caught:
        timeframe_of(name)
    assert caught.value.value == name


def test_no_multiple_no_candles():
    with pytest.raises(InvalidInput, match="candles of 5m can't be made from those of 2m: it must be a multiple"):
        resample(market(10, timeframe=2 * MINUTE), 5 * MINUTE, 2 * MINUTE)
