"""The venue's account held against our books: orders that shouldn't be there, coins that are missing, lost fills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import Event
from exchanges.models import PaperOrder, PaperWallet
from exchanges.paper import PaperVenue, deposit
from exchanges.paper_match import walk
from tests.factories import MarketFactory
from tests.trading.live_rules import orders, scripted
from tests.trading.scripted import buy
from tests.trading.test_lost_answers import NeverArrives, planned_bot
from tests.trading.test_unknown_orders import over
from tests.trading.world import World, check_books, live_orders, run_once
from trading.core.errors import OutcomeUnknown, VenueUnavailable
from trading.core.ports import OrderRequest
from trading.core.types import Bar, Kind, Side
from trading.models import Fill, Hold, Order, VenueCursor
from trading.runtime import accounts_reconcile
from trading.services.booking import executions_book
from trading.services.sending import orders_send

pytestmark = pytest.mark.django_db


def holds() -> list[tuple[str, str]]:
    return list(Hold.objects.filter(lifted_at=None).order_by("id").values_list("cause", "ref"))


def told(kind: str) -> list[str]:
    return list(Event.objects.filter(kind=kind).order_by("seq").values_list("text", flat=True))


def request(world: World, name: str, **values) -> OrderRequest:
    values = {"side": Side.BUY, "kind": Kind.LIMIT, "qty": Decimal(1), "price": Decimal(50)} | values
    return OrderRequest(name, world.market.symbol, **values)


def running(world: World):
    """A grid that has opened its position."""
    bot = world.bot()
    world.price(100.0)
    return bot


def test_an_account_that_agrees_is_left_in_peace():
    world = World()
    bot = running(world)
    before = Event.objects.count()
    accounts_reconcile()
    assert (holds(), Event.objects.count()) == ([], before)
    assert live_orders(bot)


# --- orders


def test_orders_of_others_are_neither_touched_nor_counted():
    world = World()
    running(world)
    PaperVenue(world.account).place([request(world, "by-hand-1"), request(world, "bnshort")])
    accounts_reconcile()
    assert PaperOrder.objects.filter(client_order_id__in=["by-hand-1", "bnshort"], status="working").count() == 2
    assert holds() == []


def test_an_order_that_has_ended_here_and_is_open_there_is_cancelled_and_told():
    """I5: none of our orders is open at the venue while the database takes it for ended."""
    world = World()
    bot = running(world)
    order = live_orders(bot)["grid:0:buy"]
    Order.objects.filter(pk=order.pk).update(status="cancelled", closed_at=timezone.now(), locked=0)
    accounts_reconcile()
    assert PaperOrder.objects.get(client_order_id=order.client_order_id).status == "cancelled"
    assert len(told("order.orphan")) == 1
    assert holds() == []
    accounts_reconcile()
    assert len(told("order.orphan")) == 1


def test_an_orphan_that_cant_be_cancelled_holds_its_bot_until_it_is_gone():
    class Keeps(PaperVenue):
        def cancel(self, client_order_ids):
            return self.lookup(client_order_ids)

    world = World()
    bot = running(world)
    order = live_orders(bot)["grid:0:buy"]
    Order.objects.filter(pk=order.pk).update(status="cancelled", closed_at=timezone.now(), locked=0)
    with over(Keeps):
        accounts_reconcile()
    assert holds() == [("foreign", order.client_order_id)]
    assert Hold.objects.get().bot == bot
    accounts_reconcile()
    assert holds() == []


def test_an_order_with_our_mark_that_nobody_knows_holds_the_account_and_stays():
    """It may be that of a copy of this installation: whose it is, only a person knows."""
    world = World()
    bot = running(world)
    name = "bn" + "a" * 24
    PaperVenue(world.account).place([request(world, name)])
    for _ in range(2):
        accounts_reconcile()
    assert holds() == [("foreign", name)]
    assert Hold.objects.get().bot is None
    assert PaperOrder.objects.get(client_order_id=name).status == "working"
    assert len(told("hold.set")) == 1
    PaperVenue(world.account).cancel([name])
    accounts_reconcile()
    assert holds() == []
    assert live_orders(bot)


def test_an_order_that_ends_while_the_venue_is_asked_is_no_orphan():
    world = World()
    bot = running(world)
    order = live_orders(bot)["grid:0:buy"]

    class Races(PaperVenue):
        """Lists its open orders, and then one is cancelled here and there."""

        def open_orders(self):
            listed = super().open_orders()
            Order.objects.filter(pk=order.pk, cancel_why="").update(cancel_why="cancelled")
            orders_send(bot, PaperVenue(world.account))
            return listed

    with over(Races):
        accounts_reconcile()
    assert (holds(), told("order.orphan")) == ([], [])


def test_an_attempt_that_was_given_up_and_turns_up_is_ended_and_its_fills_are_booked():
    """The proof of "never placed" was wrong: both attempts are at the venue."""
    world = World()
    bot = planned_bot(world)
    first = {order.slot: order.client_order_id for order in Order.objects.filter(bot=bot)}
    with pytest.raises(OutcomeUnknown):
        orders_send(bot, NeverArrives(world.account))
    accounts_reconcile(settle=timedelta(0), lookups=1)
    run_once()
    PaperVenue(world.account).place([request(world, first["grid:0:buy"], price=Decimal(90))])
    accounts_reconcile()
    assert PaperOrder.objects.get(client_order_id=first["grid:0:buy"]).status == "cancelled"
    assert "still open" in told("order.orphan")[0]
    PaperVenue(world.account).place(
        [request(world, first["grid:1:buy"], kind=Kind.MARKET, price=None, qty=Decimal("0.1"))]
    )
    world.price(100.0, run=False)
    executions_book(world.account, PaperVenue(world.account))
    late = Fill.objects.filter(bot=bot, order__slot="grid:1:buy")
    assert [fill.qty for fill in late] == [Decimal("0.1")]
    assert told("fill.foreign") == []
    check_books(world.account)


# --- fills


def test_fills_that_the_venue_counts_and_doesnt_list_hold_the_bot_until_they_are_booked():
    world = World()
    bot = running(world)

    class Forgets(PaperVenue):
        """Its list of executions lags behind its orders."""

        def executions(self, after):
            return []

    walk(world.market, Bar(world.ts_ms + 1000, 95.0, 95.0, 95.0, 95.0, 9.0))
    with over(Forgets):
        accounts_reconcile()
    order = Order.objects.get(bot=bot, slot="grid:1:buy", gen=1)
    assert order.is_live
    assert ("fills", order.client_order_id) in holds()
    accounts_reconcile()
    assert holds() == []
    order.refresh_from_db()
    assert order.status == "filled"
    check_books(world.account)


# --- coins


def test_coins_that_are_missing_at_the_venue_hold_the_account_until_they_are_back():
    world = World()
    running(world)
    wallet = PaperWallet.objects.get(account=world.account, coin="USDT")
    PaperWallet.objects.filter(pk=wallet.pk).update(total=wallet.total - 100)
    for _ in range(2):
        accounts_reconcile()
    assert holds() == [("balance", "USDT")]
    assert "our books say" in told("hold.set")[0]
    assert len(told("hold.set")) == 1
    PaperWallet.objects.filter(pk=wallet.pk).update(total=wallet.total)
    accounts_reconcile()
    assert holds() == []


def test_more_than_we_know_is_told_once_and_holds_nobody():
    world = World()
    running(world)
    deposit(world.account, "USDT", Decimal(5))
    for _ in range(3):
        accounts_reconcile()
    assert holds() == []
    assert len(told("balance.more")) == 1
    deposit(world.account, "USDT", Decimal(2))
    accounts_reconcile()
    assert [" 5 USDT" in told("balance.more")[0], " 7 USDT" in told("balance.more")[1]] == [True, True]


def test_balances_that_move_while_they_are_read_are_not_compared():
    world = World()
    running(world)

    class Moves(PaperVenue):
        """Something fills between two questions."""

        def balances(self):
            world.price(95.0, run=False)
            return super().balances()

    with over(Moves):
        accounts_reconcile()
    assert holds() == []
    assert VenueCursor.objects.get(account=world.account).executions


def test_a_trade_of_somebody_else_that_takes_coins_is_told_and_holds_the_account():
    world = World()
    running(world)
    PaperWallet.objects.filter(account=world.account, coin="BTC").update(locked=0)
    by_hand = request(world, "by-hand", side=Side.SELL, kind=Kind.MARKET, price=None, qty=Decimal("0.5"))
    PaperVenue(world.account).place([by_hand])
    PaperWallet.objects.filter(account=world.account, coin="BTC").update(locked=0)
    world.price(100.0)
    accounts_reconcile()
    assert "an order that isn't ours" in told("fill.foreign")[0]
    assert holds() == [("balance", "BTC")]


# --- a venue that can't be asked


class Away(PaperVenue):
    def balances(self):
        raise VenueUnavailable("503")


def test_an_account_that_cant_be_compared_for_a_minute_is_held_until_it_can():
    world = World()
    running(world)
    with over(Away):
        accounts_reconcile()
        assert holds() == []
        key = f"reconcile-fails-since:{world.account.pk}"
        cache.set(key, cache.get(key) - timedelta(seconds=59))
        accounts_reconcile()
        assert holds() in ([], [("reconcile", "")])  # a slow machine may have taken the second that is left
        cache.set(key, cache.get(key) - timedelta(seconds=2))
        accounts_reconcile()
        assert holds() == [("reconcile", "")]
    accounts_reconcile()
    assert holds() == []


def test_one_good_comparison_begins_the_minute_anew():
    world = World()
    running(world)
    key = f"reconcile-fails-since:{world.account.pk}"
    with over(Away):
        accounts_reconcile()
    assert cache.get(key) is not None
    accounts_reconcile()
    assert cache.get(key) is None


def test_a_report_of_more_than_is_booked_is_read_after_the_bookings():
    """What fills between the lookup and the bookings is no fault."""
    world = World()
    bot = running(world)

    class Fills(PaperVenue):
        def lookup(self, client_order_ids):
            world.price(95.0, run=False)
            return [replace(report) for report in super().lookup(client_order_ids)]

    with over(Fills):
        accounts_reconcile()
    assert Order.objects.get(bot=bot, slot="grid:1:buy", gen=1).status == "filled"
    assert not Hold.objects.exists()


def test_a_position_that_somebody_else_traded_holds_its_bot_until_a_person_has_looked():
    more = {"perpetual": True, "max_leverage": 10, "lot": Decimal("0.001"), "min_qty": Decimal("0.001")}
    world = World(market=MarketFactory(symbol="BTC/USDT:USDT", base="BTC", quote="USDT", **more))
    with scripted(orders(a=buy(90.0)), world) as (_, bot, _):
        by_hand = request(world, "by-hand", kind=Kind.MARKET, price=None, qty=Decimal("0.5"))
        PaperVenue(world.account).place([by_hand])
        world.price(100.0, run=False)
        for _ in range(2):
            accounts_reconcile()
        row = Hold.objects.get(lifted_at=None, cause="foreign")
        assert (row.bot, row.ref, row.needs_person) == (bot, "trade:BTC/USDT:USDT", True)
        assert len(told("fill.foreign")) == 1
