"""Candles from and to files, and what is missing in them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.schema import schema_ensure
from exchanges.candle_store import DAY_MS
from exchanges.demo import demo_source, market_now
from exchanges.imports import LAST_MS, candles_import, gaps_fill
from exchanges.models import Market
from exchanges.selectors import candles_load, demo_clock_get, market_get
from trading.core.candle_files import read_candles, write_candles
from trading.core.candles import Candles, Gap, fill_gaps, find_gaps
from trading.core.errors import InvalidInput
from trading.core.timeframes import MINUTE_MS

RULES = ("tick", "lot", "min_qty", "min_notional", "fee")
GAPS_SHOWN = 20


class Command(BaseCommand):
    help = "Import, export and check candles (CSV or Parquet: ts open high low close volume)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        _import_options(verbs.add_parser("import", help="store a file's candles"))
        _export_options(verbs.add_parser("export", help="write stored candles, or the demo market's, to a file"))
        _gaps_options(verbs.add_parser("gaps", help="say which candles are missing in a file or in the store"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] != "gaps" or len(options["where"]) != 1:  # a file alone needs no database
            schema_ensure()
        try:
            getattr(self, f"_{options['verb']}")(options)
        except InvalidInput as error:
            raise CommandError(error.message) from error

    def _import(self, options: dict[str, Any]) -> None:
        given = {name: _number(name, options[name]) for name in RULES if options[name] is not None}
        market, count = candles_import(
            source=options["source"],
            symbol=options["symbol"],
            candles=read_candles(options["file"]),
            given=given,
            fill=options["fill_gaps"],
        )
        self.stdout.write(f"{count} candles of {market} stored")

    def _export(self, options: dict[str, Any]) -> None:
        market = market_get(options["source"], options["symbol"])
        start_ms, end_ms = _time("start", options["start"]), _time("end", options["end"])
        candles = _candles(market, options["timeframe_ms"], start_ms, end_ms)
        if not len(candles):
            text = f"{market} has no candles of {options['timeframe_ms']} ms in that time"
            raise InvalidInput(text, field="timeframe_ms", value=options["timeframe_ms"])
        write_candles(options["file"], candles)
        self.stdout.write(f"{len(candles)} candles of {market} written to {options['file']}")

    def _gaps(self, options: dict[str, Any]) -> None:
        where: list[str] = options["where"]
        if len(where) == 1:
            candles = read_candles(where[0])
            self._tell(find_gaps(candles), len(candles))
            if options["write"]:
                filled = fill_gaps(candles)
                write_candles(options["write"], filled)
                self.stdout.write(f"{len(filled)} candles without gaps written to {options['write']}")
            return
        if len(where) != 2:
            raise InvalidInput("give FILE, or SOURCE SYMBOL", field="where", value=" ".join(where))
        market = market_get(*where)
        candles = candles_load(market, options["timeframe_ms"], 0, LAST_MS)
        self._tell(find_gaps(candles), len(candles))
        if options["fill"]:
            count = gaps_fill(market=market, timeframe_ms=options["timeframe_ms"])
            self.stdout.write(f"{count} flat candles stored")

    def _tell(self, gaps: Sequence[Gap], count: int) -> None:
        missing = sum(gap.missing for gap in gaps)
        self.stdout.write(f"{count} candles, {len(gaps)} gaps, {missing} candles missing")
        for gap in gaps[:GAPS_SHOWN]:
            self.stdout.write(f"after row {gap.after_row}: {gap.missing} from {_iso(gap.from_ms)} to {_iso(gap.to_ms)}")
        if len(gaps) > GAPS_SHOWN:
            self.stdout.write(f"and {len(gaps) - GAPS_SHOWN} more gaps")


def _import_options(parser: ArgumentParser) -> None:
    parser.add_argument("source", help="whose prices these are, in a word of yours: file, bybit-2022")
    parser.add_argument("symbol", help="BASE/QUOTE; made if it isn't there yet")
    parser.add_argument("file", help="CSV or Parquet")
    parser.add_argument("--tick", help="price step of a new market (default 0.01)")
    parser.add_argument("--lot", help="quantity step of a new market (default 0.00000001)")
    parser.add_argument("--min-qty", help="smallest order of a new market (default 0)")
    parser.add_argument("--min-notional", help="smallest order of a new market in quote (default 0)")
    parser.add_argument("--fee", help="fee rate of a new market, 0.001 = 0.1 %% (default 0.001)")
    parser.add_argument("--fill-gaps", action="store_true", help="fill missing candles flat, with volume 0")


def _export_options(parser: ArgumentParser) -> None:
    parser.add_argument("source")
    parser.add_argument("symbol")
    parser.add_argument("file", help="Parquet when it ends with .parquet, else CSV")
    _timeframe_option(parser)
    parser.add_argument("--start", help="first open time: ms, or 2026-01-31T12:00 in UTC (demo: default a day back)")
    parser.add_argument("--end", help="open times before this one (default: all)")


def _gaps_options(parser: ArgumentParser) -> None:
    parser.add_argument("where", nargs="+", help="FILE, or SOURCE SYMBOL")
    _timeframe_option(parser)
    parser.add_argument("--write", metavar="FILE", help="of a file: write it with its gaps filled")
    parser.add_argument("--fill", action="store_true", help="of stored candles: fill the gaps")


def _timeframe_option(parser: ArgumentParser) -> None:
    parser.add_argument("--timeframe-ms", type=int, default=MINUTE_MS, help="length of a candle (default %(default)s)")


def _number(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidInput(f"--{name.replace('_', '-')} {text} is not a number", field=name, value=text) from None


def _time(name: str, text: str | None) -> int | None:
    """Read a time: epoch ms, or a date in UTC."""
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        wrong = f"--{name} {text} is neither ms since 1970 nor a time such as 2026-01-31T12:00"
        raise InvalidInput(wrong, field=name, value=text) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _candles(market: Market, timeframe_ms: int, start_ms: int | None, end_ms: int | None) -> Candles:
    if timeframe_ms <= 0:
        raise InvalidInput(f"--timeframe-ms {timeframe_ms} must be above 0", field="timeframe_ms", value=timeframe_ms)
    clock = demo_clock_get() if market.is_demo else None
    if clock is None:
        return candles_load(market, timeframe_ms, start_ms or 0, LAST_MS if end_ms is None else end_ms)
    closed_ms = market_now(clock) // timeframe_ms * timeframe_ms
    end_ms = closed_ms if end_ms is None else min(end_ms, closed_ms)
    return demo_source(clock).candles(
        market.symbol, timeframe_ms, end_ms - DAY_MS if start_ms is None else start_ms, end_ms
    )


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
