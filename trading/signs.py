"""Signs of life of whole processes: a row each, so that others see who is there, who works and whose clock is wrong.

A thread writes the row every 5 s (`seen_at`, by the database's clock). `worked_at` moves only when the process has
really done something: a worker that is connected and deaf goes on being seen, and its work stands still.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now

from accounts.containment import contain
from trading.models import ProcessSign

log = logging.getLogger(__name__)
EVERY_S = 5.0
DEAD_S = 30.0  # a process that hasn't been seen for so long is gone

_here = ""


def here() -> str:
    """Name the place of this process, host:pid. The children of a worker bear their parent's: its sign is theirs."""
    global _here
    if not _here:
        _here = f"{socket.gethostname()[:40]}:{os.getpid()}"
    return _here


class Sign:
    """The sign of this process. `progress` says how much it has done so far, `facts` what else is worth knowing.

    A process whose work is counted by others than itself (`pinged`) leaves `worked_at` to the answers of its pings.
    """

    def __init__(
        self,
        kind: str,
        *,
        queues: str = "",
        progress: Callable[[], int] | None = None,
        pinged: bool = False,
        facts: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self.kind, self.name = kind, f"{kind}@{here()}"
        self._fixed = {"kind": kind, "queues": queues[:120], "release": settings.RELEASE[:40]}
        self._progress, self._pinged, self._facts = progress, pinged, facts
        self._done = 0
        self._shown: int | None = None  # of what was done
        self._away = False

    def run(self, stop: threading.Event, each: Callable[[], object] = lambda: None) -> None:
        """Show the sign every 5 s until `stop` is set, and call `each` after it; then take the sign away."""

        def look() -> None:
            self.show()
            each()

        while True:
            self._try(look)
            if stop.wait(EVERY_S):
                break
        self._try(ProcessSign.objects.filter(name=self.name).delete)

    def worked(self) -> None:
        self._done += 1

    def show(self) -> None:
        """Write the row."""
        done = self._progress() if self._progress is not None else self._done
        values: dict[str, Any] = {"seen_at": Now(), "clock_offset_ms": clock_offset_ms(), "facts": self._facts()}
        if done != (self._shown or 0):
            values |= {"done": done} if self._pinged else {"done": done, "worked_at": Now()}
        if self._shown is None:  # a name may come again: in a container every process has the same number
            values |= {"started_at": Now(), "done": done, **self._fixed}
        if not ProcessSign.objects.filter(name=self.name).update(**values):
            ProcessSign.objects.create(name=self.name, **{"started_at": Now(), **self._fixed, **values})
        self._shown = done

    def _try(self, write: Callable[[], object]) -> None:
        """Write; a database that is away is told once, not every 5 s. Its connection isn't kept: workers fork."""
        with contain(f"sign of {self.name}"):
            try:
                write()
                self._away = False
            except DatabaseError as error:
                if not self._away:
                    log.warning("%s can't show its sign of life: %s", self.name, error)
                self._away = True
        if not connection.in_atomic_block:
            connection.close()


def worked_at_write(kind: str = "worker") -> None:
    """Say that this process has done a task end to end: what a ping does."""
    ProcessSign.objects.filter(name=f"{kind}@{here()}").update(worked_at=Now())


def clock_offset_ms() -> int | None:
    """Return this machine's clock minus the database's; None where both are one machine's."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        before = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        (there,) = cursor.fetchone()
    return round(((before + time.time()) / 2 - float(there)) * 1000)


class Shown:
    """A sign that is shown by a thread of its own, until `end`."""

    def __init__(self, sign: Sign, each: Callable[[], object]) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=sign.run, args=(self._stop, each), name="sign", daemon=True)
        self._thread.start()

    def end(self, wait_s: float = 3.0) -> None:
        """Take the sign away: this process ends on purpose."""
        self._stop.set()
        self._thread.join(wait_s)


def start(sign: Sign, each: Callable[[], object] = lambda: None) -> Shown:
    """Show a sign from now on; when the interpreter ends in good order, it is taken away."""
    shown = Shown(sign, each)
    atexit.register(shown.end)
    return shown
