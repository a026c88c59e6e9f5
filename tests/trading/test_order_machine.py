"""The order engine as a state machine against a model: whatever happens in whatever order, the invariants hold.

Each run is a fresh account with one or two bots on the real runtime. Steps are drawn by hypothesis: prices, what the
strategies want, workers that tick, die, hang or lose their lease, a line to the venue that loses, delays and doubles,
people, and time. After each step the auditor reads the rows and the model compares them with all that has been; in the
end everything is healed and must agree to the last digit.

A run of another size, or again:   MACHINE_RUNS=10000 MACHINE_SEED=7 pytest tests/trading/test_order_machine.py
A failure prints the steps and the seed. The same seed and number of runs give the same steps, so it comes again;
MACHINE_SHRINK=1 leaves out, within some minutes, the steps that it doesn't need. `make drill` runs 10,000 in shards,
each with a seed of its own.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.trading.machine_steps import Steps, steps
from tests.trading.machine_world import MachineWorld, Steered, clean, on_the_machine
from trading.models import Fill

pytestmark = pytest.mark.django_db(transaction=True)
RUNS = 300
STEPS = int(os.environ.get("MACHINE_STEPS", "12"))
SHARD = 250  # runs with one seed in the drill


class OrderMachine(RuleBasedStateMachine):
    world: MachineWorld | None = None
    world_made: Callable[..., MachineWorld] = MachineWorld
    fills = 0
    used: ClassVar[set[str]] = set()

    @initialize(perpetual=st.sampled_from([(False,), (False,), (True,), (False, False), (False, True)]))
    def begin(self, perpetual: tuple[bool, ...]) -> None:
        clean()
        self.world = type(self).world_made(perpetual, STEERED)
        self.steps = Steps(self.world)
        for number in range(len(perpetual)):
            self.steps.want(number, "a", "limit", buys=True, qty=1.0, away=-0.5)

    @rule(step=steps())
    def happens(self, step: tuple[str, dict[str, Any]]) -> None:
        self.steps.do(*step)

    @invariant()
    def holds(self) -> None:
        if self.world is not None:
            found = self.world.look()
            assert not found, "\n".join(found)

    def teardown(self) -> None:
        if self.world is None:
            return
        found = self.world.settle()
        assert not found, "in the end: " + "\n".join(found)
        type(self).fills += Fill.objects.count()
        type(self).used |= self.world.line.used


STEERED = Steered()


@pytest.fixture(autouse=True)
def _shelf(settings) -> Iterator[None]:
    """Prices grow old here, and what is logged of thousands of faults is nobody's reading."""
    settings.PRICE_MAX_AGE_MS = 30_000
    logging.disable(logging.CRITICAL)
    with on_the_machine(STEERED):
        yield
    logging.disable(logging.NOTSET)


def run(machine: type[OrderMachine], runs: int, number: int | None) -> type[OrderMachine]:
    """Run it so often; with a seed, the same steps each time."""
    quietly = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if os.environ.get("MACHINE_SHRINK") else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    tried = type("Tried", (machine,), {"fills": 0, "used": set()})
    try:
        run_state_machine_as_test(seed(number)(tried) if number is not None else tried, settings=quietly)
    except BaseException as error:
        error.add_note(f"again: MACHINE_SEED={number} MACHINE_RUNS={runs} pytest tests/trading/test_order_machine.py")
        raise
    return tried


def test_whatever_happens_the_invariants_hold() -> None:
    given = os.environ.get("MACHINE_SEED")
    number = int(given) if given else None if os.environ.get("CI") else random.randrange(10**6)
    tried = run(OrderMachine, int(os.environ.get("MACHINE_RUNS", RUNS)), number)
    assert tried.fills, "nothing was traded"
