"""The deals of backtesting.py under the DCA rules that our tests hold us to: every fill, for files of real candles.

Runs in the peers' environment (requirements.txt). Rules: cash 10,000,000, fee 0.1 %; a base order of 10 units at the
open, safety orders of 10, 15, 22, 33, 50 units at -1, -2.5, -4.75, -8.125, -13.1875 % of the base price, all resting at
once; take profit 1.5 % above and stop 20 % below the average price; the next deal starts at the open of the next
candle. Limits stand on a tick of 0.01: bids rounded down, asks up, and the stop up.

Each file is run twice. "plain": the safety orders are sent once the base order has filled, so they can fill from the
candle after it on, which is how a strategy of backtesting.py has to do it. "at_once": the strategy reads the next open
in advance, only to send target, stop and safety orders with the base order: they count in its very candle, as live.

    python dca_golden.py OUT FILE...
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

from bench.series import Columns, file_series

CASH, FEE, TICK = 10_000_000.0, 0.001, Decimal("0.01")
BASE, SAFETY = 10, (10, 15, 22, 33, 50)
STEPS = tuple(Decimal(text) for text in ("0.01", "0.025", "0.0475", "0.08125", "0.131875"))
TAKE_PROFIT, STOP = Decimal("1.015"), Decimal("0.80")
LEAD = 2  # candles that backtesting.py sees before its first order can fill

Fill = tuple[int, str, float, int]  # candle, side, price, units


def on_tick(price: Decimal, rounding: str) -> float:
    """Return the price on the tick, down or up."""
    return float((price / TICK).to_integral_value(rounding=rounding) * TICK)


def exits_of(average: Decimal) -> tuple[float, float]:
    """Return target and stop of a deal with this average price."""
    return on_tick(average * TAKE_PROFIT, ROUND_CEILING), on_tick(average * STOP, ROUND_CEILING)


class Deals(Strategy):  # type: ignore[misc]
    """The rules above as backtesting.py can say them: each trade has the deal's target and stop."""

    at_once = False

    def init(self) -> None:
        self.opens = self._data.Open  # all of them
        self.known = 0  # trades of the running deal at the last bar
        self.closed = 0
        self.orphans = 0

    def next(self) -> None:
        if len(self.closed_trades) > self.closed:
            self._deal_ended()
        elif not self.trades and not self.orders:
            self._begin()
        elif len(self.trades) > self.known:
            self._bought()

    def _deal_ended(self) -> None:
        """Cancel what is left of the deal and begin the next one; sell what a safety order bought after the end."""
        self.closed, self.known = len(self.closed_trades), 0
        for order in list(self.orders):
            order.cancel()
        if self.trades:
            self.orphans += 1
            for trade in list(self.trades):
                trade.close()
        else:
            self._begin()

    def _begin(self) -> None:
        if not self.at_once or len(self.data) == len(self.opens):
            self.buy(size=BASE)
            return
        base = Decimal(repr(float(self.opens[len(self.data)])))
        target, stop = exits_of(base)
        self.buy(size=BASE, tp=target, sl=stop)
        self._safety_orders(base)

    def _safety_orders(self, base: Decimal) -> None:
        for units, step in zip(SAFETY, STEPS, strict=True):
            self.buy(size=units, limit=on_tick(base * (1 - step), ROUND_FLOOR))

    def _bought(self) -> None:
        if not self.known and not self.at_once:
            self._safety_orders(Decimal(repr(float(self.trades[0].entry_price))))
        self.known = len(self.trades)
        units = sum(int(trade.size) for trade in self.trades)
        cost = sum((int(trade.size) * Decimal(repr(float(trade.entry_price))) for trade in self.trades), Decimal(0))
        target, stop = exits_of(cost / units)
        for trade in self.trades:
            trade.tp, trade.sl = target, stop


def deals(frame: pd.DataFrame, *, at_once: bool) -> dict[str, Any]:
    """Run it; candles are counted as in the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = Backtest(frame, Deals, cash=CASH, commission=FEE, finalize_trades=False).run(at_once=at_once)
    strategy = stats["_strategy"]
    fills = fills_of(stats["_trades"], strategy.trades)
    equity = float(stats["_equity_curve"]["Equity"].iloc[-1])
    return {"final_equity": repr(equity), "orphans": strategy.orphans, "fills": fills}


def fills_of(closed: pd.DataFrame, still_open: Any) -> list[Fill]:
    """Return all fills in order; the sales of one deal are one fill."""
    bought = [(int(row.EntryBar), float(row.EntryPrice), int(row.Size)) for row in closed.itertuples()]
    bought += [(int(trade.entry_bar), float(trade.entry_price), int(trade.size)) for trade in still_open]
    sold: dict[tuple[int, float], int] = {}
    for row in closed.itertuples():
        key = int(row.ExitBar), float(row.ExitPrice)
        sold[key] = sold.get(key, 0) + int(row.Size)
    fills = [(bar - LEAD, "buy", price, units) for bar, price, units in bought]
    fills += [(bar - LEAD, "sell", price, units) for (bar, price), units in sold.items()]
    return sorted(fills, key=lambda fill: (fill[0], fill[1], -fill[2]))


def frame_of(columns: Columns) -> pd.DataFrame:
    """Return the candles with two flat ones before them, which let the first order fill at the first open."""
    first = columns["open"][0]
    step = columns["ts"][1] - columns["ts"][0]
    times = [columns["ts"][0] - step * k for k in range(LEAD, 0, -1)] + columns["ts"]
    names = ("open", "high", "low", "close", "volume")
    data = {name.capitalize(): np.array([first] * LEAD + columns[name], dtype=float) for name in names}
    return pd.DataFrame(data, index=pd.to_datetime(times, unit="ms"))


def main() -> None:
    out, *files = map(Path, sys.argv[1:])
    found: dict[str, Any] = {"backtesting": version("backtesting"), "files": {}}
    for path in files:
        frame = frame_of(file_series(path))
        found["files"][path.name] = {"plain": deals(frame, at_once=False), "at_once": deals(frame, at_once=True)}
    out.write_text(json.dumps(found).replace("[[", "[\n[").replace("], [", "],\n[") + "\n")
    for name, runs in found["files"].items():
        print(name, {kind: (len(run["fills"]), run["orphans"], run["final_equity"]) for kind, run in runs.items()})


if __name__ == "__main__":
    main()
