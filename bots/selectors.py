"""Reads about bots, always within a workspace: a bot of another one does not exist (404)."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import Http404

from accounts.models import Account, Workspace
from accounts.selectors import as_uuid
from bots.models import Bot
from exchanges.selectors import REPLAY

ALIVE = (Bot.Status.RUNNING, Bot.Status.PAUSED, Bot.Status.STOPPING)


def not_replayed(path: str = "") -> Q:
    """Leave out the bots of replays, whose clock is candle time and whose only hand is their replay, also once it is
    over; `path` leads to the account ("account__", "bot__account__")."""
    return ~Q(**{f"{path}feed__startswith": REPLAY})


def bots_of(workspace: Workspace, *, account: Account | None = None, status: str = "") -> QuerySet[Bot]:
    """Return the workspace's bots, newest first."""
    found = Bot.objects.filter(workspace=workspace).select_related("account", "market").order_by("-id")
    found = found.prefetch_related("bot_markets__market")
    if account is not None:
        found = found.filter(account=account)
    return found.filter(status=status) if status else found


def bot_get(workspace: Workspace, public_id: str | UUID) -> Bot:
    try:
        return bots_of(workspace).get(public_id=as_uuid(public_id))
    except Bot.DoesNotExist:
        raise Http404("No such bot") from None


def bots_by_public_id(workspace: Workspace, ids: list[UUID]) -> dict[UUID, Bot]:
    return {bot.public_id: bot for bot in bots_of(workspace).filter(public_id__in=ids)}
