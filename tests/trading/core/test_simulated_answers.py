"""What an adviser may answer in a backtest: what JSON can hold, before the deadline; as live."""

from __future__ import annotations

import pytest
from core_builders import MINUTE, flat

from trading.core.agenda import Agenda
from trading.core.json_values import MOST_BYTES, json_fault
from trading.core.simoptions import SimOptions
from trading.core.types import Advice, Ask


class Fixed:
    def __init__(self, delay_ms, value, error=""):
        self.answer = delay_ms, value, error

    def simulate(self, ask, now_ms):
        return self.answer


def told(delay_ms, value, error="", deadline_ms=2 * MINUTE):
    agenda = Agenda(SimOptions(advisor=Fixed(delay_ms, value, error)), flat(*([100] * 9)), ("direction",))
    agenda.ask([Ask("q", "direction", {}, deadline_ms)], 0, 0)
    return agenda.due(9 * MINUTE)


def test_an_answer_is_told_as_it_is():
    assert told(1000, {"side": "buy", "confidence": 0.5}) == [Advice("q", {"side": "buy", "confidence": 0.5}, "")]


@pytest.mark.parametrize("value", [float("nan"), {"a": float("inf")}, {1, 2}, "x" * (MOST_BYTES + 1), "a\0b"])
def test_what_json_cannot_hold_is_absurd(value):
    assert json_fault(value)
    assert told(1000, value) == [Advice("q", None, "absurd")]


def test_a_failure_stays_a_failure():
    assert told(1000, float("nan"), "failed") == [Advice("q", None, "failed")]


@pytest.mark.parametrize(("delay_ms", "error"), [(2 * MINUTE - 1, ""), (2 * MINUTE, "deadline"), (-1, "deadline")])
def test_an_answer_at_its_deadline_is_late(delay_ms, error):
    assert told(delay_ms, None) == [Advice("q", None, error)]
