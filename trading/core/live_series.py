"""The same values as in a backtest, from closed candles as they come: what a live bot's signals are made of.

A `LiveFrame` knows what the indicators of one market or derived series came to at the last two candles of one length.
It can be lost: another one made from the stored candles has the same values, bit for bit. Not thread-safe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.core.candles import Candles, Ints
from trading.core.evaluation import check_columns, evaluate, timeframes_of
from trading.core.indicators import Indicator, Running, Series, Windowed, check_value
from trading.core.live_candles import LiveCandles
from trading.core.needs import Condition, Value

TAIL = 2  # candles at which values are known: a crossing compares the last one with the one before
MOST_ANSWERS = 1000

Outputs = tuple[Any, ...] | None  # None before the indicator is active


@dataclass
class _Recursion:
    """An indicator that goes on from candle to candle: where it has come to, and its last outputs, newest last."""

    running: Running
    last_ms: int
    outputs: list[Outputs]

    def feed(self, candles: Candles) -> None:
        for bar in candles.bars():
            if bar.ts_ms > self.last_ms:
                found = self.running.update(bar)
                self.outputs = [*self.outputs[1 - TAIL :], found if isinstance(found, tuple | None) else (found,)]
                self.last_ms = bar.ts_ms


class LiveFrame:
    """Values at the last closed candles of one source and length."""

    def __init__(self, candles: LiveCandles, on: Callable[[int], LiveFrame], *, close_only: bool = False) -> None:
        """`on` gives the same source on candles of another length, and itself for its own."""
        self.candles = candles
        self.on = on
        self._close_only = close_only
        self._recursions: dict[tuple[str, tuple[float, ...]], _Recursion] = {}
        self._windows: dict[tuple[str, tuple[float, ...]], dict[int, Outputs]] = {}
        self._answers: dict[Value | Condition, tuple[list[tuple[int, int]], Any]] = {}  # with the candles beneath them
        self._rebuilt = candles.rebuilt
        candles.keep(TAIL * candles.timeframe_ms)

    @property
    def timeframe_ms(self) -> int:
        return self.candles.timeframe_ms

    @property
    def ends(self) -> Ints:
        """Close times of the candles at which values are known."""
        return self.candles.held.ts[-TAIL:] + self.timeframe_ms

    def value(self, of: Value | Condition) -> Any:
        """Return a value or condition at the close of the newest candle, None before it is active."""
        beneath = [self.on(length).candles for length in timeframes_of(of, self.timeframe_ms)]
        looked_at = [(candles.last_ms, candles.rebuilt) for candles in beneath]
        known = self._answers.get(of)
        if known is None or known[0] != looked_at:
            series = evaluate(of, self)
            known = looked_at, series.at(len(self.ends) - 1) if len(self.ends) else None
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            self._answers[of] = known
        return known[1]

    def series(self, value: Value) -> Series:
        """Return the values at the last candles only. Raises InvalidInput for what can't be computed here."""
        check_columns(value, close_only=self._close_only)
        if self._rebuilt != self.candles.rebuilt:  # candles older than the first one have been stored
            self._recursions.clear()
            self._windows.clear()
            self._rebuilt = self.candles.rebuilt
        indicator = check_value(value)
        if indicator is None:
            return Series(getattr(self.candles.held, value.name)[-TAIL:], 0)
        count = len(self.ends)
        found = self._window(indicator, value) if isinstance(indicator, Windowed) else self._recursion(indicator, value)
        found = found[len(found) - count :]
        at = indicator.outputs.index(value.output)
        start = next((k for k, outputs in enumerate(found) if outputs is not None), count)
        known = [outputs[at] for outputs in found if outputs is not None]
        return Series(np.array([*known[:1] * start, *known]) if known else np.zeros(count), start)

    def _window(self, indicator: Windowed, value: Value) -> list[Outputs]:
        """Return the outputs at the last candles, computing those that aren't remembered."""
        remembered = self._windows.setdefault((value.name, value.args), {})
        times = (self.ends - self.timeframe_ms).tolist()
        for ts_ms in times:
            if ts_ms in remembered:
                continue
            since_ms = indicator.since_ms(ts_ms, self.timeframe_ms, value.args)
            self.candles.keep(3 * indicator.block(value.args) * self.timeframe_ms)
            window = self.candles.since(since_ms)
            upto = int(np.searchsorted(window.ts, ts_ms)) + 1
            remembered[ts_ms] = indicator.last(window.slice(0, upto), self.timeframe_ms, value.args)
        for ts_ms in [old for old in remembered if old < times[0]]:
            del remembered[ts_ms]
        return [remembered[ts_ms] for ts_ms in times]

    def _recursion(self, indicator: Indicator, value: Value) -> list[Outputs]:
        """Return the outputs at the last candles of a recursion; a new one runs from the first candle that there is."""
        key = value.name, value.args
        recursion = self._recursions.get(key)
        if recursion is not None:
            recursion.feed(self.candles.since(recursion.last_ms + 1))
            return recursion.outputs
        running = indicator.running(value.args)
        if running is None:
            raise TypeError(f"{value.name} has neither a window nor a running form")
        recursion = self._recursions[key] = _Recursion(running, -1, [None] * TAIL)
        for part in self.candles.history():
            recursion.feed(part)
        return recursion.outputs
