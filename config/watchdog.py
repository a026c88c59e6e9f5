"""Ends the embedded process when a part of it has shown no life for 10 s: starting again is recovering.

Celery's time limits don't work in a thread pool and a stuck thread can't be killed, so the whole process goes and
the launcher starts the next one.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

from trading import heartbeat

log = logging.getLogger(__name__)
EVERY_S = 1.0
STUCK = 70  # EX_SOFTWARE


def watch(
    stop: threading.Event,
    threads: Sequence[threading.Thread],
    limit_s: float,
    launcher: int | None,
    end: Callable[[int], object] = os._exit,
    below_s: float | None = None,
) -> None:
    """Look once a second until `stop` is set; end the process when something is stuck, dead or orphaned.

    Should even this thread get no turn for `below_s` (something holds the interpreter; as a rule three times
    `limit_s`), a timer below Python ends the process.
    """
    looked = time.monotonic()
    while not stop.wait(EVERY_S):
        faulthandler.dump_traceback_later(below_s or limit_s * 3, exit=True)
        now = time.monotonic()
        if now - looked > EVERY_S + limit_s / 2:  # suspended, or starved by the machine: not the fault of one part
            heartbeat.pardon()
        looked = now
        fault = _fault(threads, limit_s, launcher)
        if fault and not stop.is_set():
            log.critical("Ending this process: %s", fault)
            faulthandler.dump_traceback()
            end(STUCK)
            break
    faulthandler.cancel_dump_traceback_later()


def _fault(threads: Sequence[threading.Thread], limit_s: float, launcher: int | None) -> str:
    if launcher is not None and os.getppid() != launcher:
        return "its launcher is gone"
    dead = [thread.name for thread in threads if not thread.is_alive()]
    if dead:
        return f"{', '.join(dead)} ended by itself"
    silent = heartbeat.silent(limit_s)
    return ", ".join(f"{name} showed no life for {seconds:.0f} s" for name, seconds in silent.items())
