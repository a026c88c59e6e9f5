"""`manage.py check_lookahead` and `check_parity`: honest strategies pass, a cheat ends with 1 and its candle."""

from __future__ import annotations

import json
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from accounts.models import Workspace
from bots.strategies.ema_cross import EmaCross, EmaCrossParams
from bots.strategies.registry import STRATEGIES
from trading.core.indicators import INDICATORS, Series
from trading.core.lookahead import Recording
from trading.core.needs import MarketRef, Needs, SignalSpec, Value
from trading.core.types import Decision

GRID = {"lower": 92, "upper": 108, "levels": 9, "spacing": "arithmetic", "investment": 5000}
EMA = {"fast": 3, "slow": 5, "quantity": "1"}
MINUTE = 60_000


@pytest.fixture
def wave(tmp_path):
    """A hundred and twenty candles of a triangle wave between 90 and 110."""
    path = tmp_path / "wave.csv"
    rows = ["ts,open,high,low,close,volume"]
    for k in range(120):
        here, there = (90 + abs((t % 40) - 20) for t in (k, k + 1))
        rows.append(f"{k * MINUTE},{here},{max(here, there)},{min(here, there)},{there},1")
    path.write_text("\n".join(rows) + "\n")
    return path


def said(command: str, strategy: str, candles, params, *more: str) -> str:
    out = StringIO()
    call_command(command, strategy, "--candles", str(candles), "--params", json.dumps(params), *more, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(("strategy", "params"), [("grid", GRID), ("ema_cross", EMA)])
def test_an_honest_strategy_passes_the_look_ahead_check(wave, strategy, params):
    assert "20 cuts: no signal" in said("check_lookahead", strategy, wave, params, "--cuts", "20")


class Hindsight:
    """An indicator that says whether the price will stand higher ten candles from now."""

    name, title, args, outputs, columns, seed = "hindsight", "Hindsight", (), ("",), ("close",), ""

    def check(self, args):
        assert not args

    def lookback(self, args):
        return 0

    def outputs_of(self, candles, args, *, fast=False):
        later = np.append(candles.close[10:], np.full(min(10, len(candles)), candles.close[-1]))
        return (Series(later > candles.close, 0),)

    def running(self, args):
        return None


class Prophet(EmaCross):
    """The crossover, but for its signal."""

    key = "prophet"
    title = "Prophet"

    def needs(self, params: EmaCrossParams) -> Needs:
        return Needs({"main": MarketRef("")}, {"side": SignalSpec("main", Value("hindsight"))})


@pytest.fixture
def prophet():
    """A strategy that cheats, on the shelf for one test."""
    INDICATORS["hindsight"] = Hindsight()
    STRATEGIES["prophet"] = Prophet()
    yield "prophet"
    del INDICATORS["hindsight"], STRATEGIES["prophet"]


def test_a_cheat_ends_with_1_and_its_candle(wave, prophet):
    with pytest.raises(CommandError) as caught:
        said("check_lookahead", prophet, wave, EMA, "--cuts", "30", "--seed", "3")
    assert caught.value.returncode == 1
    told = str(caught.value)
    assert "signal side at candle " in told
    assert "is another when the file ends after candle" in told
    assert "whole file: True" in told
    assert "cut off:    False" in told


@pytest.mark.parametrize(
    ("more", "words"),
    [(["--cuts", "0"], "cuts: 0 cuts of 120 candles"), (["--fee", "2"], "fee: --fee 2 must be")],
)
def test_bad_input_ends_with_2(wave, more, words):
    with pytest.raises(CommandError, match=words) as caught:
        said("check_lookahead", "grid", wave, GRID, *more)
    assert caught.value.returncode == 2


@pytest.mark.django_db
@pytest.mark.parametrize(("strategy", "params"), [("grid", GRID), ("ema_cross", EMA)])
def test_backtest_and_replay_are_the_same(wave, strategy, params):
    assert "fills, the same in backtest and replay" in said("check_parity", strategy, wave, params)
    assert not Workspace.objects.exists()


class Wavering(Recording):
    """A crossover that decides otherwise the second time it is run: what one with a clock or a die would do."""

    key = "wavering"
    runs = 0

    def decide(self, params, state, view):
        self.runs += state is None
        if self.runs == 2 and view.now_ms > 60 * MINUTE:
            return Decision(state, {})
        return super().decide(params, state, view)


@pytest.fixture
def wavering():
    """The strategy without a mind of its own, on the shelf for one test."""
    STRATEGIES["wavering"] = Wavering(EmaCross())
    yield "wavering"
    del STRATEGIES["wavering"]


@pytest.mark.django_db
def test_the_first_fill_that_differs_ends_with_1(wave, wavering):
    with pytest.raises(CommandError) as caught:
        said("check_parity", wavering, wave, EMA)
    assert caught.value.returncode == 1
    assert "differs:\n  backtest: " in str(caught.value)
    assert "\n  replay:   none" in str(caught.value)


@pytest.mark.django_db
def test_the_parity_check_names_bad_input(wave):
    with pytest.raises(CommandError, match="levels") as caught:
        said("check_parity", "grid", wave, {**GRID, "levels": 1})
    assert caught.value.returncode == 2
    assert not Workspace.objects.exists()
