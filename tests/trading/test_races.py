"""What several workers do to each other on PostgreSQL: no deadlock, no double claim, no budget out of nowhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction

from accounts.containment import contain
from bots.models import Bot
from bots.services import bot_start
from exchanges.models import Market
from exchanges.paper_match import walk
from tests.trading.world import World, check_books
from trading.clock import WALL
from trading.core.types import Bar
from trading.leases import lease_take
from trading.models import Balance, Fill, Order, Runtime
from trading.runtime import _step, venue_for
from trading.services.booking import executions_book
from trading.services.funding import budget_allocate, paper_account_reset
from trading.services.sending import _claim

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]

PATIENCE_S = 120


class Aside(threading.Thread):
    """Work of another process: `held()` runs in a transaction that stays open until `end` is called."""

    def __init__(self, held: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._held = held
        self._begun, self._may_end = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self.start()
        assert self._begun.wait(PATIENCE_S)

    def run(self) -> None:
        with contain("aside") as outcome, transaction.atomic():
            self._held()
            self._begun.set()
            self._may_end.wait(PATIENCE_S)
        self.error = outcome.error
        self._begun.set()
        connections.close_all()

    def end(self) -> None:
        self._may_end.set()
        self.join(PATIENCE_S)
        assert self.error is None


@contextmanager
def impatient() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
        yield
        cursor.execute("RESET lock_timeout")  # the connection is the next tests', too


def done(work: Callable[[], object], failed: list[str]) -> None:
    """Run `work` in a thread of its own and keep what it complained about."""
    with contain("aside") as outcome:
        work()
    if outcome.error is not None:
        failed.append(str(outcome.error))
    connections.close_all()


def planned(world: World) -> list[Order]:
    """A bot whose decision is committed and whose orders aren't sent yet."""
    bot = world.bot(start=False)
    bot_start(bot=bot, by=None)
    lease = lease_take(bot.pk)
    assert lease is not None
    assert _step(lease, bot, Runtime.objects.get(bot=bot), WALL)
    return list(Order.objects.filter(bot=bot).order_by("id"))


def test_booking_does_not_wait_for_those_who_write_about_the_same_market_or_bot():
    world = World()
    bot = world.bot()
    bar = Bar(world.ts_ms + 1000, 100.0, 100.0, 100.0, 100.0)
    assert walk(world.market, bar)

    def as_an_insert_does() -> None:
        list(Market.objects.raw("SELECT * FROM exchanges_market WHERE id = %s FOR KEY SHARE", [world.market.pk]))
        list(Bot.objects.raw("SELECT * FROM bots_bot WHERE id = %s FOR KEY SHARE", [bot.pk]))

    other = Aside(as_an_insert_does)
    with impatient():
        executions_book(world.account, venue_for(world.account))
    other.end()
    assert Fill.objects.filter(bot=bot).count() == 1
    check_books(world.account)


def test_two_senders_at_once_claim_an_order_once():
    order = planned(World())[0]
    claims: list[bool] = []
    first = Aside(lambda: claims.append(_claim(order)))
    second = threading.Thread(target=done, args=(lambda: claims.append(_claim(order)), []))
    second.start()
    second.join(0.5)
    assert second.is_alive(), "it waits for the first"
    first.end()
    second.join(PATIENCE_S)
    assert claims == [True, False]


def test_a_reset_of_the_account_does_not_take_what_a_bot_is_just_being_given():
    world = World(cash="1000")
    bot = world.bot(start=False, budget=Decimal(600))
    bot_start(bot=bot, by=None)
    Bot.objects.filter(pk=bot.pk).update(status="draft")

    def starts() -> None:
        Bot.objects.filter(pk=bot.pk).update(status="running")
        budget_allocate(bot=bot)

    starting = Aside(starts)
    failed: list[str] = []
    resetting = threading.Thread(
        target=done, args=(lambda: paper_account_reset(account=world.account, amount=Decimal(500)), failed)
    )
    resetting.start()
    resetting.join(0.5)
    starting.end()
    resetting.join(PATIENCE_S)
    assert [text[:13] for text in failed] == ["stop the bots"]
    assert Balance.objects.get(account=world.account, bot=None, coin="USDT").amount == 400
    check_books(world.account)
