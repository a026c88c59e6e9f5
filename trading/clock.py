"""The engine's clock: wall time, or a candle file's. Back-offs and time wakes go by it; leases never do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from django.utils import timezone


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the present, aware, in UTC."""
        ...


class WallClock:
    def now(self) -> datetime:
        return timezone.now()


class CandleClock:
    """Stands at a candle's time until it is moved on."""

    def __init__(self) -> None:
        self.now_ms = 0

    def now(self) -> datetime:
        return at_ms(self.now_ms)


def at_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


WALL = WallClock()
