"""Reads database rows with plain SQL and says what doesn't add up: which invariant is broken, and where.

Knows the tables, and none of our code. The paper venue's own tables stand for what an exchange would say; the rest is
what we believe. The invariants:

I1 at most one order at the venue for a wish        I7 never more at stake than the budget
I2 every execution is in the books, once            I8 it goes on after a fault (not to be seen in rows)
I3 no fill that the venue doesn't know              I9 every open outcome is settled or told
I4 positions and balances are the venue's           I10 no secret anywhere (not to be seen in rows)
I5 nothing of ours works that we hold ended         I11 the ledger sums to zero
I6 no order over another account's key
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.ops.audit_books import LIVE, Books, Finding, Row, differences, names
from tests.ops.audit_money import (
    at_stake,
    events,
    ledger,
    overfilled,
    own_executions,
    positions,
    reserved,
    unlike_executions,
    wallets,
)
from tests.ops.audit_orders import (
    changed,
    decisions,
    ended_here_alone,
    gone_back,
    live_orders,
    sent_again,
    told,
    twice,
    unexplained_orders,
)
from tests.ops.audit_venue import translated

__all__ = ["LIVE", "Books", "Finding", "faults", "lost", "read_books", "rows_of", "unsettled"]
PLATFORM = {
    "bots": "bots_bot",
    "runtimes": "trading_runtime",
    "orders": "trading_order",
    "fills": "trading_fill",
    "positions": "trading_position",
    "journals": "trading_journal",
    "entries": "trading_ledgerentry",
    "balances": "trading_balance",
    "holds": "trading_hold",
    "events": "accounts_event",
    "counters": "accounts_eventcounter",
    "inputs": "bots_botinput",
    "markets": "exchanges_market",
    "accounts": "accounts_account",
}
VENUE = {
    "wallets": "exchanges_paperwallet",
    "venue_orders": "exchanges_paperorder",
    "executions": "exchanges_paperexecution",
    "venue_positions": "exchanges_paperposition",
    "payments": "exchanges_paperfunding",
}
NAMED = {"accounts": "accounts_account", "markets": "exchanges_market"}  # by which two databases know each other
KEPT = {  # what identifies a row, and what may never change in it
    "orders": (("bot_id", "slot", "gen"), ("side", "qty", "price")),
    "fills": (("account_id", "exec_id"), ("order_id", "price", "qty", "fee", "realised")),
    "journals": (("account_id", "ref"), ("kind",)),
    "entries": (("id",), ("journal_id", "book", "bot_id", "coin", "amount")),
    "events": (("workspace_id", "seq"), ("kind", "text")),
    "bots": (("id",), ("strategy", "params", "budget", "status")),
}
KEPT_AS = {"orders": "I1", "fills": "I2", "journals": "I11", "entries": "I11", "events": "record", "bots": "record"}


def read_books(platform: Path | str, venue: Path | str | None = None) -> Books:
    """Read everything, each source in one transaction: a data folder's SQLite file, or a PostgreSQL address.

    `venue` is where the venue keeps its own books, when that isn't the platform's database. It is read last: what it
    has done since is news that the platform hasn't heard yet, and not something that the platform invented.
    """
    if venue is None:
        return Books(_read(platform, PLATFORM | VENUE))
    ours = _read(platform, PLATFORM)
    return Books(ours | translated(_read(venue, VENUE | NAMED), ours))


def _read(source: Path | str, tables: dict[str, str]) -> dict[str, list[Row]]:
    if isinstance(source, str):
        with psycopg.connect(source, row_factory=dict_row) as server:
            server.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return {name: server.execute(f"SELECT * FROM {table}").fetchall() for name, table in tables.items()}  # noqa: S608
    path = source / "binnacle.sqlite3" if source.is_dir() else source
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=20)) as database:
        database.execute("BEGIN")
        return rows_of(database.execute, tables)


def rows_of(execute: Callable[[str], Any], tables: dict[str, str] | None = None) -> dict[str, list[Row]]:
    """Read tables over a connection that is open already: `execute` returns a cursor."""
    found = {}
    for name, table in (tables or PLATFORM | VENUE).items():
        cursor = execute(f"SELECT * FROM {table}")  # noqa: S608
        columns = [column[0] for column in cursor.description]
        found[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return found


def faults(books: Books) -> list[Finding]:
    """What is wrong at any moment, a crash included."""
    return [
        *twice("I1", books, "orders", ("bot_id", "slot", "gen")),
        *twice("I1", books, "orders", ("account_id", "client_order_id")),
        *twice("I1", books, "venue_orders", ("account_id", "client_order_id")),
        *twice("I2", books, "fills", ("account_id", "market_id", "exec_id")),
        *twice("I2", books, "executions", ("account_id", "exec_id")),
        *twice("I11", books, "journals", ("account_id", "ref")),
        *unexplained_orders(books),
        *ended_here_alone(books),
        *decisions(books),
        *unlike_executions(books),
        *ledger(books),
        *positions(books),
        *events(books),
        *overfilled(books),
        *told(books),
        *reserved(books),
        *at_stake(books),
    ]


def unsettled(books: Books) -> list[Finding]:
    """What must agree as soon as the runtime has caught up with the venue."""
    booked = {(row["account_id"], row["exec_id"]) for row in books["fills"]}
    missed = [row for row in own_executions(books) if (row["account_id"], row["exec_id"]) not in booked]
    return [
        *faults(books),
        *differences("I2", "executions not booked", names("executions", missed)),
        *wallets(books),
        *live_orders(books),
    ]


def lost(before: Books, after: Books) -> list[Finding]:
    """What stood in `before` and doesn't stand unchanged in `after`."""
    found = [*sent_again(before, after), *gone_back(before, after)]
    for name, (key, kept) in KEPT.items():
        found += changed(KEPT_AS[name], name, before[name], after[name], key, kept)
    return found
