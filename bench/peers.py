"""The peers' crossover under the same rules as ours, and the figures that our tests hold us to.

Runs in an environment of its own (requirements.txt). Rules: averages with alpha = 2 / (span + 1) from the first close,
spans 12 and 26; from candle index 26 on long while the fast one is above; signal at the close, fill at the next open;
one unit a trade, cash 1,000,000, fee 0.1 % a side; the last position stays open, marked at the last close.

    python peers.py OUT FILE...       fills, final equity and hash of the fills, for FILEs and random series
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"  # no progress bars in the figures, nor in the time
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
import vectorbt as vbt
from backtesting import Backtest, Strategy
from numba import njit

from bench.series import Columns, file_series, random_series, trades_sha256

FAST, SLOW, CASH, FEE = 12, 26, 1_000_000.0, 0.001
RANDOM_SERIES = 200


@njit
def ema(close: Any, span: int) -> Any:
    """Return the average as a recursion from the first close."""
    alpha = 2.0 / (span + 1.0)
    out = np.empty(len(close))
    out[0] = close[0]
    for i in range(1, len(close)):
        out[i] = alpha * close[i] + (1.0 - alpha) * out[i - 1]
    return out


def sides(close: Any) -> Any:
    """Return True where the position is to be long from the next open on."""
    above = ema(close, FAST) > ema(close, SLOW)
    above[:SLOW] = False
    return above


class Crossover(Strategy):  # type: ignore[misc]
    """The rules above for backtesting.py."""

    def init(self) -> None:
        self.above = sides(np.asarray(self.data.Close, dtype=np.float64))

    def next(self) -> None:
        above = self.above[len(self.data) - 1]
        if above and not self.position:
            self.buy(size=1)
        elif not above and self.position:
            self.position.close()


def run_backtesting(frame: pd.DataFrame) -> Any:
    test = Backtest(frame, Crossover, cash=CASH, commission=FEE, trade_on_close=False, finalize_trades=False)
    return test.run()


def run_vectorbt(frame: pd.DataFrame) -> Any:
    above = sides(frame["Close"].to_numpy())
    held = np.concatenate(([False], above[:-1]))
    portfolio = vbt.Portfolio.from_signals(
        frame["Close"], pd.Series(held, frame.index), pd.Series(~held, frame.index), price=frame["Open"],
        size=1.0, fees=FEE, init_cash=CASH, direction="longonly", accumulate=False, freq="1min",
    )  # fmt: skip
    portfolio.final_value()
    return portfolio


def figures_backtesting(frame: pd.DataFrame) -> dict[str, Any]:
    stats = run_backtesting(frame)
    closed = stats["_trades"]
    fills = [(int(row.EntryBar), "buy", row.EntryPrice) for row in closed.itertuples()]
    fills += [(int(row.ExitBar), "sell", row.ExitPrice) for row in closed.itertuples()]
    fills += [(int(trade.entry_bar), "buy", trade.entry_price) for trade in stats["_strategy"].trades]
    return _figures(sorted(fills), float(stats["_equity_curve"]["Equity"].iloc[-1]))


def figures_vectorbt(frame: pd.DataFrame) -> dict[str, Any]:
    portfolio = run_vectorbt(frame)
    records = portfolio.orders.records
    fills = [(int(row.idx), "sell" if row.side else "buy", float(row.price)) for row in records.itertuples()]
    return _figures(fills, float(portfolio.final_value()))


def _figures(fills: list[tuple[int, str, float]], equity: float) -> dict[str, Any]:
    return {"fills": len(fills), "final_equity": repr(equity), "fills_sha256": trades_sha256(fills)}


def frame_of(columns: Columns) -> pd.DataFrame:
    """Return the candles as both libraries like them."""
    index = pd.to_datetime(columns["ts"], unit="ms")
    data = {name.capitalize(): np.array(columns[name]) for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(data, index=index)


# --- golden figures


def golden(out: Path, files: list[Path]) -> None:
    """Write the peers' figures. Stops when they don't agree with each other: then one of them ran other rules."""
    found: dict[str, Any] = {
        "peers": {name: version(name) for name in ("backtesting", "vectorbt", "numpy", "pandas", "numba")},
        "rules": {"fast": FAST, "slow": SLOW, "cash": CASH, "fee": FEE, "quantity": 1},
        "files": {path.name: both(frame_of(file_series(path)), path.name) for path in files},
        "random": [both(frame_of(random_series(seed)), f"series {seed}") for seed in range(RANDOM_SERIES)],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    fills = sum(row["vectorbt"]["fills"] for row in found["random"])
    print(f"wrote {out}: {len(found['files'])} files, {RANDOM_SERIES} random series with {fills:,} fills")


def both(frame: pd.DataFrame, name: str) -> dict[str, Any]:
    found = {"backtesting": figures_backtesting(frame), "vectorbt": figures_vectorbt(frame)}
    one, other = found.values()
    apart = abs(float(one["final_equity"]) / float(other["final_equity"]) - 1)
    if one["fills_sha256"] != other["fills_sha256"] or apart > 1e-12:
        sys.exit(f"the peers disagree on {name}: {found}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the peers under our rules and write their figures down.")
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument("files", nargs="+", type=Path, help="candle files (Parquet)")
    chosen = parser.parse_args()
    golden(chosen.out, chosen.files)


if __name__ == "__main__":
    main()
