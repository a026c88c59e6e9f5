"""The peers under the rules of bench/measure.py; run by compare.py in the environment of the peers.

    python peer_cases.py speed PEER CASE FILE CANDLES       seconds and fills
    python peer_cases.py memory PEER CASE FILE CANDLES      peak memory of one run, in a process of its own

PEER is backtesting or vectorbt (crossover only). Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

from bench import dca_golden
from bench.peers import CASH, FEE, frame_of, run_backtesting, run_vectorbt
from bench.series import GRIDS, MINUTE_MS, Columns, file_series, random_series


def tiled(columns: Columns, count: int) -> Columns:
    """Return `count` candles: these, over and over, on open times that go on."""
    times = -(-count // len(columns["ts"]))
    found: Columns = {name: (values * times)[:count] for name, values in columns.items()}
    found["ts"] = [columns["ts"][0] + k * MINUTE_MS for k in range(count)]
    return found


class Grid(Strategy):  # type: ignore[misc]
    """One unit a cell: each buy carries its own target, and is placed again once that has filled."""

    lines: tuple[float, ...] = ()

    def init(self) -> None:
        self.closed = 0
        self.begun = False

    def next(self) -> None:
        if not self.begun:
            self.begun = True
            for k in range(len(self.lines) - 1):
                self._place(k, at_market=self.lines[k] >= self.data.Close[-1])
        elif len(self.closed_trades) > self.closed:
            ended = self.closed_trades[self.closed :]
            self.closed = len(self.closed_trades)
            for trade in ended:
                self._place(trade.tag, at_market=False)

    def _place(self, cell: int, *, at_market: bool) -> None:
        limit = None if at_market else self.lines[cell]
        self.buy(size=1, limit=limit, tp=self.lines[cell + 1], tag=cell)


def lines_of(case: str) -> tuple[float, ...]:
    grid = GRIDS[case]
    lower, upper, levels = float(grid["lower"]), float(grid["upper"]), int(grid["levels"])
    return tuple(round(lower + (upper - lower) * k / (levels - 1), 2) for k in range(levels))


def run(peer: str, case: str, frame: pd.DataFrame) -> int:
    """Run one peer; returns its fills."""
    if peer == "vectorbt":
        return len(run_vectorbt(frame).orders.records)
    if case == "ema":
        stats = run_backtesting(frame)
    elif case == "dca":
        stats = Backtest(frame, dca_golden.Deals, cash=dca_golden.CASH, commission=FEE, finalize_trades=False).run()
    else:
        test = Backtest(frame, Grid, cash=CASH, commission=FEE, finalize_trades=False)
        stats = test.run(lines=lines_of(case))
    return 2 * len(stats["_trades"]) + len(stats["_strategy"].trades)


def main() -> None:
    verb, peer, case, path, count = sys.argv[1:]
    warnings.simplefilter("ignore")
    columns = tiled(file_series(Path(path)), int(count))
    frame = dca_golden.frame_of(columns) if case == "dca" else frame_of(columns)
    if verb == "memory":
        run(peer, case, frame)
        print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    if peer == "vectorbt":
        run(peer, case, frame_of(random_series(1)))  # compile
    seconds, fills = [], 0
    for _ in range(5 if peer == "vectorbt" else 1):
        started = time.process_time()
        fills = run(peer, case, frame)
        seconds.append(time.process_time() - started)
    name = "backtesting.py" if peer == "backtesting" else peer
    found: dict[str, Any] = {"name": f"{name} {version(peer)}", "candles": int(count), "fills": fills}
    print(json.dumps(found | {"seconds": float(np.min(seconds))}))


if __name__ == "__main__":
    main()
