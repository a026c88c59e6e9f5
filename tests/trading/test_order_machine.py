"""The order engine as a state machine against a model: whatever happens in whatever order, the invariants hold.

Each run is a fresh account with one or two bots on the real runtime. Steps are drawn by hypothesis: prices, what the
strategies want, workers that tick, die, hang or lose their lease, a line to the venue that loses, delays and doubles,
people, and time. After each step the auditor reads the rows and the model compares them with all that has been; in the
end everything is healed and must agree to the last digit.

A failure prints its steps and its seed. The same seed and number of runs give the same steps, so it comes again:

    MACHINE_SEED=7 MACHINE_RUNS=100 pytest tests/trading/test_order_machine.py -k "whatever and 0"

MACHINE_STEPS says how long a run is (the failure names it), and MACHINE_SHRINK=1 leaves out, within some minutes, the
steps that a failure doesn't need. An ordinary test run has 300 runs in three shards; `make drill` has 10,000 longer
ones in 40 shards, each with a seed of its own: one that failed is run alone by its number (-k "10000 and 17").
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.trading.machine_steps import Steps, steps
from tests.trading.machine_world import MachineWorld, Steered, clean, on_the_machine
from trading.models import Fill

pytestmark = pytest.mark.django_db(transaction=True)
SHARDS, RUNS, STEPS = 3, 100, 10  # of an ordinary test run: shards, runs in each, steps in each run
DRILL_SHARDS, DRILL_RUNS, DRILL_STEPS = 40, 250, 24


class OrderMachine(RuleBasedStateMachine):
    world: MachineWorld | None = None
    fills = 0
    used: ClassVar[set[str]] = set()

    @initialize(perpetual=st.sampled_from([(False,), (False,), (True,), (False, False), (False, True)]))
    def begin(self, perpetual: tuple[bool, ...]) -> None:
        clean()
        self.world = MachineWorld(perpetual, STEERED)
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


def run(shard: int, runs: int, steps_: int) -> type[OrderMachine]:
    """Run a shard: the same steps for the same seed. In CI the seed is always the same, elsewhere ever new ones."""
    given = os.environ.get("MACHINE_SEED")
    number = int(given) + shard if given else shard if os.environ.get("CI") else random.randrange(10**6)
    runs, steps_ = int(os.environ.get("MACHINE_RUNS", runs)), int(os.environ.get("MACHINE_STEPS", steps_))
    quietly = settings(
        max_examples=runs,
        stateful_step_count=steps_,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if os.environ.get("MACHINE_SHRINK") else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    tried = type("Tried", (OrderMachine,), {"fills": 0, "used": set()})
    again = f"MACHINE_SEED={number} MACHINE_RUNS={runs} MACHINE_STEPS={steps_}"
    print(f'again: {again} pytest tests/trading/test_order_machine.py -k "whatever and 0"')  # noqa: T201  (if it fails)
    run_state_machine_as_test(seed(number)(tried), settings=quietly)
    return tried


@pytest.mark.parametrize("shard", range(SHARDS))
def test_whatever_happens_the_invariants_hold(shard: int) -> None:
    tried = run(shard, RUNS, STEPS)
    assert tried.fills, "nothing was traded"


@pytest.mark.drill
@pytest.mark.parametrize("shard", range(DRILL_SHARDS))
def test_10000_runs_break_no_invariant(shard: int, capsys: pytest.CaptureFixture[str]) -> None:
    tried = run(shard, DRILL_RUNS, DRILL_STEPS)
    with capsys.disabled():
        print(f"\nshard {shard}: {tried.fills} fills, {len(tried.used)} kinds of faults met")  # noqa: T201
    assert tried.fills > DRILL_RUNS / 10
