"""Signs of life of this process's parts, for the watchdog: who beat last, and when.

Local to the process and lost with it on purpose: it says whether a thread is alive, never what is true.
"""

from __future__ import annotations

import threading
import time
from collections import Counter

_lock = threading.Lock()
_last: dict[str, float] = {}
_beats: Counter[str] = Counter()


def beat(name: str) -> None:
    """Say that the part `name` is alive; from its first beat on it is expected to go on."""
    with _lock:
        _last[name] = time.monotonic()
        _beats[name] += 1


def count(name: str) -> int:
    """Return how often the part `name` has beaten."""
    with _lock:
        return _beats[name]


def expect(name: str, start_s: float) -> None:
    """Expect a first beat of `name`, which may take `start_s` longer than the later ones: it is starting."""
    with _lock:
        _last[name] = time.monotonic() + start_s


def forget(name: str) -> None:
    """Stop expecting `name`, because it ended on purpose."""
    with _lock:
        _last.pop(name, None)


def silent(limit_s: float) -> dict[str, float]:
    """Return the parts that have shown no life for longer than `limit_s`, with their silence in seconds."""
    now = time.monotonic()
    with _lock:
        return {name: now - last for name, last in _last.items() if now - last > limit_s}


def pardon() -> None:
    """Start everybody's count again: the whole process stood still, so nobody in it is to blame."""
    now = time.monotonic()
    with _lock:
        for name, last in _last.items():
            _last[name] = max(last, now)
