"""`manage.py check_parity STRATEGY --candles FILE --params JSON`: do backtest and live path make the same fills?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.schema import schema_ensure
from trading.core.errors import TradingError
from trading.research import BAD_INPUT, faults_text
from trading.research_checks import parity_difference
from trading.research_options import add_run_options, request_of


class Command(BaseCommand):
    help = "Run a strategy as backtest and as replay: exit code 1 and the first fill that differs, if one does."

    def add_arguments(self, parser: CommandParser) -> None:
        add_run_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            request = request_of(options)
            schema_ensure()
            fills, difference = parity_difference(request)
        except TradingError as error:
            raise CommandError(faults_text(error), returncode=BAD_INPUT) from error
        if difference:
            raise CommandError(difference, returncode=1)
        self.stdout.write(f"{fills:,} fills, the same in backtest and replay")
