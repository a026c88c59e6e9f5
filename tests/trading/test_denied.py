"""What a bot may not have is kept with its reason, asked again with back-off, and never forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import Event
from bots.services import bot_start
from tests.trading.world import World, live_orders, run_once
from trading.core.types import Bar, Decision, Kind, Side, Want
from trading.leases import lease_take
from trading.models import Order, Runtime
from trading.selectors import orders_denied, why
from trading.services.decisions import decision_commit
from trading.situation import situation_of

pytestmark = pytest.mark.django_db


def later(bot) -> None:
    """Let the back-off pass."""
    Runtime.objects.filter(bot=bot).update(due_at=timezone.now() - timedelta(seconds=1))


def test_without_a_price_a_bot_waits_and_starts_by_itself_when_one_comes():
    world = World()
    cache.clear()
    bot = world.bot()
    assert not Order.objects.filter(bot=bot).exists()
    assert why(bot).headline == "Waiting for the first price."
    Runtime.objects.filter(bot=bot).update(not_before=timezone.now(), due_at=timezone.now())
    world.price(100.0)
    assert live_orders(bot)


def test_what_was_denied_dropped_and_asked_again_counts_as_wanted():
    world = World()
    bot = world.bot()
    lease = lease_take(bot.pk)
    assert lease is not None
    want = Want("main", Side.BUY, Kind.LIMIT, qty=1000.0, price=90.0)
    for orders in ({"x": want}, {}, {"x": want}):
        situation = situation_of(bot, Runtime.objects.get(bot=bot), timezone.now())
        assert situation is not None
        decision_commit(lease, situation, Decision(None, orders))
        assert Order.objects.get(bot=bot, slot="x").wanted is bool(orders)
    assert [order.slot for order in orders_denied(bot)] == ["x"]


def test_a_stale_price_denies_what_adds_risk_once_in_the_log_and_heals(settings):
    settings.PRICE_MAX_AGE_MS = 300_000
    world = World()
    bot = world.bot(start=False)
    old = int(timezone.now().timestamp() * 1000) - 301_000
    world.pipeline.price_apply(world.market, Bar(world.ts_ms, 100, 100, 100, 100), old)
    bot_start(bot=bot, by=None)
    run_once()
    assert not live_orders(bot)
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"denied"}
    assert "older than 300 s" in " ".join(why(bot).lines)
    told = Event.objects.filter(kind="order.denied").count()
    waits = []
    for _ in range(8):
        later(bot)
        run_once()
        waits.append(Runtime.objects.get(bot=bot).backoff_s)
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert Event.objects.filter(kind="order.denied").count() == told
    world.price(100.0)
    later(bot)
    run_once()
    assert set(live_orders(bot)) == {"grid:0:buy", "grid:1:buy", "grid:open"}
    assert Runtime.objects.get(bot=bot).backoff_s == 0
