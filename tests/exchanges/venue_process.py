"""The real paper venue as a subprocess, for tests: its own database in a folder, prices and faults by control."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from exchanges.adapters.paperwire import sign
from exchanges.adapters.paperwire.client import Client
from exchanges.adapters.paperwire.venue import PaperWireVenue
from exchanges.models import Market
from tests.served import ROOT, environment, until
from trading.core.types import Bar

SECRET = "venue-secret-of-this-test-0123456789abcdef"
CONTROL = "control-secret-of-this-test-0123456789abcdef"
STEPS = ("tick", "lot", "min_qty", "min_notional")
MONEY = (*STEPS, "maker_fee", "taker_fee", "max_leverage", "maintenance_rate", "funding_rate")


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class VenueProcess:
    """One venue; killed and started again it has the same address and database."""

    def __init__(self, folder: Path, *options: str, feed: str = "none", **changes: str) -> None:
        self.data = folder / "venue"
        self.log_path = folder / "venue.log"
        self.options = [*options, "--feed", feed]
        keys = {"PAPER_VENUE_KEY": SECRET, "PAPER_VENUE_CONTROL_KEY": CONTROL}
        self.environ = environment(self.data, **keys, **changes)
        self.url, self.port = "", 0
        self.session = requests.Session()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        told = self.log().count("The paper venue is at")
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "paper_venue", "--port", str(self.port), *self.options],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

        def ready() -> list[str]:
            if self.process is not None and self.process.poll() is not None:
                pytest.fail(f"the venue ended with {self.process.returncode}:\n{self.log()}")
            return re.findall(r"The paper venue is at (http://\S+)", self.log())[told:]

        self.url = until(ready, 240, lambda: f"the venue is ready:\n{self.log()}")[0]
        self.port = int(self.url.rpartition(":")[2])

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def end(self) -> int:
        """SIGTERM; return its exit code."""
        self.session.close()
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(60)

    # --- as somebody who calls it ------------------------------------------------------------------------------------

    def client(self, key: str, secret: str = SECRET, session: requests.Session | None = None, **values: Any) -> Client:
        return Client(
            session or self.session, self.url, key, sign.account_secret(secret, key), wall_ms, time.monotonic, **values
        )

    def venue(self, key: str, **values: Any) -> PaperWireVenue:
        return PaperWireVenue(self.client(key, **values))

    def ask(self, path: str) -> Any:
        return self.session.get(self.url + path, timeout=60).json()

    def control(self, verb: str, asked: object) -> Any:
        """Do what only the control key may; a refusal fails the test with its words."""
        path, body = f"/control/{verb}", json.dumps(asked).encode()
        secret = sign.account_secret(CONTROL, sign.CONTROL)
        headers = sign.headers(sign.CONTROL, secret, path, wall_ms(), body, 60_000)
        answer = self.session.post(self.url + path, data=body, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, fault: str, *calls: str, **values: object) -> None:
        self.control("faults", [{"fault": fault, "calls": list(calls), **values}])

    def price(self, symbol: str, bar: Bar) -> None:
        names = ("open", "high", "low", "close", "ts_ms", "volume")
        self.control("price", {"symbol": symbol} | {name: getattr(bar, name) for name in names})

    def act(self, account: str, call: str, body: object) -> Any:
        """Do something on an account as somebody else would."""
        return self.control("act", {"account": account, "call": call, "body": json.dumps(body)})

    # --- as its auditor ----------------------------------------------------------------------------------------------

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Read its database with plain SQL."""
        with closing(sqlite3.connect(f"file:{self.data}/binnacle.sqlite3?mode=rw", uri=True, timeout=20)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(statement, values)]

    def truth(self, account: str, *kinds: str) -> list[dict[str, Any]]:
        """Return the log of an account, of these kinds or of all, oldest first."""
        rows = self.rows(
            "SELECT log.id, log.kind, log.client_order_id, log.payload FROM exchanges_paperlog log "
            "JOIN accounts_account account ON account.id = log.account_id WHERE account.name = ? ORDER BY log.id",
            account,
        )
        return [row | {"payload": json.loads(row["payload"])} for row in rows if not kinds or row["kind"] in kinds]

    def markets_here(self, *symbols: str) -> dict[str, Market]:
        """Make some of its markets in the test's own database."""
        made = {}
        for facts in self.ask("/markets"):
            values = {name: Decimal(value) if name in MONEY else value for name, value in facts.items()}
            symbol = values.pop("symbol")
            if symbol in symbols:
                made[symbol], _ = Market.objects.update_or_create(source="demo", symbol=symbol, defaults=values)
        return made


@contextmanager
def running(folder: Path, *options: str, **changes: str) -> Iterator[VenueProcess]:
    venue = VenueProcess(folder, *options, **changes)
    try:
        venue.start()
        yield venue
    finally:
        venue.end()
