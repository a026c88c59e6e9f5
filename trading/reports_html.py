"""The report as one page that needs nothing else: figures, pictures of equity and drawdown, tables, assumptions.

No script, no font, no file beside it: it can be sent to somebody and opened without a network. Whatever stands in it
that people wrote (file names, parameters, reasons) is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from trading.reports import Report, assumptions, report_file
from trading.reports_text import figure_rows, minute

MOST_TRADES = 1000  # in the table; the file of `--report FILE.json` has all of them
WIDTH, HEIGHT, FALLS_HEIGHT = 960.0, 260.0, 90.0
STYLE = mark_safe(
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8886;vertical-align:top}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".wide{overflow-x:auto}td{overflow-wrap:anywhere}"
    "figure{margin:0}svg{display:block;width:100%;height:auto;background:#8881;margin:.5rem 0}"
    "path{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}"
    ".equity{stroke:#2f7df6}.hold{stroke:#888;stroke-dasharray:5 4}.falls{stroke:#d64545;fill:#d6454533}"
)
Cell = tuple[str, bool]  # text, and whether it is a number


def report_html(report: Report) -> str:
    """Return the whole report as an HTML document."""
    told = report_file(report)
    title = f"{report.mode.capitalize()} of {report.request.strategy.title}"
    parts = [
        format_html("<h1>{}</h1>", title),
        _table(("", ""), [(_text(name), _text(value)) for name, value in figure_rows(report)]),
        _pictures(told["curve"], told["max_drawdown_ratio"]),
        _section("Months (UTC)", _MONTHS, _month_rows(told)),
        _section("Markets", _MARKETS, _market_rows(told)),
        _section("Exits by reason", _EXITS, _exit_rows(told)),
        _section("Deepest falls of the equity", _FALLS, _fall_rows(told)),
        _section(_trades_title(told), _TRADES, _trade_rows(told)),
        _section("Parameters", ("Name", "Value"), [(_text(k), _text(str(v))) for k, v in told["params"].items()]),
        format_html("<h2>Assumptions</h2><ul>{}</ul>", _items(assumptions(report.request))),
    ]
    return format_html(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>{}</style></head>'
        "<body>{}</body></html>\n",
        title,
        STYLE,
        format_html_join("\n", "{}", ((part,) for part in parts)),
    )


# --- tables ---------------------------------------------------------------------------------------------------------

_MONTHS = ("Month", "#Profit", "#Return", "#Trades")
_MARKETS = ("Market", "#Fills", "#Position", "#Last price", "#Realised", "#Unrealised", "#Fees", "#Funding", "#Total")
_EXITS = ("Reason", "#Trades", "#Net")
_FALLS = ("Peak", "Trough", "Recovered", "#Depth")
_TRADES = (
    "Market", "Side", "Opened", "Closed", "#Quantity", "#Entry", "#Exit", "Why in", "Why out", "#Fees", "#Net",
    "#Return",
)  # fmt: skip


def _month_rows(told: dict[str, Any]) -> list[Sequence[Cell]]:
    return [
        (_text(row["month"]), _money(row["profit"]), _percent(row["return_ratio"]), _number(row["trades"]))
        for row in told["months"]
    ]


def _market_rows(told: dict[str, Any]) -> list[Sequence[Cell]]:
    money = ("realised", "unrealised", "fees", "funding", "total")
    return [
        (
            _text(alias),
            *(_number(row[name]) for name in ("fills", "position", "last_price")),
            *(_money(row[name]) for name in money),
        )
        for alias, row in told["markets"].items()
    ]


def _exit_rows(told: dict[str, Any]) -> list[Sequence[Cell]]:
    return [(_text(row["reason"]), _number(row["trades"]), _money(row["net"])) for row in told["exits"]]


def _fall_rows(told: dict[str, Any]) -> list[Sequence[Cell]]:
    return [
        (_time(row["peak_ms"]), _time(row["trough_ms"]), _time(row["recovered_ms"], "not yet"), _percent(row["ratio"]))
        for row in told["drawdowns"]
    ]


def _trade_rows(told: dict[str, Any]) -> list[Sequence[Cell]]:
    return [
        (
            _text(row["market"]),
            _text(row["side"]),
            _time(row["opened_ms"]),
            _time(row["closed_ms"], "open"),
            *(_number(row[name]) for name in ("qty", "entry_price", "exit_price")),
            _text(row["entry_reason"]),
            _text(row["exit_reason"]),
            *(_money(row[name]) for name in ("fees", "net")),
            _percent(row["return_ratio"]),
        )
        for row in [*told["closed_trades"][-MOST_TRADES:], *told["open_trades"]]
    ]


def _trades_title(told: dict[str, Any]) -> str:
    closed = len(told["closed_trades"])
    return f"Trades: the last {MOST_TRADES:,} of {closed:,}" if closed > MOST_TRADES else "Trades"


def _section(title: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> SafeString:
    return format_html("<h2>{}</h2>{}", title, _table(heads, rows)) if rows else SafeString("")


def _table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> SafeString:
    """`heads` of columns of numbers begin with #; without any head there is no line of them."""
    head = format_html_join("", "<th{}>{}</th>", ((_css(h[:1] == "#"), h.lstrip("#")) for h in heads if any(heads)))
    body = format_html_join(
        "\n", "<tr>{}</tr>", ((format_html_join("", "<td{}>{}</td>", ((_css(n), t) for t, n in row)),) for row in rows)
    )
    return format_html('<div class="wide"><table><tr>{}</tr>\n{}</table></div>', head, body)


def _css(number: bool) -> SafeString:
    return SafeString(' class="n"' if number else "")


def _items(lines: Iterable[str]) -> SafeString:
    return format_html_join("", "<li>{}</li>", ((line,) for line in lines))


def _text(value: str) -> Cell:
    return value, False


def _number(value: object) -> Cell:
    return "" if value is None else str(value), True


def _money(value: str | float | None) -> Cell:
    """Two decimals, as on the screen: the exact figures stand in the JSON file."""
    return "" if value is None else f"{Decimal(str(value)):,.2f}", True


def _percent(ratio: float | None) -> Cell:
    return "" if ratio is None else f"{ratio * 100:.2f} %", True


def _time(ms: int | None, otherwise: str = "") -> Cell:
    return otherwise if ms is None else minute(ms), False


# --- pictures -------------------------------------------------------------------------------------------------------


def _pictures(curve: Sequence[Sequence[float]], deepest: float) -> SafeString:
    """Draw the equity with buy and hold beside it, and below it how far the equity is under its peak."""
    equity, falls, hold = ([row[column] for row in curve] for column in (1, 2, 3))
    low, high = min(*equity, *hold), max(*equity, *hold)
    words = f"Equity (line) and buy and hold (dashed): {low:,.2f} to {high:,.2f}, "
    words += f"{minute(int(curve[0][0]))} to {minute(int(curve[-1][0]))} UTC"
    lines = format_html(
        '<path class="hold" d="{}"/><path class="equity" d="{}"/>',
        _path(hold, low, high, HEIGHT),
        _path(equity, low, high, HEIGHT),
    )
    below = _path([-fall for fall in falls], -max(falls), 0.0, FALLS_HEIGHT)
    area = format_html('<path class="falls" d="{} L{},0 L0,0 Z"/>', below, f"{WIDTH:g}")
    return format_html(
        "<h2>Equity</h2>{}<h2>Drawdown</h2>{}",
        _picture(lines, HEIGHT, words),
        _picture(area, FALLS_HEIGHT, f"Below the peak of the equity, at most {deepest * 100:.2f} %"),
    )


def _picture(content: SafeString, height: float, words: str) -> SafeString:
    return format_html(
        '<figure><svg viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="none">{}</svg>'
        "<figcaption>{}</figcaption></figure>",
        f"{WIDTH:g}",
        f"{height:g}",
        words,
        content,
        words,
    )


def _path(values: Sequence[float], low: float, high: float, height: float) -> str:
    """Return the line through the values, the first at the left edge, the last at the right one."""
    across, up = WIDTH / max(1, len(values) - 1), height / ((high - low) or 1.0)
    points = (f"{k * across:.1f},{(high - value) * up:.1f}" for k, value in enumerate(values))
    return "M" + " L".join(points)
