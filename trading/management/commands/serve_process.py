"""The embedded process itself; `serve` (the launcher) starts it and starts it again."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand


def _number(name: str) -> int | None:
    raw = os.environ.pop(name, "")
    return int(raw) if raw else None


class Command(BaseCommand):
    help = "Run web, worker, beat and streams in this one process. Use `serve`, which keeps it alive."
    requires_system_checks: list[str] = []  # noqa: RUF012  (Django's own type)

    def handle(self, *args: Any, **options: Any) -> None:
        from config.embedded import run  # loads the whole product

        run(_number("BINNACLE_SOCKET_FD"), _number("BINNACLE_READY_FD"), _number("BINNACLE_LAUNCHER"))
