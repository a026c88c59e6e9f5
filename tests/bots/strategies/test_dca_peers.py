"""DCA trades as backtesting.py does: the same deals on two files of real candles, and where its rules make another one,
the reason stands in the deal itself (see docs/backtesting.md).

The golden figures are its own, written by bench/dca_golden.py in an environment of its own.
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dca_peers import PARAMS

from bench.ours import candles_of
from bench.series import file_series
from bots.strategies.registry import STRATEGIES
from trading.core.params import parse_params
from trading.core.result import SimulationResult
from trading.core.rounding import to_decimal
from trading.core.simulation import simulate
from trading.core.types import MarketRules

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden" / "dca_peers.json").read_text())["files"]
RULES = MarketRules("BASE", "QUOTE", Decimal("0.01"), Decimal("0.00000001"))
FILES = sorted(GOLDEN)
Fill = tuple[int, str, float, float]  # candle, side, price, quantity


@cache
def our_run(path: Path) -> SimulationResult:
    strategy = STRATEGIES["dca"]
    params = parse_params(strategy.params, PARAMS)
    candles = candles_of(file_series(path))
    return simulate(strategy, params, candles, cash=Decimal(10_000_000), fee=Decimal("0.001"), rules=RULES)


def fills_of(result: SimulationResult) -> list[Fill]:
    fills = result.fills
    sides = ["buy" if side > 0 else "sell" for side in fills.side]
    return list(zip(fills.candle.tolist(), sides, fills.price.tolist(), fills.qty.tolist(), strict=True))


def deals_of(fills: list[Fill]) -> list[tuple[Fill, ...]]:
    """Cut the fills after each sale."""
    ends = [k + 1 for k, fill in enumerate(fills) if fill[1] == "sell"]
    return [tuple(fills[a:b]) for a, b in zip([0, *ends], [*ends, len(fills)], strict=True) if a < b]


def golden(name: str, kind: str) -> list[Fill]:
    return [tuple(row) for row in GOLDEN[name][kind]["fills"]]


@pytest.mark.parametrize("name", FILES)
def test_the_same_fills_where_the_same_orders_rest(name: str, reference: Path):
    result = our_run(reference / "data" / name)
    assert fills_of(result) == golden(name, "at_once")
    equity = float(result.books().equity(to_decimal(float(result.candles.close[-1]))))
    assert equity == pytest.approx(float(GOLDEN[name]["at_once"]["final_equity"]), rel=1e-9)


@pytest.mark.parametrize(("name", "causes", "other"), [(FILES[0], 2, 2), (FILES[1], 6, 18)])
def test_each_difference_from_its_plain_run_begins_in_a_base_orders_own_candle(
    name: str, causes: int, other: int, reference: Path
):
    ours, theirs = deals_of(fills_of(our_run(reference / "data" / name))), set(deals_of(golden(name, "plain")))
    apart = [deal for deal in ours if deal not in theirs]
    begin_alike = {deal[0] for deal in theirs}
    first_of_each = [deal for deal in apart if deal[0] in begin_alike]
    assert all(deal[1][0] == deal[0][0] for deal in first_of_each)  # its second fill is in the candle of its first
    assert (len(first_of_each), len(apart)) == (causes, other)
    one, two = (float(GOLDEN[name][kind]["final_equity"]) for kind in ("at_once", "plain"))
    assert one == pytest.approx(two, rel=1e-5)


def test_the_golden_figures_cover_what_they_should():
    assert [len(golden(name, "at_once")) for name in FILES] == [85, 544]
    assert all(GOLDEN[name][kind]["orphans"] == 0 for name in FILES for kind in ("plain", "at_once"))
