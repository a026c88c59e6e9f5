"""Our own indicators against their definitions, written out; and what the registry says of each."""

from __future__ import annotations

import math
import re
from pathlib import Path
from statistics import fmean, pstdev

import pytest
from core_builders import MINUTE, flat
from hypothesis import given, settings
from hypothesis import strategies as st
from test_indicator_windows import args_of, market

from trading.core.errors import InvalidInput
from trading.core.evaluation import ArrayFrame, check_columns
from trading.core.indicators import COLUMNS, INDICATORS, Windowed, check_value
from trading.core.needs import Value

OTHERS = {"supertrend": (10, 3), "ema_side": (12, 26)}
GUIDE = Path(__file__).resolve().parents[3] / "docs" / "indicators.md"
CANDLES = market(700, seed=8)
BARS = list(CANDLES.bars())


def usual(name: str) -> tuple[float, ...]:
    return OTHERS.get(name) or args_of(name)


def values(name: str, *args: float, output: str = "") -> list[float | None]:
    series = ArrayFrame(CANDLES, MINUTE).series(Value(name, args, output))
    return [series.at(i) for i in range(len(CANDLES))]


def windows(period: int):
    """The last candles at each place, None before there are enough."""
    return [BARS[i - period + 1 : i + 1] if i + 1 >= period else None for i in range(len(BARS))]


@pytest.mark.parametrize("period", [1, 2, 3, 5, 13, 64])
def test_extremes_are_those_of_the_last_candles(period: int):
    assert values("highest", period) == [w and max(b.high for b in w) for w in windows(period)]
    assert values("lowest", period) == [w and min(b.low for b in w) for w in windows(period)]
    before = [None, *windows(period)[:-1]]
    assert values("donchian", period, output="upper") == [w and max(b.high for b in w) for w in before]
    assert values("donchian", period, output="lower") == [w and min(b.low for b in w) for w in before]


@pytest.mark.parametrize("period", [2, 7, 50])
def test_deviations_are_of_the_whole_population(period: int):
    for i, window in enumerate(windows(period)):
        if window is None:
            assert values("std", period)[i] is None
            continue
        closes = [bar.close for bar in window]
        assert values("std", period)[i] == pytest.approx(pstdev(closes), rel=1e-9, abs=1e-12)
        spread = pstdev(closes)
        wanted = (closes[-1] - fmean(closes)) / spread if spread else 0.0
        assert values("zscore", period)[i] == pytest.approx(wanted, rel=1e-7, abs=1e-7)
        if i > 200:
            break


@given(st.floats(1e-6, 1e-3), st.integers(2, 40))
@settings(max_examples=30, deadline=None)
def test_a_spread_far_from_zero_keeps_its_digits(scale: float, period: int):
    """Sums of squares would lose them: the deviation is a millionth of the level."""
    closes = [1000.0 + scale * math.sin(i) for i in range(60)]
    series = INDICATORS["std"].outputs_of(flat(*closes), (period,))[0]
    assert series.at(59) == pytest.approx(pstdev(closes[60 - period :]), rel=1e-6)


@pytest.mark.parametrize("price", [100.3, 1234.56, 94.7192225498636, 0.1])
@pytest.mark.parametrize("name", ["std", "zscore"])
def test_a_market_that_stands_still_has_no_deviation(name: str, price: float):
    """Their mean may be an ulp beside equal prices; live windows find the same zeros."""
    candles = flat(*[99.0] * 3, *[price] * 600, 99.0)
    series, bits = INDICATORS[name].outputs_of(candles, (14,))[0], []
    for i in (15, 16, 40, 511, 512, 602):
        since = INDICATORS[name].since_ms(int(candles.ts[i]), MINUTE, (14,))
        live = INDICATORS[name].last(candles.slice(max(0, since // MINUTE), i + 1), MINUTE, (14,))
        assert live == (series.at(i),)
        bits.append(series.at(i))
    assert bits[0] != 0.0
    assert bits[1:] == [0.0] * 5
    assert series.at(603) != 0.0


def test_an_average_by_volume_is_plain_where_nothing_was_traded():
    for i, window in enumerate(windows(5)):
        if window is None:
            continue
        typical = [(b.high + b.low + b.close) / 3 for b in window]
        traded = sum(b.volume for b in window)
        wanted = sum(t * b.volume for t, b in zip(typical, window, strict=True)) / traded if traded else fmean(typical)
        assert values("vwap", 5)[i] == pytest.approx(wanted, rel=1e-12)
        if i > 150:
            break
    assert any(window and not sum(b.volume for b in window) for window in windows(5))


def supertrend_written_out(period: int, multiplier: float) -> list[tuple[float, float] | None]:
    """The definition, candle by candle, with lists."""
    ranges = [
        max(b.high - b.low, *(abs(x - BARS[i - 1].close) for x in (b.high, b.low))) if i else b.high - b.low
        for i, b in enumerate(BARS)
    ]
    atr, found = fmean(ranges[:period]), [None] * (period - 1)
    upper = lower = up = None
    for i in range(period - 1, len(BARS)):
        bar = BARS[i]
        if i >= period:
            atr = (atr * (period - 1) + ranges[i]) / period
        high, low = ((bar.high + bar.low) / 2 + sign * multiplier * atr for sign in (1, -1))
        if up is None:
            upper, lower, up = high, low, True
        else:
            last = BARS[i - 1].close
            upper = high if high < upper or last > upper else upper
            lower = low if low > lower or last < lower else lower
        up = bar.close >= lower if up else bar.close > upper
        found.append((lower if up else upper, 1.0 if up else -1.0))
    return found


@pytest.mark.parametrize("args", [(1, 1.0), (10, 3.0), (14, 0.5)])
def test_supertrend_is_its_definition_in_every_form(args):
    indicator = INDICATORS["supertrend"]
    wanted = supertrend_written_out(*args)
    running = indicator.running(args)
    for fast in (False, True):
        line, side = indicator.outputs_of(CANDLES, args, fast=fast)
        for i, expected in enumerate(wanted):
            assert (line.at(i), side.at(i)) == (pytest.approx(expected) if expected else (None, None))
    for i, bar in enumerate(BARS):
        if i == 300:  # goes on after a restart
            data, running = running.dump(), indicator.running(args)
            running.load(data)
        found = running.update(bar)
        assert found == (None if wanted[i] is None else (line.at(i), side.at(i)))
    assert {side.at(i) for i in range(50, 700)} == {1.0, -1.0}


# --- the registry -------------------------------------------------------------------------------------------------


def example(name: str) -> str:
    args = usual(name)
    return f"{name}({', '.join(f'{arg:g}' for arg in args)})" if args else name


def rows() -> list[str]:
    """The guide's table as the registry has it."""
    found = []
    for name, one in INDICATORS.items():
        args = usual(name)
        takes = "; ".join(f"{arg.name} {arg.low:g}-{arg.high:g}" for arg in one.args) or "none"
        outputs = ", ".join(one.outputs) if one.outputs != ("",) else ""
        window = f"{one.block(args)}-{2 * one.block(args)}" if isinstance(one, Windowed) else "all"
        reads = ", ".join(one.columns)
        first = one.lookback(args) + 1
        cells = (f"`{example(name)}`", one.title, takes, outputs, reads, f"{first}", window, one.seed)
        found.append(f"| {' | '.join(cells)} |")
    return found


def test_the_guide_lists_every_indicator_as_it_is():
    text = GUIDE.read_text()
    assert [row for row in rows() if row not in text] == []
    assert len(re.findall(r"^\| `", text, re.MULTILINE)) == len(INDICATORS)


@pytest.mark.parametrize("name", sorted(INDICATORS))
def test_wrong_arguments_are_refused_with_what_would_be_right(name: str):
    indicator = INDICATORS[name]
    good = usual(name)
    indicator.check(good)
    bad = [(*good, 1.0), *(() if not good else (good[:-1],))]
    for k, arg in enumerate(indicator.args):
        bad += [(*good[:k], wrong, *good[k + 1 :]) for wrong in (arg.high + 1, arg.low - 1, math.nan, math.inf)]
    for args in bad:
        with pytest.raises(InvalidInput) as caught:
            indicator.check(args)
        assert caught.value.field == "args"
        assert caught.value.value == args or all(
            math.isnan(x) == math.isnan(y) for x, y in zip(args, good, strict=False)
        )
        assert name in caught.value.message


def test_unknown_names_and_outputs_are_refused_with_what_there_is():
    with pytest.raises(InvalidInput, match=r"no indicator 'rzi'; there are: open, .* zscore") as caught:
        check_value(Value("rzi", (14,)))
    assert (caught.value.field, caught.value.value) == ("indicator", "rzi")
    with pytest.raises(InvalidInput, match=r"it has upper, middle, lower") as caught:
        check_value(Value("bbands", (20, 2), "top"))
    assert (caught.value.field, caught.value.value) == ("output", "top")
    for column in COLUMNS:
        assert check_value(Value(column)) is None
    with pytest.raises(InvalidInput, match="close takes no arguments"):
        check_value(Value("close", (1,)))


def test_indicators_say_which_columns_they_read():
    for name, indicator in INDICATORS.items():
        value = Value(name, usual(name), indicator.outputs[0])
        if indicator.columns == ("close",):
            check_columns(value, close_only=True)
        else:
            with pytest.raises(InvalidInput, match="a derived series has closes only"):
                check_columns(value, close_only=True)


@pytest.mark.parametrize("name", ["rsi", "stoch", "stochrsi", "mfi", "willr", "zscore"])
def test_where_nothing_moves_the_value_is_zero_as_the_guide_says(name: str):
    for series in INDICATORS[name].outputs_of(flat(*[100.0] * 1200), usual(name)):
        assert series.at(1199) == 0
