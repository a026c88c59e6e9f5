"""`manage.py check_lookahead STRATEGY --candles FILE --params JSON`: does cutting the future off change the past?"""

from __future__ import annotations

import random
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.core.errors import TradingError
from trading.research import BAD_INPUT, faults_text
from trading.research_checks import lookahead_difference, lookahead_text
from trading.research_options import add_backtest_options, add_run_options, request_of


class Command(BaseCommand):
    help = "Run a strategy on random beginnings of its candles: exit code 1 if anything before a cut differs."
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own declaration; no database is touched

    def add_arguments(self, parser: CommandParser) -> None:
        add_run_options(parser)
        add_backtest_options(parser)
        parser.add_argument("--cuts", type=int, default=50, help="how many random cuts (default %(default)s)")
        parser.add_argument("--seed", type=int, default=1, help="of the random cuts (default %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        draw = random.Random(options["seed"]).randint  # noqa: S311 - cuts that can be repeated, not a secret
        try:
            request = request_of(options)
            found = lookahead_difference(request, options["cuts"], draw)
        except TradingError as error:
            raise CommandError(faults_text(error), returncode=BAD_INPUT) from error
        if found is not None:
            raise CommandError(lookahead_text(request, found), returncode=1)
        self.stdout.write(f"{options['cuts']:,} cuts: no signal, decision or fill before a cut is another")
