"""One demo market: price = f(seed, symbol, market time), for any time, before zero too.

A tick falls every 250 ms. Between the minute edges of its block (`regimes`) the price walks as a Brownian bridge with
the minute's own volatility, and a faster jitter that turns every ten seconds lies on top. Prices stand on the tick
grid and volumes on the lot grid, as integers until the last step, so that candles, bars and ticks agree to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from exchanges.adapters.demo.noise import Floats, Ints, exp_of, normal_at, stream_key, uniform_at
from exchanges.adapters.demo.regimes import BLOCK_MINUTES, Block, Weather
from exchanges.adapters.demo.specs import DemoSpec
from trading.core.errors import InvalidInput
from trading.core.timeframes import MINUTE_MS
from trading.core.types import Bar

TICK_MS = 250
TICKS_A_MINUTE = MINUTE_MS // TICK_MS
_TURNS = 6  # of the jitter, a minute
_BLOCKS = 24  # kept: eight days
_INTO = np.arange(TICKS_A_MINUTE) / TICKS_A_MINUTE


@dataclass(frozen=True, slots=True)
class Ticks:
    """Trades of a stretch of time: open times (ms), prices in ticks, volumes in lots; equally long."""

    ts: Ints
    steps: Ints
    lots: Ints

    def __len__(self) -> int:
        return len(self.ts)


class DemoMarket:
    """A market without end and without memory. All times are market time in ms, windows are [start, end)."""

    def __init__(self, seed: int, spec: DemoSpec, leader: DemoMarket | None = None) -> None:
        """`leader` is the market that `spec` follows, where the caller has it already."""
        self.spec = spec
        self._leader = leader if leader or not spec.leader else DemoMarket(seed, spec.leader)
        self._weather = Weather(seed, spec.symbol, spec.sigma, spec.octaves)
        self._walk_key = stream_key(seed, spec.symbol, "walk")
        self._jitter_key = stream_key(seed, spec.symbol, "jitter")
        self._volume_key = stream_key(seed, spec.symbol, "volume")
        self._tick = _Grid.of(spec.rules.tick)
        self._lot = _Grid.of(spec.rules.lot)
        self._block = lru_cache(maxsize=_BLOCKS)(self._weather.block)
        self._minute = lru_cache(maxsize=16)(lambda minute: self._minutes(minute, minute + 1))
        self._minute_log = lru_cache(maxsize=2)(lambda minute: self._log_prices(minute, minute + 1))

    def price(self, at_ms: int) -> float:
        """Return the last price at or before `at_ms`."""
        steps, _ = self._minute(at_ms // MINUTE_MS)
        return self._tick.value(steps[0, at_ms % MINUTE_MS // TICK_MS])

    def regime(self, at_ms: int) -> str:
        """Name the regime that rules at `at_ms`."""
        block, minute = divmod(at_ms // MINUTE_MS, BLOCK_MINUTES)
        return self._block(block).regimes[minute]

    def ticks(self, start_ms: int, end_ms: int) -> Ticks:
        """Return the ticks of a window."""
        first, last = -(-start_ms // TICK_MS), -(-end_ms // TICK_MS)
        if last <= first:
            nothing = np.zeros(0, dtype=np.int64)
            return Ticks(nothing, nothing, nothing)
        minute, end = first // TICKS_A_MINUTE, -(-last // TICKS_A_MINUTE)
        steps, lots = self._minute(minute) if end == minute + 1 else self._minutes(minute, end)
        cut = slice(first - minute * TICKS_A_MINUTE, last - minute * TICKS_A_MINUTE)
        ts = np.arange(first, last, dtype=np.int64) * TICK_MS
        return Ticks(ts, steps.reshape(-1)[cut], lots.reshape(-1)[cut])

    def bar(self, start_ms: int, end_ms: int) -> Bar | None:
        """Return the window as one bar that opens with its first tick; None when no tick falls into it."""
        ticks = self.ticks(start_ms, end_ms)
        if not len(ticks):
            return None
        value, steps = self._tick.value, ticks.steps
        return Bar(
            int(ticks.ts[0]),
            value(steps[0]),
            value(steps.max()),
            value(steps.min()),
            value(steps[-1]),
            self._lot.value(ticks.lots.sum()),
        )

    def candles(self, timeframe_ms: int, start_ms: int, end_ms: int, origin_ms: int = 0) -> Floats:
        """Return candles with start <= open time < end as rows of (ts, open, high, low, close, volume).

        Candles open at `origin_ms` plus multiples of the timeframe. Raises InvalidInput for a timeframe or an origin
        that isn't whole minutes.
        """
        if timeframe_ms <= 0 or timeframe_ms % MINUTE_MS or origin_ms % MINUTE_MS:
            text = f"a timeframe must be a whole number of minutes, not {timeframe_ms} ms"
            raise InvalidInput(text, field="timeframe_ms", value=timeframe_ms)
        span = timeframe_ms // MINUTE_MS
        first = -(-(start_ms - origin_ms) // timeframe_ms)
        last = -(-(end_ms - origin_ms) // timeframe_ms)
        if last <= first:
            return np.zeros((0, 6))
        offset = origin_ms // MINUTE_MS
        parts = [
            self._day(offset + left * span, offset + min(left + _chunk(span), last) * span, span)
            for left in range(first, last, _chunk(span))
        ]
        return np.concatenate(parts)

    def _day(self, minute: int, end: int, span: int) -> Floats:
        steps, lots = self._minutes(minute, end)
        steps, lots = (part.reshape(-1, span * TICKS_A_MINUTE) for part in (steps, lots))
        rows = np.empty((len(steps), 6))
        rows[:, 0] = np.arange(minute, end, span) * MINUTE_MS
        for column, part in enumerate((steps[:, 0], steps.max(axis=1), steps.min(axis=1), steps[:, -1]), 1):
            rows[:, column] = self._tick.values(part)
        rows[:, 5] = self._lot.values(lots.sum(axis=1))
        return rows

    def _minutes(self, minute: int, end: int) -> tuple[Ints, Ints]:
        """Return prices in ticks and volumes in lots of whole minutes, a row each."""
        parts = [self._within(*piece) for piece in self._pieces(minute, end)]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _pieces(self, minute: int, end: int) -> Iterator[tuple[Block, int, int, int]]:
        """Cut whole minutes at the edges of blocks: (block, first minute, its places in the block)."""
        while minute < end:
            number, first = divmod(minute, BLOCK_MINUTES)
            last = min(BLOCK_MINUTES, first + end - minute)
            yield self._block(number), minute, first, last
            minute += last - first

    def _within(self, block: Block, minute: int, first: int, last: int) -> tuple[Ints, Ints]:
        log_price = self._log_within(block, minute, first, last)
        steps = self._tick.steps(exp_of(log_price) * self.spec.base_price)
        count = last - first
        index = (minute + np.arange(count))[:, None] * TICKS_A_MINUTE + np.arange(TICKS_A_MINUTE)
        draw = uniform_at(self._volume_key, index)
        heat = _between(block.volatility[first : last + 1], _INTO)
        lots = np.rint(draw * draw * (3.0 * self.spec.lots_a_tick) * heat).astype(np.int64)
        return steps, lots

    def _log_within(self, block: Block, minute: int, first: int, last: int) -> Floats:
        """Return log-prices relative to the base price, a row a minute: its own, and its share of the leader's."""
        count = last - first
        index = (minute + np.arange(count))[:, None] * TICKS_A_MINUTE + np.arange(TICKS_A_MINUTE)
        swing = block.volatility[first + 1 : last + 1, None]
        log_price = _between(block.log_price[first : last + 1], _INTO)
        log_price = log_price + _bridge(normal_at(self._walk_key, index), _INTO) * (swing * self.spec.sigma)
        heat = _between(block.volatility[first : last + 1], _INTO)
        log_price = log_price + self._jitter(minute, count) * (heat * self.spec.ripple)
        if self._leader is not None:
            log_price = log_price + self._leader.log_prices(minute, minute + count) * self.spec.beta
        return log_price

    def log_prices(self, minute: int, end: int) -> Floats:
        """Return the log-prices of whole minutes, a row each, for those who follow this market."""
        return self._minute_log(minute) if end == minute + 1 else self._log_prices(minute, end)

    def _log_prices(self, minute: int, end: int) -> Floats:
        parts = [self._log_within(*piece) for piece in self._pieces(minute, end)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _jitter(self, minute: int, count: int) -> Floats:
        """Return noise in [-1, 1] that turns smoothly, _TURNS times a minute."""
        knots = 2.0 * uniform_at(self._jitter_key, minute * _TURNS + np.arange(count * _TURNS + 1)) - 1.0
        beat = TICKS_A_MINUTE // _TURNS
        into = np.arange(beat) / beat
        smooth = into * into * (3.0 - 2.0 * into)
        return _between(knots, smooth).reshape(count, TICKS_A_MINUTE)


def _between(edges: Floats, into: Floats) -> Floats:
    """Interpolate: one row for each pair of neighbouring edges."""
    return edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * into


def _bridge(shocks: Floats, into: Floats) -> Floats:
    """Return Brownian bridges over a minute, one a row: standard deviation of the whole walk 1, both ends 0."""
    walk = np.cumsum(shocks, axis=1)
    before = walk - shocks
    return (before - walk[:, -1:] * into) / math.sqrt(TICKS_A_MINUTE)


def _chunk(span: int) -> int:
    """Return how many candles to make at once: a day's worth of ticks."""
    return max(1, 1440 // span)


@dataclass(frozen=True, slots=True)
class _Grid:
    """A step such as 0.05 as whole number over a power of ten, so that floats on the grid come out clean."""

    step: int
    scale: float

    @classmethod
    def of(cls, step: Decimal) -> _Grid:
        digits = max(0, -int(step.normalize().as_tuple().exponent))
        return cls(int(step.scaleb(digits)), float(10**digits))

    def steps(self, values: Floats) -> Ints:
        return np.maximum(np.rint(values * (self.scale / self.step)), 1.0).astype(np.int64)

    def values(self, steps: NDArray[np.int64]) -> Floats:
        return (steps * self.step).astype(np.float64) / self.scale

    def value(self, steps: np.int64) -> float:
        return float(steps * self.step) / self.scale
