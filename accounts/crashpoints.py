"""Places at which a process can be killed on purpose, to prove that dying there costs nothing. Inert in production.

With `settings.CRASH_DIR` set, a file of the point's name in that folder is the order for one kill: whoever removes it
dies at once, as if by the machine. So a drill can kill any worker exactly there, once, while all others go on.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

from django.conf import settings

POINTS: Final = frozenset(
    {
        "tick-leased",  # the lease is taken, nothing has been read
        "decision-begun",  # inside its transaction: the runtime has moved on, its orders aren't written
        "decision-written",  # inside its transaction, all of it written
        "decision-committed",
        "send-claimed",  # the orders stand as being sent, nothing has gone out
        "send-answered",  # the venue has answered, nothing of it is written
        "send-applied",
        "cancel-claimed",
        "cancel-answered",
        "amend-claimed",
        "amend-answered",
        "booking-begun",  # inside its transaction: a fill is booked, the cursor hasn't moved
        "booking-committed",
        "order-closing",  # inside its transaction: the order has ended, its bot doesn't know
        "lookup-answered",  # the venue has been asked about orders in doubt, nothing of it is written
        "tick-done",  # all is done, the lease isn't given back
        "price-walked",  # the paper venue has walked a price, it is no quote yet
        "price-quoted",  # it is a quote, what it filled isn't booked
        "price-booked",  # its fills are booked, nobody is woken
        "price-woken",  # the wakes are written, nobody has rung
    }
)


def crashpoint(name: str) -> None:
    """Die here if that has been ordered."""
    if settings.CRASH_DIR:
        _perhaps(Path(settings.CRASH_DIR) / name)


def _perhaps(order: Path) -> None:
    try:
        order.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
