"""What an audit asks of money: fills are the venue's executions, the ledger is zero, nothing above the budget."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from tests.ops.audit_books import LIVE, Books, Finding, Row, differences, names
from tests.ops.audit_orders import is_ours

NOISE = Decimal("1e-12")  # what rounding a partial fill's share of a lock leaves


def unlike_executions(books: Books) -> list[Finding]:
    same = ("price", "qty", "fee", "fee_coin", "ts_ms")
    said = {(row["account_id"], row["exec_id"]): row for row in books["executions"]}
    ids = {row["id"]: row["client_order_id"] for row in books["orders"]}
    there = {row["id"]: row["client_order_id"] for row in books["venue_orders"]}
    invented, unlike, misplaced = [], [], []
    for fill in books["fills"]:
        row = said.get((fill["account_id"], fill["exec_id"]))
        if row is None:
            invented.append(fill)
        elif any(_number(row[name]) != _number(fill[name]) for name in same):
            unlike.append(fill)
        elif not row["liquidation"] and there.get(row["order_id"]) != ids.get(fill["order_id"]):
            misplaced.append(fill)
    return [
        *differences("I3", "fills that the venue doesn't know", names("fills", invented)),
        *differences("I3", "fills unlike their executions", names("fills", unlike)),
        *differences("I3", "fills of another order's execution", names("fills", misplaced)),
    ]


def _number(value: Any) -> Any:
    """Money is text; an integer is one already; a coin stays a word."""
    if isinstance(value, str) and value[:1] in "-0123456789":
        return Decimal(value)
    return value


def ledger(books: Books) -> list[Finding]:
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
    unlike = [key for key in held | balances if held[key] != balances.get(key, 0)]
    return [
        *differences("I11", "journals that don't sum to zero", [f"journals {k[0]} {k[1]}" for k in sums if sums[k]]),
        *differences("I11", "balances unlike their entries", [f"account {a} bot {b} {c}" for a, b, c in unlike]),
        *differences("I11", "fills and journals differ", fills ^ posted),
    ]


def positions(books: Books) -> list[Finding]:
    totals: defaultdict[tuple[int, int], Decimal] = defaultdict(Decimal)
    for row in books["fills"]:
        totals[row["bot_id"], row["market_id"]] += Decimal(row["qty"]) * (1 if row["side"] == "buy" else -1)
    rows = {(row["bot_id"], row["market_id"]): Decimal(row["qty"]) for row in books["positions"]}
    unlike = [key for key in totals | rows if totals[key] != rows.get(key, 0)]
    return differences("I4", "positions unlike their fills", [f"bot {bot} market {m}" for bot, m in unlike])


def events(books: Books) -> list[Finding]:
    seqs: defaultdict[int, list[int]] = defaultdict(list)
    for row in books["events"]:
        seqs[row["workspace_id"]].append(row["seq"])
    gaps = [key for key, numbers in seqs.items() if sorted(numbers) != list(range(1, len(numbers) + 1))]
    last = {row["workspace_id"]: row["last"] for row in books["counters"]}
    wrong = [key for key, numbers in seqs.items() if last.get(key) != len(numbers)]
    return [
        *differences("record", "gaps in events of workspaces", [f"workspace {key}" for key in gaps]),
        *differences("record", "event counters off", [f"workspace {key}" for key in wrong]),
    ]


def overfilled(books: Books) -> list[Finding]:
    totals: defaultdict[int, Decimal] = defaultdict(Decimal)
    for row in books["fills"]:
        totals[row["order_id"]] += Decimal(row["qty"])
    unlike = [row for row in books["orders"] if totals[row["id"]] != Decimal(row["filled_qty"])]
    above = [row for row in books["orders"] if totals[row["id"]] > Decimal(row["qty"])]
    return [
        *differences("I2", "orders unlike their fills", names("orders", unlike)),
        *differences("I7", "filled more than was asked for", names("orders", above)),
    ]


def reserved(books: Books) -> list[Finding]:
    """A live spot order holds what its rest may take, and a bot's orders hold no more than it has."""
    perpetual = {row["id"] for row in books["markets"] if row["perpetual"]}
    held: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    short = []
    for row in books["orders"]:
        if row["status"] not in LIVE:
            continue
        held[row["bot_id"], row["lock_coin"]] += Decimal(row["locked"])
        rest, level = Decimal(row["qty"]) - Decimal(row["filled_qty"]), row["price"] or row["trigger"]
        needed = rest * Decimal(level) if row["side"] == "buy" and level is not None else rest
        if row["side"] == "buy" and level is None:
            continue
        if row["market_id"] not in perpetual and Decimal(row["locked"]) < needed - NOISE:
            short.append(row)
    has: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for row in books["balances"]:
        has[row["bot_id"], row["coin"]] += Decimal(row["amount"])
    over = [f"bot {bot} {coin}" for (bot, coin), amount in held.items() if amount > has[bot, coin] + NOISE]
    return [
        *differences("I7", "live orders without their reservation", names("orders", short)),
        *differences("I7", "orders hold more than the bot has", over),
    ]


def at_stake(books: Books) -> list[Finding]:
    """At the venue itself: what a bot has spent and what its working orders lock is never above its budget."""
    bot_of = {row["client_order_id"]: row["bot_id"] for row in books["orders"]}
    order = {row["id"]: row for row in books["venue_orders"] if row["client_order_id"] in bot_of}
    market = {row["id"]: row for row in books["markets"]}
    moved: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for row in books["entries"]:  # all that isn't trading: its budget, what was given back, funding
        moved[row["bot_id"], row["coin"]] += Decimal(row["amount"]) if row["book"] == "bot" else 0
    kinds = {row["id"]: row["kind"] for row in books["journals"]}
    for row in books["entries"]:
        if row["book"] == "bot" and kinds.get(row["journal_id"]) == "fill":
            moved[row["bot_id"], row["coin"]] -= Decimal(row["amount"])
    for row in books["executions"]:
        one = order.get(row["order_id"])
        if one is None or market[one["market_id"]]["perpetual"]:
            continue
        rules, sign = market[one["market_id"]], 1 if one["side"] == "buy" else -1
        bot, qty = bot_of[one["client_order_id"]], Decimal(row["qty"])
        moved[bot, rules["base"]] += sign * qty
        moved[bot, rules["quote"]] -= sign * qty * Decimal(row["price"])
        moved[bot, row["fee_coin"]] -= Decimal(row["fee"])
    for one in order.values():
        if one["status"] == "working" and not market[one["market_id"]]["perpetual"]:
            moved[bot_of[one["client_order_id"]], one["lock_coin"]] -= Decimal(one["locked"])
    trading = {row["id"] for row in books["bots"] if row["status"] in ("running", "paused", "stopping")}
    perpetual = {row["bot_id"] for row in books["orders"] if market[row["market_id"]]["perpetual"]}
    over = [f"bot {b} {c}" for (b, c), rest in moved.items() if rest < -NOISE and b in trading - perpetual]
    return differences("I7", "more at stake at the venue than the budget", over)


def own_executions(books: Books) -> list[Row]:
    """Return what the venue did on orders of ours or by itself; the rest is somebody else's."""
    foreign = {row["id"] for row in books["venue_orders"] if not is_ours(row["client_order_id"])}
    return [row for row in books["executions"] if row["liquidation"] or row["order_id"] not in foreign]


def wallets(books: Books) -> list[Finding]:
    """Free money, all bots' books and what others have traded are together what the venue says the account has."""
    ours: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for row in books["balances"]:
        ours[row["account_id"], row["coin"]] += Decimal(row["amount"])
    for key, amount in _foreign(books).items():
        ours[key] += amount
    venue = {(row["account_id"], row["coin"]): Decimal(row["total"]) for row in books["wallets"]}
    locked: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for row in books["venue_orders"]:
        if row["status"] == "working":
            locked[row["account_id"], row["lock_coin"]] += Decimal(row["locked"])
    held = {(row["account_id"], row["coin"]): Decimal(row["locked"]) for row in books["wallets"]}
    quote = {row["id"]: row["quote"] for row in books["markets"]}
    for row in books["venue_positions"]:
        locked[row["account_id"], quote[row["market_id"]]] += Decimal(row["margin"])
    unlike = [key for key in ours | venue if ours[key] != venue.get(key, 0)]
    off = [key for key in locked | held if locked[key] != held.get(key, 0)]
    return [
        *differences("I4", "books unlike the wallet", [f"account {a} {c}" for a, c in unlike]),
        *differences("I4", "locked sums off", [f"account {a} {c}" for a, c in off]),
    ]


def _foreign(books: Books) -> dict[tuple[int, str], Decimal]:
    """What orders that aren't ours have moved on a spot market and our books haven't taken in."""
    own = {id(row) for row in own_executions(books)}
    order = {row["id"]: row for row in books["venue_orders"]}
    market = {row["id"]: row for row in books["markets"]}
    taken = " ".join(row["ref"] for row in books["journals"] if row["kind"] != "fill")
    moved: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for row in books["executions"]:
        if id(row) in own or row["exec_id"] in taken:
            continue
        one = order[row["order_id"]]
        rules, sign = market[one["market_id"]], 1 if one["side"] == "buy" else -1
        moved[row["account_id"], rules["base"]] += sign * Decimal(row["qty"])
        moved[row["account_id"], rules["quote"]] -= sign * Decimal(row["qty"]) * Decimal(row["price"])
        moved[row["account_id"], row["fee_coin"]] -= Decimal(row["fee"])
    return moved
