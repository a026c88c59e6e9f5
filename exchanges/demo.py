"""The demo market of this installation: its clock in the database, its prices from the pure adapter.

Market time = what it was at an anchor + wall time since then x speed. A change of speed makes a new anchor, so that
market time neither jumps nor turns back.
"""

from __future__ import annotations

import time
from functools import lru_cache

from exchanges.adapters.demo.feed import DemoSource
from exchanges.models import DemoClock

SOURCE = "demo"
SPEEDS = (1, 10, 60)


def wall_now_ms() -> int:
    return time.time_ns() // 1_000_000


def market_time(clock: DemoClock, wall_ms: int | None = None) -> int:
    """Return the market time in ms since the first start; it stands still while wall time turns back."""
    since_ms = (wall_now_ms() if wall_ms is None else wall_ms) - clock.wall_ms
    return clock.market_ms + max(0, since_ms) * clock.speed


def market_now(clock: DemoClock, wall_ms: int | None = None) -> int:
    """Return the market time as it is shown: UTC ms."""
    return clock.epoch_ms + market_time(clock, wall_ms)


@lru_cache(maxsize=4)
def _source(seed: int, epoch_ms: int) -> DemoSource:
    return DemoSource(seed, epoch_ms)


def demo_source(clock: DemoClock) -> DemoSource:
    """Return the prices that belong to this clock."""
    return _source(clock.seed, clock.epoch_ms)


def clock_text(clock: DemoClock) -> str:
    """Write a clock down, for another process that shall see the same prices at the same time."""
    return f"{clock.seed}:{clock.speed}:{clock.epoch_ms}:{clock.wall_ms}:{clock.market_ms}"


def same_market(one: DemoClock, other: DemoClock) -> bool:
    """Say whether two clocks show the same prices from now on."""
    now_ms = max(wall_now_ms(), one.wall_ms, other.wall_ms)
    first, second = ((c.seed, c.epoch_ms, c.speed, market_time(c, now_ms)) for c in (one, other))
    return first == second
