"""The adviser of a backtest or replay: answer, delay and misbehaviour follow from the question alone.

The same question has the same fate in every run and on every machine: it is drawn from its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from trading.core.errors import TradingError
from trading.core.ports import Advisor
from trading.core.types import Ask

NEVER = -1
ABSURD: tuple[Any, ...] = (
    "buy everything",
    None,
    [],
    {},
    {"side": "BUY", "confidence": 0.9, "allocation_ratio": 0.5},
    {"side": "short", "confidence": 0.9, "allocation_ratio": 0.5},
    {"side": ["buy"], "confidence": 0.9, "allocation_ratio": 0.5},
    {"side": "buy", "confidence": "0.9", "allocation_ratio": 0.5},
    {"side": "buy", "confidence": True, "allocation_ratio": True},
    {"side": "buy", "confidence": 0.9},
    {"side": "buy", "confidence": 90, "allocation_ratio": 0.5},
    {"side": "buy", "confidence": 0.9, "allocation_ratio": -0.5},
    {"side": "buy", "confidence": 0.9, "allocation_ratio": float("nan")},
    {"side": "buy", "confidence": float("inf"), "allocation_ratio": 1e300},
    {"side": "buy", "confidence": 0.9, "allocation_ratio": 10**400},
)


@dataclass(frozen=True, slots=True)
class Simulated:
    """Answers like `advisor` after a delay between the two bounds (both ms, inclusive).

    Of all questions the share `never` gets no answer, `failing` an error and `absurd` one of ABSURD; ratios 0-1.
    """

    advisor: Advisor
    delay_ms: tuple[int, int] = (1_000, 20_000)
    never: float = 0.0
    failing: float = 0.0
    absurd: float = 0.0

    def simulate(self, ask: Ask, now_ms: int) -> tuple[int, Any, str]:
        """Return (delay_ms, value, error); delay_ms < 0 means that no answer ever comes."""
        digest = hashlib.sha256(json.dumps([ask.id, ask.kind, dict(ask.payload)], sort_keys=True).encode()).digest()
        fate = int.from_bytes(digest[:6], "big") / 2**48
        low, high = self.delay_ms
        delay = low + int.from_bytes(digest[6:12], "big") % (high - low + 1)
        if fate < self.never:
            return NEVER, None, ""
        if fate < self.never + self.failing:
            return delay, None, "failed"
        if fate < self.never + self.failing + self.absurd:
            return delay, ABSURD[digest[12] % len(ABSURD)], ""
        try:
            return delay, self.advisor.answer(ask.kind, ask.payload), ""
        except TradingError:
            return delay, None, "failed"
