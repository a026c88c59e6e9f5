"""Figures of a run: the fill line of the contract, equity at closes, drawdown."""

from __future__ import annotations

import hashlib
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core.metrics import equity_at_closes, fill_line, fills_sha256, max_drawdown_ratio
from trading.core.types import Side


def test_a_fill_line_is_plain():
    line = fill_line(60_000, "grid:7:buy", 2, Side.BUY, D("46000.50"), D("1E-8"), D("0E-18"))
    assert line == "60000,grid:7:buy,2,buy,46000.5,0.00000001,0\n"


def test_the_hash_is_over_all_lines():
    assert fills_sha256(iter(["a\n", "ä\n"])) == hashlib.sha256("a\nä\n".encode()).hexdigest()


def test_equity_at_closes():
    close = np.array([100.0, 110.0, 90.0, 95.0])
    equity = equity_at_closes(
        np.array([1, 1, 3]), np.array([1.0, 1.0, -2.0]), np.array([-101.0, -102.0, 190.0]), close, 1000.0
    )
    assert equity.tolist() == [1000.0, 797.0 + 220.0, 797.0 + 180.0, 987.0]


def test_equity_without_fills_is_the_cash():
    nothing = np.zeros(0)
    assert equity_at_closes(nothing.astype(np.int64), nothing, nothing, np.array([1.0, 2.0]), 5.0).tolist() == [5, 5]


@pytest.mark.parametrize(
    ("equity", "ratio"),
    [([], 0), ([100], 0), ([100, 110, 120], 0), ([100, 80, 120, 90], 0.25), ([100, 50, 200, 150], 0.5), ([0, 0], 0)],
)
def test_max_drawdown(equity, ratio):
    assert max_drawdown_ratio(np.array(equity, dtype=np.float64)) == ratio


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=50))
def test_max_drawdown_is_the_worst_pair(values):
    worst = max((max(values[: i + 1]) - value) / max(values[: i + 1]) for i, value in enumerate(values))
    assert max_drawdown_ratio(np.array(values)) == worst
