"""Measure Binnacle's own backtests beside passes compiled by hand; run by compare.py in the product's environment.

    python measure.py speed CASE FILE CANDLES       seconds of ours, of the hand-written pass, fills
    python measure.py memory CASE FILE CANDLES      peak memory of one run, in a process of its own
    python measure.py linear FILE                   seconds of each case from 100,000 to 10,000,000 candles

Prints one JSON object. Times are CPU seconds of the simulation alone (best of several, compiled before). A case whose
hand-written pass makes other fills than ours stops with an error: then there is nothing to compare.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import hand
from bench.ours import RULES, candles_of, final_equity
from bench.series import DCA, GRIDS, file_series
from bots.strategies.grid.plan import grid_lines, nearest_line
from bots.strategies.registry import get_strategy
from trading.core.candles import Candles
from trading.core.params import parse_params
from trading.core.result import SimulationResult
from trading.core.rounding import to_decimal, to_float
from trading.core.simoptions import SimOptions
from trading.core.simulation import simulate

FEE = Decimal("0.001")
LENGTHS = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
LINEAR_CASES = ("ema", "grid", "dca")
RUNS = 5
Passed = tuple[int, float]


def tiled(candles: Candles, count: int) -> Candles:
    """Return `count` candles: these, over and over, on open times that go on. At a seam the price jumps."""
    times = -(-count // len(candles))
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    ts = candles.ts[0] + np.arange(count, dtype=np.int64) * candles.timeframe_ms
    return Candles(ts, *(np.tile(column, times)[:count] for column in columns))


# --- the cases


class Case:
    """One strategy under the rules of the comparison: `run` is ours, `by_hand` the pass compiled for it."""

    def __init__(self, name: str, candles: Candles) -> None:
        self.candles = candles
        self.kind = name.partition("-")[0]
        self.cash = Decimal(10_000_000 if self.kind == "dca" else 1_000_000)
        cases: dict[str, dict[str, Any]] = {"ema": {"fast": 12, "slow": 26, "quantity": 1}, "dca": DCA, **GRIDS}
        self.strategy = get_strategy("ema_cross" if self.kind == "ema" else self.kind)
        self.params: Any = parse_params(self.strategy.params, cases[name])

    def run(self, *, vectorise: bool = False) -> SimulationResult:
        options = SimOptions(vectorise=vectorise)
        return simulate(self.strategy, self.params, self.candles, cash=self.cash, fee=FEE, rules=RULES, options=options)

    def by_hand(self, *, skip: bool = False) -> Passed:
        c, cash, fee = self.candles, to_float(self.cash), to_float(FEE)
        if self.kind == "ema":
            return hand.ema_pass(c.open, c.close, 12, 26, cash, fee)
        if self.kind == "dca":
            return hand.dca_pass(c.open, c.high, c.low, c.close, hand.DCA_SIZES, hand.DCA_STEPS, cash, fee)
        lines = grid_lines(self.params)
        empty = nearest_line(lines, to_decimal(float(c.open[0])))
        prices = np.array([to_float(line) for line in lines])
        return hand.grid_pass(c.open, c.high, c.low, c.close, prices, empty, cash, fee, skip)


def check(case: Case, result: SimulationResult) -> None:
    """Stop when the hand-written pass and ours didn't trade alike."""
    fills, equity = case.by_hand()
    ours = to_float(final_equity(result))
    if fills != len(result.fills) or abs(equity - ours) > 1e-9 * abs(ours):
        sys.exit(f"{case.kind}: by hand {fills} fills and {equity}, ours {len(result.fills)} and {ours}")


def best_of(runs: int, call: Callable[[], Any]) -> float:
    """Return the least CPU seconds."""
    seconds = []
    for _ in range(runs):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    return min(seconds)


# --- what is printed


def speed(name: str, path: Path, count: int) -> dict[str, Any]:
    candles = tiled(candles_of(file_series(path)), count)
    Case(name, candles.slice(0, 1000)).run()
    case = Case(name, candles)
    result = case.run()
    check(case, result)
    found = {"candles": count, "fills": len(result.fills), "ours": best_of(RUNS, case.run)}
    if case.kind == "ema":
        check(case, case.run(vectorise=True))
        found["vectorised"] = best_of(RUNS, lambda: case.run(vectorise=True))
    if case.kind == "grid":
        found["hand_skipping"] = best_of(4 * RUNS, lambda: case.by_hand(skip=True))
    return found | {"hand": best_of(4 * RUNS, case.by_hand)}


def memory(name: str, path: Path, count: int) -> dict[str, Any]:
    case = Case(name.removesuffix("-vectorised"), tiled(candles_of(file_series(path)), count))
    case.run(vectorise=name.endswith("-vectorised"))
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def linear(path: Path) -> dict[str, Any]:
    candles = candles_of(file_series(path))
    found: dict[str, Any] = {name: [] for name in LINEAR_CASES}
    for name in LINEAR_CASES:
        Case(name, candles.slice(0, 1000)).run()
        for count in LENGTHS:
            case = Case(name, tiled(candles, count))
            found[name].append([count, best_of(3 if count < 3_000_000 else 1, case.run)])
    return found


def main() -> None:
    verb, *rest = sys.argv[1:]
    if verb == "linear":
        found = linear(Path(rest[0]))
    else:
        found = (speed if verb == "speed" else memory)(rest[0], Path(rest[1]), int(rest[2]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
