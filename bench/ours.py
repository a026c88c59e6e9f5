"""Our side of the comparisons: candles as arrays, and the crossover under the rules of the peers."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.series import Columns
from bots.strategies.registry import get_strategy
from trading.core.candles import Candles
from trading.core.params import parse_params
from trading.core.result import SimulationResult
from trading.core.rounding import to_decimal
from trading.core.simulation import simulate
from trading.core.types import MarketRules

RULES = MarketRules("BASE", "QUOTE", Decimal("0.01"), Decimal("0.00000001"))


def candles_of(columns: Columns) -> Candles:
    """Return the columns as arrays."""
    numbers = [np.array(columns[name], dtype=np.float64) for name in ("open", "high", "low", "close", "volume")]
    return Candles(np.array(columns["ts"], dtype=np.int64), *numbers)


def run(candles: Candles, fast: int = 12, slow: int = 26) -> SimulationResult:
    """Backtest the crossover: one unit, 1,000,000 in cash, 0.1 % a side."""
    strategy = get_strategy("ema_cross")
    params = parse_params(strategy.params, {"fast": fast, "slow": slow, "quantity": 1})
    return simulate(strategy, params, candles, cash=Decimal(1_000_000), fee=Decimal("0.001"), rules=RULES)


def final_equity(result: SimulationResult) -> Decimal:
    """Return cash and position at the last close."""
    return result.books().equity(to_decimal(float(result.candles.close[-1])))
