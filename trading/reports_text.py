"""The report for people: figures in lines, exits and months in small tables, and every assumption behind them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from trading.core.report import RunReport, TradeFigures
from trading.core.rounding import plain
from trading.reports import Report, Request, assumptions, report_json

MOST_MONTHS = 36


def report_text(report: Report) -> str:
    """Return the whole report as lines of text."""
    parts = [_figures(report)]
    if len(report.run.markets) > 1:
        parts.append(_markets(report.run))
    if report.run.trades:
        parts.append(_exits(report.run))
    if len(report.run.months) > 1:
        parts.append(_months(report.run))
    parts.append("Assumptions\n" + "\n".join(f"  - {line}" for line in assumptions(report.request)))
    return "\n\n".join(parts)


def figure_rows(report: Report) -> list[tuple[str, str]]:
    """Return name and value of each figure that this run has, in words for people."""
    request, run = report.request, report.run
    told, candles = report_json(report), request.candles
    sources = ", ".join(market.source for market in request.markets.values())
    funding = run.sum("funding")
    rows = [
        ("candles", f"{len(candles):,} of {candles.timeframe_ms / 1000:g} s, {sources}"),
        ("period", f"{minute(told['first_ms'])} to {minute(told['last_ms'])} UTC"),
        ("simulated in", f"{report.seconds:.4f} s ({len(candles) / max(report.seconds, 1e-9):,.0f} candles/s)"),
        ("orders, fills", f"{report.orders:,}, {told['fills']:,}"),
        ("realised", _money(run.sum("realised")) + " (gross, at average cost)"),
        ("unrealised", _money(run.sum("unrealised")) + f" ({_held(run)})"),
        ("fees", _money(run.sum("fees"))),
        ("funding", _money(funding) + " (received; paid is negative)" if request.perpetual else ""),
        ("total", _money(run.total) + " = realised + unrealised - fees" + (" + funding" if request.perpetual else "")),
        ("buy and hold", f"{_money(run.benchmark.pnl)} ({_benchmark(request)})"),
        ("final equity", f"{_money(run.final_equity)} (started with {_money(run.cash)})"),
        ("max drawdown", f"{run.max_drawdown_ratio * 100:.3f} %{_deepest(run)}"),
        ("trades", _trades(run.figures)),
        ("exposure", f"a position stood at {run.exposure_ratio * 100:.1f} % of the closes"),
        ("liquidations", f"{told['liquidations']}" if told["liquidations"] else ""),
        ("fills sha256", report.fills_sha256),
        *((name, str(value)) for name, value in report.extra.items() if value not in ("", 0)),
    ]
    return [(name, value) for name, value in rows if value]


def _figures(report: Report) -> str:
    lines = [f"  {name:<14} {value}" for name, value in figure_rows(report)]
    return "\n".join([f"{report.mode.capitalize()} of {report.request.strategy.title}", *lines])


def _markets(run: RunReport) -> str:
    lines = [
        f"  {alias:<14} {figures.fills:>7,} fills {_money(figures.total):>18} position {plain(figures.position)} "
        f"at {plain(figures.last_price)}"
        for alias, figures in run.markets.items()
    ]
    return "\n".join(["Markets", *lines])


def _exits(run: RunReport) -> str:
    lines = [f"  {row.reason:<24} {row.trades:>7,} trades {_money(row.net):>18}" for row in run.exits]
    return "\n".join(["Exits by reason, net", *lines])


def _months(run: RunReport) -> str:
    lines = [
        f"  {row.month} {_money(row.profit):>18} {row.return_ratio * 100:>9.2f} % "
        f"{run.month_trades.get(row.month, 0):>7,} trades"
        for row in run.months[-MOST_MONTHS:]
    ]
    return "\n".join(["Months (UTC)", *lines])


def _held(run: RunReport) -> str:
    if len(run.markets) == 1:
        (only,) = run.markets.values()
        return f"{plain(only.position)} held at {plain(only.last_price)}"
    return f"{sum(figures.position != 0 for figures in run.markets.values())} of {len(run.markets)} markets held"


def _benchmark(request: Request) -> str:
    if len(request.markets) == 1:
        return "all of the cash, at the first open, no fees"
    return f"all of the cash in equal parts in {len(request.markets)} markets, at the first open, no fees"


def _deepest(run: RunReport) -> str:
    if not run.drawdowns:
        return ""
    fall = run.drawdowns[0]
    until = "not yet recovered" if fall.recovered_ms is None else f"recovered {minute(fall.recovered_ms)}"
    return f", {minute(fall.peak_ms)} to {minute(fall.trough_ms)}, {until}"


def _trades(figures: TradeFigures) -> str:
    if not figures.trades:
        return "none closed"
    won = f"{(figures.win_ratio or 0) * 100:.1f} % won"
    factor = "no losses" if figures.profit_factor is None else f"profit factor {figures.profit_factor:.2f}"
    average = f"average {_money(figures.average_net)} net after {figures.average_hours:.1f} h"
    return f"{figures.trades:,} closed, {won}, {factor}, {average}"


def _money(value: Decimal | float) -> str:
    return f"{value:,.2f}"


def minute(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
