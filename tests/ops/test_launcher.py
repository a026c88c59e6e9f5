"""`manage.py serve`: it comes up, comes back, refuses what is unsafe, and leaves nobody behind."""

from __future__ import annotations

import fcntl
import http.client
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from config.launcher import STOP_WITHIN_S
from tests.served import ROOT, Served, environment, until

pytestmark = pytest.mark.embedded
ANYWHERE = "0.0.0.0"  # noqa: S104
PATIENCE_S = 60
UNWANTED = ("numba", "llvmlite", "talib", "ccxt", "pybit", "pyarrow", "pandas", "scipy", "matplotlib")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("serve") / "data") as server:
        server.ready()
        yield server


def _refusal(data: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env=environment(data, **changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )


def _nobody_holds(data: Path) -> bool:
    """Say whether a launcher could have this data folder: the kernel takes a moment to end a dead one's child."""
    with (data / "serve.lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _has_pending(process: psutil.Process, number: signal.Signals) -> bool:
    """Say whether this signal was sent to a stopped process, which can't take it."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    pending = next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd:"))
    return bool(int(pending, 16) >> (number - 1) & 1)


def test_it_says_where_and_how_to_sign_in(served: Served) -> None:
    log = served.log()
    assert f"Binnacle is ready at {served.url}" in log
    assert "demo@binnacle.local" in log
    assert served.healthy()


def test_static_files_come_from_the_web_process(served: Served) -> None:
    process = until(served.process, PATIENCE_S, "the process")
    with socket.create_connection(("127.0.0.1", int(served.url.rsplit(":", 1)[1])), timeout=PATIENCE_S) as link:
        link.sendall(b"GET /static/vendor/vendor.json HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head = link.makefile("rb").readline()
    assert b"200" in head
    assert process.is_running()


def test_nothing_heavy_is_loaded(served: Served) -> None:
    process = until(served.process, PATIENCE_S, "the process")
    mapped = {entry.path for entry in process.memory_maps()}
    assert any("numpy" in path for path in mapped), "the check sees which extension modules are loaded"
    assert sorted(path for path in mapped for name in UNWANTED if f"/{name}/" in path) == []


def test_a_killed_process_comes_back_and_waiting_requests_are_answered(served: Served) -> None:
    old = served.kill_process()
    fresh = served.back(old)
    assert fresh != old
    assert "The process ended (signal 9); starting it again" in served.log()
    until(lambda: f"Binnacle is back at {served.url}" in served.log(), PATIENCE_S, "the launcher says so")


def test_one_data_folder_has_one_launcher(served: Served) -> None:
    second = _refusal(served.data)
    assert second.returncode == 78
    assert "already running" in second.stderr


def test_a_busy_port_is_named(served: Served, tmp_path: Path) -> None:
    port = served.url.rsplit(":", 1)[1]
    second = _refusal(tmp_path / "data", PORT=port)
    assert second.returncode == 78
    assert f"127.0.0.1:{port}" in second.stderr


def test_data_folder_and_key_are_private(served: Served) -> None:
    assert served.data.stat().st_mode & 0o077 == 0
    assert (served.data / "secret_key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"HOST": ANYWHERE}, "DEMO=off"),
        ({"BEHIND_PROXY": "1"}, "demo user"),
        ({"BROKER_URL": "redis://127.0.0.1:1/0", "SECRET_KEY": "x" * 60}, "BROKER_URL"),
        ({"PORT": "eighty"}, "PORT must be a number"),
        ({"DEMO_SPEED": "fast"}, "DEMO_SPEED must be a whole number"),
    ],
)
def test_it_refuses_what_is_unsafe_or_makes_no_sense(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    done = _refusal(tmp_path / "data", **changes)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_with_the_demo_user_is_not_opened_to_others(served: Served, tmp_path: Path) -> None:
    copied = tmp_path / "data"
    copied.mkdir()
    with closing(sqlite3.connect(served.data / "binnacle.sqlite3")) as database:
        database.execute("VACUUM INTO ?", (str(copied / "binnacle.sqlite3"),))
    done = _refusal(copied, HOST=ANYWHERE, DEMO="off")
    assert done.returncode == 78
    assert "demo user" in done.stderr


def test_others_may_reach_it_without_the_demo_and_are_sent_to_tls(tmp_path: Path) -> None:
    with Served(tmp_path / "data", HOST=ANYWHERE, DEMO="off") as server:
        server.ready()
        assert server.healthy()
        assert "demo" not in server.log()
        with closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=PATIENCE_S)) as link:
            link.request("GET", "/sign-in/")
            answer = link.getresponse()
        assert answer.status == 301
        assert answer.getheader("Location", "").startswith("https://")
    with closing(sqlite3.connect(tmp_path / "data" / "binnacle.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM accounts_user").fetchone() == (0,)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_gracefully_within_seconds(tmp_path: Path, how: signal.Signals) -> None:
    with Served(tmp_path / "data") as server:
        server.ready()
        process = until(server.process, PATIENCE_S, "the process")
        server.launcher.send_signal(how)
        assert server.launcher.wait(PATIENCE_S) == 0
        assert not process.is_running()
        assert "without waiting" not in server.log()


def test_a_kill_while_it_prepares_is_made_good_by_the_next_start(tmp_path: Path) -> None:
    for pause in (0.8, 1.6, 2.4):
        with Served(tmp_path / "data") as server:
            until(lambda: "preparing" in server.log(), PATIENCE_S, lambda: f"it prepares:\n{server.log()}")
            threading.Event().wait(pause)
            server.launcher.kill()
            server.launcher.wait(PATIENCE_S)
        until(lambda: _nobody_holds(server.data), PATIENCE_S, "what the launcher had started is gone, too")
    with Served(tmp_path / "data") as server:
        server.ready()
        assert server.sign_in()


def test_a_second_signal_kills_what_hangs(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as server:
        server.ready()
        process = until(server.process, PATIENCE_S, "the process")
        process.suspend()
        until(lambda: process.status() == psutil.STATUS_STOPPED, PATIENCE_S, "it hangs")
        server.launcher.terminate()
        until(lambda: _has_pending(process, signal.SIGTERM), PATIENCE_S, "the first signal has been passed on")
        assert server.launcher.poll() is None
        server.launcher.terminate()
        assert server.launcher.wait(STOP_WITHIN_S - 2) == 0, "it is not the alarm that kills"
        assert not process.is_running()


def test_it_listens_on_ipv6_too(tmp_path: Path) -> None:
    with Served(tmp_path / "data", HOST="::1") as server:
        assert server.ready().startswith("http://[::1]:")
        assert server.healthy()


def test_no_orphan_outlives_a_killed_launcher(tmp_path: Path) -> None:
    with Served(tmp_path / "data") as server:
        server.ready()
        process = until(server.process, PATIENCE_S, "the process")
        server.launcher.kill()
        server.launcher.wait(PATIENCE_S)
        gone, alive = psutil.wait_procs([process], timeout=PATIENCE_S)
        assert [gone, alive] == [[process], []]
