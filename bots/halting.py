"""What a kill switch does to bots, many at once: they are paused until a person resumes them, or they end."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import Event
from accounts.services import EventDraft, events_append
from bots.models import Bot, BotInput
from bots.services import REASON_MAX

Status = Bot.Status
KILLED = "Kill switch: "  # begins the reason of a bot that a halt has paused
ENDS = (Status.RUNNING, Status.PAUSED, Status.ERROR)


@transaction.atomic
def bots_pause(bots: QuerySet[Bot], reason: str) -> list[Bot]:
    """Pause the running ones among these bots."""
    return _move(bots.filter(status=Status.RUNNING), f"{KILLED}{reason}", status=Status.PAUSED)


@transaction.atomic
def bots_end(bots: QuerySet[Bot], reason: str, *, left: Collection[int] = ()) -> list[Bot]:
    """Let bots begin to stop and sell: the living, and of the stopped those in `left`, which hold positions."""
    words = {"status": Status.STOPPING, "stop_mode": Bot.StopMode.SELL}
    # One that is stopping already, and would keep or leave what it holds, closes it now.
    milder = Q(status=Status.STOPPING) & ~Q(stop_mode=Bot.StopMode.SELL)
    moved = _move(bots.filter(Q(status__in=ENDS) | milder), f"{KILLED}{reason}", **words)
    if left:
        moved += _move(bots.filter(status=Status.STOPPED, pk__in=left), f"{KILLED}{reason}", **words)
    return moved


def _move(bots: QuerySet[Bot], reason: str, *, status: str, stop_mode: str | None = None) -> list[Bot]:
    """Move bots under their locks, in the order of their keys, and tell their workspaces."""
    rows = list(bots.order_by("pk").select_for_update(no_key=True, of=("self",)))
    values = {"status": status, "status_reason": reason[:REASON_MAX]}
    kind = "pause" if stop_mode is None else "stop"
    args = {} if stop_mode is None else {"mode": stop_mode}
    if stop_mode is not None:
        values["stop_mode"] = stop_mode
    Bot.objects.filter(pk__in=[bot.pk for bot in rows]).update(**values)
    told = {"kind": kind, "args": args, "by": ""}
    BotInput.objects.bulk_create(BotInput(bot=bot, kind="command", payload=told) for bot in rows)
    for workspace_id, drafts in _drafts(rows, status, reason).items():
        events_append(workspace_id, drafts)
    return rows


def _drafts(bots: Iterable[Bot], status: str, reason: str) -> dict[int, list[EventDraft]]:
    found: dict[int, list[EventDraft]] = {}
    for bot in bots:
        text = f"{bot.name} {'paused' if status == Status.PAUSED else 'is stopping'}. {reason}"
        draft = EventDraft(f"bot.{status}", text, Event.Level.WARNING, bot.public_id, {"status": status})
        found.setdefault(bot.workspace_id, []).append(draft)
    return found
