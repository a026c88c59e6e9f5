"""Several markets on one grid of times."""

from __future__ import annotations

import numpy as np
import pytest
from core_builders import candles_of, flat

from trading.core.aligning import align
from trading.core.candles import Candles
from trading.core.errors import BadCandles


def starting(start: int, *prices: float, timeframe: int = 60_000) -> Candles:
    return candles_of(*((p, p, p, p) for p in prices), start=start, timeframe=timeframe)


def test_the_common_range_is_what_is_left():
    both = align({"a": starting(0, 1, 2, 3, 4), "b": starting(60_000, 20, 30, 40, 50)})
    assert both["a"].ts.tolist() == both["b"].ts.tolist() == [60_000, 120_000, 180_000]
    assert both["a"].close.tolist() == [2, 3, 4]
    assert both["b"].close.tolist() == [20, 30, 40]


def test_a_gap_of_one_market_becomes_flat_candles():
    holed = Candles.of(np.array([0, 60_000, 240_000]), *([[7, 8, 9]] * 4), [1, 1, 1])
    both = align({"a": starting(0, 1, 2, 3, 4, 5), "b": holed})
    assert both["b"].close.tolist() == [7, 8, 8, 8, 9]
    assert both["b"].volume.tolist() == [1, 1, 0, 0, 1]


def test_one_market_stays_as_it_is():
    candles = flat(1, 2, 3)
    assert align({"main": candles})["main"].ts.tolist() == candles.ts.tolist()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (starting(0, 1, 2, 3, timeframe=300_000), "b has candles of 300000 ms, a of 60000 ms"),
        (starting(30_000, 1, 2, 3), "never open at the same time"),
        (starting(180_000, 1, 2, 3), "b begins at 180000, after a has ended at 120000"),
    ],
)
def test_what_cannot_be_aligned_is_named(other, words):
    with pytest.raises(BadCandles, match=words):
        align({"a": starting(0, 1, 2, 3), "b": other})
