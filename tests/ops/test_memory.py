"""One paper bot in embedded mode stays under 250 MB, launcher included."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.served import Served, until

pytestmark = [pytest.mark.embedded, pytest.mark.drill]
SECONDS = float(os.environ.get("MEMORY_SECONDS", "300"))
LIMIT_MB = 250


def test_one_paper_bot_stays_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pause = threading.Event()
    with Served(tmp_path / "data") as server:
        server.ready()
        begun = server.memory_mb()
        (bot,) = server.start_presets("lively-grid")
        token = server.sign_in()
        until(lambda: server.api("GET", f"/bots/{bot}/", token=token)["status"] == "running", 120, "the bot runs")
        pause.wait(SECONDS)
        assert server.healthy()
        used = server.memory_mb()
    with capsys.disabled():
        print(f"\nmemory (PSS): {begun:.0f} MB at the start, {used:.0f} MB after {SECONDS:g} s")  # noqa: T201
    assert used < LIMIT_MB
