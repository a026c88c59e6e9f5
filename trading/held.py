"""What is held back at the moment, and why: reads of the holds. `trading.services.holds` sets and lifts them.

Replays never are: they trade nothing, so a copied database may replay, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import Http404

from accounts.installation import blocked_reason, unblocked
from accounts.models import Account, Workspace
from bots.models import Bot
from exchanges.selectors import REPLAY
from trading.models import Hold


def holds_open(workspace: Workspace) -> QuerySet[Hold]:
    """Return what a workspace's bots and accounts are held for, newest first."""
    return holds_ever(workspace).filter(lifted_at=None)


def holds_ever(workspace: Workspace) -> QuerySet[Hold]:
    """Return the holds of a workspace, the lifted ones included, newest first."""
    return Hold.objects.filter(workspace=workspace).select_related("account", "bot", "lifted_by").order_by("-id")


def hold_get(workspace: Workspace, pk: int) -> Hold:
    found: Hold | None = Hold.objects.filter(workspace=workspace, pk=pk).select_related("account", "bot").first()
    if found is None:
        raise Http404("No such hold")
    return found


def holds_of(bot: Bot) -> list[Hold]:
    """Return what holds a bot back, its account's holds included; the oldest first."""
    return list(_on(bot).select_related("account", "bot").order_by("id"))


def held_reason(bot: Bot) -> str:
    """Say why the bot may add no risk at the moment; empty when nothing holds it."""
    if bot.account.feed.startswith(REPLAY):
        return ""
    return blocked_reason() or _on(bot).order_by("id").values_list("reason", flat=True).first() or ""


def held_of_many(bots: Iterable[Bot]) -> dict[int, str]:
    """Return why each of these bots is held, by primary key, with one query; those that aren't are missing."""
    asked = list(bots)
    found = Hold.objects.filter(
        Q(bot__in=asked) | Q(bot=None, account__in={bot.account_id for bot in asked}), lifted_at=None
    )
    rows = list(found.order_by("-id").values_list("bot_id", "account_id", "reason"))
    by_bot = {bot_id: reason for bot_id, _, reason in rows if bot_id is not None}
    by_account = {account_id: reason for bot_id, account_id, reason in rows if bot_id is None}
    blocked = blocked_reason()
    reasons = {bot.pk: blocked or by_bot.get(bot.pk) or by_account.get(bot.account_id, "") for bot in asked}
    return {pk: reason for pk, reason in reasons.items() if reason}


def copy_reason(account: Account) -> str:
    """Say why nothing at all may be sent for this account: the database is a copy. Empty: nothing is against it."""
    return "" if account.feed.startswith(REPLAY) else blocked_reason()


def in_its_own_house(account: Account) -> Q:
    """Select everything, or nothing while the database is a copy: for the compare-and-set of a send."""
    return Q() if account.feed.startswith(REPLAY) else unblocked()


def unheld() -> Q:
    """Select the orders that no hold keeps back: exits always, the others while neither bot nor account is held."""
    of_bot = Hold.objects.filter(bot=OuterRef("bot"), lifted_at=None)
    of_account = Hold.objects.filter(account=OuterRef("account"), bot=None, lifted_at=None)
    return Q(reduce=True) | (~Q(Exists(of_bot)) & ~Q(Exists(of_account)))


def _on(bot: Bot) -> QuerySet[Hold]:
    return Hold.objects.filter(Q(bot=bot) | Q(account=bot.account_id, bot=None), lifted_at=None)
