"""A running bot meets newer code: its state is brought up once, its orders stay, and an edit comes after it."""

from __future__ import annotations

import pytest

from bots.models import Bot
from bots.services import bot_edit
from tests.trading.live_rules import scripted, woken
from tests.trading.scripted import Scripted, buy
from tests.trading.world import live_orders
from trading.core.types import Decision
from trading.dryrun import what_now
from trading.models import Order, Runtime
from trading.runtime import run_due

pytestmark = pytest.mark.django_db


def keeping(states: list[object]):
    """A strategy that rests one buy, remembers each state it was given, and answers how many it has seen."""

    def answer(state, view):
        states.append(state)
        return Decision({"seen": len(states)}, {"base": view.orders.get("base") or buy(90.0)})

    return answer


def newer(strategy: Scripted) -> None:
    strategy.version = strategy.version + 1


def test_the_first_decision_of_newer_code_gets_the_state_in_its_form_and_the_next_one_its_own():
    states: list[object] = []
    with scripted(keeping(states)) as (_, bot, strategy):
        order = live_orders(bot)["base"]
        newer(strategy)
        woken(bot)
        woken(bot)
        assert states == [None, {"upgraded_from": 1}, {"seen": 2}]
        assert Runtime.objects.get(bot=bot).state_version == 2
        assert Order.objects.get(bot=bot) == order
        assert live_orders(bot)["base"].status == Order.Status.WORKING


def test_an_edit_is_adopted_after_the_upgrade():
    states: list[object] = []
    with scripted(keeping(states)) as (_, bot, strategy):
        given: list[object] = []

        def adopt(old_params, params, state, view):
            given.append((old_params.size, params.size, state))
            return state | {"adopted": True}

        strategy.adopt = adopt
        newer(strategy)
        bot_edit(bot=bot, by=None, changes={"params": {"size": 3}})
        run_due()
        assert given == [(1, 3, {"upgraded_from": 1})]
        assert states[-1] == {"upgraded_from": 1, "adopted": True}


def test_a_dry_run_by_newer_code_changes_nothing():
    states: list[object] = []
    with scripted(keeping(states)) as (_, bot, strategy):
        newer(strategy)
        assert what_now(bot).quiet
        assert states[-1] == {"upgraded_from": 1}
        runtime = Runtime.objects.get(bot=bot)
        assert (runtime.state, runtime.state_version, runtime.number) == ({"seen": 1}, 1, 1)


def test_a_state_that_cannot_be_brought_up_stops_that_bot_with_its_reason_and_loses_nothing():
    states: list[object] = []
    with scripted(keeping(states)) as (_, bot, strategy):

        def upgrade(version, state):
            raise KeyError("phase")

        strategy.upgrade = upgrade
        newer(strategy)
        woken(bot)
        bot.refresh_from_db()
        assert bot.status == Bot.Status.ERROR
        assert bot.status_reason
        assert Runtime.objects.get(bot=bot).state == {"seen": 1}
        assert live_orders(bot)["base"].status == Order.Status.WORKING
