"""An amendment that the venue keeps refusing is asked for less and less often, told once, and holds nothing else up."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Event
from bots.models import BotInput
from exchanges.models import PaperOrder
from exchanges.paper import PaperVenue
from tests.trading.live_rules import committed, scripted
from tests.trading.scripted import buy
from tests.trading.test_unknown_orders import over
from tests.trading.world import run_once
from trading.clock import WALL
from trading.core.types import Decision, Woken
from trading.models import Order
from trading.services.sending import orders_send, orders_unsent
from trading.services.waking import bots_due

pytestmark = pytest.mark.django_db


class Refuses(PaperVenue):
    """Leaves every order as it is, and says why."""

    asked: int = 0
    why: str = "no margin"

    def amend(self, amendments):
        type(self).asked += 1
        known = self.lookup([change.client_order_id for change in amendments])
        return [replace(report, reason=self.why) for report in known]


@contextmanager
def refusing(*sizes: float):
    """A bot that wants its order larger, by the next of these sizes each time it is woken, and may not."""

    def decide(state, view):
        number = (state or 0) + sum(isinstance(item, Woken) for item in view.inbox)
        return Decision(number, {"a": buy(90.0, (1.0, *sizes)[min(number, len(sizes))])})

    class Line(Refuses):
        asked = 0

    with scripted(decide) as (world, bot, _):
        wake(bot)
        with over(Line):
            yield world, bot, Line


def wake(bot) -> None:
    BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
    committed(bot)


def order_of(bot) -> Order:
    return Order.objects.get(bot=bot, slot="a")


def over_with_its_pause(bot) -> None:
    Order.objects.filter(bot=bot).update(amend_after=timezone.now() - timedelta(seconds=1))


def told() -> list[str]:
    return list(Event.objects.filter(kind="order.kept").values_list("text", flat=True))


def test_it_is_asked_once_a_tick_and_nobody_is_due_for_it_until_its_pause_is_over():
    with refusing(2.0) as (_, bot, line):
        run_once()
        assert line.asked == 1
        assert not orders_unsent().filter(bot=bot).exists()
        assert bot.pk not in bots_due(WALL.now())
        for _ in range(3):
            run_once()
        assert line.asked == 1
        over_with_its_pause(bot)
        assert bot.pk in bots_due(WALL.now())
        run_once()
        assert line.asked == 2


def test_the_pause_doubles_up_to_a_minute():
    with refusing(2.0) as (world, bot, line):
        pauses = []
        for _ in range(9):
            before = timezone.now()
            orders_send(bot, line(world.account))
            after = order_of(bot).amend_after
            assert after is not None
            pauses.append((after - before).total_seconds())
            over_with_its_pause(bot)
        wanted = [1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert all(want <= pause for want, pause in zip(wanted, pauses, strict=True)), pauses
        assert all(pause < want + 60 for want, pause in zip(wanted, pauses, strict=True)), pauses
        assert order_of(bot).amend_tries == 9


def test_each_reason_is_told_once_and_stands_with_the_order():
    with refusing(2.0) as (world, bot, line):
        for why in ("no margin", "no margin", "too many changes", "too many changes"):
            line.why = why
            orders_send(bot, line(world.account))
            over_with_its_pause(bot)
        assert told() == ["Not changed (a): no margin", "Not changed (a): too many changes"]
        assert order_of(bot).reason == "not changed: too many changes"


def test_another_wish_is_asked_for_at_once():
    with refusing(2.0, 3.0) as (world, bot, line):
        orders_send(bot, line(world.account))
        wake(bot)
        assert (order_of(bot).amend_qty, order_of(bot).amend_tries) == (3, 0)
        orders_send(bot, PaperVenue(world.account))
        assert PaperOrder.objects.get().qty == 3


def test_one_that_is_taken_in_the_end_leaves_no_trace():
    with refusing(2.0) as (world, bot, line):
        orders_send(bot, line(world.account))
        over_with_its_pause(bot)
        orders_send(bot, PaperVenue(world.account))
        order = order_of(bot)
        assert (order.qty, order.amend_qty, order.amend_tries, order.amend_after, order.reason) == (
            2,
            None,
            0,
            None,
            "",
        )
