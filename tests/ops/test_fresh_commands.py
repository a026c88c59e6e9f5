"""Commands of the guides on a machine where nothing was started yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from accounts.schema import schema_ensure
from tests.served import ROOT


def test_a_command_on_an_empty_data_folder_makes_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("ts,open,high,low,close,volume\n0,10,11,9,10,1\n60000,10,12,10,11,1\n")
    servers = ("DATABASE_URL", "BROKER_URL", "REDIS_URL")
    environ = {name: value for name, value in os.environ.items() if name not in servers}
    done = subprocess.run(
        [sys.executable, "manage.py", "candles", "import", "file", "BTC/USDT", str(path)],
        cwd=ROOT,
        env=environ | {"BINNACLE_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2 candles of BTC/USDT (file) stored"


@pytest.mark.django_db
def test_tables_of_another_version_are_refused_in_words() -> None:
    schema_ensure()
    (newest,) = MigrationLoader(connection).graph.leaf_nodes("trading")
    MigrationRecorder(connection).record_unapplied(*newest)
    with pytest.raises(CommandError, match=r"run manage\.py migrate"):
        schema_ensure()
