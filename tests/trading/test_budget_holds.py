"""Bots that share an account never spend each other's coins, whatever the price does before a market order fills."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trading.world import World, check_books, live_orders
from trading.models import Balance, Order
from trading.situation import free_funds

pytestmark = pytest.mark.django_db


def least_free(bot) -> Decimal:
    live = list(Order.objects.filter(bot=bot, status__in=Order.LIVE))
    return min(free_funds(bot, live).values())


def test_an_opening_buy_that_would_cost_more_than_its_budget_is_refused_and_not_paid_by_others():
    world = World()
    bot = world.bot()
    assert "grid:open" in live_orders(bot)
    world.price(150.0)
    assert not bot.fills.exists()
    opening = Order.objects.get(bot=bot, slot="grid:open", gen=1)
    assert opening.status == "cancelled"
    assert "insufficient funds" in opening.reason
    assert least_free(bot) >= 0
    check_books(world.account)


def test_a_small_move_is_paid_from_what_the_budget_leaves():
    world = World()
    bot = world.bot()
    world.price(100.5)
    assert [fill.price for fill in bot.fills.all()] == [Decimal("100.5")]
    assert least_free(bot) >= 0
    check_books(world.account)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(moves=st.lists(st.sampled_from([-12, -7, -3, -1, 1, 2, 4, 9, 15]), min_size=5, max_size=25))
def test_no_budget_is_ever_overdrawn(moves):
    world = World()
    bots = [world.bot(), world.bot(budget=Decimal(1000))]
    price = 100.0
    for move in moves:
        price = min(max(price + move, 60.0), 160.0)
        world.price(price)
        for bot in bots:
            assert least_free(bot) >= 0
    assert min(row.amount for row in Balance.objects.filter(account=world.account)) >= 0
    check_books(world.account)
