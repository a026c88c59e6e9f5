"""A backtest and a replay through the live path make the same fills, for every shape, on random and on real candles."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Workspace
from bots.strategies.registry import STRATEGIES
from exchanges.models import Market, PaperOrder
from tests.trading.alike import assert_same
from tests.trading.shapes import SHAPES, real_trial, trial
from trading.models import Journal, Order

pytestmark = pytest.mark.django_db
KEYS = [key for key in SHAPES if key in STRATEGIES]
QUICK = [key for key in KEYS if key != "scan"]  # its twenty markets take half a second a candle
FEW = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("key", KEYS)
def test_every_shape_trades_alike_in_backtest_and_replay(key: str):
    assert sum(assert_same(trial(key, seed)) for seed in ((1, 2, 3) if key in QUICK else (1,))) > 5


@FEW
@given(key=st.sampled_from(QUICK), seed=st.integers(100, 10**6))
def test_any_parameters_on_any_candles_trade_alike(key: str, seed: int):
    assert_same(trial(key, seed))


@pytest.mark.parametrize("key", KEYS)
def test_every_shape_trades_alike_on_real_candles(key: str, reference: Path):
    assert assert_same(real_trial(key, reference, seed=5, count=150 if key in QUICK else 40)) > 1


@pytest.mark.drill
@pytest.mark.parametrize("key", KEYS)
def test_a_hundred_runs_of_every_shape_trade_alike(key: str, reference: Path):
    for seed in range(2_000, 2_090):
        assert_same(trial(key, seed))
    for seed in range(10):
        assert_same(real_trial(key, reference, seed, count=300))


def test_a_replay_leaves_nothing_behind_unless_asked_to():
    assert assert_same(trial("grid", 7)) > 3
    left = [Workspace, Market, Order, Journal, PaperOrder]
    assert {model.__name__: model.objects.count() for model in left} == {model.__name__: 0 for model in left}
