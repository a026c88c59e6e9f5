"""One id from the request or price that began something to the order and fill that came of it, in every log line.

It travels as a context variable within a process, and as a header of the messages between processes.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("correlation", default="")
_USABLE = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")


def correlation() -> str:
    """Return the id of what is being worked on; empty outside of any work."""
    return _current.get()


def correlation_begin(given: str = "") -> str:
    """Begin something under this id, or under a new one when none that can be written into a log is given."""
    name = given if _USABLE.match(given) else secrets.token_hex(8)
    _current.set(name)
    return name


def correlation_end() -> None:
    _current.set("")


@contextmanager
def correlated(given: str = "") -> Iterator[str]:
    """Do what is inside as one thing; what was being worked on goes on afterwards."""
    before = _current.get()
    try:
        yield correlation_begin(given)
    finally:
        _current.set(before)
