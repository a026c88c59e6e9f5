"""A venue's own database beside the platform's: its rows under the ids that the platform gives accounts and markets."""

from __future__ import annotations

import uuid

from tests.ops.audit_books import Row

Tables = dict[str, list[Row]]


def translated(venue: Tables, platform: Tables) -> Tables:
    """Return the venue's rows with the platform's ids. What belongs to no account of the platform is left out.

    The venue calls an account by the platform's public id.
    """
    here = {_plain(row["public_id"]): row["id"] for row in platform["accounts"]}
    accounts = {row["id"]: here[_plain(row["name"])] for row in venue["accounts"] if _plain(row["name"]) in here}
    symbols = {(row["source"], row["symbol"]): row["id"] for row in platform["markets"]}
    markets = {row["id"]: symbols.get((row["source"], row["symbol"])) for row in venue["markets"]}
    found: Tables = {}
    for name, rows in venue.items():
        if name not in ("accounts", "markets"):
            found[name] = [_moved(row, accounts, markets) for row in rows if row["account_id"] in accounts]
    return found


def _moved(row: Row, accounts: dict[int, int], markets: dict[int, int | None]) -> Row:
    moved = row | {"account_id": accounts[row["account_id"]]}
    return moved | {"market_id": markets[row["market_id"]]} if "market_id" in row else moved


def _plain(name: object) -> str:
    try:
        return uuid.UUID(str(name)).hex
    except ValueError:
        return str(name)
