"""An adviser without a network: answers by a rule of thumb from the figures in the question, at no cost.

It stands in for a language model in tests, backtests and installations that have none, and is no advice to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, ClassVar

from trading.core.errors import InvalidInput

HOT, COLD = 75.0, 25.0  # RSI
STEEP = 0.02  # distance of the averages, as a ratio, at which confidence is full


class LocalAdvisor:
    """With the trend while it isn't overheated: buys above the slow average, sells below it or when overheated."""

    key: ClassVar[str] = "local"
    title: ClassVar[str] = "Local rule of thumb"

    def answer(self, kind: str, payload: Mapping[str, Any]) -> Any:
        """Return {side, confidence, allocation_ratio} for a "direction" question.

        Reads `ema_fast`, `ema_slow` (prices) and `rsi` (0-100). Raises InvalidInput for anything else.
        """
        if kind != "direction":
            raise InvalidInput(f"The local adviser answers “direction”, not “{kind}”.", field="kind", value=kind)
        fast, slow, rsi = _price(payload, "ema_fast"), _price(payload, "ema_slow"), _number(payload, "rsi")
        if not 0 <= rsi <= 100:
            raise InvalidInput(f"A direction needs rsi from 0 to 100, not {rsi!r}.", field="rsi", value=rsi)
        slope = fast / slow - 1.0
        if rsi >= HOT:
            return _answer("sell", (rsi - 50.0) / 50.0)
        if rsi <= COLD or slope == 0.0:
            return _answer("hold", 0.5)
        return _answer("buy" if slope > 0.0 else "sell", 0.5 + min(0.5, abs(slope) / STEEP / 2.0))

    def cost(self, kind: str, payload: Mapping[str, Any], answer: Any) -> Decimal:
        return Decimal(0)


def _answer(side: str, confidence: float) -> dict[str, Any]:
    rounded = round(min(1.0, confidence), 4)
    return {"side": side, "confidence": rounded, "allocation_ratio": rounded if side == "buy" else 0.0}


def _price(payload: Mapping[str, Any], name: str) -> float:
    value = _number(payload, name)
    if value <= 0:
        raise InvalidInput(f"A direction needs {name} above 0, not {value!r}.", field=name, value=value)
    return value


def _number(payload: Mapping[str, Any], name: str) -> float:
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidInput(f"A direction needs {name} as a number, not {value!r}.", field=name, value=value)
    return float(value)
