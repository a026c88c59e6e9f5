"""Contract rule 12 on the live side: whatever a frame has held, missed or forgotten, its values are the backtest's."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_indicator_windows import MINUTE, market

from trading.core.candles import COLUMNS, Candles, fill_gaps
from trading.core.conditions import parse_condition
from trading.core.derived import derived_candles
from trading.core.errors import InvalidInput
from trading.core.evaluation import ArrayFrame, evaluate
from trading.core.live_candles import DAY_MS, LiveCandles
from trading.core.live_series import LiveFrame
from trading.core.needs import DerivedSpec, Value
from trading.core.timeframes import whole_series

FIVE = 5 * MINUTE
OF = {
    "close": Value("close"),
    "rsi": Value("rsi", (14,)),
    "macd": Value("macd", (12, 26, 9), "hist"),
    "supertrend": Value("supertrend", (10, 3), "side"),
    "ema_side": Value("ema_side", (5, 9)),
    "cross": parse_condition("ema(5) crosses above ema(9)"),
    "below": parse_condition("close crosses below bbands(20, 2).lower or supertrend(10, 2).side < 0"),
    "two": parse_condition("rsi(14) < 45 and on 15m: (close > sma(20) or macd(12, 26, 9).hist > 0)"),
    "on_cross": parse_condition("close > vwap(20) and on 5m: ema(3) crosses above ema(8)"),
}


@dataclass
class MemoryStore:
    """Stored minutes; longer candles are made from them."""

    minutes: Candles
    loads: list[tuple[int, int, int]] = field(default_factory=list)

    def load(self, timeframe_ms: int, start_ms: int, end_ms: int) -> Candles:
        self.loads.append((timeframe_ms, start_ms, end_ms))
        made = self.minutes if timeframe_ms == MINUTE else whole_series(self.minutes, timeframe_ms, MINUTE)
        inside = (made.ts >= start_ms) & (made.ts < end_ms)
        return Candles(*(getattr(made, name)[inside] for name in COLUMNS))

    def bounds_ms(self, timeframe_ms: int) -> tuple[int, int]:
        return (int(self.minutes.ts[0]), int(self.minutes.ts[-1]) + MINUTE) if len(self.minutes) else (0, 0)


class LiveMarket:
    """The frames of one market as the live side holds them."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.frames: dict[int, LiveFrame] = {}

    def on(self, timeframe_ms: int) -> LiveFrame:
        if timeframe_ms not in self.frames:
            self.frames[timeframe_ms] = LiveFrame(LiveCandles(self.store, timeframe_ms), self.on)
        return self.frames[timeframe_ms]

    def closed(self, bars) -> None:
        for frame in list(self.frames.values()):
            frame.candles.closed(MINUTE, bars)


def cut(candles: Candles, keep) -> Candles:
    return Candles(*(getattr(candles, name)[keep] for name in COLUMNS))


MINUTES = market(4000, seed=3)
EXPECTED = {
    (name, frame): evaluate(of, ArrayFrame(MINUTES, MINUTE).on(frame))
    for name, of in OF.items()
    for frame in (MINUTE, FIVE)
}


def expected(name: str, timeframe_ms: int, now_ms: int):
    """The backtest's value at the last candle of this length that has closed at `now_ms`."""
    ends = ArrayFrame(MINUTES, MINUTE).on(timeframe_ms).ends
    at = int(np.searchsorted(ends, now_ms, side="right")) - 1
    return EXPECTED[name, timeframe_ms].at(at) if at >= 0 else None


@given(
    st.integers(0, 3990), st.lists(st.sampled_from(sorted(OF)), min_size=1, max_size=4),
    st.sampled_from([MINUTE, FIVE]), st.lists(st.integers(1, 12), min_size=1, max_size=8), st.data(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_values_are_the_backtests_wherever_the_bot_starts(start, names, timeframe_ms, steps, data):
    """Started anywhere, fed a few minutes at a time, sometimes not at all so that it must read what it missed."""
    store = MemoryStore(MINUTES.slice(0, start))
    live = LiveMarket(store)
    at = start
    for step in steps:
        missed = data.draw(st.booleans())
        store.minutes = MINUTES.slice(0, min(at + step, 4000))
        new = list(MINUTES.slice(at, at + step).bars())
        at = len(store.minutes)
        if new and not missed:
            live.closed(new)
        else:
            for frame in live.frames.values():
                frame.candles.refresh()
        now_ms = int(MINUTES.ts[at - 1]) + MINUTE
        for name in names:
            assert live.on(timeframe_ms).value(OF[name]) == expected(name, timeframe_ms, now_ms)


@pytest.mark.parametrize("name", sorted(OF))
def test_without_a_store_what_was_fed_is_enough(name: str):
    """As in a replay: nothing is stored, every minute is handed over from the first on."""
    live = LiveMarket(MemoryStore(MINUTES.slice(0, 0)))
    frames = [live.on(MINUTE), live.on(FIVE)]
    for i, bar in enumerate(MINUTES.slice(0, 1500).bars()):
        live.closed([bar])
        for frame in frames:
            if i > 1200 or i % 7 == 0:
                assert frame.value(OF[name]) == expected(name, frame.timeframe_ms, bar.ts_ms + MINUTE)


def test_a_bounded_number_of_candles_is_held_and_nothing_is_lost_by_it():
    long = market(12_000, seed=5)
    whole = ArrayFrame(long, MINUTE)
    of = OF["cross"]
    wanted = evaluate(of, whole)
    store = MemoryStore(long.slice(0, 10))
    live = LiveMarket(store)
    frame = live.on(MINUTE)
    most = 0
    for i in range(10, 12_000):
        store.minutes = long.slice(0, i + 1)
        frame.candles.closed(MINUTE, [long.bar(i)])
        assert frame.value(of) == wanted.at(i)
        most = max(most, len(frame.candles))
    assert most < 3 * 2 * 512 + DAY_MS // MINUTE + 1000
    longer = Value("ema", (300,))  # what has been forgotten is read again when somebody needs it
    assert frame.value(longer) == evaluate(longer, whole).at(11_999)


@pytest.mark.parametrize("of", [Value("ema", (200,)), Value("ema_side", (12, 26)), Value("sma", (20,)), OF["on_cross"]])
def test_older_candles_that_are_stored_later_count_from_then_on(of):
    """A market starts with an hour of candles; its history is imported while the bot runs."""
    day = DAY_MS // MINUTE
    store = MemoryStore(MINUTES.slice(2 * day, 2 * day + 60))
    live = LiveMarket(store)
    live.on(MINUTE).value(of)
    wanted = evaluate(of, ArrayFrame(MINUTES, MINUTE))
    for at in range(2 * day + 60, 2 * day + 130):
        store.minutes = MINUTES.slice(0, at + 1)
        live.closed([MINUTES.bar(at)])
        value = live.on(MINUTE).value(of)
    assert value is not None
    assert value == wanted.at(at)


@given(st.sets(st.integers(1, 3998), max_size=300), st.integers(600, 3999))
@settings(max_examples=60, deadline=None)
def test_gaps_are_flat_candles_live_as_in_a_backtest(missing, at):
    keep = np.ones(4000, dtype=bool)
    keep[list(missing)] = False
    keep[700:1400] = False
    gapped = cut(MINUTES, keep)
    filled = ArrayFrame(fill_gaps(gapped), MINUTE)
    seen = cut(MINUTES, keep & (np.arange(4000) <= at))
    live = LiveMarket(MemoryStore(seen))
    last = int(np.searchsorted(filled.candles.ts, seen.ts[-1]))
    for name in ("rsi", "supertrend", "below"):
        assert live.on(MINUTE).value(OF[name]) == evaluate(OF[name], filled).at(last)


@given(st.sets(st.integers(2001, 2398), max_size=200), st.sampled_from([MINUTE, FIVE]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_minutes_that_never_come_are_flat_in_what_is_fed_too(missing, timeframe_ms, stored):
    keep = np.ones(4000, dtype=bool)
    keep[list(missing)] = False
    keep[2100:2130] = False
    gapped = cut(MINUTES, keep & (np.arange(4000) < 2400))
    frame = ArrayFrame(fill_gaps(gapped), MINUTE).on(timeframe_ms)
    wanted = {name: evaluate(OF[name], frame) for name in ("rsi", "supertrend", "cross")}
    store = MemoryStore(MINUTES.slice(0, 2000))
    live = LiveMarket(store)
    live.on(timeframe_ms)
    for i in np.flatnonzero(keep[:2400])[2000:].tolist():
        if stored:
            store.minutes = cut(MINUTES, keep & (np.arange(4000) <= i))
        live.closed([MINUTES.bar(i)])
        at = int(np.searchsorted(frame.ends, int(MINUTES.ts[i]) + MINUTE, side="right")) - 1
        for name, series in wanted.items():
            assert live.on(timeframe_ms).value(OF[name]) == series.at(at)


def test_candles_that_arrive_after_a_gap_are_told_as_if_nothing_had_been_missing():
    keep = np.ones(4000, dtype=bool)
    keep[2000:2100] = False
    filled = ArrayFrame(fill_gaps(cut(MINUTES, keep)), MINUTE)
    live = LiveMarket(MemoryStore(MINUTES.slice(0, 2000)))
    assert live.on(MINUTE).value(OF["rsi"]) == evaluate(OF["rsi"], filled).at(1999)
    live.closed([MINUTES.bar(2100)])
    assert live.on(MINUTE).value(OF["rsi"]) == evaluate(OF["rsi"], filled).at(2100)


def test_a_derived_series_has_closes_only():
    spec = DerivedSpec((("a", 1.0), ("b", -0.7)), log=True, offset=0.1)
    series = derived_candles(spec, {"a": MINUTES, "b": market(4000, seed=9)})
    frame = ArrayFrame(series, MINUTE, close_only=True)
    assert np.isfinite(evaluate(Value("zscore", (60,)), frame).values).all()
    with pytest.raises(InvalidInput, match="atr reads high, low: a derived series has closes only"):
        evaluate(Value("atr", (14,)), frame)
