"""`--report FILE.html`: the whole report as one page that needs nothing else and trusts nothing that people wrote."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from test_backtest_markets import EMA, PAIR, SCAN, backtest, two, wave_file

VOID = {"meta"}
OUTSIDE = ("http:", "https:", "//", "<script", "src=", "href=", "@import", "url(")


class Page(HTMLParser):
    """Keeps the text of each cell and heading, the pictures, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.paths: dict[str, list[tuple[float, float]]] = {}
        self._title = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag == "h2":
            self._title = ""
        if tag == "tr":
            self.tables.setdefault(self._title, []).append([])
        if tag in ("td", "th"):
            self.tables[self._title][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        points = re.findall(r"([\d.]+),([\d.]+)", named["d"] or "")
        self.paths[named["class"] or ""] = [(float(x), float(y)) for x, y in points]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "h2" in self.open:
            self._title += data
        elif self.open and self.open[-1] in ("td", "th"):
            self.tables[self._title][-1][-1] += data


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return wave_file(tmp_path / "a.csv", period=40, step=6 * 3_600_000)


def written(strategy: str, params: dict, tmp_path: Path, *options: str) -> tuple[dict, str]:
    """Return what the JSON file says, and the page of the same run."""
    page, plain = tmp_path / "report.html", tmp_path / "report.json"
    backtest(strategy, params, *options, "--report", str(page))
    backtest(strategy, params, *options, "--report", str(plain))
    return json.loads(plain.read_text()), page.read_text()


def test_it_holds_figures_pictures_months_and_trades(a: Path, tmp_path: Path):
    told, text = written("ema_cross", EMA, tmp_path, "--candles", str(a))
    page = Page(text)
    figures = dict(page.tables[""][1:])
    assert figures["fills sha256"] == told["fills_sha256"]
    assert figures["final equity"].startswith(f"{float(told['final_equity']):,.2f}")
    assert [row[0] for row in page.tables["Months (UTC)"][1:]] == [row["month"] for row in told["months"]]
    assert len(page.tables["Trades"]) - 1 == len(told["closed_trades"]) + len(told["open_trades"]) > 2
    nets = [row[10] for row in page.tables["Trades"][1:]]
    assert nets[: len(told["closed_trades"])] == [f"{Decimal(trade['net']):,.2f}" for trade in told["closed_trades"]]
    assert f"at most {told['max_drawdown_ratio'] * 100:.2f} %" in text
    assert {row[0]: row[1] for row in page.tables["Parameters"]}["fast"] == "3"
    for line in told["assumptions"]:
        assert line.replace("'", "&#x27;") in text


def test_the_curves_are_drawn_to_scale(a: Path, tmp_path: Path):
    told, text = written("ema_cross", EMA, tmp_path, "--candles", str(a))
    drawn, curve = Page(text).paths, told["curve"]
    every = [value for row in curve for value in (row[1], row[3])]
    low, high = min(every), max(every)
    for name, column in (("equity", 1), ("hold", 3)):
        assert len(drawn[name]) == len(curve)
        assert (drawn[name][0][0], drawn[name][-1][0]) == (0.0, 960.0)
        for (_, y), row in zip(drawn[name], curve, strict=True):
            assert y == pytest.approx((high - row[column]) / (high - low) * 260, abs=0.06)
    deepest = max(row[2] for row in curve)
    assert max(y for _, y in drawn["falls"]) == pytest.approx(90.0)
    assert drawn["falls"][len(curve) - 1][1] == pytest.approx(curve[-1][2] / deepest * 90, abs=0.06)


def test_it_asks_for_nothing_from_outside(a: Path, tmp_path: Path):
    b = wave_file(tmp_path / "b.csv", period=30, step=6 * 3_600_000)
    for strategy, params, options in (
        ("scan", SCAN, two(a, b)),
        ("pair", PAIR, ["--candles", f"main={a}", "--candles", f"BBB/USDT:USDT={b}", "--perpetual"]),
    ):
        told, text = written(strategy, params, tmp_path, *options)
        assert [row[0] for row in Page(text).tables["Markets"][1:]] == list(told["markets"])
        assert not [word for word in OUTSIDE if word in text.lower()]


def test_what_people_wrote_stays_text(tmp_path: Path):
    hostile = wave_file(tmp_path / "<img src=x onerror=alert(1)>&.csv", period=40)
    _, text = written("ema_cross", EMA, tmp_path, "--candles", str(hostile))
    assert "<img" not in text
    assert "&lt;img" in text


def test_a_run_without_a_trade_has_a_page_too(a: Path, tmp_path: Path):
    told, text = written("ema_cross", EMA | {"fast": 50, "slow": 190}, tmp_path, "--candles", str(a))
    assert told["fills"] == 0
    assert "Trades" not in Page(text).tables
