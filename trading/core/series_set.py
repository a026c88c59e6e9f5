"""All signals and derived series of one strategy over whole candle columns, for a backtest.

Conditions are kept as the candles at which they change, not as a value for every candle: two hundred pairs fit easily.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trading.core.candles import Candles, Floats, Ints
from trading.core.derived import derived_candles
from trading.core.evaluation import ArrayFrame, evaluate
from trading.core.needs import Needs, SignalSpec, Value
from trading.core.requirements import check_needs


class SignalSeries(Protocol):
    """A signal over the candles of the run."""

    def at(self, i: int) -> Any:
        """Return the value known at the close of candle `i`, None before there is one."""
        ...

    def changes(self) -> Ints:
        """Return the candles at whose close the value differs from the one before, rising."""
        ...

    def steps(self) -> tuple[Ints, NDArray[Any]]:
        """Return `changes` and the values from there on."""
        ...


@dataclass(frozen=True, slots=True)
class Sparse:
    """A signal as its changes: from the close of candle `index[k]` on it is `values[k]`, before the first None."""

    index: Ints
    values: NDArray[Any]

    def at(self, i: int) -> Any:
        k = bisect_right(self.index.data, i) - 1
        return self.values.item(k) if k >= 0 else None

    def changes(self) -> Ints:
        return self.index

    def steps(self) -> tuple[Ints, NDArray[Any]]:
        return self.index, self.values


@dataclass(frozen=True, eq=False)
class DerivedSeries:
    """A derived series at each close of the run: float64, NaN where not all its markets have a price."""

    values: Floats

    def at(self, i: int) -> float | None:
        value = float(self.values[i])
        return None if np.isnan(value) else value


class SeriesSet:
    """What a strategy's needs come to over the candles of a run."""

    def __init__(self, signals: dict[str, SignalSeries], derived: dict[str, DerivedSeries]) -> None:
        self.signals = signals
        self.derived_series = derived

    def signal(self, name: str) -> SignalSeries:
        return self.signals[name]

    def derived(self, name: str) -> DerivedSeries:
        return self.derived_series[name]


def series_of(needs: Needs, candles: Mapping[str, Candles], *, fast: bool = True) -> SeriesSet:
    """Compute all that `needs` names over the candles of its markets, by alias, all on the same grid of open times.

    `fast` runs our own kernels compiled. Raises InvalidInput for what can't be computed from these candles.
    """
    signals: dict[str, SignalSeries] = {}
    derived: dict[str, DerivedSeries] = {}
    grid = next(iter(candles.values()))
    check_needs(needs, grid.timeframe_ms)
    for source in sources(needs):  # one after the other: what is computed for one is let go before the next
        frame = _frame(source, needs, candles, grid.timeframe_ms, fast=fast)
        if source in needs.derived:
            derived[source] = _on_grid(frame.candles, grid)
        for name, spec in needs.signals.items():
            if spec.market == source:
                signals[name] = _signal(spec, frame, grid, grid.timeframe_ms)
    return SeriesSet({name: signals[name] for name in needs.signals}, derived)


def sources(needs: Needs) -> list[str]:
    """Name the markets and derived series that need computing."""
    looked_at = {spec.market for spec in needs.signals.values()}
    return [*(alias for alias in needs.markets if alias in looked_at), *needs.derived]


def _frame(source: str, needs: Needs, candles: Mapping[str, Candles], timeframe_ms: int, *, fast: bool) -> ArrayFrame:
    if source in needs.markets:
        return ArrayFrame(candles[source], timeframe_ms, fast=fast)
    spec = needs.derived[source]
    return ArrayFrame(derived_candles(spec, candles), timeframe_ms, fast=fast, close_only=True)


def _signal(spec: SignalSpec, frame: ArrayFrame, grid: Candles, base_ms: int) -> SignalSeries:
    of = frame.on(spec.timeframe_ms or base_ms)
    found = evaluate(spec.of, of)
    ts = of.candles.ts
    same_grid = ts is grid.ts or (len(ts) == len(grid) and np.array_equal(ts, grid.ts))
    if same_grid and isinstance(spec.of, Value):
        return found
    changes = found.changes()
    index = changes if same_grid else np.searchsorted(grid.ts + base_ms, of.ends[changes])
    return Sparse(index.astype(np.int64), found.values[changes])


def _on_grid(series: Candles, grid: Candles) -> DerivedSeries:
    if len(series) == len(grid):
        return DerivedSeries(series.close)
    values = np.full(len(grid), np.nan)
    values[np.searchsorted(grid.ts, series.ts)] = series.close
    return DerivedSeries(values)
