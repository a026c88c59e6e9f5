"""Real bots of every shape in bad weather, on the real runtime: decisions, sends, bookings, reconciliations and stops.

Fills are partial, late, doubled and out of order; answers get lost, workers die, people cancel, pause, edit and stop;
prices gap and stand still. What must hold at each step and in the end stands in storm_checks.py. More and other
examples than the few of an ordinary run: BINNACLE_STORMS=200 pytest tests/trading/test_live_storms.py
"""

from __future__ import annotations

import logging
import os
import random
from contextlib import suppress
from typing import ClassVar, NamedTuple

import pytest
from django.core.cache import cache
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bots.advisors.simulated import ABSURD
from bots.models import Bot
from bots.services import bot_edit, bot_pause, bot_resume, bot_stop
from tests.trading.storm_checks import check_awake, check_now, check_over
from tests.trading.storm_world import StormWorld, raw_params
from trading.core.errors import InvalidInput
from trading.core.json_values import json_fault
from trading.models import Fill, Order, VenueCursor
from trading.runtime import VENUES
from trading.services.asking import Answer, ask_answered, ask_claim
from trading.services.commands import command, order_cancel
from trading.services.stopping import leftovers_release
from trading.signals import HUB

pytestmark = pytest.mark.django_db
LONG = int(os.environ.get("BINNACLE_STORMS", "0"))
SHAPES = {
    "grid": ("grid",),
    "dca": ("dca",),
    "pair": ("pair",),
    "scan": ("scan",),
    "adviser": ("adviser",),
    "all at once": ("grid", "dca", "pair", "scan", "adviser"),
}
EVENTS = 40  # in one spell
SEED = st.integers(0, 2**32)
WEIGHTS = {
    "wind": 60, "squall": 6, "lull": 1, "outage": 2, "run": 50, "die": 4, "book": 6, "reconcile": 8, "land": 6,
    "weather": 8, "run_dry": 20, "read_again": 1, "restart": 1, "cancel_by_hand": 10, "say": 2, "pause": 2, "resume": 6,
    "edit": 1, "advise": 20, "stop": 1, "anew": 8,
}  # fmt: skip
PASSING = {"wind", "squall", "lull", "outage", "weather", "read_again", "resume", "advise", "anew"}
BUY = {"side": "buy", "confidence": 0.9, "allocation_ratio": 1.0}
ANSWERS = [BUY] * 40 + [*[{**BUY, "side": "sell"}] * 8, {**BUY, "side": "hold"}, {**BUY, "confidence": 0.1}, *ABSURD]
FIXED = {  # what no edit may change
    "dca": ("direction", "leverage"),
    "pair": ("hedge_ratio", "leverage"),
    "scan": ("exit", "max_deals", "symbols"),
}


class Survived(NamedTuple):
    """A storm that is over: whose bots, what was traded in it, and what still is alive."""

    strategies: frozenset[str]
    fills: int
    live: int


@pytest.fixture(autouse=True)
def _prices_stay_fresh(settings):
    """Here they age, by the storm's own clock."""
    settings.PRICE_MAX_AGE_MS = 10_000


class LiveStorm(RuleBasedStateMachine):
    shapes: tuple[str, ...] = ()
    survived: ClassVar[list[Survived]]
    world: StormWorld | None = None

    @initialize(seed=SEED)
    def begin(self, seed: int) -> None:
        self.rolled_back = transaction.atomic()
        self.rolled_back.__enter__()
        cache.clear()
        HUB.clear()
        self.world = StormWorld(random.Random(seed), self.shapes)
        self.spell(seed)

    @rule(event=st.sampled_from(sorted(WEIGHTS)), seed=SEED)
    def happens(self, event: str, seed: int) -> None:
        getattr(self, event)(random.Random(seed))

    @rule(seed=SEED)
    def more(self, seed: int) -> None:
        self.spell(seed)

    def spell(self, seed: int) -> None:
        """Many events, the usual ones more often than the rare ones, and after each what always holds."""
        rng = random.Random(seed)
        for event in rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=EVENTS):
            getattr(self, event)(rng)
            self.holds(event)

    @invariant()
    def holds(self, after: str = "") -> None:
        """Look at everything, unless the event left no trace in the rows that bots and their orders are made of."""
        if self.world is None or (after in PASSING and not self.world.has_news()):
            return
        check_now(self.world.account, self.world.bots)
        check_awake(self.world.bots, self.world.clock.now())

    # --- the market and the line

    def wind(self, rng: random.Random) -> None:
        self.world.blow(rng.randint(200, 150_000), rng, gap=rng.random() < 0.04)

    def squall(self, rng: random.Random) -> None:
        """Several prices before anybody ticks, with gaps."""
        for _ in range(rng.randint(2, 5)):
            self.world.blow(rng.randint(200, 30_000), rng, gap=rng.random() < 0.3)

    def lull(self, rng: random.Random) -> None:
        """No price for a while: whatever adds risk is denied until there is one again."""
        self.world.wait(rng.choice([11_000, 70_000, 400_000]))
        self.world.run()

    def outage(self, rng: random.Random) -> None:
        """The feed catches up on what was missed: prices fill and wake, but are none to act on."""
        for _ in range(rng.randint(1, 4)):
            self.world.blow(rng.randint(1_000, 60_000), rng, gap=rng.random() < 0.1, catching_up=True)

    def weather(self, rng: random.Random) -> None:
        self.world.gale.trouble = rng.choice([0.0, 0.0, 0.1, 0.4, 0.9])
        self.world.gale.hold = rng.choice([0.0, 0.0, 0.3, 0.8])
        self.world.gale.late = rng.choice([0.0, 0.1, 0.3])
        self.world.gale.race = rng.choice([0.3, 0.6, 0.9])

    def run_dry(self, rng: random.Random) -> None:
        """Bots trade, and their market orders find too little: they end in part."""
        self.world.run()
        self.world.gale.run_dry(self.world.account)

    def land(self, rng: random.Random) -> None:
        self.world.gale.land(self.world.account)

    # --- workers

    def run(self, rng: random.Random) -> None:
        self.world.run()

    def die(self, rng: random.Random) -> None:
        self.world.die_after_a_decision(rng)

    def book(self, rng: random.Random) -> None:
        self.world.book()

    def reconcile(self, rng: random.Random) -> None:
        self.world.reconcile()

    def read_again(self, rng: random.Random) -> None:
        """The place in the list of executions is lost: all are read again."""
        VenueCursor.objects.filter(account=self.world.account).update(executions=0)

    def restart(self, rng: random.Random) -> None:
        self.world.restart()

    def advise(self, rng: random.Random) -> None:
        """An adviser answers, now and then too late, with nonsense, or not at all."""
        ask = ask_claim(self.world.clock.now())
        if ask is not None and rng.random() < 0.8:
            if rng.random() < 0.1:
                self.world.wait(400_000)
            value = rng.choice(ANSWERS)
            error = "failed" if rng.random() < 0.1 else "absurd" if json_fault(value) else ""
            ask_answered(ask, Answer(None if error else value, error), self.world.clock.now())

    # --- people

    def cancel_by_hand(self, rng: random.Random) -> None:
        orders = Order.objects.filter(account=self.world.account, status__in=Order.LIVE).select_related("bot", "market")
        if found := list(orders.order_by("id")):
            with suppress(InvalidInput):
                order_cancel(order=rng.choice(found), by=None)

    def say(self, rng: random.Random) -> None:
        with suppress(InvalidInput):
            command(bot=self._bot(rng), kind=rng.choice(["close", "resume", "signal"]), args={}, by=None)

    def pause(self, rng: random.Random) -> None:
        with suppress(InvalidInput):
            bot_pause(bot=self._bot(rng), by=None)

    def resume(self, rng: random.Random) -> None:
        for bot in self.world.bots:
            with suppress(InvalidInput):
                bot_resume(bot=bot, by=None)

    def edit(self, rng: random.Random) -> None:
        bot = self._bot(rng)
        raw = raw_params(bot.strategy, rng)
        raw |= {name: bot.params[name] for name in FIXED.get(bot.strategy, ()) if name in bot.params}
        with suppress(InvalidInput):
            bot_edit(bot=bot, by=None, changes={"params": raw})

    def stop(self, rng: random.Random) -> None:
        with suppress(InvalidInput):
            bot_stop(bot=self._bot(rng), mode=rng.choice(["sell", "sell", "keep", "leave"]), by=None)

    def anew(self, rng: random.Random) -> None:
        """Where a bot has ended, another of its kind begins."""
        self.world.begin_anew()

    def _bot(self, rng: random.Random) -> Bot:
        return rng.choice(self.world.bots[-len(self.shapes) :])

    # --- and in the end

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            self.over()
        finally:
            transaction.set_rollback(True)
            self.rolled_back.__exit__(None, None, None)

    def over(self) -> None:
        """The weather is calm: whatever is under way ends, and every bot can be stopped and sells what it holds."""
        world = self.world
        world.gale.calm(world.account)
        self.settle()
        for bot in world.bots:
            bot.refresh_from_db()
            with suppress(InvalidInput):
                bot_stop(bot=bot, mode="sell", by=None)
        self.settle()
        leftovers_release()
        self.holds()
        check_over(world.account, world.bots, {market.pk: price for market, price in world.price.items()})
        left_alone = [bot for bot in world.bots if bot.stop_mode == Bot.StopMode.LEAVE]
        live = Order.objects.filter(account=world.account, status__in=Order.LIVE).exclude(bot__in=left_alone)
        fills = Fill.objects.filter(account=world.account).count()
        self.survived.append(Survived(frozenset(bot.strategy for bot in world.bots), fills, live.count()))

    def settle(self) -> None:
        rng = random.Random(1)
        for _ in range(8):
            self.world.reconcile()
            self.world.blow(8_000, rng, gap=False)
            self.world.run()
            self.holds()


@pytest.mark.parametrize("key", SHAPES)
def test_whatever_the_weather(key):
    survived: list[Survived] = []
    machine = type("Storm", (LiveStorm,), {"shapes": SHAPES[key], "survived": survived})
    quietly = settings(
        max_examples=LONG or max(2, 3 // len(SHAPES[key])),
        phases=(Phase.generate,),  # a smaller storm would be another one: its seed is all that it is made of
        stateful_step_count=3,
        deadline=None,
        derandomize=not LONG,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    logging.disable(logging.CRITICAL)
    try:
        run_state_machine_as_test(machine, settings=quietly)
    finally:
        logging.disable(logging.NOTSET)
        VENUES.pop("gale", None)
    assert {storm.strategies for storm in survived} == {frozenset(SHAPES[key])}
    assert not any(storm.live for storm in survived)
    assert any(storm.fills for storm in survived), "nothing was traded in any of these storms"
