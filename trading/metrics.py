"""Counters of what happens, for Prometheus: each process adds up for itself and hands over its sums every few seconds.

They are added in the shared cache, so that one address tells of all processes on all machines. A lost cache is a
counter that begins again, which Prometheus expects. No label names a person, an account or a bot.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from django.core.cache import cache

from accounts.containment import contain
from trading.core.errors import OrderRejected, RateLimited, VenueError
from trading.core.ports import Venue

log = logging.getLogger(__name__)
FLUSH_EVERY_S = 5.0
PREFIX = "metric:"
BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
CALLS = ("place", "cancel", "amend", "lookup", "open_orders", "executions", "funding", "balances")
CALL_OUTCOMES = ("ok", "limited", "failed")
ORDER_OUTCOMES = ("accepted", "refused", "unknown")

Key = tuple[str, ...]  # name of the metric, then its labels' values

_sums: Counter[Key] = Counter()
_lock = threading.Lock()
_flushed = 0.0


def count(name: str, *labels: str, by: int = 1) -> None:
    with _lock:
        _sums[name, *labels] += by


def observe(name: str, seconds: float, *labels: str) -> None:
    """Add to a histogram: its bucket, its sum in milliseconds."""
    bucket = next((str(limit) for limit in BUCKETS_S if seconds <= limit), "+Inf")
    with _lock:
        _sums[name, *labels, bucket] += 1
        _sums[f"{name}_ms", *labels] += max(0, round(seconds * 1000))


def flush(*, now: bool = False) -> None:
    """Hand over what has been added up, every few seconds; what can't be handed over is kept for the next time."""
    global _flushed
    with _lock:
        if not now and time.monotonic() - _flushed < FLUSH_EVERY_S:
            return
        _flushed = time.monotonic()
        sums = dict(_sums)
        _sums.clear()
    with contain("metrics"):
        for key in list(sums):
            _add(PREFIX + "|".join(key), sums[key])
            del sums[key]
    with _lock:
        _sums.update(sums)


def _add(key: str, by: int) -> None:
    try:
        cache.incr(key, by)
    except ValueError:  # nobody has counted it yet
        cache.add(key, 0, timeout=None)
        cache.incr(key, by)


def sums_read(keys: Iterator[Key]) -> Mapping[Key, int]:
    """Return what all processes have handed over, by key; what has never been counted is missing."""
    names = {PREFIX + "|".join(key): key for key in keys}
    return {names[name]: int(value) for name, value in cache.get_many(names).items()}


class Measured:
    """A venue whose calls are timed and counted; everything else is the venue's own."""

    def __init__(self, venue: Venue, name: str) -> None:
        self._venue, self._name = venue, name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._venue, attribute)
        return partial(self._timed, attribute, found) if attribute in CALLS else found

    def _timed(self, call: str, do: Any, *args: Any) -> Any:
        began, outcome = time.monotonic(), "failed"
        try:
            answer = do(*args)
            outcome = "ok"
        except RateLimited:
            outcome = "limited"
            raise
        except (VenueError, OrderRejected):
            if call == "place":
                count("orders", self._name, "unknown", by=len(args[0]))
            raise
        finally:
            count("venue_calls", self._name, call, outcome)
            observe("venue_call_seconds", time.monotonic() - began, self._name)
        if call == "place":
            log.debug("%s: %s", self._name, ", ".join(f"{one.client_order_id} {one.status}" for one in answer))
            refused = sum(report.status == "rejected" for report in answer)
            count("orders", self._name, "refused", by=refused)
            count("orders", self._name, "accepted", by=len(answer) - refused)
        return answer
