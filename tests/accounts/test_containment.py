"""What fails inside `contain` fails alone: it is logged, counted and told; cancellation passes through."""

from __future__ import annotations

import asyncio
import logging

import pytest

from accounts.containment import contain, failure_counts


def test_a_failure_is_told_logged_and_counted(caplog):
    before = failure_counts().get("a feed", 0)
    with caplog.at_level(logging.ERROR), contain("a feed") as outcome:
        raise ValueError("no line")
    assert outcome.failed
    assert isinstance(outcome.error, ValueError)
    assert "a feed failed" in caplog.text
    assert "no line" in caplog.text
    assert failure_counts()["a feed"] == before + 1


def test_what_goes_well_leaves_no_trace(caplog):
    with contain("a job") as outcome:
        done = True
    assert done
    assert not outcome.failed
    assert "a job" not in failure_counts()
    assert not caplog.text


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_an_order_to_stop_passes_through(stop):
    with pytest.raises(stop), contain("a loop"):
        raise stop
    assert "a loop" not in failure_counts()
