"""What a venue says of an order in any order, twice and before its answer: one end, every fill once, no way back.

F08, F09, F11 and F13 of the fault matrix, over all permutations.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count, permutations

import pytest
from django.db import transaction

from accounts.models import Event
from bots.models import BotInput
from tests.trading.live_rules import committed, scripted
from tests.trading.scripted import buy
from tests.trading.world import World
from trading.core.ports import Execution, OrderReport
from trading.core.types import Decision, Side
from trading.models import Balance, Fill, LedgerEntry, Order, Position
from trading.services.answers import reports_apply
from trading.services.booking import executions_book

pytestmark = pytest.mark.django_db
QTY = Decimal(2)
RANK = {"planned": 0, "sending": 1, "unknown": 2, "working": 3, "filled": 4, "cancelled": 4, "rejected": 4}


@dataclass
class Line:
    """A venue that says of one order what a test lets it say; executions are numbered as they are seen."""

    order_id: int
    cursors: count = field(default_factory=lambda: count(1))
    told: list[Execution] = field(default_factory=list)

    @property
    def order(self) -> Order:
        return Order.objects.select_related("bot__market", "market", "account").get(pk=self.order_id)

    def executions(self, after: int) -> list[Execution]:
        return [one for one in self.told if one.cursor > after]

    def fills(self, name: str, qty: str | Decimal, price: int = 90) -> None:
        order, amount = self.order, Decimal(qty)
        self.told.append(
            Execution(
                exec_id=name,
                client_order_id=order.client_order_id,
                exchange_order_id="7",
                symbol=order.market.symbol,
                side=Side.BUY,
                price=Decimal(price),
                qty=amount,
                fee=Decimal("0.01"),
                fee_coin="USDT",
                maker=True,
                ts_ms=1,
                cursor=next(self.cursors),
            )
        )
        executions_book(order.account, self)

    def says(self, status: str, filled: str = "0", reason: str = "") -> None:
        order = self.order
        reports_apply([order], [OrderReport(order.client_order_id, "7", status, Decimal(filled), reason)])


Say = Callable[[Line], None]


@dataclass(frozen=True)
class Story:
    says: tuple[Say, ...]
    status: str
    filled: str
    why: str
    last: Say = lambda line: None  # what the reconciliation finds when all is over


def fill(name: str, qty: str) -> Say:
    return lambda line: line.fills(name, qty)


def say(status: str, filled: str = "0", reason: str = "") -> Say:
    return lambda line: line.says(status, filled, reason)


STORIES = {
    "filled in two parts": Story(
        (say("working"), fill("a", "0.5"), fill("b", "1.5"), fill("a", "0.5"), say("filled", "2")),
        "filled",
        "2",
        "filled",
    ),
    "filled, and an old answer comes late": Story(
        (say("working"), fill("a", "0.5"), fill("b", "1.5"), say("filled", "2"), say("working", "0.5")),
        "filled",
        "2",
        "filled",
    ),
    "cancelled after a part": Story(
        (say("working"), fill("a", "0.5"), fill("a", "0.5"), say("cancelled", "0.5"), say("working", "0.5")),
        "cancelled",
        "0.5",
        "rejected",
        last=say("cancelled", "0.5"),
    ),
    "filled in part after its cancel was confirmed": Story(
        (say("working"), say("cancelled"), fill("a", "0.5"), fill("b", "0.25")), "cancelled", "0.75", "rejected"
    ),
    "refused after it was accepted": Story(
        (say("working"), say("rejected", reason="no margin"), say("working")), "rejected", "0", "rejected"
    ),
}


@pytest.fixture
def line():
    """An order that was sent and whose outcome is unknown."""
    with scripted(lambda state, view: Decision(None, {"a": buy(90.0, 2.0)}), World(), start=False) as (_, bot, _):
        bot.status = "running"
        bot.save()
        committed(bot)
        order = Order.objects.get(bot=bot)
        Order.objects.filter(pk=order.pk).update(status="unknown")
        yield Line(order.pk)


def told_in(line: Line, says: tuple[Say, ...]) -> None:
    """Say all of it; the order only ever moves on."""
    rank, filled, ended = 0, Decimal(0), ""
    for one in says:
        one(line)
        order = line.order
        assert RANK[order.status] >= rank, f"{order.status} after rank {rank}"
        assert order.filled_qty >= filled
        assert ended in ("", order.status), f"{ended} became {order.status}"
        rank, filled = RANK[order.status], order.filled_qty
        ended = order.status if rank == 4 else ""


def outcome(line: Line) -> tuple[object, ...]:
    order = line.order
    position = Position.objects.filter(bot=order.bot).first()
    closed = BotInput.objects.filter(bot=order.bot, kind="closed")
    return (
        order.status,
        order.filled_qty,
        position.qty if position else Decimal(0),
        sum((one.qty for one in Fill.objects.filter(order=order)), Decimal(0)),
        [row.payload["why"] for row in closed],
        order.locked,
    )


@pytest.mark.parametrize("name", STORIES)
def test_in_whatever_order_it_is_told_it_ends_the_same(line, name):
    story = STORIES[name]
    filled = Decimal(story.filled)
    for number, says in enumerate(permutations(story.says)):
        point = transaction.savepoint()
        told_in(line, says)
        story.last(line)
        found = outcome(line)
        assert found == (story.status, filled, filled, filled, [story.why], 0), f"permutation {number}"
        check_ledger(line)
        transaction.savepoint_rollback(point)
        line.told.clear()


def test_six_pieces_of_news_in_any_order(line):
    """All 360 orders of an acknowledgement, an old answer, two fills, one of them twice, and the end."""
    story = (
        say("working"),
        say("working", "0.5"),
        fill("a", "0.5"),
        fill("a", "0.5"),
        fill("b", "1.5"),
        say("filled", "2"),
    )
    ways = [way for way in permutations(range(6)) if way.index(2) < way.index(3)]
    assert len(ways) == 360
    for way in ways:
        point = transaction.savepoint()
        told_in(line, tuple(story[index] for index in way))
        assert outcome(line) == ("filled", 2, 2, 2, ["filled"], 0), way
        transaction.savepoint_rollback(point)
        line.told.clear()


def check_ledger(line: Line) -> None:
    """Every coin that moved came from somewhere, and the bot's balances are the sums of its entries."""
    sums: dict[str, Decimal] = {}
    mine: dict[str, Decimal] = {}
    bot = line.order.bot
    for entry in LedgerEntry.objects.all():
        sums[entry.coin] = sums.get(entry.coin, Decimal(0)) + entry.amount
        if entry.book == "bot" and entry.bot_id == bot.pk:
            mine[entry.coin] = mine.get(entry.coin, Decimal(0)) + entry.amount
    assert not any(sums.values())
    assert mine == {row.coin: row.amount for row in Balance.objects.filter(bot=bot)}


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 50])
def test_an_order_that_fills_in_pieces_is_whole_with_the_last(line, pieces):
    """F09: no dust is left over, and what it holds of the budget shrinks with each piece."""
    rng = random.Random(pieces)
    lots = 200_000  # of 0.00001
    cuts = sorted(rng.sample(range(1, lots), pieces - 1))
    sizes = [Decimal(end - begin) / 100_000 for begin, end in zip([0, *cuts], [*cuts, lots], strict=True)]
    line.says("working")
    locked = line.order.locked
    for number, size in enumerate(sizes, 1):
        line.fills(str(number), size, price=rng.choice([88, 89, 90]))
        order = line.order
        assert order.filled_qty == sum(sizes[:number])
        assert (order.status == "filled") == (number == pieces)
        assert order.locked < locked
        locked = order.locked
    order = line.order
    fills = Fill.objects.filter(order=order)
    assert (fills.count(), order.filled_qty, order.locked) == (pieces, QTY, 0)
    assert order.filled_quote == sum(one.qty * one.price for one in fills)
    position = Position.objects.get(bot=order.bot)
    assert (position.qty, position.cost) == (QTY, order.filled_quote)
    assert [row.payload["why"] for row in BotInput.objects.filter(bot=order.bot, kind="closed")] == ["filled"]
    check_ledger(line)


def test_a_fill_after_the_end_is_told_as_what_it_is(line):
    """F13: booked, and nobody has to find it by himself."""
    line.says("working")
    line.says("cancelled")
    line.fills("late", "0.5")
    event = Event.objects.get(kind="fill")
    assert event.level == "warning"
    assert "after its order had ended" in event.text
    assert BotInput.objects.filter(kind="filled", payload__qty=0.5).count() == 1
