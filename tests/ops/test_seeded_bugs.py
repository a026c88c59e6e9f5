"""Sixteen bugs, each put in by hand: the auditor or the order machine's model reports each, under its invariant.

What happened with each, and what is reported, stands in `tests/ops/seeded.py`: the table at its end. Without the bug
the same world has nothing to report.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.db import connection

from tests.ops.auditor import unsettled
from tests.ops.seeded import BUGS, traded
from tests.trading.machine_steps import Steps
from tests.trading.machine_world import MachineWorld, Steered, on_the_machine
from trading.models import Fill, Order

pytestmark = pytest.mark.django_db(transaction=True)
DROPPED = {Order: "order_client_id_unique", Fill: "fill_exec_unique"}


@pytest.fixture
def steps() -> Iterator[Steps]:
    """A bot with a buy resting a little below the price."""
    logging.disable(logging.CRITICAL)
    steered = Steered()
    with on_the_machine(steered):
        world = MachineWorld((False,), steered)
        made = Steps(world)
        made.want(0, "a", "limit", buys=True, qty=1.0, away=-0.5)
        yield made
    _constraints_back()
    logging.disable(logging.NOTSET)


def _constraints_back() -> None:
    """Set up again what a bug has dropped, now that the rows are gone."""
    for model, name in DROPPED.items():
        with connection.cursor() as cursor:
            known = connection.introspection.get_constraints(cursor, model._meta.db_table)
        if name not in known:
            constraint = next(one for one in model._meta.constraints if one.name == name)
            with connection.schema_editor() as editor:
                editor.add_constraint(model, constraint)


def reported(steps: Steps) -> list[str]:
    return [*steps.world.look(), *(str(one) for one in unsettled(steps.world.books()))]


def test_without_a_bug_nothing_is_reported(steps: Steps) -> None:
    traded(steps)
    assert reported(steps) == []


@pytest.mark.parametrize("name", BUGS)
def test_a_seeded_bug_is_caught_and_named(steps: Steps, name: str) -> None:
    bug = BUGS[name]
    bug.story(steps)
    found = reported(steps)
    assert any(one.startswith(f"{bug.invariant} ") and bug.words in one for one in found), found


def test_at_least_twelve_bugs_are_seeded() -> None:
    assert len(BUGS) >= 12
    assert {"I1", "I2", "I3", "I5", "I6", "I7", "I9", "I11"} <= {bug.invariant for bug in BUGS.values()}
