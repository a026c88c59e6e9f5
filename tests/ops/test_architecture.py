"""The house keeps its shape: import directions, pure packages without a framework, no signals, no stray files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "bots", "exchanges", "news", "risk", "trading")
PURE = ("trading/core", "bots/strategies", "bots/advisors", "exchanges/adapters", "risk/rules")
BLOCKED = ("django", "rest_framework", "celery", "channels", "kombu")
PROGRAM = """
import importlib, sys
for name in {blocked!r}:
    sys.modules[name] = None
for name in {modules!r}:
    importlib.import_module(name)
"""


def _modules(folder: str) -> list[str]:
    paths = sorted((ROOT / folder).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


def _import_blocked(modules: list[str]) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(blocked=BLOCKED, modules=modules)
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("folder", PURE)
def test_pure_package_imports_with_every_framework_blocked(folder: str) -> None:
    modules = _modules(folder)
    assert modules
    done = _import_blocked(modules)
    assert done.returncode == 0, done.stderr


def test_the_block_is_real() -> None:
    done = _import_blocked(["accounts.models"])
    assert done.returncode != 0
    assert "django" in done.stderr


@pytest.mark.parametrize("folder", PURE)
def test_init_above_a_pure_package_is_empty(folder: str) -> None:
    path = ROOT
    for part in Path(folder).parts[:-1]:
        path /= part
        assert (path / "__init__.py").read_text() == ""


def test_import_directions_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout


def test_no_django_signals() -> None:
    sources = [p for app in APPS for p in (ROOT / app).rglob("*.py")]
    assert [p for p in sources if "django.dispatch" in p.read_text() or "db.models.signals" in p.read_text()] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_names_no_host_and_hashes_everything(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    assert [line for line in lines if "://" in line] == []
    pins = [number for number, line in enumerate(lines) if "==" in line and not line.startswith((" ", "#"))]
    assert len(pins) > 50
    assert [lines[number] for number in pins if "--hash=sha256:" not in lines[number + 1]] == []


@pytest.mark.parametrize("name", ["MINUTE_MS", "REFUSALS", "RESUMES", "RETRY_MS", "RETRY_EXIT_MS", "RETRY_MOST_MS"])
def test_what_all_strategies_and_clocks_share_stands_in_one_place(name: str) -> None:
    set_here = re.compile(rf"^_?{name} = ", re.MULTILINE)
    files = sorted(str(p.relative_to(ROOT)) for app in APPS for p in (ROOT / app).rglob("*.py"))
    assert len([path for path in files if set_here.search((ROOT / path).read_text())]) == 1
