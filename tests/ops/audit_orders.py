"""What an audit asks of orders: one for a wish, nothing of ours astray, statuses that only move on."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from tests.ops.audit_books import ENDED, LIVE, Books, Finding, Row, differences, names


def is_ours(client_order_id: str) -> bool:
    """Say whether an id has the form of this product's: others at the account are foreign."""
    return client_order_id.startswith("bn") and len(client_order_id) == 26


def twice(invariant: str, books: Books, table: str, key: tuple[str, ...]) -> list[Finding]:
    seen: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in books[table]:
        seen[tuple(row[name] for name in key)].append(row)
    doubled = [row for rows in seen.values() if len(rows) > 1 for row in rows]
    return differences(invariant, f"twice by {key}", names(table, doubled))


def sent_again(before: Books, after: Books) -> list[Finding]:
    """An order gets another id only after it is proved that the venue never saw the first."""
    ids = {row["id"]: row["client_order_id"] for row in after["orders"]}
    seen = {row["client_order_id"] for row in after["venue_orders"] if row["status"] != "rejected"}
    again = [
        row
        for row in before["orders"]
        if ids.get(row["id"], "") != row["client_order_id"] and row["client_order_id"] in seen
    ]
    return differences("I1", "sent again although the venue had it", names("orders", again))


def gone_back(before: Books, after: Books) -> list[Finding]:
    """A status only moves on: what has ended stays ended, and what was acknowledged isn't sent again."""
    now = {row["id"]: row for row in after["orders"]}
    back = []
    for row in before["orders"]:
        status = now.get(row["id"], row)["status"]
        if (row["status"] in ENDED and status != row["status"]) or (
            row["status"] == "working" and status in ("planned", "sending", "unknown", "denied")
        ):
            back.append(row)
    less = [r for r in before["orders"] if r["id"] in now and _shrunk(now[r["id"]], r, "filled_qty")]
    numbers = {row["bot_id"]: row["number"] for row in after["runtimes"]}
    runtimes = [row for row in before["runtimes"] if numbers.get(row["bot_id"], row["number"]) < row["number"]]
    return [
        *differences("I1", "status gone back", names("orders", back)),
        *differences("I2", "filled less than before", names("orders", less)),
        *differences("I1", "decisions gone back", [f"runtimes {row['bot_id']}" for row in runtimes]),
    ]


def _shrunk(after: Row, before: Row, name: str) -> bool:
    return Decimal(after[name]) < Decimal(before[name])


def unexplained_orders(books: Books) -> list[Finding]:
    """Intent first: nothing of ours is at the venue that doesn't stand in our books, and over its own account's key."""
    account = {row["client_order_id"]: row["account_id"] for row in books["orders"]}
    there = [row for row in books["venue_orders"] if row["status"] != "rejected"]
    strange = [row for row in there if row["client_order_id"] not in account and is_ours(row["client_order_id"])]
    elsewhere = [row for row in there if account.get(row["client_order_id"], row["account_id"]) != row["account_id"]]
    working = [row for row in strange if row["status"] == "working"]
    ended = [row for row in strange if row["status"] != "working"]
    what = "at the venue, not in our books"
    return [
        *differences("I5", what, names("venue_orders", working)),
        *differences("I1", what, names("venue_orders", ended)),
        *differences("I6", "placed over another account's key", names("venue_orders", elsewhere)),
    ]


def ended_here_alone(books: Books) -> list[Finding]:
    ended = {row["client_order_id"] for row in books["orders"] if row["status"] in (*ENDED, "denied")}
    alone = [r for r in books["venue_orders"] if r["status"] == "working" and r["client_order_id"] in ended]
    return differences("I5", "ended here, works at the venue", names("venue_orders", alone))


def decisions(books: Books) -> list[Finding]:
    """Whatever names a decision names one that was made: a worker without the lease has made none."""
    made = {row["bot_id"]: row["number"] for row in books["runtimes"]}
    ahead = [row for row in books["orders"] if row["number"] > made.get(row["bot_id"], 0)]
    inputs = [row for row in books["inputs"] if (row.get("number") or 0) > made.get(row["bot_id"], 0)]
    return [
        *differences("I1", "of a decision that nobody has made", names("orders", ahead)),
        *differences("I1", "seen by a decision that nobody has made", names("inputs", inputs)),
    ]


def live_orders(books: Books) -> list[Finding]:
    there = {row["client_order_id"]: row for row in books["venue_orders"]}
    working = {name for name, row in there.items() if row["status"] == "working"}
    live = {row["client_order_id"] for row in books["orders"] if row["status"] in LIVE}
    open_ = [r for r in books["orders"] if r["status"] in LIVE and r["client_order_id"] not in working]
    orphans = [row for row in there.values() if row["status"] == "working" and row["client_order_id"] not in live]
    ours = [row for row in orphans if is_ours(row["client_order_id"])]
    what = "live here or at the venue, not both"
    doubted = [row for row in books["orders"] if row["status"] in ("sending", "unknown")]
    return [
        *differences("I9", "outcome still open", names("orders", doubted)),
        *differences("I9", what, names("orders", open_)),
        *differences("I5", what, names("venue_orders", ours)),
    ]


def told(books: Books) -> list[Finding]:
    """A bot hears of each fill once, and of each end at most once."""
    fills, ends = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
    for row in books["inputs"]:
        if row["kind"] not in ("filled", "closed"):
            continue
        said = json.loads(row["payload"]) if isinstance(row["payload"], str) else row["payload"]
        (fills if row["kind"] == "filled" else ends)[row["bot_id"], said["slot"], said["gen"]] += 1
    wish = {row["id"]: (row["bot_id"], row["slot"], row["gen"]) for row in books["orders"]}
    booked = Counter(wish[row["order_id"]] for row in books["fills"] if row["order_id"] in wish)
    ended = {wish[row["id"]] for row in books["orders"] if row["status"] in ENDED}
    unlike = [str(key) for key in fills | booked if fills[key] != booked[key]]
    often = [str(key) for key, times in ends.items() if times > 1 or key not in ended]
    return [
        *differences("I2", "fills and what bots were told differ", unlike),
        *differences("I2", "an end told twice, or of an order that lives", often),
    ]


def changed(
    invariant: str, what: str, before: list[Row], after: list[Row], key: tuple[str, ...], kept: tuple[str, ...]
) -> list[Finding]:
    def by_key(rows: list[Row]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        return {tuple(row[name] for name in key): tuple(row[name] for name in kept) for row in rows}

    old, new = by_key(before), by_key(after)
    wrong = [str(key) for key, row in old.items() if new.get(key) != row]
    return differences(invariant, f"{what} lost or changed", wrong)
