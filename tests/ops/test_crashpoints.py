"""Crash points: each stands somewhere in the code, none kills unless it was ordered, an order kills once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from accounts.crashpoints import POINTS, crashpoint

ROOT = Path(__file__).resolve().parents[2]


def test_every_point_stands_in_the_code_once_and_no_other():
    code = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("trading/**/*.py"))
    assert sorted(re.findall(r'crashpoint\("([^"]+)"\)', code)) == sorted(POINTS)


def test_without_a_folder_nothing_dies(settings):
    before, settings.CRASH_DIR = os.getpid(), ""
    for point in POINTS:
        crashpoint(point)
    assert os.getpid() == before


ALONE = """
import sys
from django.conf import settings
settings.configure(CRASH_DIR=sys.argv[1])
from accounts.crashpoints import crashpoint
crashpoint("send-claimed")
"""


@pytest.mark.parametrize("ordered", ["send-claimed", "send-answered"])
def test_an_order_kills_at_its_place_once(tmp_path: Path, ordered: str):
    (tmp_path / ordered).touch()
    command = [sys.executable, "-c", ALONE, str(tmp_path)]
    deaths = [subprocess.run(command, cwd=ROOT, check=False).returncode for _ in range(2)]
    assert deaths == ([-signal.SIGKILL, 0] if ordered == "send-claimed" else [0, 0])
    assert (tmp_path / ordered).exists() == (ordered != "send-claimed")
