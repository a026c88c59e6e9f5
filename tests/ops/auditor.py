"""Reads the database file with plain SQL and says what doesn't add up. Knows the tables, and none of our code.

The paper venue's own tables stand for what an exchange would say; the rest is what we believe.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
LIVE = ("planned", "sending", "working", "unknown")
TABLES = {
    "bots": "bots_bot",
    "runtimes": "trading_runtime",
    "orders": "trading_order",
    "fills": "trading_fill",
    "positions": "trading_position",
    "journals": "trading_journal",
    "entries": "trading_ledgerentry",
    "balances": "trading_balance",
    "events": "accounts_event",
    "counters": "accounts_eventcounter",
    "inputs": "bots_botinput",
    "markets": "exchanges_market",
    "wallets": "exchanges_paperwallet",
    "venue_orders": "exchanges_paperorder",
    "executions": "exchanges_paperexecution",
}

KEPT = {  # what identifies a row, and what may never change in it
    "orders": (("bot_id", "slot", "gen"), ("side", "qty", "price")),
    "fills": (("account_id", "exec_id"), ("order_id", "price", "qty", "fee", "realised")),
    "journals": (("account_id", "ref"), ("kind",)),
    "entries": (("id",), ("journal_id", "book", "bot_id", "coin", "amount")),
    "events": (("workspace_id", "seq"), ("kind", "text")),
    "bots": (("id",), ("strategy", "params", "budget", "status")),
}


@dataclass(frozen=True)
class Books:
    """All rows of one consistent moment."""

    tables: dict[str, list[Row]]

    def __getitem__(self, name: str) -> list[Row]:
        return self.tables[name]


def read_books(data: Path | str) -> Books:
    """Read everything in one transaction: from a data folder's SQLite file, or from a PostgreSQL address."""
    if isinstance(data, str):
        with psycopg.connect(data, row_factory=dict_row) as server:
            server.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return Books({name: server.execute(f"SELECT * FROM {table}").fetchall() for name, table in TABLES.items()})  # noqa: S608
    with closing(sqlite3.connect(f"file:{data}/binnacle.sqlite3?mode=rw", uri=True, timeout=20)) as database:
        database.row_factory = sqlite3.Row
        database.execute("BEGIN")
        names = {name: database.execute(f"SELECT * FROM {table}") for name, table in TABLES.items()}  # noqa: S608
        return Books({name: [dict(row) for row in rows] for name, rows in names.items()})


def faults(books: Books) -> list[str]:
    """What is wrong at any moment, a crash included."""
    return [
        *_twice(books["orders"], ("bot_id", "slot", "gen")),
        *_twice(books["orders"], ("account_id", "client_order_id")),
        *_twice(books["venue_orders"], ("account_id", "client_order_id")),
        *_twice(books["fills"], ("account_id", "exec_id")),
        *_twice(books["executions"], ("account_id", "exec_id")),
        *_twice(books["journals"], ("account_id", "ref")),
        *_unexplained_orders(books),
        *_unlike_executions(books),
        *_ledger(books),
        *_positions(books),
        *_events(books),
        *_overfilled(books),
    ]


def unsettled(books: Books) -> list[str]:
    """What must agree as soon as the runtime has caught up with the venue."""
    return [
        *faults(books),
        *_differences("executions not booked", _exec_ids(books["executions"]) ^ _exec_ids(books["fills"])),
        *_wallets(books),
        *_live_orders(books),
    ]


def lost(before: Books, after: Books) -> list[str]:
    """What stood in `before` and doesn't stand unchanged in `after`."""
    found = _sent_again(before, after)
    for name, (key, kept) in KEPT.items():
        found += _changed(name, before[name], after[name], key, kept)
    return found


def _sent_again(before: Books, after: Books) -> list[str]:
    """An order gets another id only after it is proved that the venue never saw the first."""
    ids = {row["id"]: row["client_order_id"] for row in after["orders"]}
    seen = {row["client_order_id"] for row in after["venue_orders"]}
    old = {row["client_order_id"] for row in before["orders"] if ids.get(row["id"], "") != row["client_order_id"]}
    return _differences("sent again although the venue had it", old & seen)


def _differences(what: str, ids: set[Any]) -> list[str]:
    return [f"{what}: {sorted(ids)[:5]}"] if ids else []


def _twice(rows: list[Row], key: tuple[str, ...]) -> list[str]:
    seen: set[tuple[Any, ...]] = set()
    doubled = set()
    for row in rows:
        value = tuple(row[name] for name in key)
        (doubled if value in seen else seen).add(value)
    return _differences(f"twice by {key}", doubled)


def _exec_ids(rows: list[Row]) -> set[tuple[int, str]]:
    return {(row["account_id"], row["exec_id"]) for row in rows}


def _unexplained_orders(books: Books) -> list[str]:
    """Intent first: nothing is at the venue that doesn't stand in our books."""
    ours = {row["client_order_id"] for row in books["orders"]}
    return _differences("at the venue, not in our books", {r["client_order_id"] for r in books["venue_orders"]} - ours)


def _unlike_executions(books: Books) -> list[str]:
    names = ("price", "qty", "fee", "fee_coin", "ts_ms")
    said = {row["exec_id"]: tuple(_number(row[name]) for name in names) for row in books["executions"]}
    booked = {row["exec_id"]: tuple(_number(row[name]) for name in names) for row in books["fills"]}
    return _differences("fills unlike their executions", {key for key, row in booked.items() if said.get(key) != row})


def _number(value: Any) -> Any:
    """Money is text; an integer is one already; a coin stays a word."""
    if isinstance(value, str) and value[:1] in "-0123456789":
        return Decimal(value)
    return value


def _ledger(books: Books) -> list[str]:
    sums: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    held: defaultdict[tuple[int, Any, str], Decimal] = defaultdict(Decimal)
    account = {row["id"]: row["account_id"] for row in books["journals"]}
    for row in books["entries"]:
        amount = Decimal(row["amount"])
        sums[row["journal_id"], row["coin"]] += amount
        if row["book"] in {"free", "bot"}:
            held[account[row["journal_id"]], row["bot_id"], row["coin"]] += amount
    balances = {(r["account_id"], r["bot_id"], r["coin"]): Decimal(r["amount"]) for r in books["balances"]}
    fills = {f"fill:{row['market_id']}:{row['exec_id']}" for row in books["fills"]}
    posted = {row["ref"] for row in books["journals"] if row["kind"] == "fill"}
    unlike = {str(key) for key in held | balances if held[key] != balances.get(key, 0)}
    return [
        *_differences("journals that don't sum to zero", {str(key) for key, total in sums.items() if total}),
        *_differences("balances unlike their entries", unlike),
        *_differences("fills and journals differ", fills ^ posted),
    ]


def _positions(books: Books) -> list[str]:
    totals: defaultdict[tuple[int, int], Decimal] = defaultdict(Decimal)
    for row in books["fills"]:
        totals[row["bot_id"], row["market_id"]] += Decimal(row["qty"]) * (1 if row["side"] == "buy" else -1)
    rows = {(row["bot_id"], row["market_id"]): Decimal(row["qty"]) for row in books["positions"]}
    return _differences("positions unlike their fills", {str(k) for k in totals | rows if totals[k] != rows.get(k, 0)})


def _events(books: Books) -> list[str]:
    seqs: defaultdict[int, list[int]] = defaultdict(list)
    for row in books["events"]:
        seqs[row["workspace_id"]].append(row["seq"])
    gaps = {key for key, numbers in seqs.items() if sorted(numbers) != list(range(1, len(numbers) + 1))}
    last = {row["workspace_id"]: row["last"] for row in books["counters"]}
    wrong = {key for key, numbers in seqs.items() if last.get(key) != len(numbers)}
    return [*_differences("gaps in events of workspaces", gaps), *_differences("event counters off", wrong)]


def _overfilled(books: Books) -> list[str]:
    totals: defaultdict[int, Decimal] = defaultdict(Decimal)
    for row in books["fills"]:
        totals[row["order_id"]] += Decimal(row["qty"])
    wrong = {
        r["id"]
        for r in books["orders"]
        if totals[r["id"]] != Decimal(r["filled_qty"]) or totals[r["id"]] > Decimal(r["qty"])
    }
    return _differences("orders unlike their fills", wrong)  # fmt: skip


def _wallets(books: Books) -> list[str]:
    """Free money and all bots' books together are what the venue says the account has."""
    ours: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for row in books["balances"]:
        ours[row["account_id"], row["coin"]] += Decimal(row["amount"])
    venue = {(row["account_id"], row["coin"]): Decimal(row["total"]) for row in books["wallets"]}
    locked: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for row in books["venue_orders"]:
        if row["status"] == "working":
            locked[row["account_id"], row["lock_coin"]] += Decimal(row["locked"])
    held = {(row["account_id"], row["coin"]): Decimal(row["locked"]) for row in books["wallets"]}
    return [
        *_differences("books unlike the wallet", {str(key) for key in ours | venue if ours[key] != venue.get(key, 0)}),
        *_differences("locked sums off", {str(key) for key in locked | held if locked[key] != held.get(key, 0)}),
    ]


def _live_orders(books: Books) -> list[str]:
    ours = {row["client_order_id"] for row in books["orders"] if row["status"] in LIVE}
    venue = {row["client_order_id"] for row in books["venue_orders"] if row["status"] == "working"}
    return _differences("live here or at the venue, not both", ours ^ venue)


def _changed(what: str, before: list[Row], after: list[Row], key: tuple[str, ...], kept: tuple[str, ...]) -> list[str]:
    def by_key(rows: list[Row]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        return {tuple(row[name] for name in key): tuple(row[name] for name in kept) for row in rows}

    old, new = by_key(before), by_key(after)
    return _differences(f"{what} lost or changed", {str(k) for k, row in old.items() if new.get(k) != row})
