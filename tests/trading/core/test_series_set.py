"""What a strategy's needs come to over whole columns; and needs that cannot be met, refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from core_builders import MINUTE
from test_indicator_windows import market

from trading.core.conditions import parse_condition
from trading.core.errors import InvalidInput
from trading.core.needs import Compare, Const, DerivedSpec, MarketRef, Needs, On, SignalSpec, Value
from trading.core.requirements import check_needs
from trading.core.series_set import Sparse, series_of

A, B = market(800, seed=1), market(800, seed=2)
MARKETS = {"a": MarketRef(""), "b": MarketRef("B/Q")}
SPREAD = {"spread": DerivedSpec((("a", 2.0), ("b", -1.0)), offset=3.0)}


def signals(derived=None, **specs: SignalSpec) -> Needs:
    return Needs(MARKETS, specs, derived or {})


def test_changes_name_every_candle_whose_value_differs_and_nothing_else():
    needs = signals(
        rsi=SignalSpec("a", Value("rsi", (14,))),
        low=SignalSpec("b", parse_condition("rsi(14) < 45")),
        slow=SignalSpec("a", parse_condition("close > sma(3)"), 5 * MINUTE),
        on=SignalSpec("b", parse_condition("on 15m: close crosses above sma(3)")),
        pattern=SignalSpec("a", Value("engulfing")),
        bar=SignalSpec("b", Value("close"), 15 * MINUTE),
    )
    found = series_of(needs, {"a": A, "b": B}, fast=False)
    assert list(found.signals) == list(needs.signals)
    for series in found.signals.values():
        told = [None, *(series.at(i) for i in range(800))]
        assert series.changes().tolist() == [i for i in range(800) if told[i + 1] != told[i]]
        candles, values = series.steps()
        assert candles.tolist() == series.changes().tolist()
        assert values.tolist() == [series.at(i) for i in candles.tolist()]


def test_each_signal_looks_at_its_own_market():
    needs = signals(one=SignalSpec("a", Value("close")), other=SignalSpec("b", Value("close")))
    found = series_of(needs, {"a": A, "b": B})
    assert (found.signal("one").at(5), found.signal("other").at(5)) == (A.close[5], B.close[5])


def test_a_derived_series_is_its_formula_and_has_signals_too():
    needs = signals(
        SPREAD, z=SignalSpec("spread", Value("zscore", (30,))), up=SignalSpec("spread", parse_condition("close > 100"))
    )
    found = series_of(needs, {"a": A, "b": B})
    assert np.array_equal(found.derived("spread").values, 3.0 + 2.0 * A.close - B.close)
    assert found.derived("spread").at(7) == 3.0 + 2.0 * A.close[7] - B.close[7]
    assert found.signal("z").at(28) is None
    assert found.signal("up").at(9) is bool(found.derived("spread").at(9) > 100)


def test_a_condition_over_many_candles_is_kept_as_its_changes():
    series = series_of(signals(x=SignalSpec("a", parse_condition("rsi(14) < 30"))), {"a": A, "b": B}).signal("x")
    assert isinstance(series, Sparse)
    assert len(series.index) < 100


def test_higher_candles_are_known_at_the_close_of_the_candle_that_completes_them():
    needs = signals(bar=SignalSpec("a", Value("close"), 5 * MINUTE))
    series = series_of(needs, {"a": A, "b": B}).signal("bar")
    closes = [i for i in range(800) if (A.ts[i] + MINUTE) % (5 * MINUTE) == 0 and i >= 4]
    assert [series.at(i) for i in closes] == A.close[closes].tolist()
    assert series.at(closes[0] - 1) is None


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (SignalSpec("c", Value("close")), "it looks at 'c'; this strategy has a, b, spread"),
        (SignalSpec("a", Value("rzi", (3,))), "no indicator 'rzi'; there are: open, .*zscore"),
        (SignalSpec("a", Value("rsi", (1,))), "rsi takes period .a whole number from 2 to 2000.; not 1"),
        (SignalSpec("a", Value("bbands", (20, 2))), "bbands has several outputs: name one of them; it has upper"),
        (SignalSpec("spread", Value("atr", (14,))), "atr reads high, low: a derived series has closes only"),
        (SignalSpec("a", Value("close"), 90_000), "candles of 90000 ms can't be made from those of 1m"),
        (SignalSpec("a", Value("close"), -MINUTE), "candles of -60000 ms: the longest are of 7 days"),
        (SignalSpec("a", Compare(Value("close"), ">", Const(float("nan")))), "nan is no number to compare with"),
        (
            SignalSpec("a", On(MINUTE, On(5 * MINUTE, parse_condition("on 1m: close > 1")))),
            "candles of 1m can't be made from those of 5m",
        ),
    ],
)
def test_a_signal_that_cannot_be_computed_is_refused_by_name_before_anything_starts(spec: SignalSpec, told: str):
    needs = signals(SPREAD, fine=SignalSpec("a", Value("close")), wrong=spec)
    for check in (lambda: check_needs(needs, MINUTE), lambda: series_of(needs, {"a": A, "b": B})):
        with pytest.raises(InvalidInput, match=f"The signal wrong: {told}") as caught:
            check()
        assert caught.value.field == "signals.wrong"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (DerivedSpec(()), "has 0 terms: it needs 1 to 10"),
        (DerivedSpec((("a", 1.0), ("z", 1.0))), "made from 'z', which is no market of this bot: a, b"),
        (DerivedSpec((("a", 0.0),)), "weighs a with 0.0: it must be a finite number other than 0"),
        (DerivedSpec((("a", 1.0),), offset=float("inf")), "the offset of bad must be a finite number"),
    ],
)
def test_a_derived_series_that_cannot_be_made_is_refused(spec: DerivedSpec, told: str):
    with pytest.raises(InvalidInput, match=told):
        check_needs(Needs(MARKETS, {}, {"bad": spec}), MINUTE)
