"""`manage.py backtest`: one JSON object or a readable report, and a clear word for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parents[2]
GRID = {"lower": 33000, "upper": 48000, "levels": 60, "spacing": "arithmetic", "investment": 500000}
EMA = {"fast": 3, "slow": 5, "quantity": "1"}


@pytest.fixture
def wave(tmp_path):
    """Two hundred candles of a triangle wave between 90 and 110."""
    path = tmp_path / "wave.csv"
    rows = ["ts,open,high,low,close,volume"]
    for k in range(200):
        here, there = (90 + abs((t % 40) - 20) for t in (k, k + 1))
        rows.append(f"{k * 60_000},{here},{max(here, there)},{min(here, there)},{there},1")
    path.write_text("\n".join(rows) + "\n")
    return path


def backtest(strategy, candles, params, *more):
    out = StringIO()
    call_command("backtest", strategy, "--candles", str(candles), "--params", json.dumps(params), *more, stdout=out)
    return out.getvalue()


def test_json_is_one_object_with_money_as_text(wave):
    told = json.loads(backtest("ema_cross", wave, EMA, "--json"))
    assert told["candles"] == 200
    assert told["fills"] == told["orders"] > 4
    assert isinstance(told["seconds"], float)
    assert isinstance(told["max_drawdown_ratio"], float)
    assert len(told["fills_sha256"]) == 64
    money = ("final_equity", "realised_pnl", "unrealised_pnl", "fees", "total_pnl", "cash")
    exact = {name: Decimal(told[name]) for name in money}
    assert exact["realised_pnl"] + exact["unrealised_pnl"] - exact["fees"] == exact["total_pnl"]
    assert exact["cash"] + exact["total_pnl"] == exact["final_equity"]


def test_the_report_prints_its_assumptions(wave):
    text = backtest("ema_cross", wave, EMA, "--fee", "0.002", "--tick", "0.5", "--lot", "0.1")
    for words in ("EMA crossover", "final equity", "max drawdown", "Assumptions", "nearer extreme", "fee 0.2 %"):
        assert words in text
    assert "tick of 0.5" in text
    assert "slippage 0" in text


def test_cash_and_fee_count(wave):
    free = json.loads(backtest("ema_cross", wave, EMA, "--json", "--fee", "0", "--cash", "500"))
    paid = json.loads(backtest("ema_cross", wave, EMA, "--json", "--cash", "500"))
    assert free["fees"] == "0"
    assert free["realised_pnl"] == paid["realised_pnl"]
    assert Decimal(free["final_equity"]) - Decimal(paid["final_equity"]) == Decimal(paid["fees"])
    broke = json.loads(backtest("ema_cross", wave, EMA, "--json", "--cash", "1"))
    assert (broke["fills"], broke["final_equity"]) == (0, "1")
    assert broke["denials"] > 0


def complaint(*args):
    with pytest.raises(CommandError) as caught:
        backtest(*args)
    return str(caught.value)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--cash", "-5", "--cash -5 must be above 0"),
        ("--cash", "plenty", "--cash plenty is not a number"),
        ("--cash", "NaN", "--cash NaN is not a number"),
        ("--fee", "1", "--fee 1 must be a rate from 0 up to below 1"),
        ("--fee", "-0.1", "--fee -0.1 must be a rate"),
        ("--tick", "0", "--tick 0 must be above 0"),
        ("--tick", "1e-15", "--tick 0.000000000000001 is too fine"),
        ("--lot", "x", "--lot x is not a number"),
        ("--params", "{fast: 3}", "--params is not a JSON object"),
        ("--params", "[1, 2]", "--params is not a JSON object"),
        ("--params", '{"fast": NaN}', "NaN is not a number"),
    ],
)
def test_a_bad_option_is_named(wave, option, value, words):
    assert words in complaint("ema_cross", wave, EMA, f"{option}={value}")


def test_bad_parameters_are_all_named_with_what_would_be_right(wave):
    told = complaint("ema_cross", wave, {"fast": "x", "slow": 0, "quantity": 1, "fats": 2})
    assert len(told.splitlines()) == 3
    assert "did you mean fast" in told
    assert "not “x”" in told


def test_an_unknown_strategy_is_told_the_known_ones(wave):
    assert "known are grid, " in complaint("martingale", wave, {})


def test_a_grid_that_cannot_pay_its_fees_is_refused(wave):
    told = complaint("grid", wave, {"lower": 99, "upper": 101, "levels": 60, "investment": 1000})
    assert "every round would lose money" in told


def test_a_bad_file_is_named_by_its_row(wave):
    rows = wave.read_text().splitlines()
    wave.write_text("\n".join([*rows[:50], *rows[53:]]) + "\n")
    told = complaint("ema_cross", wave, EMA)
    assert "row 49: 3 candles are missing" in told
    assert "--fill-gaps" in told
    assert json.loads(backtest("ema_cross", wave, EMA, "--json", "--fill-gaps"))["candles"] == 200
    assert "No such file" in complaint("ema_cross", "nowhere.csv", EMA)


def test_the_process_ends_with_2_and_a_clean_word(wave):
    command = [sys.executable, "manage.py", "backtest", "ema_cross", "--candles", str(wave), "--params", "{}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "is required" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_real_candles(reference):
    file = reference / "data" / "btc-perp-1m-2022-01.parquet"
    told = json.loads(backtest("grid", file, GRID, "--tick", "1", "--json"))
    assert told["candles"] == 45_031
    assert told["fills"] > 500
    assert told["denials"] == 0
    low, high = Decimal(900_000), Decimal(1_100_000)
    assert low < Decimal(told["final_equity"]) < high
