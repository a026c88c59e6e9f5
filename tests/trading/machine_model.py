"""The order engine as order-safety and the contract describe it: what may be, given all that has been.

Pure, and made from those texts alone. It is shown rows (ours and the venue's) after each step, remembers, and says what
must not be. What a single moment shows is the auditor's; here is what only history can tell:

- a wish (bot, slot, generation) lives at the venue once, over all its attempts, and a new attempt is begun only when
  the last one can't arrive any more;
- statuses only move on, and an open outcome is never sent again under the same id;
- fills, journals and entries are only added to;
- in the end every bot was told of each execution once, and what works at the venue is what is wanted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from tests.ops.audit_books import ENDED, Books, Row
from tests.ops.audit_orders import changed, gone_back

Wish = tuple[int, str, int]
ADDED_TO = {
    "fills": ("I2", ("account_id", "exec_id"), ("order_id", "price", "qty", "fee", "realised")),
    "journals": ("I11", ("account_id", "ref"), ("kind",)),
    "entries": ("I11", ("id",), ("journal_id", "book", "bot_id", "coin", "amount")),
}
OPEN = ("sending", "unknown")


class Resting(NamedTuple):
    """A want as it should stand at the venue: exact, on the market's grid."""

    gen: int
    qty: Decimal
    price: Decimal | None


@dataclass
class Model:
    breaches: list[str] = field(default_factory=list)  # found at the line, while somebody was sending
    _ids: defaultdict[Wish, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    _before: Books = field(default_factory=lambda: Books({}))

    def look(self, books: Books, may_arrive: Collection[str]) -> list[str]:
        """Say what is wrong now that these rows follow the ones before; `may_arrive` names what is still on its way."""
        found, self.breaches = self.breaches, []
        found += self._attempts(books, may_arrive)
        found += self._once(books)
        found += [str(one) for one in gone_back(self._before, books)]
        found += self._blind(books)
        found += self._ends(books)
        for name, (invariant, key, kept) in ADDED_TO.items():
            found += [str(one) for one in changed(invariant, name, self._before[name], books[name], key, kept)]
        self._before = books
        return found

    def _attempts(self, books: Books, may_arrive: Collection[str]) -> list[str]:
        found = []
        for row in books["orders"]:
            wish, attempt = _wish(row), row["attempt"]
            ids = self._ids[wish]
            if ids and attempt < max(ids):
                found.append(f"I1 {wish} went back from attempt {max(ids)} to {attempt}")
            if ids.setdefault(attempt, row["client_order_id"]) != row["client_order_id"]:
                found.append(f"I1 attempt {attempt} of {wish} has a second id")
            early = [number for number, name in ids.items() if number < attempt and name in may_arrive]
            if early:
                found.append(f"I1 attempt {attempt} of {wish} was begun while {early} may still arrive")
        return found

    def _once(self, books: Books) -> list[str]:
        lives = {row["client_order_id"] for row in books["venue_orders"] if row["status"] != "rejected"}
        found = []
        for wish, ids in self._ids.items():
            there = [number for number, name in ids.items() if name in lives]
            if len(there) > 1:
                found.append(f"I1 {wish} was placed {len(there)} times, as attempts {there}")
            if there and there[0] != max(ids):
                found.append(f"I1 {wish} is at attempt {max(ids)}, and the venue had attempt {there[0]}")
        return found

    def _blind(self, books: Books) -> list[str]:
        """An outcome that was open between two steps has no sender any more: the same id is never sent again."""
        before = {row["id"]: row for row in self._before["orders"] if row["status"] in OPEN}
        again = [
            row
            for row in books["orders"]
            if (old := before.get(row["id"])) and row["status"] == "planned" and row["attempt"] == old["attempt"]
        ]
        return [f"I1 {_wish(row)} was open, and is planned again under the same id" for row in again]

    def _ends(self, books: Books) -> list[str]:
        """An end is told after all fills of its order, with their sum."""
        filled = {_wish(row): row["filled_qty"] for row in books["orders"]}
        found = []
        for row in books["inputs"]:
            if row["kind"] == "closed":
                said = json.loads(row["payload"]) if isinstance(row["payload"], str) else row["payload"]
                wish = row["bot_id"], said["slot"], said["gen"]
                if said["filled_qty"] != float(filled[wish]):
                    found.append(f"I2 the end of {wish} was told with {said['filled_qty']} of {filled[wish]} filled")
        return found

    # --- in the end

    def told(self, books: Books, heard: Mapping[int, Counter[tuple[Any, ...]]]) -> list[str]:
        """Compare what each bot's strategy has heard, as its committed state has it, with the venue's executions."""
        wish = {name: wish for wish, ids in self._ids.items() for name in ids.values()}
        there = {row["id"]: row for row in books["venue_orders"]}
        happened: defaultdict[int, Counter[tuple[Any, ...]]] = defaultdict(Counter)
        owner = {row["market_id"]: row["id"] for row in books["bots"]}
        taken: Counter[int] = Counter()  # how often a bot's position was taken over by the venue
        for row in books["executions"]:
            order = there[row["order_id"]]
            known = wish.get(order["client_order_id"])
            if row["liquidation"]:
                bot = owner[order["market_id"]]
                taken[bot] += 1
                known = bot, "engine:liquidation", taken[bot]
            if known is not None:
                bot, slot, gen = known
                happened[bot][slot, gen, float(row["qty"]), float(row["price"])] += 1
        return [
            f"I2 bot {bot} heard {dict(told - happened[bot])} too much and {dict(happened[bot] - told)} too little"
            for bot, told in heard.items()
            if told != happened[bot]
        ]

    def stands(self, books: Books, wanted: Mapping[int, Mapping[str, Resting]]) -> list[str]:
        """Compare what works at the venue with what is wanted, for bots that may trade."""
        working = {row["client_order_id"]: row for row in books["venue_orders"] if row["status"] == "working"}
        found = []
        for row in books["orders"]:
            want = wanted.get(row["bot_id"], {}).get(row["slot"])
            there = working.get(row["client_order_id"])
            if row["bot_id"] not in wanted or row["status"] in (*ENDED, "denied"):
                continue
            if there is None:
                found.append(f"I8 {_wish(row)} is {row['status']} and doesn't work at the venue")
            elif want is None or want.gen != row["gen"]:
                found.append(f"I5 {_wish(row)} works at the venue and isn't wanted any more")
            elif not row["reason"] and _form(there) != (want.qty, want.price):
                found.append(f"I8 {_wish(row)} stands as {_form(there)}, wanted is {want}")
        known = {_wish(row) for row in books["orders"]}
        for bot, slots in wanted.items():
            never = [slot for slot, want in slots.items() if (bot, slot, want.gen) not in known]
            found += [f"I8 bot {bot} wants {slot}, and nobody has asked for it" for slot in never]
        return found


def _wish(row: Row) -> Wish:
    return row["bot_id"], row["slot"], row["gen"]


def _form(row: Row) -> tuple[Decimal, Decimal | None]:
    return Decimal(row["qty"]), None if row["price"] is None else Decimal(row["price"])
