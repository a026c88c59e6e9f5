"""What `manage.py serve` starts: a small parent, free of Django, that keeps the one embedded process alive.

It holds the data folder's lock and the listening socket (so a browser that asks during a restart waits instead of
being refused), prepares the database in a subprocess, then starts `serve_process` and starts it again, with
back-off, whenever it dies. SIGTERM or Ctrl-C ends the child gracefully; a second one, or 15 s, kills it. A child
never outlives its launcher.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TextIO

BASE_DIR = Path(__file__).resolve().parent.parent
REFUSED = 78  # EX_CONFIG: the child says that starting again would not help
STOP_WITHIN_S = 15
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S = 30.0  # a child that lived this long starts the back-off afresh
PR_SET_PDEATHSIG = 1


class Refusal(Exception):
    """Why nothing was started, in words for the person at the terminal."""


def launch(argv: list[str]) -> int:
    """Run until told to stop; the return value is the exit code."""
    if argv:
        _say(f"serve takes no arguments ({' '.join(argv)}): set HOST, PORT and BINNACLE_DATA instead.", sys.stderr)
        return REFUSED
    try:
        data = Path(os.environ.get("BINNACLE_DATA") or BASE_DIR / "var").resolve()
        lock, sock = _lock(data), _listen(os.environ.get("HOST") or "127.0.0.1", _port())
    except Refusal as refusal:
        _say(str(refusal), sys.stderr)
        return REFUSED
    return Launcher(lock, sock).run()


def _say(text: str, stream: TextIO = sys.stdout) -> None:
    stream.write(f"{text}\n")
    stream.flush()


def _port() -> int:
    raw = os.environ.get("PORT") or "8000"
    if not raw.isdigit() or int(raw) > 65535:
        raise Refusal(f"PORT must be a number from 0 (any free one) to 65535, not {raw!r}.")
    return int(raw)


def _lock(data: Path) -> int:
    """Take the data folder for this launcher and its children; both must be gone before another can have it."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(data / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Refusal(f"The data folder {data} can't be used: {error.strerror}. Set BINNACLE_DATA.") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Refusal(f"Binnacle is already running on {data}. Stop it, or set another BINNACLE_DATA.") from None
    return fd


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, proto)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
    except OSError as error:
        raise Refusal(f"Can't listen on {host}:{port}: {error.strerror}. Set HOST or PORT.") from None
    return sock


class Launcher:
    """The parent's state: the child of the moment, and whether an end was asked for."""

    def __init__(self, lock: int, sock: socket.socket) -> None:
        self.lock, self.sock = lock, sock
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = False
        self.was_ready = False
        host, port = sock.getsockname()[:2]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self.environ = os.environ | {
            "PORT": str(port),
            "BINNACLE_LAUNCHER": str(os.getpid()),
            "CELERY_SKIP_CHECKS": "1",
            # Threads that come and go would otherwise leave an arena of garbage each.
            "MALLOC_ARENA_MAX": "2",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, self._on_signal)
        code = self._prepare()
        if code or self.stopping:
            return 0 if self.stopping else code
        return self._keep_alive()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again, self.stopping = self.stopping, True  # at once: the next signal may come in the middle of this
        if self.child is not None and self.child.poll() is None:
            if again:
                self.child.kill()
            else:
                self.child.terminate()
                signal.alarm(STOP_WITHIN_S)

    def _start(self, command: str, fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        launcher = os.getpid()

        def die_with_launcher() -> None:
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != launcher:
                os._exit(1)

        self.child = subprocess.Popen(  # noqa: S603  (our own command line)
            [sys.executable, str(BASE_DIR / "manage.py"), command],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            pass_fds=(self.lock, *fds),
            start_new_session=True,  # Ctrl-C reaches the launcher only, which passes it on once
            preexec_fn=die_with_launcher,
        )
        if self.stopping:
            self.child.terminate()
        return self.child

    def _prepare(self) -> int:
        _say("Binnacle is preparing its database ...")
        return self._start("serve_prepare").wait()

    def _keep_alive(self) -> int:
        failures = 0
        while True:
            begun = time.monotonic()
            code = self._serve_once()
            signal.alarm(0)
            if self.stopping:
                _say("Binnacle has stopped.")
                return 0
            if code == REFUSED:
                return code
            failures = 0 if time.monotonic() - begun > STEADY_S else failures
            if not self.was_ready and failures == 2:
                _say("Binnacle did not come up three times in a row; see the messages above.", sys.stderr)
                return 1
            delay = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
            failures += 1
            _say(f"The process ended ({_ending(code)}); starting it again in {delay:g} s.", sys.stderr)
            self._pause(delay)

    def _serve_once(self) -> int:
        ready, tell = os.pipe()
        self.environ |= {"BINNACLE_SOCKET_FD": str(self.sock.fileno()), "BINNACLE_READY_FD": str(tell)}
        child = self._start("serve_process", (self.sock.fileno(), tell))
        os.close(tell)
        if os.read(ready, 1):
            self._greet()
        os.close(ready)
        return child.wait()

    def _greet(self) -> None:
        if self.was_ready:
            _say(f"Binnacle is back at {self.address}")
            return
        self.was_ready = True
        _say(f"\nBinnacle is ready at {self.address}")
        demo = self.environ.get("DEMO", "").strip().lower() not in {"0", "false", "no", "off"}
        if demo:
            _say("Sign in with “Try the demo”, or as demo@binnacle.local with the password demo-binnacle")
        _say("Stop it with Ctrl-C.\n")

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.stopping:
            time.sleep(0.05)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
