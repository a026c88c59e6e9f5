"""Bots on an account at a real venue process: answers get lost, and the books agree with its log in the end."""

from __future__ import annotations

import random
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Account
from bots.models import Bot
from exchanges.models import DemoClock, PaperOrder
from tests.exchanges.venue_process import SECRET
from tests.factories import UserFactory
from tests.trading.wire_world import WireWorld, differences
from trading.core.errors import InvalidInput, VenueUnavailable
from trading.models import Fill, Journal, Order
from trading.runtime import accounts_reconcile, venue_for
from trading.selectors import free_balance
from trading.services.funding import paper_account_fund, paper_account_reset
from trading.services.venue_accounts import process_account_open
from trading.streams import account_book

pytestmark = pytest.mark.django_db
GRID = {"lower": 90, "upper": 110, "levels": 9, "spacing": "arithmetic", "investment": 1000}
LOST = ("drop_before", "drop_after", "gateway_before", "gateway_after", "garbled", "truncated")


@pytest.fixture
def process(venue_process, settings):
    settings.PAPER_VENUE_URL, settings.PAPER_VENUE_KEY = venue_process.url, SECRET
    yield venue_process
    venue_process.control("clear", None)


def wave(seed: int, moves: int) -> list[float]:
    """Prices that cross the grid again and again."""
    dice = random.Random(seed)
    price, prices = 100.0, []
    for _ in range(moves):
        price = min(112.0, max(88.0, price + dice.uniform(-6, 6)))
        prices.append(round(price, 2))
    return prices


def test_a_grid_trades_at_the_venue_process(process):
    world = WireWorld(process)
    bot = world.bot(params=dict(GRID))
    for price in (97.0, 101.0, 94.0, 103.0, 99.0):
        world.price(price)
    assert Fill.objects.filter(bot=bot).count() >= 5
    assert differences(world) == []
    assert not PaperOrder.objects.exists()  # the platform's own book has nothing of it


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_lost_requests_and_answers_double_and_lose_nothing(process, seed):
    world = WireWorld(process)
    bot = world.bot(params=dict(GRID))
    dice = random.Random(seed)
    for number, fault in enumerate(LOST):
        calls = ("place", "cancel", "amend", "lookup", "executions")
        world.fault(fault, *calls, count=None, probability=0.06, seed=100 * seed + number)
    world.fault("rate_limited", count=None, probability=0.03, seed=seed)
    for fault in ("missing", "duplicated", "reordered"):
        world.fault(fault, "executions", count=None, probability=0.2, seed=seed)
    for price in wave(seed, 40):
        world.price(price)
        if dice.random() < 0.4:
            world.reconcile()
    world.settle()
    played = process.truth(world.key, "fault")
    assert len(played) >= 15
    assert Fill.objects.filter(bot=bot).count() >= 20
    assert differences(world) == []
    bot.refresh_from_db()
    assert bot.status == Bot.Status.RUNNING


def test_an_order_that_lagging_reads_do_not_know_is_waited_for_and_not_placed_again(process):
    world = WireWorld(process)
    world.fault("lag", "lookup", "open_orders", count=None, seconds=600)
    world.fault("drop_after", "place")
    bot = world.bot(params=dict(GRID))
    for _ in range(5):
        accounts_reconcile()
        world.run()
    assert set(Order.objects.filter(bot=bot).values_list("status", "attempt")) == {("unknown", 1)}
    accepted = [row["client_order_id"] for row in process.truth(world.key, "accepted")]
    assert sorted(accepted) == sorted(Order.objects.filter(bot=bot).values_list("client_order_id", flat=True))
    world.settle()
    assert not Order.objects.filter(bot=bot).exclude(attempt=1).exists()
    assert differences(world) == []


def test_a_venue_that_was_killed_is_traded_on_as_if_nothing_had_been(process):
    world = WireWorld(process)
    bot = world.bot(params=dict(GRID))
    world.price(96.0)
    process.kill()
    with pytest.raises(VenueUnavailable, match="can't be reached"):
        world.hear()
    world.run()
    process.start()
    for price in (103.0, 95.0, 101.0):
        world.price(price)
    world.settle()
    assert Fill.objects.filter(bot=bot).count() >= 4
    assert differences(world) == []


def test_prices_here_ask_nothing_of_an_account_elsewhere(process):
    world = WireWorld(process)
    world.bot(params=dict(GRID))
    Order.objects.filter(account=world.account).update(kind="market")  # the kind that a walk may end without a fill
    process.fault("drop_before", account=world.key)
    world.pipeline._walked[world.market.pk] = world.market
    world.pipeline._book()
    assert process.truth(world.key, "fault") == []


def test_its_money_comes_from_the_venue_alone(process):
    user = UserFactory()
    account = process_account_open(workspace=user.memberships.get().workspace, name="Process", amount=Decimal(500))
    assert free_balance(account, "USDT") == Decimal(500)
    again = process_account_open(workspace=account.workspace, name="Process", amount=Decimal(500))
    assert again == account
    assert Journal.objects.filter(account=account).count() == 1
    assert venue_for(account).balances() == {"USDT": Decimal(500)}
    for change in (
        lambda: paper_account_fund(account=account, coin="USDT", amount=Decimal(1)),
        lambda: paper_account_reset(account=account, amount=Decimal(1)),
    ):
        with pytest.raises(InvalidInput, match="at its venue"):
            change()


def test_the_answer_to_its_opening_may_be_lost(process):
    workspace = UserFactory().memberships.get().workspace
    process.fault("drop_after", "deposit")
    with pytest.raises(Exception, match="no answer"):
        process_account_open(workspace=workspace, name="Process", amount=Decimal(500))
    account = process_account_open(workspace=workspace, name="Process", amount=Decimal(500))
    assert venue_for(account).balances() == {"USDT": Decimal(500)}
    assert free_balance(account, "USDT") == Decimal(500)


def test_the_command_opens_an_account_on_the_same_prices(process):
    UserFactory(email="trader@example.org")
    out = StringIO()
    for _ in range(2):
        call_command(
            "create_paper_account", "--user", "trader@example.org", "--name", "P", "--venue", "process",
            "--balance", "5000", stdout=out,
        )  # fmt: skip
    account = Account.objects.get(venue=Account.Venue.PAPER_PROCESS)
    assert str(account.public_id) in out.getvalue()
    assert venue_for(account).balances() == {"USDT": Decimal(5000)}
    DemoClock.objects.update(seed=8)
    with pytest.raises(CommandError, match="prices wouldn't be"):
        call_command("create_paper_account", "--user", "trader@example.org", "--name", "Q", "--venue", "process")


def test_without_an_address_nothing_is_sent(settings):
    settings.PAPER_VENUE_URL = ""
    with pytest.raises(VenueUnavailable, match="PAPER_VENUE_URL"):
        account_book(Account(venue=Account.Venue.PAPER_PROCESS))
