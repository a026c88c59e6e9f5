"""Bad weather for any strategy: a hypothesis state machine over the fake engine.

Random prices with gaps; fills partial, late (after a cancel or an amendment was asked) and in any order among orders;
denials, refusals, expiries, cancels by a person, pauses, edits, restarts, clock steps, commands, signals, advice that
is late, absurd or never comes. Use:

    class DipStorm(Storm):
        def build(self, rng):                      # a fresh engine; `rng` is a seeded random.Random
            return FakeEngine.on(Dip(), DipParams(...), {"main": FakeMarket(RULES, 100.0)}, cash=1_000)
        def edits(self, rng): return [DipParams(...)]            # optional: parameters that an edit may bring
        def commands(self, rng): return [Command("signal")]      # optional: what a person or a hook may send
        def signal_values(self, name): return [True, False]      # optional: values of a signal (default: these)
        def answers(self, ask): return [{"buy": 1}]              # optional: values of an advice (default: None)
        weights = {"pause": 0, "delay": 3, "deliver": 6}         # optional: how often each event comes (see WEIGHTS);
                                                                 # fills told after their order's end only on request
        def check(self): ...                                     # optional: invariants of its own, after every step
        def end(self): self.engine.inbox.append(Command("close"))  # optional: asks the bot to get out, before the calm
        def kept(self, alias): return 0.0                        # optional: what a person said to keep, of no order
        def calmed(self): ...                                    # optional: what must hold after the calm

    TestDipStorm = storm_test(DipStorm)            # a unittest case that pytest collects

Held at every step (here and in the fake engine): never over budget; a spot sell never exceeds the coins; live exits
never exceed the position; a generation is placed once and never falls; decide() is pure and its state JSON; a bot that
isn't finished has a live order, an open question, something new to decide on, or an armed wake. Held in the end: once
the weather is calm, each position is dust, or an exit of it works, or a wake guards it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import TestCase

from fake_engine import NOISE, FakeEngine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bots.strategies.desk import REFUSALS
from trading.core.types import Command, Filled, Kind

SEED = st.integers(0, 2**32)
WEIGHTS = {
    "wind": 30, "fill": 10, "gust": 12, "lose_the_race": 4, "confirm": 8, "refuse": 1, "cancel_by_hand": 1, "deny": 2,
    "pause": 2, "edit": 1, "command": 3, "signal": 6, "advise": 4, "restart": 2, "delay": 0, "deliver": 0, "wait": 2,
    "decide": 30, "settle": 10,
}  # fmt: skip
REFUSED = sorted(REFUSALS)


class Storm(RuleBasedStateMachine):
    """One strategy in bad weather; see the module's docstring for what a subclass gives."""

    engine: FakeEngine
    rng: random.Random
    started = False
    least_price = 0.5
    weights: Mapping[str, int] = {}

    # --- what a subclass gives

    def build(self, rng: random.Random) -> FakeEngine:
        raise NotImplementedError

    def edits(self, rng: random.Random) -> Sequence[Any]:
        return ()

    def commands(self, rng: random.Random) -> Sequence[Command]:
        return ()

    def signal_values(self, name: str) -> Sequence[Any]:
        return (True, False)

    def answers(self, ask: Any) -> Sequence[Any]:
        return (None,)

    def check(self) -> None:
        pass

    def end(self) -> None:
        pass

    def kept(self, alias: str) -> float:
        return 0.0

    def calmed(self) -> None:
        pass

    # --- the weather

    @initialize(seed=SEED)
    def begin(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.engine = self.build(self.rng)
        self.gens: dict[str, int] = {}
        self.untold: list[Filled] = []
        self.engine.decide()
        self.started = True

    @rule(event=st.sampled_from(sorted(WEIGHTS)), seed=SEED)
    def happens(self, event: str, seed: int) -> None:
        """One event; the seed says which order, how much, how far."""
        getattr(self, event)(random.Random(seed))

    @rule(seed=SEED)
    def spell(self, seed: int) -> None:
        """Many events, the usual ones more often than the rare ones, and after each what always holds."""
        rng = random.Random(seed)
        weights = WEIGHTS | self.weights
        for event in rng.choices(list(weights), list(weights.values()), k=30):
            getattr(self, event)(rng)
            self.holds()

    # --- its events

    def wind(self, rng: random.Random) -> None:
        """A price moves, one time in twenty by a gap, and time passes."""
        made = self.engine
        alias = rng.choice(list(made.markets))
        one = made.markets[alias]
        tick = float(one.rules.tick)
        price = one.price * (1 + rng.uniform(-0.02, 0.02) * (10 if rng.random() < 0.05 else 1))
        made.tick(rng.randint(0, 90_000))
        made.jump(max(self.least_price, round(round(price / tick) * tick, 10)), alias)

    def fill(self, rng: random.Random) -> None:
        """One of the orders that the price has reached fills, whole or in part."""
        self._fill(self.engine.touched(), rng)

    def gust(self, rng: random.Random) -> None:
        """All that is reached fills, in any order, before the strategy is asked."""
        touched = self.engine.touched()
        for slot in rng.sample(touched, len(touched)):
            self._fill([slot], rng)

    def lose_the_race(self, rng: random.Random) -> None:
        """An order fills after its cancel was asked."""
        slots = self.engine.slots
        self._fill([s for s in self.engine.cancelling if slots[s].want.kind in (Kind.LIMIT, Kind.MARKET)], rng)

    def _fill(self, slots: Sequence[str], rng: random.Random) -> None:
        made = self.engine
        live = sorted(slot for slot in slots if slot in made.working())
        if not live:
            return
        slot = rng.choice(live)
        left = made.left(slot)
        if rng.random() < 0.5:
            lot = float(made.markets[made.slots[slot].want.market].rules.lot)
            left = min(left, round(rng.randint(1, max(1, round(left / lot))) * lot, 10))
        made.fill(slot, left)

    def delay(self, rng: random.Random) -> None:
        """The news of a fill gets lost for a while: its order may have ended when it is told."""
        told = [item for item in self.engine.inbox if isinstance(item, Filled)]
        if told:
            self.untold.append(rng.choice(told))
            self.engine.inbox.remove(self.untold[-1])

    def deliver(self, rng: random.Random) -> None:
        """What was delayed is told, in any order."""
        if self.untold:
            self.engine.inbox.append(self.untold.pop(rng.randrange(len(self.untold))))

    def all_told(self) -> bool:
        """Say whether the strategy has been told of every fill and has decided on it."""
        return not self.untold and not any(isinstance(item, Filled) for item in self.engine.inbox)

    def confirm(self, rng: random.Random) -> None:
        """A cancel or an amendment arrives."""
        slots = sorted({*self.engine.cancelling, *self.engine.amending})
        if slots:
            self.engine.confirm(rng.choice(slots))

    def refuse(self, rng: random.Random) -> None:
        self._close(rng, rng.choice(REFUSED))

    def cancel_by_hand(self, rng: random.Random) -> None:
        """As it comes live: the strategy is told by whom, then that the order has ended."""
        if self.engine.working():
            slot = rng.choice(sorted(self.engine.working()))
            self.engine.inbox.append(Command("cancel", {"slot": slot, "gen": self.engine.slots[slot].gen}, "ann"))
            self.engine.close(slot, "cancelled")

    def _close(self, rng: random.Random, why: str) -> None:
        if self.engine.working():
            self.engine.close(rng.choice(sorted(self.engine.working())), why)

    def deny(self, rng: random.Random) -> None:
        self.engine.deny_adds = rng.random() < 0.25

    def pause(self, rng: random.Random) -> None:
        if self.engine.paused:
            self.engine.resume()
        elif rng.random() < 0.5:
            self.engine.pause()

    def edit(self, rng: random.Random) -> None:
        choices = list(self.edits(rng))
        if choices:
            self.engine.edit(rng.choice(choices))

    def command(self, rng: random.Random) -> None:
        choices = list(self.commands(rng))
        if choices:
            self.engine.inbox.append(rng.choice(choices))

    def signal(self, rng: random.Random) -> None:
        names = sorted(self.engine.needs.signals)
        if names:
            name = rng.choice(names)
            self.engine.signal(name, rng.choice(list(self.signal_values(name))))

    def advise(self, rng: random.Random) -> None:
        """An answer comes: a good one, an absurd one, or a failure."""
        if self.engine.asks:
            ask = self.engine.asks[rng.choice(sorted(self.engine.asks))]
            error = rng.choice(["", "", "deadline", "failed"])
            self.engine.answer(ask.id, None if error else rng.choice(list(self.answers(ask))), error)

    def restart(self, rng: random.Random) -> None:
        self.engine.restart()

    def wait(self, rng: random.Random) -> None:
        self.engine.tick(rng.randint(1, 3_600_000))

    def decide(self, rng: random.Random) -> None:
        if not self.engine.finish:
            self.engine.decide(explain=rng.random() < 0.2)

    def settle(self, rng: random.Random) -> None:
        self.engine.settle()

    # --- what always holds

    @invariant()
    def holds(self) -> None:
        if not self.started:
            return
        made = self.engine
        json.dumps(made.state, allow_nan=False)
        for slot, known in made.slots.items():
            assert known.gen >= self.gens.get(slot, 0), f"{slot} went back to generation {known.gen}"
            self.gens[slot] = known.gen
        for alias, market in made.markets.items():
            live = made.locked_qty(alias) if market.spot else self._reducing(alias)
            assert live <= abs(market.qty) + NOISE, f"exits of {live} on {alias} for a position of {market.qty}"
        assert made.is_awake(), "nothing can wake this bot any more"
        self.check()

    def _reducing(self, alias: str) -> float:
        made, side = self.engine, self.engine.markets[alias].exit_side()
        wants = {slot: made.slots[slot].want for slot in made.working()}
        return sum(made.left(s) for s, w in wants.items() if (w.market, w.side, w.reduce) == (alias, side, True))

    # --- and in the end

    def teardown(self) -> None:
        if not self.started:
            return
        self.calm()
        made = self.engine
        for alias, market in made.markets.items():
            held = abs(market.qty) - self.kept(alias)
            assert held <= market.dust or self.is_guarded(alias), (
                f"{market.qty} on {alias} have no way out: {made.state}"
            )
        self.calmed()

    def is_guarded(self, alias: str) -> bool:
        """An exit of this market works, or something else that the strategy waits for will bring one."""
        made = self.engine
        wants = [made.slots[slot].want for slot in made.working()]
        if any(want.market == alias and want.side is made.markets[alias].exit_side() for want in wants):
            return True
        wake = made.wake
        return not made.finish and bool(wake.prices or wake.signals or wake.trails or wake.at_ms is not None)

    def calm(self) -> None:
        """Nothing is denied or paused any more, all is confirmed, filled, told and asked again."""
        made = self.engine
        made.deny_adds = False
        made.inbox += self.untold
        self.untold = []
        made.resume()
        self.end()
        for _ in range(30):
            if made.finish:
                return
            made.rest()
            made.tick(1000)
            if made.wake.at_ms is not None and made.wake.at_ms > made.now_ms:
                made.tick(made.wake.at_ms - made.now_ms)
            if not made.inbox and not made.denied() and not made.touched():
                return


def storm_test(machine: type[Storm], *, examples: int = 25, steps: int = 20) -> type[TestCase]:
    """Return the test case of a storm."""
    case: type[TestCase] = machine.TestCase
    case.settings = settings(  # type: ignore[attr-defined]
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return case
