"""`manage.py backtest` over several markets, on perpetuals, with worse fills, from a later start; and its file."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

MINUTE = 60_000
SCAN = {
    "symbols": ["AAA/USDT", "BBB/USDT"],
    "entry": "close > sma(3)",
    "exit": "close < sma(3)",
    "max_deals": 2,
    "quote_per_deal": 1000,
    "cooldown_minutes": 0,
}
PAIR = {"symbol": "BBB/USDT:USDT", "window": 20, "entry": "1.2", "exit": "0.2", "stop": 9, "leg_quote": 1000}
EMA = {"fast": 3, "slow": 5, "quantity": "1"}


def wave_file(path: Path, *, period: int, start: int = 0, step: int = MINUTE, volume: int = 1) -> Path:
    """Two hundred candles of a triangle wave between 90 and 110."""
    rows = ["ts,open,high,low,close,volume"]
    for k in range(200):
        here, there = (90 + abs((t % period) - period // 2) * 40 / period for t in (k, k + 1))
        rows.append(f"{start + k * step},{here},{max(here, there)},{min(here, there)},{there},{volume}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def a(tmp_path):
    return wave_file(tmp_path / "a.csv", period=40)


@pytest.fixture
def b(tmp_path):
    return wave_file(tmp_path / "b.csv", period=30)


def backtest(strategy: str, params: dict[str, Any], *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("backtest", strategy, "--params", json.dumps(params), "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def complaint(strategy: str, params: dict[str, Any], *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        backtest(strategy, params, *options)
    assert caught.value.returncode == 2
    return str(caught.value)


def two(a: Path, b: Path) -> list[str]:
    return ["--candles", f"AAA/USDT={a}", "--candles", f"BBB/USDT={b}"]


def test_several_markets_are_reported_each_and_together(a, b):
    told = backtest("scan", SCAN, *two(a, b))
    assert list(told["markets"]) == ["AAA/USDT", "BBB/USDT"]
    assert all(market["fills"] > 4 for market in told["markets"].values())
    assert told["fills"] == sum(market["fills"] for market in told["markets"].values())
    total = sum(Decimal(market["total"]) for market in told["markets"].values())
    assert Decimal(told["cash"]) + total == Decimal(told["final_equity"])
    assert told["position"] is None
    assert any("several markets" in line for line in told["assumptions"])


def test_only_the_time_in_common_is_run(tmp_path, a):
    later = wave_file(tmp_path / "later.csv", period=30, start=50 * MINUTE)
    told = backtest("scan", SCAN, *two(a, later))
    assert (told["candles"], told["first_ms"], told["last_ms"]) == (150, 50 * MINUTE, 199 * MINUTE)


def test_each_market_may_have_steps_of_its_own(a, b):
    told = backtest("scan", SCAN, *two(a, b), "--lot", "0.001", "--lot", "BBB/USDT=5")
    assert any("a lot of 0.001" in line and "a lot of 5" in line for line in told["assumptions"])
    assert Decimal(told["markets"]["BBB/USDT"]["position"]) % 5 == 0


def test_what_is_wrong_with_the_files_is_named(tmp_path, a, b):
    assert "the strategy needs 2 markets: --candles AAA/USDT=FILE" in complaint("scan", SCAN, "--candles", str(a))
    assert "also needs candles of BBB/USDT" in complaint("scan", SCAN, "--candles", f"AAA/USDT={a}")
    told = complaint("scan", SCAN, *two(a, b), "--candles", f"CCC/USDT={b}")
    assert "has no market 'CCC/USDT', only AAA/USDT, BBB/USDT" in told
    assert "has no market 'X'" in complaint("scan", SCAN, *two(a, b), "--tick", "X=1")
    slower = wave_file(tmp_path / "slow.csv", period=30, step=5 * MINUTE)
    assert "BBB/USDT has candles of 300000 ms, AAA/USDT of 60000 ms" in complaint("scan", SCAN, *two(a, slower))
    never = wave_file(tmp_path / "never.csv", period=30, start=1000 * MINUTE)
    assert "have no time in common" in complaint("scan", SCAN, *two(a, never))
    assert "cannot read nowhere.csv" in complaint("scan", SCAN, *two(a, Path("nowhere.csv")))


def test_a_gap_is_named_with_its_market_and_can_be_filled(a, b):
    rows = b.read_text().splitlines()
    b.write_text("\n".join([*rows[:50], *rows[53:]]) + "\n")
    told = complaint("scan", SCAN, *two(a, b))
    assert "BBB/USDT (b.csv): row 49: 3 candles are missing" in told
    assert backtest("scan", SCAN, *two(a, b), "--fill-gaps")["candles"] == 200


def test_too_little_history_is_named(a, b):
    slow = {**SCAN, "entry": "close > sma(300)"}
    assert "closed candles before its first decision; there are 200 in all" in complaint("scan", slow, *two(a, b))


def test_a_pair_of_perpetuals_pays_funding_and_reports_it(tmp_path, a):
    b = wave_file(tmp_path / "b.csv", period=30, step=60 * MINUTE)
    a = wave_file(tmp_path / "a.csv", period=40, step=60 * MINUTE)
    told = backtest(
        "pair",
        PAIR,
        "--candles",
        f"main={a}",
        "--candles",
        f"BBB/USDT:USDT={b}",
        "--perpetual",
        "--funding-rate",
        "0.01",
    )
    assert list(told["markets"]) == ["main", "other"]
    assert told["fills"] >= 4
    assert Decimal(told["funding"]) != 0
    parts = [Decimal(told[name]) for name in ("realised_pnl", "unrealised_pnl", "fees", "funding")]
    assert parts[0] + parts[1] - parts[2] + parts[3] == Decimal(told["total_pnl"])
    assert any("funding is a constant 1 %" in line for line in told["assumptions"])


# --- one market


def test_the_report_file_holds_trades_months_drawdowns_and_the_curve(a, tmp_path):
    file = tmp_path / "report.json"
    told = backtest("ema_cross", EMA, "--candles", str(a), "--report", str(file))
    whole = json.loads(file.read_text())
    assert {name: whole[name] for name in told if name != "seconds"} == {n: told[n] for n in told if n != "seconds"}
    trades = whole["closed_trades"]
    assert len(trades) == told["trades"]["trades"] > 2
    assert sum(Decimal(trade["gross"]) for trade in trades) == Decimal(told["realised_pnl"])
    assert {(trade["entry_reason"], trade["exit_reason"]) for trade in trades} == {("entry", "exit")}
    assert len(whole["curve"]) == 200
    assert whole["curve"][-1][1] == pytest.approx(float(told["final_equity"]))
    assert [row["month"] for row in whole["months"]] == ["1970-01"]
    assert max(fall["ratio"] for fall in whole["drawdowns"]) == told["max_drawdown_ratio"]
    assert whole["params"]["fast"] == 3


def test_a_report_file_that_cannot_be_written_is_named(a):
    assert "report: cannot write /nowhere/r.json" in complaint(
        "ema_cross", EMA, "--candles", str(a), "--report", "/nowhere/r.json"
    )


def test_a_later_start_trades_later_with_the_same_signals(a):
    whole = backtest("ema_cross", EMA, "--candles", str(a))
    late = backtest("ema_cross", EMA, "--candles", str(a), "--start", str(100 * MINUTE))
    assert 0 < late["fills"] < whole["fills"]
    assert any("the first decision is made at 6000000 ms" in line for line in late["assumptions"])
    same = backtest("ema_cross", EMA, "--candles", str(a), "--start", "1970-01-01T01:40")
    assert same["fills_sha256"] == late["fills_sha256"]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--start", "yesterday", "--start yesterday is neither a time"),
        ("--start", "2022-01-01", "--start 2022-01-01 lies outside the candles, which open from 0 to 11940000"),
        ("--liquidity-ratio", "0", "--liquidity-ratio 0 must be above 0"),
        ("--liquidity-ratio", "2", "--liquidity-ratio 2 must be at most 1"),
        ("--half-spread", "1", "--half-spread 1 must be a ratio from 0 up to below 1"),
        ("--slippage", "-1", "--slippage -1 must be a ratio"),
        ("--advisor", "oracle", "There is no adviser “oracle”"),
    ],
)
def test_a_bad_option_is_named(a, option, value, words):
    assert words in complaint("ema_cross", EMA, "--candles", str(a), f"{option}={value}")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--leverage-limit", "0.5", "--leverage-limit 0.5 must be 1 or more"),
        ("--maintenance-rate", "1", "--maintenance-rate 1 must be a ratio"),
        ("--funding-rate", "x", "--funding-rate x is not a number"),
    ],
)
def test_a_bad_rule_of_a_perpetual_is_named(a, option, value, words):
    assert words in complaint("ema_cross", EMA, "--candles", str(a), "--perpetual", f"{option}={value}")


def test_orders_that_take_fill_worse_with_a_spread_and_slippage(a):
    plain, worse = (
        backtest("ema_cross", EMA, "--candles", str(a), *more)
        for more in ([], ["--half-spread", "0.01", "--slippage", "0.01"])
    )
    assert worse["fills"] == plain["fills"]
    assert Decimal(worse["final_equity"]) < Decimal(plain["final_equity"])
    assert any("slippage 1 %, bid and ask 1 % beside the last price" in line for line in worse["assumptions"])


def test_a_thin_market_fills_limits_in_parts(a):
    grid = {"lower": 92, "upper": 108, "levels": 5, "investment": 5000}
    plain, thin = (backtest("grid", grid, "--candles", str(a), *more) for more in ([], ["--liquidity-ratio", "0.5"]))
    assert thin["fills"] > plain["fills"]
    assert any("at most 50 % of the candle's volume" in line for line in thin["assumptions"])
