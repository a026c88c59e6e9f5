"""The processes of production beside the benchmark, on its database: one web, two workers, one beat, one streams."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
QUEUES = "ticks,orders,market,jobs"
START_S = 120


class Processes:
    def __init__(self, workers: int) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        celery = [BIN / "celery", "-A", "config"]
        commands: list[list[object]] = [
            [BIN / "daphne", "--fd", str(self._door.fileno()), "config.asgi:application"],
            [*celery, "beat", "--schedule", "/dev/null"],
            [sys.executable, "manage.py", "streams"],
            *([*celery, "worker", "-Q", QUEUES, "-c", "1", "-n", f"bench{n}@%h"] for n in range(workers)),
        ]
        self._running = [self._start(command) for command in commands]

    def _start(self, command: list[object]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT,
            env=os.environ | {"WORKER_DEAF_S": "300"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._door.fileno(),),
        )

    def wait(self) -> None:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
            else:
                return
        raise SystemExit("the web process doesn't answer")

    def memory_mb(self) -> float:
        """Return the memory of all of them; what they share counts once (PSS)."""
        total = 0
        for process in self._running:
            for one in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)):
                total += one.memory_full_info().pss
        return total / 1e6

    def end(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        self._door.close()


@contextmanager
def processes(workers: int) -> Iterator[Processes]:
    made = Processes(workers)
    try:
        made.wait()
        yield made
    finally:
        made.end()
