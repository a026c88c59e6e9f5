"""The process that watches the markets where several processes run; embedded mode has it as a thread."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from trading.streams import run_streams


class Command(BaseCommand):
    help = "Run the market streams until SIGTERM: one such process an installation."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        run_streams(stop)
