"""A PostgreSQL cluster and a Redis server of a test's own, to be killed, frozen and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from tests.served import until


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


class Server:
    """One server process on an address that stays the same."""

    def __init__(self, command: list[str], log: Path, user: str | None = None) -> None:
        self.command, self.log, self.user = command, log, user
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command, stdout=out, stderr=out, user=self.user, start_new_session=True
            )

    def signal(self, number: int) -> None:
        """Send a signal to the server and all that it has forked."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(60)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


@contextmanager
def own_redis(folder: Path) -> Iterator[tuple[Server, str]]:
    """Start a Redis that keeps what it is told (AOF), as production's does; its address without a database."""
    program = shutil.which("redis-server") or pytest.skip("no redis-server")
    port = _free_port()
    folder.mkdir()
    keeps = ["--dir", str(folder), "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
    server = Server([program, "--bind", "127.0.0.1", "--port", str(port), *keeps], folder / "log")
    address = f"redis://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with redis.Redis.from_url(address) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    server.start()
    try:
        until(answers, 60, "Redis answers")
        yield server, address
    finally:
        server.end()


@contextmanager
def own_postgres(folder: Path) -> Iterator[tuple[Server, str]]:
    """Start a cluster with the defaults of Debian's; the address of its database `postgres`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("no PostgreSQL programs in /usr/lib/postgresql")
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    folder.mkdir()
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
    data, port = folder / "data", _free_port()
    make = [str(found[-1] / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8"]
    subprocess.run(make, user=user, check=True, stdout=subprocess.DEVNULL, timeout=120)
    options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
    server = Server([str(found[-1] / "postgres"), "-D", str(data), *options], folder.parent / "postgres.log", user)
    address = f"postgresql://postgres@127.0.0.1:{port}/postgres"

    def answers() -> bool:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            return False
        return True

    server.start()
    try:
        until(answers, 60, lambda: f"PostgreSQL answers\n{server.log.read_text()[-2000:]}")
        yield server, address
    finally:
        server.end()
