"""`manage.py backtest STRATEGY --candles FILE --params JSON`: simulate a strategy over candle files."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.core.errors import TradingError
from trading.research import BAD_INPUT, backtest, faults_text, published
from trading.research_options import add_backtest_options, add_output_options, add_run_options, request_of


class Command(BaseCommand):
    help = "Simulate a strategy over candle files and print what it would have made."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own declaration; no database is touched

    def add_arguments(self, parser: CommandParser) -> None:
        add_run_options(parser)
        add_output_options(parser)
        add_backtest_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = backtest(request_of(options))
            text = published(report, as_json=options["json"], file=options["report"])
        except TradingError as error:
            raise CommandError(faults_text(error), returncode=BAD_INPUT) from error
        self.stdout.write(text)
