"""Every kind of process knows our broker: without its application Celery would quietly ring at another one's door."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.served import ROOT

ASK = "from celery import current_app; print(current_app.main, current_app.conf.broker_url)"
PROCESSES = {
    "web": [sys.executable, "-c", f"import config.asgi; {ASK}"],
    "commands": [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", ASK],
}


@pytest.mark.parametrize("kind", PROCESSES)
def test_it_rings_at_our_broker(kind: str, tmp_path) -> None:
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "BINNACLE_DATA": str(tmp_path),
        "BROKER_URL": "redis://127.0.0.1:1/5",
        "SECRET_KEY": "only-for-this-test-0123456789-abcdefghijklmnopqrstuvwxyz",
    }
    done = subprocess.run(
        PROCESSES[kind], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["binnacle", "redis://127.0.0.1:1/5"]
