"""The real `manage.py serve` as a subprocess, with a data folder and a port of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVERS = ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "SECRET_KEY", "HOST", "PORT", "DEMO", "DJANGO_SETTINGS_MODULE")


T = TypeVar("T")


def until(look: Callable[[], T], seconds: float, what: str | Callable[[], object]) -> T:
    """Ask again until `look` gives something true; fail saying `what` was waited for after `seconds`."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what() if callable(what) else what}")
        pause.wait(0.05)
    return found


# A busy machine may give a whole process no turn for seconds. No test of a served process is about that.
PATIENT = {"WATCHDOG_S": "60", "WORKER_DEAF_S": "120", "PRICE_MAX_AGE_MS": "60000"}


def environment(data: Path, **changes: str) -> dict[str, str]:
    """The environment of a newcomer: embedded defaults, whatever the test run itself uses."""
    clean = {name: value for name, value in os.environ.items() if name not in SERVERS and not name.startswith("PYTEST")}
    return clean | PATIENT | {"BINNACLE_DATA": str(data), "PORT": "0", "PYTHONUNBUFFERED": "1"} | changes


class Asked:
    """A running server, asked over HTTP by somebody who can sign in."""

    url: str
    email, password = "demo@binnacle.local", "demo-binnacle"

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=20) as answer:  # noqa: S310  (our own)
                return bool(json.load(answer)["status"] == "ok")
        except (urllib.error.URLError, OSError):
            return False

    def api(self, method: str, path: str, body: object = None, token: str = "") -> Any:
        """Call the API; the answer's JSON. A refusal fails the test with its words."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            pytest.fail(f"{method} {path}: {refusal.code} {refusal.read().decode()}")

    def sign_in(self) -> str:
        """Return an access token."""
        who = {"email": self.email, "password": self.password}
        return str(self.api("POST", "/auth/login/", who)["access"])

    def start_presets(self, *keys: str) -> list[str]:
        """Start ready-made bots; return their ids."""
        token = self.sign_in()
        account = self.api("GET", "/accounts/", token=token)[0]["id"]
        until(lambda: all(one["price"] for one in self.api("GET", "/presets/", token=token)), 120, "prices have come")
        starts = [self.api("POST", f"/presets/{key}/start/", {"account": account}, token) for key in keys]
        return [str(bot["id"]) for bot in starts]


class Served(Asked):
    """One launcher and what it started. Use as a context manager: the end is a SIGTERM and no orphan."""

    def __init__(self, data: Path, **changes: str) -> None:
        self.data = data
        self.log_path = data.parent / f"{data.name}.log"
        with self.log_path.open("wb") as log:
            self.launcher = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=ROOT,
                env=environment(data, **changes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.launcher.poll() is None:
            self.launcher.send_signal(signal.SIGCONT)
            self.launcher.terminate()
            try:
                self.launcher.wait(60)
            except subprocess.TimeoutExpired:
                self.launcher.kill()
                self.launcher.wait(60)

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def ready(self, seconds: float = 240) -> str:
        """Wait for the line that says so; return the address."""

        def look() -> re.Match[str] | None:
            if self.launcher.poll() is not None:
                pytest.fail(f"serve ended with {self.launcher.returncode}:\n{self.log()}")
            return re.search(r"ready at (http://\S+)", self.log())

        self.url = until(look, seconds, lambda: f"serve is ready:\n{self.log()}").group(1)
        return self.url

    def process(self) -> psutil.Process | None:
        """The embedded process of the moment."""
        children = psutil.Process(self.launcher.pid).children()
        found = [child for child in children if "serve_process" in " ".join(_cmdline(child))]
        return found[0] if found else None

    def kill_process(self) -> int:
        """SIGKILL the embedded process; return the id it had."""
        process = until(self.process, 120, "there is a process to kill")
        process.kill()
        return process.pid

    def back(self, old: int, seconds: float = 180) -> int:
        """Wait until another process than `old` answers; return its id."""
        fresh = until(
            lambda: (p := self.process()) and p.pid != old and p, seconds, lambda: f"a new process:\n{self.log()}"
        )
        until(self.healthy, seconds, lambda: f"it answers:\n{self.log()}")
        return fresh.pid

    def memory_mb(self) -> float:
        """Proportional share of memory (PSS) of the launcher and everything under it."""
        launcher = psutil.Process(self.launcher.pid)
        family = [launcher, *launcher.children(recursive=True)]
        return sum(process.memory_full_info().pss for process in family) / 2**20


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
