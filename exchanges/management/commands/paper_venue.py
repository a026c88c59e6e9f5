"""`manage.py paper_venue --port N`: the paper venue as a process of its own (docs/paper-venue.md)."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from accounts.schema import schema_ensure
from exchanges.adapters.paperwire.parse import Unreadable, read
from exchanges.paper_server.faults import RULES, Rule
from exchanges.paper_server.process import serve
from exchanges.services import demo_clock_adopt, demo_clock_ensure, demo_markets_ensure
from trading.core.errors import InvalidInput

SECRET_LEAST = 32


class Command(BaseCommand):
    help = "Run the paper venue as a process of its own, with its own database (BINNACLE_DATA or DATABASE_URL)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, required=True, help="0: a free one, which is printed")
        parser.add_argument("--clock", default="", help="the platform's demo clock, as create_paper_account says it")
        parser.add_argument("--feed", choices=("demo", "none"), default="demo", help="none: prices by control only")
        parser.add_argument("--faults", default="", metavar="FILE", help="JSON list of faults to play from the start")

    def handle(self, *args: Any, **options: Any) -> None:
        self._refuse_unsafe()
        rules = _rules(options["faults"])
        schema_ensure()
        if User.objects.exists():
            raise CommandError(
                "This database has users, so it is a platform's. The venue needs one of its own: set BINNACLE_DATA "
                "(or DATABASE_URL) to another place for this process."
            )
        try:
            if options["clock"]:
                demo_clock_adopt(text=options["clock"])
            demo_clock_ensure()
        except InvalidInput as error:
            raise CommandError(error.message) from error
        demo_markets_ensure()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        serve(
            (options["host"], options["port"]),
            settings.PAPER_VENUE_KEY,
            settings.PAPER_VENUE_CONTROL_KEY,
            rules,
            stop,
            lambda url: self.stdout.write(f"The paper venue is at {url}"),
            feed=options["feed"] == "demo",
        )

    def _refuse_unsafe(self) -> None:
        if not settings.EMBEDDED or settings.REDIS_URL:
            raise CommandError(
                "The venue keeps its prices in its own memory, not in the platform's Redis: unset BROKER_URL and "
                "REDIS_URL for this process."
            )
        keys = {"PAPER_VENUE_KEY": settings.PAPER_VENUE_KEY}
        if settings.PAPER_VENUE_CONTROL_KEY:
            keys["PAPER_VENUE_CONTROL_KEY"] = settings.PAPER_VENUE_CONTROL_KEY
        for name, key in keys.items():
            if len(key) < SECRET_LEAST:
                raise CommandError(f"{name} must be a secret of at least {SECRET_LEAST} characters")


def _rules(path: str) -> list[Rule]:
    if not path:
        return []
    try:
        return read(RULES, Path(path).read_bytes())
    except (OSError, Unreadable) as error:
        raise CommandError(f"--faults {path}: {error}") from error
