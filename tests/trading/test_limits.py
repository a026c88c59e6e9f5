"""Limits of account and workspace at work: the tighter one decides, refusals are kept, replays know none."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext

from risk.models import Limits
from risk.selectors import limits_for
from risk.services import limits_set
from tests.factories import AccountFactory, member_of
from tests.trading.halts import live, owner_of
from tests.trading.world import World
from trading.core.errors import InvalidInputs
from trading.core.ports import RiskLimits
from trading.models import Order, Runtime
from trading.runtime import run_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def limited(world: World, *, of_account: bool = False, **values: object) -> None:
    account = world.account if of_account else None
    Limits.objects.create(workspace=world.account.workspace, account=account, **values)


def again(bot) -> None:
    """Let the bot ask again, as it does by itself after its back-off."""
    Runtime.objects.filter(bot=bot).update(due_at="2020-01-01T00:00Z", not_before=None)
    run_due()


def test_the_tighter_of_both_decides_for_each_limit_alone(world):
    assert limits_for(world.account) == RiskLimits()
    limited(world, max_order=Decimal(500), max_orders=10)
    limited(world, of_account=True, max_order=Decimal(800), max_orders=4, max_deviation=Decimal("0.1"))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = limits_for(world.account)
    assert found == RiskLimits(max_order=Decimal(500), max_orders=4, max_deviation=Decimal("0.1"))
    assert len(queries) == 1
    other = AccountFactory(workspace=world.account.workspace)
    assert limits_for(other) == RiskLimits(max_order=Decimal(500), max_orders=10)
    assert limits_for(AccountFactory()) == RiskLimits()


def test_an_order_over_the_limit_is_denied_with_its_reason_and_placed_once_the_limit_is_gone(world):
    limited(world, max_order=Decimal(200))
    bot = world.bot()
    denied = Order.objects.filter(bot=bot, status="denied").first()
    assert denied is not None
    assert "the limit of one order is 200 USDT" in denied.reason
    Limits.objects.all().delete()
    again(bot)
    assert not Order.objects.filter(bot=bot, status="denied", wanted=True).exists()
    assert live(bot)


def test_no_more_orders_rest_than_the_limit_allows_and_exits_still_may(world):
    limited(world, max_orders=1)
    bot = world.bot()
    world.price(100.0)
    adding = [order for order in live(bot) if not order.reduce]
    assert len(adding) <= 1
    assert Order.objects.filter(bot=bot, status="denied", reason__contains="as many open orders").exists()
    assert [order for order in live(bot) if order.reduce], "what it bought is on sale all the same"


def test_position_and_open_buys_together_stay_within_the_limit(world):
    limited(world, max_position=Decimal(800))
    bot = world.bot()
    for price in (100.0, 96.0, 93.0, 91.0, 89.0):
        world.price(price)
        again(bot)
        held = sum((position.qty for position in bot.positions.all()), Decimal(0)) * Decimal(str(price))
        waiting = sum((o.price or Decimal(str(price))) * (o.qty - o.filled_qty) for o in live(bot) if not o.reduce)
        assert held + waiting <= 801, price  # an order written at one price fills at the next
    assert Order.objects.filter(bot=bot, reason__contains="limit of 800 USDT").exists()


def test_only_an_owner_changes_limits_and_hears_of_all_faults_at_once(world):
    workspace = world.account.workspace
    with pytest.raises(PermissionDenied):
        limits_set(workspace=workspace, account=None, values={}, by=member_of(workspace, "trader"))
    wrong = {"max_order": Decimal(-1), "max_orders": 0, "max_deviation": Decimal("1.01")}
    with pytest.raises(InvalidInputs) as refused:
        limits_set(workspace=workspace, account=None, values=wrong, by=owner_of(workspace))
    assert {fault.field for fault in refused.value.faults} == set(wrong)
    fits = {"max_order": Decimal(10), "max_orders": 1, "max_deviation": Decimal(1)}
    limits_set(workspace=workspace, account=None, values=fits, by=owner_of(workspace))
    assert Limits.objects.get().max_position is None
