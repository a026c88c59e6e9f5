"""Conditions as text: what is read, what is refused and how, and that nothing but the grammar is understood."""

from __future__ import annotations

import numpy as np
import pytest
from core_builders import MINUTE, candles_of, flat
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.core.conditions import condition_text, parse_condition
from trading.core.errors import InvalidInput
from trading.core.evaluation import ArrayFrame, evaluate
from trading.core.needs import AllOf, AnyOf, Compare, Const, On, Value

CLOSE = Value("close")


def read(text: str, *prices: float) -> list[bool | None]:
    """The condition at each of these closes."""
    series = evaluate(parse_condition(text), ArrayFrame(flat(*prices), MINUTE))
    return [series.at(i) for i in range(len(prices))]


def test_an_example_is_read_as_it_is_meant():
    assert parse_condition("rsi(14) < 30 and close > ema(200)") == AllOf(
        (Compare(Value("rsi", (14,)), "<", Const(30)), Compare(CLOSE, ">", Value("ema", (200,))))
    )
    assert parse_condition("EMA(12) crosses above ema(26)") == Compare(
        Value("ema", (12,)), "crosses_above", Value("ema", (26,))
    )
    assert parse_condition("on 1h: rsi(14) < 40") == On(3_600_000, Compare(Value("rsi", (14,)), "<", Const(40)))
    assert parse_condition("macd(12,26,9).hist >= -0.5").left == Value("macd", (12, 26, 9), "hist")


def test_and_binds_tighter_than_or_and_on_tightest_of_all():
    one, two, three = (Compare(CLOSE, ">", Const(n)) for n in (1, 2, 3))
    assert parse_condition("close > 1 or close > 2 and close > 3") == AnyOf((one, AllOf((two, three))))
    assert parse_condition("(close > 1 or close > 2) and close > 3") == AllOf((AnyOf((one, two)), three))
    assert parse_condition("on 5m: close > 1 and close > 2") == AllOf((On(300_000, one), two))
    assert parse_condition("on 5m: (close > 1 and close > 2)") == On(300_000, AllOf((one, two)))


_values = st.one_of(
    st.sampled_from([CLOSE, Value("rsi", (14,)), Value("bbands", (20, 2.5), "upper"), Value("engulfing")]),
    st.floats(-1e6, 1e6).map(lambda x: Const(round(x, 6))),
)
_ops = st.sampled_from([">", ">=", "<", "<=", "crosses_above", "crosses_below"])
_conditions = st.recursive(
    st.builds(Compare, _values, _ops, _values),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        st.builds(On, st.sampled_from([300_000, 3_600_000, 86_400_000]), inner),
    ),
    max_leaves=6,
)


@given(_conditions)
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_again(condition):
    text = condition_text(condition)
    if len(text) <= 500:
        assert parse_condition(text) == condition


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", 'At position 1: expected a value like close, rsi.14. or 30, .*, or "on 1h:", found the end.'),
        ("rsi(14) <", "At position 10: expected a value"),
        ("rsi(14) < 30 and", "At position 17: expected a value"),
        ("rsi(14)", "At position 8: expected a comparison"),
        ("close = 3", "At position 7: '=' has no meaning here"),
        ("close > 3 close", 'At position 11: expected "and", "or" or the end, found "close"'),
        ("(close > 3", 'At position 11: expected "[)]", found the end'),
        ("close crosses 3", 'At position 15: expected "above" or "below"'),
        ("rsi(14 < 30", 'At position 8: expected ","'),
        ("rsi(ema) < 30", 'At position 5: expected a number or "\\)"'),
        ("on hour: close > 1", "At position 4: expected a length of candles like 5m"),
        ("on 9d: close > 1", "At position 4: '9d' is no length of candles"),
        ("on 1h close > 1", 'At position 7: expected ":"'),
        ("close > 1e5", "At position 9"),
        ("close > and", 'At position 9: expected a value.*found "and"'),
        ("__import__('os').system('x') > 1", 'At position 12: "\'" has no meaning here'),
        ("close.real > 1", "At position 1: close takes no arguments"),
        ("rzi(14) < 3", "At position 1: no indicator 'rzi'; there are: open, .*, rsi, .*zscore"),
        ("close > rsi(14, 2)", "At position 9: rsi takes period .a whole number from 2 to 2000.; not 14, 2"),
        ("rsi < 30", "At position 1: rsi takes period .*; not nothing"),
        ("rsi(1) < 30", "from 2 to 2000.; not 1"),
        ("rsi(2001) < 30", "from 2 to 2000.; not 2001"),
        ("rsi(2.5) < 30", "a whole number from 2 to 2000.; not 2.5"),
        ("macd(26, 12, 9).hist > 0", "macd needs its fast below its slow; not 26 and 12"),
        ("macd(12, 26, 9) > 0", "macd has several outputs: name one of them; it has macd, signal, hist"),
        ("macd(12, 26, 9).line > 0", "macd has no output 'line'; it has macd, signal, hist"),
        ("rsi(14).up > 0", "rsi has no output 'up'; it has one value without a name"),
        ("(" * 11 + "close > 1" + ")" * 11, "no more than 10 brackets"),
        (" or ".join(["close > 1"] * 31), "no more than 30 comparisons"),
        ("close > 1 or " * 50 + "close > 1", "too long: it has 659 characters, at most 500"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place_and_what_would_be_right(text: str, told: str):
    with pytest.raises(InvalidInput, match=told) as caught:
        parse_condition(text, field="entry")
    assert (caught.value.field, caught.value.value) == ("entry", text)


@given(st.text(alphabet="rsi(14)<>=. and or on1h:close,-_'\"\\x", max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_either_read_or_refused(text: str):
    try:
        condition = parse_condition(text)
    except InvalidInput:
        return
    assert parse_condition(condition_text(condition)) == condition


def test_comparisons():
    assert read("close > 2", 1, 2, 3) == [False, False, True]
    assert read("close >= 2", 1, 2, 3) == [False, True, True]
    assert read("2 > close", 1, 2, 3) == [True, False, False]
    assert read("close <= 2 and close > 1", 1, 2, 3) == [False, True, False]
    assert read("close < 2 or close > 2", 1, 2, 3) == [True, False, True]
    assert read("1 < 2", 5, 5) == [True, True]


def test_a_crossing_is_true_at_one_candle_and_unknown_at_the_first():
    assert read("close crosses above 2", 3, 1, 2, 3, 4, 2, 3) == [None, False, False, True, False, False, True]
    assert read("close crosses below 2", 1, 3, 2, 1, 0.5) == [None, False, False, True, False]


def test_without_a_value_of_every_part_there_is_none():
    assert read("close > 1 or sma(3) > 100", 5, 5, 5, 5) == [None, None, True, True]
    assert read("sma(9) > 1", 5, 5) == [None, None]
    assert read("close crosses above sma(2)", 3, 1, 5, 5) == [None, None, True, False]


def test_another_timeframe_counts_from_the_close_of_its_candle_on():
    candles = candles_of(*((c, c, c, c) for c in range(1, 13)), start=MINUTE)  # minutes 1 to 12: the first 5m is cut
    series = evaluate(parse_condition("on 5m: close >= 9"), ArrayFrame(candles, MINUTE))
    assert [series.at(i) for i in range(12)] == [None] * 8 + [True] * 4
    both = evaluate(parse_condition("on 5m: close >= 9 and close > 10"), ArrayFrame(candles, MINUTE))
    assert [both.at(i) for i in range(12)] == [None] * 8 + [False, False, True, True]


def test_a_timeframe_that_the_candles_do_not_make_up_is_refused():
    with pytest.raises(InvalidInput, match="candles of 5m can't be made from those of 2m"):
        evaluate(parse_condition("on 5m: close > 1"), ArrayFrame(flat(1, 2), 2 * MINUTE))


def test_shorter_candles_inside_longer_ones_are_refused():
    with pytest.raises(InvalidInput, match="candles of 1m can't be made from those of 5m"):
        evaluate(parse_condition("on 5m: on 1m: close > 1"), ArrayFrame(flat(*range(1, 20)), MINUTE))


def test_no_candles_no_value():
    empty = flat(1).slice(0, 0)
    assert len(evaluate(parse_condition("close crosses above 2"), ArrayFrame(empty, MINUTE)).values) == 0
    assert not np.any(evaluate(parse_condition("on 5m: close > 2"), ArrayFrame(flat(1, 2), MINUTE)).changes())
