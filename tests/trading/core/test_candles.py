"""Candles: columns, the first bad row by name, gaps and their filling."""

from __future__ import annotations

import numpy as np
import pytest
from core_builders import MINUTE, candles_of, flat
from hypothesis import given
from hypothesis import strategies as st

from trading.core.aligning import align
from trading.core.candles import Candles, Gap, fill_gaps, find_gaps, refuse_gaps, validate_candles
from trading.core.errors import BadCandles
from trading.core.types import Bar


def with_times(*minutes):
    candles = flat(*range(100, 100 + len(minutes)))
    return Candles.of([m * MINUTE for m in minutes], *candles.prices, candles.volume)


def test_from_bars_and_back():
    bars = [Bar(0, 1.0, 3.0, 0.5, 2.0, 7.0), Bar(MINUTE, 2.0, 2.5, 1.5, 2.25, 0.0)]
    candles = Candles.from_bars(bars)
    assert list(candles.bars()) == bars
    assert candles.bar(1) == bars[1]
    assert (len(candles), candles.timeframe_ms) == (2, MINUTE)
    assert list(candles.slice(1).bars()) == bars[1:]
    assert len(Candles.from_bars([])) == 0


def test_timeframe_is_the_usual_distance_and_a_minute_when_unknown():
    assert with_times(0, 5, 10, 30, 35).timeframe_ms == 5 * MINUTE
    assert with_times(3).timeframe_ms == MINUTE


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(BadCandles, match="differ in length"):
        Candles.of([0, 1], [1.0], [1.0], [1.0], [1.0])


NAN = float("nan")
GOOD = (100.0, 101.0, 99.0, 100.0)


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ((NAN, 101, 99, 100), "open", "missing"),
        ((100, float("inf"), 99, 100), "high", "not a finite number"),
        ((100, 101, 99, NAN), "close", "missing"),
        ((100, 101, 0, 100), "low", "not above 0"),
        ((-5, 101, -6, 100), "open", "not above 0"),
        ((100, 99.5, 99, 99.4), "high", "below the row's open"),
        ((100, 101, 100.5, 101), "low", "above the row's open"),
        ((100, 101, 99, 98), "low", "above the row's open, high or close"),
    ],
)
def test_a_bad_row_is_named(row, field, words):
    with pytest.raises(BadCandles, match=words) as caught:
        validate_candles(candles_of(GOOD, GOOD, row, GOOD))
    assert (caught.value.row, caught.value.field) == (3, field)
    assert str(caught.value).startswith("row 3: ")


@pytest.mark.parametrize(
    ("minutes", "row", "words"),
    [((0, 1, 1, 2), 3, "twice"), ((0, 1, 3, 2), 4, "earlier"), ((0, 1, 1.5, 2.5, 3.5), 3, "less than one candle")],
)
def test_a_bad_time_is_named(minutes, row, words):
    with pytest.raises(BadCandles, match=words) as caught:
        validate_candles(with_times(*minutes))
    assert caught.value.row == row


def test_the_first_of_several_bad_rows_is_named():
    with pytest.raises(BadCandles) as caught:
        validate_candles(candles_of(GOOD, (100, 101, 99, NAN), (-1, 1, -1, 1)))
    assert caught.value.row == 2


@pytest.mark.parametrize("volume", [-1.0, NAN, float("inf")])
def test_a_bad_volume_is_named(volume):
    candles = flat(100, 101)
    with pytest.raises(BadCandles, match="row 2: volume"):
        validate_candles(Candles.of(candles.ts, *candles.prices, [0.0, volume]))


def test_no_candles_are_refused():
    with pytest.raises(BadCandles, match="no candles"):
        validate_candles(Candles.from_bars([]))


def test_gaps_are_found_filled_and_refused():
    candles = with_times(0, 1, 2, 5, 6, 8)
    assert find_gaps(candles) == [Gap(3, 3 * MINUTE, 5 * MINUTE, 2), Gap(5, 7 * MINUTE, 8 * MINUTE, 1)]
    with pytest.raises(BadCandles, match=r"row 3: 2 candles are missing .* 1 more gaps follow; do this") as caught:
        refuse_gaps(candles, "do this")
    assert caught.value.row == 3
    filled = fill_gaps(candles)
    validate_candles(filled)
    assert filled.ts.tolist() == [m * MINUTE for m in range(9)]
    assert filled.close.tolist() == [100, 101, 102, 102, 102, 103, 104, 104, 105]
    assert filled.open[3:5].tolist() == filled.high[3:5].tolist() == [102, 102]
    assert find_gaps(filled) == []
    refuse_gaps(filled)


def test_without_gaps_nothing_is_copied():
    candles = flat(1, 2, 3)
    assert fill_gaps(candles) is candles


@given(st.lists(st.integers(1, 4), min_size=3, max_size=30), st.integers(0, 10**12))
def test_filling_closes_every_gap_and_keeps_every_candle(steps, start):
    minutes = np.concatenate(([0], np.cumsum([1, 1, 1, 1, 1, *steps, *[1] * len(steps)])))
    prices = np.arange(1.0, len(minutes) + 1)
    candles = Candles.of(start + minutes * MINUTE, prices, prices, prices, prices, prices)
    filled = fill_gaps(candles)
    assert (np.diff(filled.ts) == MINUTE).all()
    kept = np.isin(filled.ts, candles.ts)
    assert filled.close[kept].tolist() == prices.tolist()
    assert filled.volume[~kept].tolist() == [0.0] * int((~kept).sum())
    assert sum(gap.missing for gap in find_gaps(candles)) == len(filled) - len(candles)


BESIDE = Candles.of([0, MINUTE, 2 * MINUTE, 210_000, 270_000, 330_000], *flat(*[100] * 6).prices)


@pytest.mark.parametrize(
    "check", [validate_candles, fill_gaps, lambda candles: align({"a": flat(*[1] * 7), "b": candles})]
)
def test_a_candle_beside_the_grid_is_refused_with_what_would_be_right(check):
    words = r"row 4: ts 210000 is no whole number of candles \(60000 ms\) after row 1 \(0\): 180000 or 240000 would be"
    with pytest.raises(BadCandles, match=words) as caught:
        check(BESIDE)
    assert (caught.value.row, caught.value.field, caught.value.value) == (4, "ts", 210_000)
