"""Short stories for the order machine, each around one guard of the engine: with the guard taken out, it is reported.

The machine finds such steps by itself; here they stand so that every guard is met in every run, and fails by name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from bots.services import bot_pause, bot_stop
from tests.trading.machine_steps import Steps
from tests.trading.machine_world import MachineWorld, Steered, on_the_machine
from trading.models import Order

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def steps(settings) -> Iterator[Steps]:
    """A bot with a buy of 1 resting at 99.50; the price is 100."""
    settings.PRICE_MAX_AGE_MS = 30_000
    logging.disable(logging.CRITICAL)
    steered = Steered()
    with on_the_machine(steered):
        made = Steps(MachineWorld((False,), steered))
        buys(made, "a", away=-0.5)
        yield made
    logging.disable(logging.NOTSET)


def buys(steps: Steps, slot: str, *, qty: float = 1.0, away: float = -2.0) -> None:
    steps.want(0, slot, "limit", buys=True, qty=qty, away=away)


def gives_up(steps: Steps, fate: str) -> None:
    """A second buy is sent, and its sender never hears of it."""
    steps.fault(("place", fate), 1, tick=False)
    buys(steps, "b", away=-6.0)


def a_fill_is_seen_after_the_cancel_that_it_overtook(steps: Steps) -> None:
    steps.meanwhile(("cancel", "before"), "unseen fill", 0)
    steps.drop(0, "a", again=False, tick=True)


def an_order_in_doubt_is_cancelled_and_arrives(steps: Steps) -> None:
    gives_up(steps, "later")
    steps.cancel_by_hand(0)
    steps.passes(6.0)  # the venue was away a moment ago: it isn't asked again at once
    steps.tick()
    steps.land()


def an_unknown_order_is_asked_about_and_sent_once(steps: Steps) -> None:
    gives_up(steps, "unanswered")
    steps.tick()
    steps.passes(11.0)
    steps.tick()


def a_lost_order_is_proved_lost_and_its_first_send_arrives_late(steps: Steps) -> None:
    gives_up(steps, "later")
    for _ in range(4):
        steps.passes(26.0)
        steps.reconcile()
    steps.tick()
    steps.land()


def an_order_that_is_asked_about_too_early_arrives(steps: Steps) -> None:
    gives_up(steps, "later")
    for _ in range(4):
        steps.reconcile()
    steps.tick()
    steps.land()


def a_fill_comes_while_the_bot_decides(steps: Steps) -> None:
    steps.world.steered.hook = lambda: steps.world.price(-1.0)
    buys(steps, "b", away=-6.0)


def two_orders_want_more_than_the_budget(steps: Steps) -> None:
    buys(steps, "b", qty=6.0)
    buys(steps, "c", qty=6.0)
    steps.price(-6.0, wide=False, thin=False, tick=True)


def it_is_stopped_while_it_decides(steps: Steps) -> None:
    steps.world.steered.hook = lambda: bot_stop(bot=steps.world.bots[0], mode="keep", by=None)
    buys(steps, "b", away=-6.0)


def it_is_paused_while_it_decides(steps: Steps) -> None:
    steps.world.steered.hook = lambda: bot_pause(bot=steps.world.bots[0], by=None)
    buys(steps, "b", away=-6.0)


def a_cancel_never_arrives(steps: Steps) -> None:
    steps.fault(("cancel", "lost"), 1, tick=False)
    steps.drop(0, "a", again=False, tick=True)


def an_amendment_is_on_its_way_while_another_is_wanted(steps: Steps) -> None:
    steps.fault(("amend", "later"), 1, tick=False)
    steps.amend(0, "a", qty=1.5, away=None, tick=True)
    steps.passes(6.0)
    steps.amend(0, "a", qty=3.0, away=None, tick=True)
    steps.land()


def a_worker_is_overtaken_while_it_decides(steps: Steps) -> None:
    buys(steps, "b", away=-6.0)
    steps.world.steered.hook = lambda: steps.world.others(0.0)
    steps.drop(0, "b", again=False, tick=True)


def a_worker_sleeps_between_its_claim_and_its_send(steps: Steps) -> None:
    steps.meanwhile(("place", "before"), "others much later", 0)
    buys(steps, "b", away=-6.0)
    for _ in range(3):
        steps.passes(26.0)
        steps.reconcile()
    steps.tick()


def executions_come_twice_and_backwards(steps: Steps) -> None:
    steps.price(-1.0, wide=False, thin=True, tick=True)
    steps.fault(("executions", "again"), 2, tick=False)
    steps.price(-1.0, wide=False, thin=True, tick=True)
    steps.restart(again=True)


STORIES: list[Callable[[Steps], None]] = [
    a_fill_is_seen_after_the_cancel_that_it_overtook,
    an_order_in_doubt_is_cancelled_and_arrives,
    an_unknown_order_is_asked_about_and_sent_once,
    a_lost_order_is_proved_lost_and_its_first_send_arrives_late,
    an_order_that_is_asked_about_too_early_arrives,
    a_fill_comes_while_the_bot_decides,
    two_orders_want_more_than_the_budget,
    it_is_stopped_while_it_decides,
    it_is_paused_while_it_decides,
    a_cancel_never_arrives,
    an_amendment_is_on_its_way_while_another_is_wanted,
    a_worker_is_overtaken_while_it_decides,
    a_worker_sleeps_between_its_claim_and_its_send,
    executions_come_twice_and_backwards,
]


@pytest.mark.parametrize("story", STORIES)
def test_a_story_breaks_nothing(steps: Steps, story: Callable[[Steps], None]) -> None:
    story(steps)
    assert steps.world.look() == []
    assert steps.world.settle() == []
    assert Order.objects.exists()
