"""The process that watches the markets where several processes run; embedded mode has it as a thread."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from trading import heartbeat
from trading.signs import Sign, start
from trading.streams import run_streams

START_S = 120.0  # the venues are asked before the first price


class Command(BaseCommand):
    help = "Run the market streams until SIGTERM: one such process an installation."

    def handle(self, *args: Any, **options: Any) -> None:
        from config import watchdog  # what it ends is started again by the supervisor

        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        for part in ("feeds", "prices"):
            heartbeat.expect(part, START_S)
        guard = threading.Thread(target=watchdog.watch, args=(stop, [], settings.WATCHDOG_S, None), name="watchdog")
        guard.daemon = True
        guard.start()
        start(Sign("streams", progress=lambda: heartbeat.count("prices")))
        run_streams(stop)
