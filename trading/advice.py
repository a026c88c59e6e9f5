"""Calls advisers for the questions that wait: in a worker of its own, never in a tick, never in a transaction.

Embedded, threads of the process take the questions from the database; with servers, workers of the queue "advice" do.
Either may be late, doubled or killed: who takes a question, and what its bot is told, is settled in the database.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from django.db import close_old_connections

from accounts.containment import contain
from bots.advisors.registry import get_advisor
from bots.doorbell import ring
from trading.clock import WALL, Clock
from trading.core.json_values import json_fault
from trading.models import AdviceAsk
from trading.services.asking import BELL, Answer, ask_answered, ask_claim

CALL_LIMIT_S = 45.0  # below the time limit of a task; also beyond the deadline, for the record
LOOK_EVERY_S = 1.0  # embedded: another process may have written the question
MOST_HANGING = 16  # calls that were given up and still hold their thread

_calls = threading.BoundedSemaphore(MOST_HANGING)


def answer_next(clock: Clock = WALL, limit_s: float = CALL_LIMIT_S) -> bool:
    """Take one question, ask its adviser and tell the bot; False when none waits."""
    ask = ask_claim(clock.now())
    if ask is None:
        return False
    answer = call(ask, limit_s)
    if ask_answered(ask, answer, clock.now()):
        ring([ask.bot_id])
    return True


def run_advisers(stop: threading.Event) -> None:
    """Answer questions until `stop` is set (embedded mode)."""
    while not stop.is_set():
        BELL.wait(LOOK_EVERY_S)
        BELL.clear()
        with contain("advisers"):
            while not stop.is_set() and answer_next():
                close_old_connections()
        close_old_connections()


def call(ask: AdviceAsk, limit_s: float = CALL_LIMIT_S) -> Answer:
    """Ask the adviser and wait `limit_s` at most; a call that hangs is left to itself. Never raises."""
    if not _calls.acquire(blocking=False):
        return Answer(error="failed", detail=f"{MOST_HANGING} calls of advisers hang already")
    box: list[Answer] = []
    began = time.monotonic()
    caller = threading.Thread(target=_call, args=(ask, box), name=f"adviser for {ask.pk}", daemon=True)
    caller.start()
    caller.join(limit_s)
    answer = box[0] if box else Answer(error="failed", detail=f"no answer within {limit_s:g} s")
    return replace(answer, latency_ms=int((time.monotonic() - began) * 1000))


def _call(ask: AdviceAsk, box: list[Answer]) -> None:
    try:
        with contain(f"adviser {ask.advisor}") as outcome:
            advisor = get_advisor(ask.advisor)
            value = advisor.answer(ask.kind, ask.payload)
            box.append(_judged(value, replace(Answer(), cost=advisor.cost(ask.kind, ask.payload, value))))
        if outcome.error is not None:
            box.append(Answer(error="failed", detail=f"{type(outcome.error).__name__}: {outcome.error}"))
    finally:
        _calls.release()


def _judged(value: object, answer: Answer) -> Answer:
    """Take an answer that can be kept; what it means is for the strategy to judge."""
    fault = json_fault(value)
    if fault:
        return replace(answer, error="absurd", detail=f"{fault}: {value!r:.100}"[:300])
    return replace(answer, value=value)
