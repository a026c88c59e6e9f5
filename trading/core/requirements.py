"""Is what a strategy asks for there at all? Checked before anything is computed or started."""

from __future__ import annotations

import math

from trading.core.derived import check_derived
from trading.core.errors import InvalidInput
from trading.core.evaluation import check_columns
from trading.core.needs import Compare, Condition, Const, Needs, On, SignalSpec, Value
from trading.core.timeframes import LONGEST_MS, check_multiple


def check_needs(needs: Needs, timeframe_ms: int) -> None:
    """Raise InvalidInput for a signal or derived series that can't be computed on candles of this length.

    The error names the signal, the value at fault, and what there is.
    """
    for name, derived in needs.derived.items():
        check_derived(name, derived, needs.markets)
    for name, spec in needs.signals.items():
        try:
            _check_signal(spec, needs, timeframe_ms)
        except InvalidInput as error:
            told = f"The signal {name}: {error.message}"
            raise InvalidInput(told, field=f"signals.{name}", value=error.value, code=error.code) from error


def _check_signal(spec: SignalSpec, needs: Needs, timeframe_ms: int) -> None:
    if spec.market not in needs.markets and spec.market not in needs.derived:
        known = ", ".join([*needs.markets, *needs.derived])
        text = f"it looks at {spec.market!r}; this strategy has {known}"
        raise InvalidInput(text, value=spec.market, code="unknown")
    own_ms = spec.timeframe_ms or timeframe_ms
    _check_length(own_ms, timeframe_ms)
    _check(spec.of, own_ms, close_only=spec.market in needs.derived)


def _check(of: Value | Const | Condition, timeframe_ms: int, *, close_only: bool) -> None:
    if isinstance(of, Const):
        if not math.isfinite(of.value):
            raise InvalidInput(f"{of.value} is no number to compare with", value=of.value)
    elif isinstance(of, Value):
        check_columns(of, close_only=close_only)
    elif isinstance(of, On):
        _check_length(of.timeframe_ms, timeframe_ms)
        _check(of.part, of.timeframe_ms, close_only=close_only)
    else:
        for part in (of.left, of.right) if isinstance(of, Compare) else of.parts:
            _check(part, timeframe_ms, close_only=close_only)


def _check_length(timeframe_ms: int, base_ms: int) -> None:
    if not 0 < timeframe_ms <= max(LONGEST_MS, base_ms):
        text = f"candles of {timeframe_ms} ms: the longest are of 7 days, {LONGEST_MS} ms"
        raise InvalidInput(text, field="timeframe", value=timeframe_ms)
    check_multiple(timeframe_ms, base_ms)
