"""`manage.py replay STRATEGY --candles FILE --params JSON`: the live path over candle files, in lock-step."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.schema import schema_ensure
from trading.core.errors import TradingError
from trading.research import BAD_INPUT, faults_text, published
from trading.research_options import add_output_options, add_run_options, request_of
from trading.research_replay import replay


class Command(BaseCommand):
    help = "Drive the live path through candle files in a throw-away workspace of the configured database."

    def add_arguments(self, parser: CommandParser) -> None:
        add_run_options(parser)
        add_output_options(parser)
        parser.add_argument("--keep", action="store_true", help="keep the workspace, to look at it afterwards")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            request = request_of(options)
            schema_ensure()
            report = replay(request, keep=options["keep"], on_progress=self._progress if self.stderr.isatty() else None)
            text = published(report, as_json=options["json"], file=options["report"])
        except TradingError as error:
            raise CommandError(faults_text(error), returncode=BAD_INPUT) from error
        self.stdout.write(text)

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"\r{done:,} of {total:,} candles", ending="")
