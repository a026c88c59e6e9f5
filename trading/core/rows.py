"""Orders and trails as rows of numbers for the matching (layout: `trading.core.matching`), for backtest and paper.

`floats_of` and `ints_of` return one order's column of each table, from top to bottom.
"""

from __future__ import annotations

from decimal import Decimal

from trading.core.matching import ORDER_TRAIL, WAKE_TRAIL
from trading.core.types import Kind, Side, Trail

_INF = float("inf")


def touch_of(kind: Kind, side: Side) -> int:
    """Return how the path touches an order. A stop-limit is touched by its trigger first, then as a limit."""
    if kind is Kind.MARKET:
        return 0
    falls_to = (side is Side.BUY) == (kind is Kind.LIMIT)
    return -1 if falls_to else 1


def floats_of(level: float, side: Side, trail: Trail | None, tick: Decimal) -> tuple[float, ...]:
    """Return the float column: the level, or the trail before it is armed (then `level` doesn't count).

    A trail without activation is armed at the price where its market stands at the first walk.
    """
    if trail is None:
        return (level, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
    unarmed = -_INF if side is Side.SELL else _INF
    activation = unarmed if trail.activation is None else trail.activation
    floor = unarmed if trail.floor is None else trail.floor
    ticks, per = tick.as_integer_ratio()
    return (unarmed, 0.0, activation, trail.offset_ratio, trail.offset, floor, float(ticks), float(per))


def ints_of(
    touch: int, seq: int, market: int, from_i: int, trail: Trail | None, *, wakes: bool = False
) -> tuple[int, ...]:
    """Return the int column; `wakes` = a trail wake, which isn't an order."""
    kind = 0 if trail is None else WAKE_TRAIL if wakes else ORDER_TRAIL
    return (touch, seq, market, from_i, kind)
