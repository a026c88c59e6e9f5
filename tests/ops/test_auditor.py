"""The auditor itself: healthy books pass, and each kind of damage is named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.ops.auditor import Books, faults, lost, unsettled

BUY = {"account_id": 1, "exec_id": "7-1", "price": "100", "qty": "2", "fee": "0.2", "fee_coin": "USDT", "ts_ms": 5}
IDS = {"buy": f"bn{'a' * 24}", "sell": f"bn{'b' * 24}"}


def _entry(number: int, journal: int, book: str, coin: str, amount: str, bot: int | None = None) -> dict[str, Any]:
    return {"id": number, "journal_id": journal, "book": book, "bot_id": bot, "coin": coin, "amount": amount}


def healthy() -> Books:
    """A deposit of 1000 USDT, all of it lent to a bot that has bought 2 BTC at 100 and has a sell resting."""
    order = {"account_id": 1, "bot_id": 1, "market_id": 1, "gen": 1, "qty": "2", "price": "100", "trigger": None}
    bought = {"id": 7, "slot": "a", "number": 2, "side": "buy", "client_order_id": IDS["buy"], "status": "filled"}
    bought |= order | {"filled_qty": "2", "lock_coin": "USDT", "locked": "0"}
    sell = {"id": 8, "slot": "b", "number": 3, "side": "sell", "client_order_id": IDS["sell"], "status": "working"}
    sell |= order | {"filled_qty": "0", "lock_coin": "BTC", "locked": "2"}
    there = {"account_id": 1, "market_id": 1}
    rest = {"id": 72, **there, "client_order_id": IDS["sell"], "side": "sell", "status": "working"}
    rest |= {"lock_coin": "BTC", "locked": "2"}
    done = {"id": 71, **there, "client_order_id": IDS["buy"], "side": "buy", "status": "filled"}
    done |= {"lock_coin": "USDT", "locked": "0"}
    told = {"slot": "a", "gen": 1}
    return Books(
        {
            "bots": [{"id": 1, "strategy": "grid", "params": "{}", "budget": "1000", "status": "running"}],
            "runtimes": [{"bot_id": 1, "number": 3}],
            "orders": [bought, sell],
            "fills": [{**BUY, "id": 4, "bot_id": 1, "market_id": 1, "order_id": 7, "side": "buy", "realised": "0"}],
            "positions": [{"bot_id": 1, "market_id": 1, "qty": "2"}],
            "journals": [
                {"id": 1, "account_id": 1, "ref": "deposit:1", "kind": "deposit"},
                {"id": 2, "account_id": 1, "ref": "allocate:1", "kind": "allocate"},
                {"id": 3, "account_id": 1, "ref": "fill:1:7-1", "kind": "fill"},
            ],
            "entries": [
                _entry(1, 1, "free", "USDT", "1000"),
                _entry(2, 1, "outside", "USDT", "-1000"),
                _entry(3, 2, "free", "USDT", "-1000"),
                _entry(4, 2, "bot", "USDT", "1000", 1),
                _entry(5, 3, "bot", "BTC", "2", 1),
                _entry(6, 3, "venue", "BTC", "-2"),
                _entry(7, 3, "bot", "USDT", "-200.2", 1),
                _entry(8, 3, "venue", "USDT", "200"),
                _entry(9, 3, "fees", "USDT", "0.2"),
            ],
            "balances": [
                {"account_id": 1, "bot_id": None, "coin": "USDT", "amount": "0"},
                {"account_id": 1, "bot_id": 1, "coin": "USDT", "amount": "799.8"},
                {"account_id": 1, "bot_id": 1, "coin": "BTC", "amount": "2"},
            ],
            "events": [{"workspace_id": 1, "seq": n, "kind": "fill", "text": str(n)} for n in (1, 2, 3)],
            "counters": [{"workspace_id": 1, "last": 3}],
            "inputs": [
                {"id": 1, "bot_id": 1, "kind": "filled", "number": 3, "payload": json.dumps(told)},
                {"id": 2, "bot_id": 1, "kind": "closed", "number": None, "payload": told},
            ],
            "markets": [{"id": 1, "base": "BTC", "quote": "USDT", "perpetual": 0}],
            "wallets": [
                {"account_id": 1, "coin": "USDT", "total": "799.8", "locked": "0"},
                {"account_id": 1, "coin": "BTC", "total": "2", "locked": "2"},
            ],
            "venue_orders": [done, rest],
            "executions": [{**BUY, "id": 5, "order_id": 71, "liquidation": 0}],
            "venue_positions": [],
        }
    )


Damage = Callable[[Books], object]
AT_ANY_MOMENT: dict[str, Damage] = {
    "twice by ('bot_id', 'slot', 'gen')": lambda books: books["orders"].append({**books["orders"][0], "id": 9}),
    "twice by ('account_id', 'market_id', 'exec_id')": lambda books: books["fills"].append(dict(books["fills"][0])),
    "twice by ('account_id', 'ref')": lambda books: books["journals"].append(dict(books["journals"][0])),
    "not in our books": lambda books: books["orders"].pop(1),
    "fills unlike their executions": lambda books: books["fills"][0].update(price="101"),
    "don't sum to zero": lambda books: books["entries"][8].update(amount="0.1"),
    "balances unlike their entries": lambda books: books["balances"][1].update(amount="800"),
    "fills and journals differ": lambda books: books["journals"][2].update(ref="fill:other"),
    "positions unlike their fills": lambda books: books["positions"][0].update(qty="1"),
    "gaps in events": lambda books: books["events"].pop(1),
    "event counters off": lambda books: books["counters"][0].update(last=4),
    "orders unlike their fills": lambda books: books["orders"][0].update(filled_qty="1"),
}
WHEN_SETTLED: dict[str, Damage] = {
    "executions not booked": lambda books: books["executions"].append(
        {**books["executions"][0], "id": 6, "exec_id": "7-2"}
    ),
    "books unlike the wallet": lambda books: books["wallets"][0].update(total="799.9"),
    "locked sums off": lambda books: books["wallets"][1].update(locked="1"),
    "live here or at the venue, not both": lambda books: books["venue_orders"][1].update(status="cancelled"),
}
SINCE: dict[str, Damage] = {
    "orders lost or changed": lambda books: books["orders"][0].update(qty="3"),
    "sent again although the venue had it": lambda books: books["orders"][0].update(client_order_id="y"),
    "fills lost or changed": lambda books: books["fills"].clear(),
    "journals lost or changed": lambda books: books["journals"].pop(0),
    "entries lost or changed": lambda books: books["entries"][0].update(amount="1001"),
    "events lost or changed": lambda books: books["events"][1].update(text="other"),
    "bots lost or changed": lambda books: books["bots"][0].update(status="error"),
}


def test_healthy_books_have_no_faults() -> None:
    assert unsettled(healthy()) == []
    assert lost(healthy(), healthy()) == []


def test_an_order_that_the_venue_never_saw_may_get_another_id() -> None:
    before, after = healthy(), healthy()
    before["orders"].append({**before["orders"][1], "id": 9, "slot": "c", "client_order_id": "x9", "status": "sending"})
    after["orders"].append({**before["orders"][2], "client_order_id": "y9"})
    assert lost(before, after) == []


@pytest.mark.parametrize("words", AT_ANY_MOMENT)
def test_damage_is_named_at_any_moment(words: str) -> None:
    books = healthy()
    AT_ANY_MOMENT[words](books)
    assert any(words in str(fault) for fault in faults(books)), faults(books)


@pytest.mark.parametrize("words", WHEN_SETTLED)
def test_damage_is_named_once_all_should_be_settled(words: str) -> None:
    books = healthy()
    WHEN_SETTLED[words](books)
    assert any(words in str(fault) for fault in unsettled(books)), unsettled(books)


@pytest.mark.parametrize("words", SINCE)
def test_what_was_there_and_is_gone_or_changed_is_named(words: str) -> None:
    before, after = healthy(), copy.deepcopy(healthy())
    SINCE[words](after)
    assert any(words in str(fault) for fault in lost(before, after)), lost(before, after)
