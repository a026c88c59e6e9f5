"""When a worker is deaf: it was asked, the broker took it, and nothing came. Never while it waits for others."""

from __future__ import annotations

from kombu.exceptions import OperationalError

from config.life import BUSY_S, Ears

LIMIT_S = 30


class Broker:
    """Takes questions; `away` it refuses them."""

    away = False

    def __init__(self) -> None:
        self.asked = 0

    def ask(self) -> None:
        if self.away:
            raise OperationalError("no broker")
        self.asked += 1


def _look(ears: Ears, start: int, end: int, *, answers: bool = False, busy: bool = False) -> int | None:
    """Look every 5 s; return when it was found deaf."""
    for now in range(start, end, 5):
        if ears.deaf(now if answers else 0, float(now), busy=busy):
            return now
    return None


def test_a_worker_that_answers_is_left_alone():
    broker = Broker()
    assert _look(Ears(broker.ask, LIMIT_S), 0, 600, answers=True) is None
    assert broker.asked == 120


def test_questions_without_an_answer_end_it():
    assert _look(Ears(Broker().ask, LIMIT_S), 0, 600) == LIMIT_S + 5


def test_a_broker_that_is_away_is_no_fault_of_the_worker():
    broker = Broker()
    ears = Ears(broker.ask, LIMIT_S)
    assert _look(ears, 0, 20) is None
    broker.away = True
    assert _look(ears, 20, 600) is None
    broker.away = False
    assert _look(ears, 600, 630) is None
    assert _look(ears, 630, 900) == 635


def test_a_task_that_runs_excuses_for_a_while():
    ears = Ears(Broker().ask, LIMIT_S)
    found = _look(ears, 0, 600, busy=True)
    assert found is not None
    assert found > BUSY_S


def test_few_questions_prove_nothing():
    ears = Ears(Broker().ask, LIMIT_S)
    assert not ears.deaf(0, 0.0, busy=False)
    assert not ears.deaf(0, 1000.0, busy=False)  # the database was away: nobody could look
    assert not ears.deaf(0, 1005.0, busy=False)
    assert ears.deaf(0, 1010.0, busy=False)
