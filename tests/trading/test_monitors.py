"""Monitors of orders: what ought to have happened is asked about, and what the venue says is booked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import BotInput
from exchanges.models import PaperOrder
from exchanges.paper_match import WHOLE, Walked, walk
from exchanges.trails import Trails
from tests.factories import priced
from tests.trading.world import World, check_books, live_orders
from trading.core.types import Bar
from trading.jobs import Run
from trading.models import Fill, Order, Runtime
from trading.monitors import limit_orders_check, missing_orders_check, wishes_unreported
from trading.runtime import run_due
from trading.services.recovery import LOOKUPS

pytestmark = pytest.mark.django_db
LATER = timedelta(minutes=1)


def _limit_orders(after: timedelta = LATER) -> Run:
    run = Run()
    limit_orders_check(run, timezone.now() + after)
    return run


def _missing_orders(after: timedelta = LATER) -> Run:
    run = Run()
    missing_orders_check(run, timezone.now() + after)
    return run


def _filled_unheard(world: World, price: float) -> None:
    """The venue fills what the price passes, and its word never reaches us."""
    world.ts_ms += 1000
    bar = Bar(world.ts_ms, price, price, price, price)
    walk(world.market, bar, Trails(), WHOLE, Walked(bar, world.ts_ms))
    priced(world.market, price)


def test_a_fill_of_which_we_never_heard_is_found():
    world = World()
    bot = world.bot()
    world.price(100)
    before = Fill.objects.count()
    _filled_unheard(world, 94.0)
    assert Fill.objects.count() == before
    run = _limit_orders()
    assert run.repairs == 1
    assert run.did == "asked about 1 orders whose price was passed"
    assert Fill.objects.count() == before + 1
    run_due()
    check_books(world.account)
    assert live_orders(bot)


def test_an_order_whose_price_was_not_passed_is_left_alone():
    world = World()
    world.bot()
    run = _limit_orders()
    assert (run.did, run.repairs) == ("", 0)


def test_a_young_order_is_left_alone():
    world = World()
    world.bot()
    _filled_unheard(world, 94.0)
    assert _limit_orders(after=timedelta(0)).did == ""


def test_an_order_is_not_asked_about_twice_a_minute():
    world = World()
    world.bot()
    priced(world.market, 94.0)  # the venue has seen no such price: it goes on saying "working"
    assert _limit_orders().did != ""
    assert _limit_orders().did == ""


def test_an_order_that_the_venue_no_longer_lists_is_settled():
    world = World()
    bot = world.bot()
    world.price(100)
    lost = next(iter(live_orders(bot).values()))
    PaperOrder.objects.filter(client_order_id=lost.client_order_id).delete()
    runs = [_missing_orders() for _ in range(LOOKUPS)]
    assert runs[0].did == "1 orders that the venue doesn't list"
    assert runs[-1].repairs == 1
    lost.refresh_from_db()
    assert not lost.is_live
    assert BotInput.objects.filter(bot=bot, kind="closed", payload__slot=lost.slot).exists()  # it will hear of it


def test_what_the_venue_lists_is_no_news():
    world = World()
    world.bot()
    run = _missing_orders()
    assert (run.did, run.repairs) == ("", 0)


def test_a_bot_that_nobody_told_of_an_end_is_made_due():
    world = World()
    bot = world.bot()
    lost = next(iter(live_orders(bot).values()))
    now = timezone.now()
    Order.objects.filter(pk=lost.pk).update(status="cancelled", closed_at=now)  # and no input says so
    PaperOrder.objects.filter(client_order_id=lost.client_order_id).delete()
    Runtime.objects.filter(bot=bot).update(due_at=None, ticked_at=now - LATER)
    assert wishes_unreported(now) == []  # it may be on its way yet
    later = now + timedelta(minutes=6)
    assert wishes_unreported(later) == [bot.pk]
    run = _missing_orders(timedelta(minutes=6))
    assert run.repairs == 1
    assert Runtime.objects.get(bot=bot).due_at is not None


def test_a_paused_replay_is_nobodys_business():
    world = World()
    bot = world.bot()
    world.account.feed = "replay:x"
    world.account.save()
    PaperOrder.objects.filter(account=world.account).delete()
    assert _missing_orders().did == ""
    assert live_orders(bot)
