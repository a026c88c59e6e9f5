"""The crossover trades as the peers do: the same fills at the same candles and prices, the same final equity.

The golden figures are those of backtesting.py and vectorbt themselves, written by `make -C bench golden` in an
environment of their own, for two files of real candles and 200 seeded random series.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.ours import candles_of, final_equity, run
from bench.series import Columns, file_series, random_series, trades_sha256

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden" / "ema_peers.json").read_text())


def check_against_peers(columns: Columns, expected: dict[str, dict[str, Any]]) -> None:
    result = run(candles_of(columns))
    fills = result.fills
    sides = ["buy" if side > 0 else "sell" for side in fills.side]
    trades = list(zip(fills.candle.tolist(), sides, fills.price.tolist(), strict=True))
    assert set(expected) == {"backtesting", "vectorbt"}
    for peer, figures in expected.items():
        assert len(trades) == figures["fills"], peer
        assert trades_sha256(trades) == figures["fills_sha256"], peer
        assert float(final_equity(result)) == pytest.approx(float(figures["final_equity"]), rel=1e-9), peer


@pytest.mark.parametrize("name", sorted(GOLDEN["files"]))
def test_real_candles_give_the_peers_trades_and_equity(name: str, reference: Path):
    check_against_peers(file_series(reference / "data" / name), GOLDEN["files"][name])


@pytest.mark.parametrize("block", range(10))
def test_random_series_give_the_peers_trades_and_equity(block: int):
    for seed in range(block * 20, block * 20 + 20):
        check_against_peers(random_series(seed), GOLDEN["random"][seed])


def test_the_golden_figures_cover_what_they_should():
    assert len(GOLDEN["random"]) == 200
    assert len(GOLDEN["files"]) == 2
    assert sum(row["vectorbt"]["fills"] for row in GOLDEN["random"]) > 3000
