"""Between a feed and whoever works with its prices: updates of one market merge until they are taken.

A slow consumer gets fewer, longer bars instead of a growing queue, and loses no extreme. Bars of different minutes
are never merged, so that a candle's close stays where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from trading.core.ports import PriceUpdate
from trading.core.timeframes import MINUTE_MS
from trading.core.types import Bar


@dataclass(frozen=True, slots=True)
class Piece:
    """One market's prices over a stretch of one minute."""

    symbol: str
    bar: Bar
    until_ms: int
    received_ms: int
    late: bool
    tried: bool = False  # it failed half-way: it comes again as it was, never joined with newer prices

    @property
    def minute_ms(self) -> int:
        return self.bar.ts_ms // MINUTE_MS * MINUTE_MS


def joined(first: Bar, then: Bar) -> Bar:
    """Return two stretches as one."""
    return Bar(
        first.ts_ms,
        first.open,
        max(first.high, then.high),
        min(first.low, then.low),
        then.close,
        first.volume + then.volume,
    )


class Conflator:
    """Holds the pieces of one source until they are taken. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: dict[str, list[Piece]] = {}
        self._backlog = 0

    @property
    def backlog(self) -> int:
        """How many pieces wait: a feed that catches up should pause while there are many."""
        return self._backlog

    def put(self, update: PriceUpdate, received_ms: int) -> None:
        piece = Piece(update.symbol, update.bar, update.until_ms, received_ms, update.late)
        with self._lock:
            self._append(piece)

    def put_back(self, pieces: Sequence[Piece]) -> None:
        """Take pieces back that could not be handed on, to come again before all newer ones."""
        with self._lock:
            newer = [piece for waiting in self._pieces.values() for piece in waiting]
            self._pieces, self._backlog = {}, 0
            for piece in (*pieces, *newer):
                self._append(piece)

    def _append(self, piece: Piece) -> None:
        waiting = self._pieces.setdefault(piece.symbol, [])
        if waiting and waiting[-1].minute_ms == piece.minute_ms and not waiting[-1].tried:
            before = waiting.pop()
            bar, late = joined(before.bar, piece.bar), before.late or piece.late
            piece = Piece(piece.symbol, bar, piece.until_ms, piece.received_ms, late)
        else:
            self._backlog += 1
        waiting.append(piece)

    def take(self) -> list[Piece]:
        """Return what has come since the last call, oldest first; markets in the order in which they first came."""
        with self._lock:
            taken, self._pieces, self._backlog = self._pieces, {}, 0
        return sorted((piece for pieces in taken.values() for piece in pieces), key=lambda piece: piece.minute_ms)
