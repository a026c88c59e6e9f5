"""The watchdog ends a process whose parts are dead, silent or orphaned, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from config import watchdog
from tests.served import ROOT, until
from trading import heartbeat

HOLDS_THE_INTERPRETER = """
import ctypes, threading
from config import watchdog

class Stop(threading.Event):
    looks = 0
    def wait(self, timeout=None):
        self.looks += 1
        looked.set() if self.looks > 1 else None  # once round: the timer runs
        return super().wait(timeout)

looked = threading.Event()
threading.Thread(target=watchdog.watch, args=(Stop(), [], 0.5, None), daemon=True).start()
looked.wait()
ctypes.PyDLL(None).sleep(60)  # unlike CDLL, PyDLL keeps the interpreter during the call
print("nobody ended it")
"""
LIMIT_S = 1.5
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def _no_parts() -> Iterator[None]:
    _forget_all()
    yield
    _forget_all()


def _forget_all() -> None:
    for name in heartbeat.silent(float("-inf")):
        heartbeat.forget(name)


def _watched(threads: list[threading.Thread], launcher: int | None = None) -> tuple[threading.Event, list[int]]:
    """Watch this process; should it get no turn for long, that is no reason to end the test run."""
    stop, ended = threading.Event(), []
    what = (stop, threads, LIMIT_S, launcher, ended.append, 600)
    threading.Thread(target=watchdog.watch, args=what, daemon=True).start()
    return stop, ended


def test_a_silent_part_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    heartbeat.beat("sweep")
    stop, ended = _watched([])
    until(lambda: ended, PATIENCE_S, "the process is ended")
    stop.set()
    assert ended == [watchdog.STUCK]
    assert "sweep showed no life" in caplog.text


def test_a_part_that_never_starts_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    heartbeat.expect("sweep", 0.2)
    heartbeat.expect("prices", 60)
    stop, ended = _watched([])
    until(lambda: ended, PATIENCE_S, "the process is ended")
    stop.set()
    assert ended == [watchdog.STUCK]
    assert "sweep showed no life" in caplog.text
    assert "prices" not in caplog.text.split("showed no life")[0]


def test_a_part_that_starts_gets_its_time() -> None:
    heartbeat.expect("sweep", 60)
    heartbeat.pardon()
    assert heartbeat.silent(-1) == {}


def test_a_dead_thread_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    dead = threading.Thread(target=int, name="worker")
    dead.start()
    dead.join()
    stop, ended = _watched([dead])
    until(lambda: ended, PATIENCE_S, "the process is ended")
    stop.set()
    assert "worker ended by itself" in caplog.text


def test_a_lost_launcher_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    stop, ended = _watched([], launcher=os.getppid() + 1)
    until(lambda: ended, PATIENCE_S, "the process is ended")
    stop.set()
    assert "its launcher is gone" in caplog.text


def test_parts_that_beat_are_left_alone() -> None:
    alive = threading.Event()
    thread = threading.Thread(target=alive.wait, name="worker", daemon=True)
    thread.start()
    tries = (_beat_for_a_while([thread]) for _ in range(20))
    ended = next(ended for ended, longest in tries if longest <= LIMIT_S / 2)  # this thread was in time itself
    alive.set()
    assert ended == []


def _beat_for_a_while(threads: list[threading.Thread]) -> tuple[list[int], float]:
    """Beat for four seconds; returns what the watchdog did, and the longest pause between two beats."""
    pause, longest = threading.Event(), 0.0
    heartbeat.beat("sweep")
    stop, ended = _watched(threads, launcher=os.getppid())
    last = time.monotonic()
    for _ in range(20):
        pause.wait(0.2)
        heartbeat.beat("sweep")
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    stop.set()
    heartbeat.forget("sweep")
    return ended, longest


def test_forgotten_parts_are_not_expected() -> None:
    heartbeat.beat("feed")
    heartbeat.forget("feed")
    assert heartbeat.silent(-1) == {}


def test_pardon_starts_the_count_again() -> None:
    heartbeat.beat("sweep")
    until(lambda: heartbeat.silent(0.2), PATIENCE_S, "it is silent")
    began = time.monotonic()
    heartbeat.pardon()
    assert heartbeat.silent(-1)["sweep"] <= time.monotonic() - began


def test_a_process_that_gets_no_turn_is_ended_from_below() -> None:
    held = subprocess.run(
        [sys.executable, "-c", HOLDS_THE_INTERPRETER],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert held.returncode != 0
    assert "Timeout" in held.stderr
    assert "nobody" not in held.stdout
