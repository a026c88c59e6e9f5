"""The one place with a broad except: supervisors put each piece of work inside `contain`, so that it fails alone."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

log = logging.getLogger(__name__)
_failures: Counter[str] = Counter()
_lock = threading.Lock()


@dataclass(slots=True)
class Contained:
    """How the work ended; `error` is None when it went well."""

    error: Exception | None = None

    @property
    def failed(self) -> bool:
        return self.error is not None


@contextmanager
def contain(name: str) -> Iterator[Contained]:
    """Let the work inside fail without its neighbours: log it with its traceback, count it, tell it in the result.

    A caller that must mark something (a bot, a feed) looks at the result afterwards. Cancellation passes through.
    """
    outcome = Contained()
    try:
        yield outcome
    except Exception as error:
        with _lock:
            _failures[name] += 1
        outcome.error = error
        log.exception("%s failed", name)


def failure_counts() -> dict[str, int]:
    """Return how often each name has failed in this process."""
    with _lock:
        return dict(_failures)
