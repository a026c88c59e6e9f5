"""Does a run know its future? Cut the candles off somewhere: nothing before the cut may change.

Signals, derived series, decisions and fills of the run over the whole series are compared with those over its
beginning. It finds what looks ahead through the engine's data, indicators included; a strategy that brings its own
knowledge of the future along, from a file say, decides alike in both runs and isn't found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple, cast

import numpy as np

from trading.core.candles import Candles, Ints
from trading.core.needs import Needs
from trading.core.ports import SignalOnly, Strategy
from trading.core.series_set import SeriesSet, SignalSeries, series_of
from trading.core.types import Decision, View

Markets = Mapping[str, Candles]
Found = tuple[int, str, str, str]  # candle, what differs, its value with the whole series and with its beginning
Run = Callable[[Strategy, Markets], Iterable[tuple[int, str]]]  # -> (open time of its candle, line) of each fill


class Moment(NamedTuple):
    """One decision: when, what it was told, and what it answered."""

    now_ms: int
    number: int
    told: tuple[Any, ...]
    budget: dict[str, float]
    orders: dict[str, Any]
    wake: Any
    asks: tuple[Any, ...]
    finish: str


class Recording:
    """A strategy that keeps a record of its decisions. It has no decision table: `decide` itself is asked."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self.moments: list[Moment] = []

    def __getattr__(self, name: str) -> Any:
        if name == "table":
            raise AttributeError(name)
        return getattr(self._strategy, name)

    def decide(self, params: Any, state: Any, view: View) -> Decision:
        decision = self._strategy.decide(params, state, view)
        answer = dict(decision.orders), decision.wake, decision.asks, decision.finish
        self.moments.append(Moment(view.now_ms, view.number, view.inbox, dict(view.budget), *answer))
        return decision


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed when the candles from `cut` on were not there. `candle` is the first one that it shows in."""

    cut: int
    candle: int
    ts_ms: int
    what: str
    whole: str  # as it was with the whole series
    cut_off: str  # as it was with its beginning only


@dataclass(frozen=True, eq=False)
class Trace:
    """One run: what was known, decided and filled; `table_fills` are those of a strategy's decision table."""

    series: SeriesSet
    moments: list[Moment]
    fills: list[tuple[int, str]]
    table_fills: list[tuple[int, str]]


def traced(run: Run, strategy: Strategy, params: Any, markets: Markets) -> Trace:
    """Run the strategy and keep what it saw and did."""
    recording = Recording(strategy)
    fills = list(run(cast(Strategy, recording), markets))
    by_table = list(run(strategy, markets)) if isinstance(strategy, SignalOnly) else []
    return Trace(series_of(strategy.needs(params), markets), recording.moments, fills, by_table)


def look_ahead(
    run: Run, strategy: Strategy, params: Any, markets: Markets, cuts: Iterable[int], whole: Trace | None = None
) -> Difference | None:
    """Cut `markets` (candles on one grid) before each candle index of `cuts`; returns the first difference found."""
    full = whole or traced(run, strategy, params, markets)
    needs = strategy.needs(params)
    ts = next(iter(markets.values())).ts
    for cut in cuts:
        early = traced(run, strategy, params, {alias: candles.slice(0, cut) for alias, candles in markets.items()})
        found = series_difference(needs, full.series, early.series, cut) or _in_run(full, early, ts, cut)
        if found is not None:
            candle, what, was, now = found
            return Difference(cut, candle, int(ts[candle]), what, was, now)
    return None


def series_difference(needs: Needs, whole: SeriesSet, early: SeriesSet, cut: int) -> Found | None:
    """Return the first candle before `cut` at which a derived series or a signal of the two differs."""
    for name in needs.derived:
        values, known = whole.derived(name).values[:cut], early.derived(name).values[:cut]
        differs = np.flatnonzero((values != known) & ~(np.isnan(values) & np.isnan(known)))
        if len(differs):
            at = int(differs[0])
            return at, f"derived series {name}", str(values[at]), str(known[at])
    for name in needs.signals:
        signal, other = whole.signal(name), early.signal(name)
        changed = _first_change(signal, other, cut)
        if changed is not None:
            return changed, f"signal {name}", str(signal.at(changed)), str(other.at(changed))
    return None


def _first_change(whole: SignalSeries, early: SignalSeries, cut: int) -> int | None:
    """Return the first candle before `cut` at whose close the two differ."""
    changes, known = whole.changes(), early.changes()
    for at in np.union1d(changes[changes < cut], known[known < cut]).tolist():
        value, other = whole.at(at), early.at(at)
        if value != other and not (value != value and other != other):  # NaN is unlike itself
            return int(at)
    return None


def _in_run(whole: Trace, early: Trace, ts: Ints, cut: int) -> Found | None:
    end = int(ts[cut]) if cut < len(ts) else int(ts[-1]) + 1
    before = [moment for moment in whole.moments[len(early.moments) :] if moment.now_ms < end]
    for was, now in zip_longest([*whole.moments[: len(early.moments)], *before], early.moments):
        if was != now:
            one = was or now
            return _candle_at(ts, one.now_ms, cut), f"decision {one.number}", *_apart(was, now)
    return _in_fills(whole.fills, early.fills, ts, cut) or _in_fills(whole.table_fills, early.table_fills, ts, cut)


def _in_fills(whole: list[tuple[int, str]], early: list[tuple[int, str]], ts: Ints, cut: int) -> Found | None:
    before = [fill for fill in whole if fill[0] <= ts[cut - 1]]
    for number, (fill, other) in enumerate(zip_longest(before, early), 1):
        if fill != other:
            ts_ms, _ = fill or other
            return _candle_at(ts, ts_ms, cut), f"fill {number}", _line(fill), _line(other)
    return None


def _apart(was: Moment | None, now: Moment | None) -> tuple[str, str]:
    """Return what two decisions have apart, as text."""
    if was is None or now is None:
        return ("none", str(now)) if was is None else (str(was), "none")
    names = [name for name in Moment._fields if getattr(was, name) != getattr(now, name)]
    first, second = (", ".join(f"{name} {getattr(one, name)}" for name in names) for one in (was, now))
    return first, second


def _line(fill: tuple[int, str] | None) -> str:
    return fill[1].strip() if fill else "none"


def _candle_at(ts: Ints, now_ms: int, cut: int) -> int:
    """Return the candle in which a time lies, at most the last one before the cut."""
    return min(int(np.searchsorted(ts, now_ms, side="right")) - 1, cut - 1)
