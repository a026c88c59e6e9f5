"""Indicators: array, compiled and running forms agree bit for bit, and look at closed candles only."""

from __future__ import annotations

import json

import numpy as np
import pytest
from core_builders import flat
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.candles import Candles
from trading.core.errors import InvalidInput
from trading.core.indicators import INDICATORS, Series

EMA = INDICATORS["ema_side"]
closes = st.lists(st.floats(0.5, 2.0), min_size=1, max_size=80)
spans = st.tuples(st.integers(1, 12), st.integers(1, 30)).map(lambda p: (p[0], p[0] + p[1]))


def plain_ema(values, span):
    """The definition, written out: alpha = 2 / (span + 1), seeded with the first value."""
    alpha, out = 2 / (span + 1), [values[0]]
    for value in values[1:]:
        out.append(alpha * value + (1 - alpha) * out[-1])
    return out


@given(closes, spans)
@settings(max_examples=200, deadline=None)
def test_all_forms_agree_with_the_definition(values, args):
    candles = flat(*values)
    fast, slow = (plain_ema(values, span) for span in args)
    wanted = [f > s if i >= args[1] else None for i, (f, s) in enumerate(zip(fast, slow, strict=True))]
    for compiled in (False, True):
        series = EMA.series(candles, args, fast=compiled)
        assert [series.at(i) for i in range(len(values))] == wanted
    running = EMA.running(args)
    assert [running.update(bar) for bar in candles.bars()] == wanted


@given(closes, spans, st.data())
@settings(max_examples=50, deadline=None)
def test_a_running_value_goes_on_after_a_restart(values, args, data):
    bars = list(flat(*values).bars())
    cut = data.draw(st.integers(0, len(bars)))
    whole, first, second = EMA.running(args), EMA.running(args), EMA.running(args)
    wanted = [whole.update(bar) for bar in bars]
    before = [first.update(bar) for bar in bars[:cut]]
    second.load(json.loads(json.dumps(first.dump())))
    assert before + [second.update(bar) for bar in bars[cut:]] == wanted


@given(closes, spans)
@settings(max_examples=50, deadline=None)
def test_changes_name_every_candle_whose_value_differs(values, args):
    series = EMA.series(flat(*values), args)
    told = [None, *(series.at(i) for i in range(len(values)))]
    assert series.changes().tolist() == [i for i in range(len(values)) if told[i + 1] != told[i]]


def test_nothing_before_it_is_active():
    series = Series(np.array([True, False]), start=5)
    assert series.changes().tolist() == []
    assert series.at(1) is None
    assert EMA.lookback((12, 26)) == 26


@pytest.mark.parametrize("args", [(), (3,), (5, 5), (9, 3), (0, 4), (1.5, 4), (1, float("inf")), (1, 2, 3)])
def test_impossible_arguments_are_refused(args):
    with pytest.raises(InvalidInput, match="two whole spans"):
        EMA.series(flat(1, 2), args)


@pytest.mark.parametrize("fast", [False, True])
def test_without_a_candle_there_is_no_side(fast):
    """The compiled kernel begins with a first close: it mustn't be asked to look for one that isn't there."""
    series = EMA.series(Candles.from_bars([]), (2, 5), fast=fast)
    assert len(series.values) == 0
