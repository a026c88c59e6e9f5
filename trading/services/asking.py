"""Questions to advisers: a row is open once, leaves that state once, and with that its bot is told once.

    asked -> answering (a worker has it) -> answered, failed
    asked, answering -> late: its deadline passed first, also when the worker died

An answer that comes after the deadline is kept on record and told to nobody. Nothing here calls an adviser: a worker
does, outside any transaction (`trading.advice`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.containment import contain
from bots.models import Bot
from exchanges.selectors import speed_of
from trading.core.errors import StrategyFault
from trading.core.json_values import json_fault
from trading.core.ports import SimulatedAdvisor
from trading.core.types import Advice, Ask
from trading.inbox import input_row
from trading.models import AdviceAsk

Status = AdviceAsk.Status
SIMULATED = "(simulated)"  # no key of the shelf can be this
OPEN = (Status.ASKED, Status.ANSWERING)
BELL = threading.Event()  # embedded: a question was written in this process
RING_EXPIRES_S = 5  # by then the sweep has rung again


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one call. `error` is what the bot is told (failed, absurd), `detail` what stands on record."""

    value: Any = None
    error: str = ""
    detail: str = ""
    latency_ms: int = 0
    cost: Decimal = Decimal(0)  # USD


def asks_write(
    bot: Bot, number: int, now_ms: int, asks: Sequence[Ask], *, now: datetime | None = None, simulated: bool = False
) -> None:
    """Write the questions of decision `number` down, in its transaction; an id that was asked before is left alone.

    `now_ms` is the market time of the decision, `now` the same moment by its engine's clock. What is `simulated` (a
    replay) is left to `simulated_tell`: neither workers nor the sweep see it. Raises StrategyFault for a question that
    can't be kept.
    """
    if not asks:
        return
    clock, speed = now or timezone.now(), speed_of(bot.market)
    advisor = SIMULATED if simulated else str(bot.params.get("advisor", ""))[:40]
    AdviceAsk.objects.bulk_create(
        [
            AdviceAsk(
                workspace_id=bot.workspace_id,
                bot=bot,
                ask_id=ask.id,
                kind=ask.kind,
                payload=_checked(ask),
                number=number,
                asked_ms=now_ms,
                deadline_ms=ask.deadline_ms,
                deadline_at=clock + timedelta(milliseconds=max(0, ask.deadline_ms - now_ms) / speed),
                advisor=advisor,
            )
            for ask in asks
        ],
        ignore_conflicts=True,
    )
    if not simulated:
        advice_ring()


def _checked(ask: Ask) -> dict[str, Any]:
    """Return the payload as plain JSON. Raises StrategyFault."""
    if not (0 < len(ask.id) <= 80 and 0 < len(ask.kind) <= 40):
        raise StrategyFault(
            f"a question needs an id of 1-80 and a kind of 1-40 characters, not {ask.id!r}, {ask.kind!r}"
        )
    fault = json_fault(dict(ask.payload))
    if fault:
        raise StrategyFault(f"the payload of the question {ask.id!r} can't be sent: {fault}")
    return dict(ask.payload)


def advice_ring() -> None:
    """Tell whoever calls advisers that a question waits, once the current transaction has been committed."""
    transaction.on_commit(_ring)


def _ring() -> None:
    if settings.EMBEDDED:
        BELL.set()
        return
    with contain("advice doorbell"):
        current_app.send_task("trading.advise", queue="advice", ignore_result=True, expires=RING_EXPIRES_S, retry=False)


def ask_claim(now: datetime) -> AdviceAsk | None:
    """Take the oldest question that nobody has taken yet; None when none waits."""
    alive = (Bot.Status.RUNNING, Bot.Status.PAUSED)
    waiting = _real().filter(status=Status.ASKED, deadline_at__gt=now, bot__status__in=alive)
    ask: AdviceAsk
    for ask in waiting.order_by("id")[:20]:
        taken = AdviceAsk.objects.filter(pk=ask.pk, status=Status.ASKED)
        if taken.update(status=Status.ANSWERING, claimed_at=now):
            return ask
    return None


@transaction.atomic
def ask_answered(ask: AdviceAsk, answer: Answer, now: datetime) -> bool:
    """Keep what came of a call, and tell the bot unless it was told before; returns whether it was told something."""
    record: dict[str, Any] = {
        "value": answer.value,
        "latency_ms": answer.latency_ms,
        "cost": answer.cost,
        "answered_at": now,
    }
    claimed = AdviceAsk.objects.filter(pk=ask.pk, status=Status.ANSWERING)
    if ask.deadline_at <= now:
        told = bool(claimed.update(status=Status.LATE)) and _tell(ask, Advice(ask.ask_id, None, "deadline"))
        late = AdviceAsk.objects.filter(pk=ask.pk, status=Status.LATE, answered_at=None)
        late.update(error=(answer.detail or answer.error or "deadline")[:300], **record)
        return told
    status = Status.FAILED if answer.error else Status.ANSWERED
    if not claimed.update(status=status, error=(answer.detail or answer.error)[:300], **record):
        return False
    return _tell(ask, Advice(ask.ask_id, answer.value, answer.error))


def advice_due(now: datetime) -> list[int]:
    """Tell the bots whose questions have run out of time; returns them. Rings again while a question waits."""
    bots = [ask.bot_id for ask in _real().filter(status__in=OPEN, deadline_at__lte=now) if _expire(ask)]
    if _real().filter(status=Status.ASKED, deadline_at__gt=now).exists():
        advice_ring()
    return sorted(set(bots))


def simulated_tell(bot: Bot, now_ms: int, advisor: SimulatedAdvisor | None) -> int:
    """Tell a replayed bot the answers that are due at this close, in order; returns how many.

    As in a backtest: one that would come after its deadline never does, and without an adviser every question ends so.
    """
    due = []
    for ask in AdviceAsk.objects.filter(bot=bot, advisor=SIMULATED, status=Status.ASKED).order_by("id"):
        asked = Ask(ask.ask_id, ask.kind, ask.payload, ask.deadline_ms)
        delay_ms, value, error = advisor.simulate(asked, ask.asked_ms) if advisor is not None else (-1, None, "")
        at_ms = ask.asked_ms + delay_ms
        if delay_ms < 0 or at_ms > ask.deadline_ms:
            at_ms, value, error = ask.deadline_ms, None, "deadline"
        if at_ms <= now_ms:
            due.append((at_ms, ask.pk, ask, Answer(None if error else value, error)))
    for _, _, ask, answer in sorted(due, key=lambda one: one[:2]):
        _simulated_answer(ask, answer)
    return len(due)


@transaction.atomic
def _simulated_answer(ask: AdviceAsk, answer: Answer) -> None:
    value, error = (None, "absurd") if json_fault(answer.value) else (answer.value, answer.error)
    ended = {"deadline": Status.LATE, "": Status.ANSWERED}.get(error, Status.FAILED)
    if AdviceAsk.objects.filter(pk=ask.pk, status=Status.ASKED).update(status=ended, value=value, error=error):
        _tell(ask, Advice(ask.ask_id, value, error))


def _real() -> QuerySet[AdviceAsk]:
    """Return the questions that are asked of a real adviser."""
    return AdviceAsk.objects.exclude(advisor=SIMULATED)


@transaction.atomic
def _expire(ask: AdviceAsk) -> bool:
    ended = AdviceAsk.objects.filter(pk=ask.pk, status__in=OPEN).update(status=Status.LATE, error="deadline")
    return bool(ended) and _tell(ask, Advice(ask.ask_id, None, "deadline"))


def _tell(ask: AdviceAsk, advice: Advice) -> bool:
    input_row(ask.bot_id, advice).save()
    return True
