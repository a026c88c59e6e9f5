"""The shelf on pages and in the API; and the author's template in the docs, put there as its reader would."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from bots.models import Bot
from bots.strategies.registry import STRATEGIES
from tests.factories import candled
from tests.trading.world import World
from trading.core.params import params_schema
from trading.core.ports import Strategy

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "strategies.md"
MOST_LINES = 45  # of code; the guide promises five minutes
NEIGHBOUR = "from bots.strategies.ema_cross import"


def template() -> str:
    """The guide's only block of Python."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return str(code)


@pytest.fixture
def dip(tmp_path: Path) -> Iterator[Strategy]:
    """The template on the shelf of this process."""
    path = tmp_path / "dip.py"
    path.write_text(template())
    spec = importlib.util.spec_from_file_location("bots.strategies.dip", path)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    STRATEGIES["dip"] = module.Dip()
    yield STRATEGIES["dip"]
    del STRATEGIES["dip"], sys.modules[spec.name]


# --- what is on the shelf --------------------------------------------------------------------------------------------


def test_every_strategy_is_listed_and_has_its_page(page: Client, world: World) -> None:
    listed = page.get("/strategies/").content.decode()
    for key, strategy in STRATEGIES.items():
        assert f"/strategies/{key}/" in listed
        html = page.get(f"/strategies/{key}/").content.decode()
        for name, shape in params_schema(strategy.params)["properties"].items():
            assert f"<code>{name}</code>" in html, (key, name)
            assert shape["title"].replace("'", "&#x27;") in html
        assert page.get(f"/bots/new/{key}/").status_code == 200


def test_a_parameter_shows_what_it_takes_and_its_default(page: Client, world: World) -> None:
    html = page.get("/strategies/ema_cross/").content.decode()
    assert "A whole number from 1 to 5000" in html
    assert "Default: <code>12</code>" in html
    assert "required" in html


def test_the_api_has_the_schema_of_each(page: Client, world: World) -> None:
    listed = page.get("/api/v1/strategies/").json()
    assert [one["key"] for one in listed] == list(STRATEGIES)
    for one in listed:
        assert page.get(f"/api/v1/strategies/{one['key']}/").json() == one
        for name, shape in one["schema"]["properties"].items():
            assert shape["title"], name
            assert {"title", "description"} <= set(shape)


def test_there_is_no_page_of_a_strategy_that_is_not_there(page: Client, world: World) -> None:
    assert page.get("/strategies/astrology/").status_code == 404
    assert page.get("/api/v1/strategies/astrology/").status_code == 404


# --- the author's template -------------------------------------------------------------------------------------------


def test_the_template_is_as_short_as_promised() -> None:
    assert sum(bool(line.strip()) for line in template().splitlines()) <= MOST_LINES


def test_its_author_sees_it_in_wizard_api_and_docs(page: Client, world: World, dip: Strategy) -> None:
    candled(world.market, 50)
    assert "Dip" in page.get("/bots/new/").content.decode()
    html = page.get("/bots/new/dip/").content.decode()
    assert re.search(r'name="params\.low" value="30"', html)
    assert "RSI at which it buys." in html
    assert "Sell above" in page.get("/strategies/dip/").content.decode()
    assert "when the RSI of closed candles is low" in page.get("/strategies/dip/").content.decode()
    schema = page.get("/api/v1/strategies/dip/").json()["schema"]
    assert schema["properties"]["low"]["maximum"] == 50
    assert schema["required"] == ["quantity"]


def test_a_bot_starts_from_it_by_its_schema_alone(page: Client, world: World, dip: Strategy) -> None:
    candled(world.market, 50)
    body = {"account": str(world.account.public_id), "market": "BTC/USDT", "strategy": "dip", "name": "Mine"}
    wrong = page.post("/api/v1/bots/", body | {"params": {"low": 60}}, content_type="application/json")
    assert {fault["field"] for fault in wrong.json()["errors"]} == {"params.low", "params.quantity"}
    made = page.post(
        "/api/v1/bots/", body | {"params": {"quantity": "1"}, "start": True}, content_type="application/json"
    )
    assert made.status_code == 201, made.content
    assert Bot.objects.get().status == Bot.Status.RUNNING


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product as its reader has it: the file added, the line in the registry, nothing else changed."""
    tree = tmp_path_factory.mktemp("tree")
    for path in ROOT.iterdir():
        if path.name not in {"bots", "manage.py", "var", ".git"}:
            (tree / path.name).symlink_to(path)
    shutil.copytree(ROOT / "bots", tree / "bots", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", tree / "manage.py")
    (tree / "bots/strategies/dip.py").write_text(template())
    registry = tree / "bots/strategies/registry.py"
    text = registry.read_text()
    assert text.count(NEIGHBOUR) == 1
    assert text.count("    EmaCross(),\n") == 1
    text = text.replace(NEIGHBOUR, f"from bots.strategies.dip import Dip\n{NEIGHBOUR}")
    registry.write_text(text.replace("    EmaCross(),\n", "    EmaCross(),\n    Dip(),\n"))
    return tree


@pytest.mark.parametrize("command", ["backtest", "check_lookahead"])
def test_the_template_runs(tree: Path, tmp_path: Path, command: str) -> None:
    candles = tmp_path / "candles.csv"
    closes = [100 + 8 * ((i % 80) / 40 - 1) * (-1 if i // 80 % 2 else 1) for i in range(600)]
    rows = [f"{i * 60_000},{c},{c + 0.5},{c - 0.5},{c},1" for i, c in enumerate(closes)]
    candles.write_text("ts,open,high,low,close,volume\n" + "\n".join(rows))
    more = ["--json"] if command == "backtest" else ["--cuts", "20"]
    done = subprocess.run(
        [
            sys.executable,
            "manage.py",
            command,
            "dip",
            "--candles",
            str(candles),
            "--params",
            '{"quantity": "1"}',
            *more,
        ],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"BINNACLE_DATA": str(tmp_path / "data")},
    )
    assert done.returncode == 0, done.stderr
    if command == "backtest":
        report = json.loads(done.stdout)
        assert report["fills"] >= 4
