"""What an order may cost whose price isn't known before it fills: its bot's own money, and no other bot's.

It may cost what it was judged by (the last price or its trigger), and its share of what the bot has to spare. An order
at market fills within a moment, and until then its bot holds all that it may cost; a stop may rest for days, and holds
what it was judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context, Decimal

from trading.core.types import Kind, Side

TAKERS = frozenset({Kind.MARKET, Kind.STOP, Kind.TRAILING})  # they take whatever price there is
_DOWN = Context(prec=60, rounding=ROUND_FLOOR)
_STORED = Decimal("1e-18")


def is_capped(side: Side, kind: Kind, cost: Decimal, *, spot: bool) -> bool:
    """Say whether an order that was judged to cost `cost` may turn out dearer.

    On a perpetual a sell may, too: it opens a position like a buy.
    """
    return kind in TAKERS and cost > 0 and (side is Side.BUY or not spot)


def caps(costs: Sequence[Decimal], spare: Decimal) -> list[Decimal]:
    """Return the most that each of these orders may cost, in quote: `spare` is shared in proportion to their `costs`.

    Shares are rounded down to what is stored: together they are never more than there is.
    """
    if len(costs) == 1:
        return [costs[0] + spare]
    total = sum(costs, Decimal(0))
    return [cost + _DOWN.quantize(_DOWN.divide(_DOWN.multiply(spare, cost), total), _STORED) for cost in costs]
