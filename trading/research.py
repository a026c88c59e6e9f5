"""Backtests from outside: from a request to a finished report, for the commands and whoever else wants one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from bots.advisors.registry import simulated_advisor
from trading.core.candles import Candles
from trading.core.errors import InvalidInput, InvalidInputs, TradingError
from trading.core.ports import Strategy
from trading.core.report import run_report
from trading.core.result import SimulationResult
from trading.core.rounding import to_float
from trading.core.simulation import SimMarket, SimOptions, simulate_markets
from trading.reports import Report, Request, report_file, report_json
from trading.reports_html import report_html
from trading.reports_text import report_text

WARM_UP_CANDLES = 3
BAD_INPUT = 2  # exit code of a command that was given what it can't use, as argparse has it


def backtest(request: Request) -> Report:
    """Run it and make the report. The few candles first load the compiled code, which isn't part of the time."""
    count = request.needs.warmup + WARM_UP_CANDLES
    few = {alias: market.candles.slice(0, count) for alias, market in request.markets.items()}
    simulated(request, candles=few)
    started = time.perf_counter()
    result = simulated(request)
    seconds = time.perf_counter() - started
    markets = {alias: (market.candles, market.rules) for alias, market in request.markets.items()}
    return Report(
        request=request,
        run=run_report(markets, list(result.fill_rows()), list(result.funding_rows()), request.cash),
        seconds=seconds,
        orders=result.orders,
        fills_sha256=result.sha256(),
        extra={"denials": result.denials, "decisions": result.decisions, "finish": result.finish},
    )


def published(report: Report, *, as_json: bool, file: str | None) -> str:
    """Return what a command prints, and write the whole report to `file`: a page if it is named so, else JSON.

    Raises InvalidInput when it can't be written.
    """
    if file:
        try:
            Path(file).write_text(_whole(report, file), encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"cannot write {file}: {error.strerror}", field="report", value=file) from error
    return json.dumps(report_json(report)) if as_json else report_text(report)


def _whole(report: Report, file: str) -> str:
    page = Path(file).suffix.lower() in (".html", ".htm")
    return report_html(report) if page else json.dumps(report_file(report)) + "\n"


def faults_text(error: TradingError) -> str:
    """Return what a command prints of an error: a line a fault, each with the name of its field."""
    faults = error.faults if isinstance(error, InvalidInputs) else (error,)
    return "\n".join(
        f"{fault.field}: {fault.message}" if isinstance(fault, InvalidInput) and fault.field else str(fault)
        for fault in faults
    )


def simulated(
    request: Request, *, strategy: Strategy | None = None, candles: Mapping[str, Candles] | None = None
) -> SimulationResult:
    """Simulate the request, or the same with another strategy object or with other candles of its markets."""
    markets = {
        alias: SimMarket(market.candles if candles is None else candles[alias], market.rules)
        for alias, market in request.markets.items()
    }
    chosen = strategy or request.strategy
    return simulate_markets(
        chosen, request.params, markets, cash=request.cash, fee=request.fee, options=_options(request)
    )


def _options(request: Request) -> SimOptions:
    liquidity = request.liquidity_ratio
    return SimOptions(
        liquidity_ratio=None if liquidity is None else to_float(liquidity),
        half_spread_ratio=to_float(request.half_spread_ratio),
        slippage_ratio=to_float(request.slippage_ratio),
        advisor=simulated_advisor(request.advisor) if request.advisor else None,
        start_ms=request.start_ms,
    )
