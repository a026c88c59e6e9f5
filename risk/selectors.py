"""Reads about halts, incidents and limits. Whatever is not in the given workspace does not exist (404)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import Http404

from accounts.models import Account, Workspace
from accounts.selectors import as_uuid
from risk.models import Halt, Incident, Limits
from trading.core.ports import RiskLimits

Scope = Halt.Scope
WORDS = {Scope.BOT: "this bot", Scope.ACCOUNT: "its account", Scope.WORKSPACE: "the workspace", Scope.PLATFORM: "all"}


# --- halts -----------------------------------------------------------------------------------------------------------


def halts_over(workspace_id: int, account_id: int, bot: UUID) -> QuerySet[Halt]:
    """Return the halts that keep this bot from adding risk now, whatever their scope."""
    named = Q(scope=Scope.BOT, bot=bot) | Q(scope=Scope.ACCOUNT, account=account_id)
    wide = Q(scope=Scope.WORKSPACE, workspace=workspace_id) | Q(scope=Scope.PLATFORM)
    return Halt.objects.filter(named | wide, rearmed_at=None)


def halt_words(halt: Halt) -> str:
    """Say of a halt what an order is denied with."""
    return f"kill switch ({WORDS[Scope(halt.scope)]}): {halt.reason}"


def halts_of(workspace: Workspace) -> QuerySet[Halt]:
    """Return the halts that a workspace may see, newest first: its own, and those of the whole platform."""
    found = Halt.objects.filter(Q(workspace=workspace) | Q(scope=Scope.PLATFORM)).order_by("-id")
    return found.select_related("account", "set_by", "rearmed_by", "incident", "workspace")


def halts_active(workspace: Workspace) -> list[Halt]:
    return list(halts_of(workspace).filter(rearmed_at=None))


def halt_get(workspace: Workspace, public_id: str | UUID) -> Halt:
    try:
        return halts_of(workspace).get(public_id=as_uuid(public_id))
    except Halt.DoesNotExist:
        raise Http404("No such halt") from None


# --- incidents -------------------------------------------------------------------------------------------------------


def incidents_of(workspace: Workspace) -> QuerySet[Incident]:
    """Return a workspace's incidents and those of the whole platform, newest first."""
    found = Incident.objects.filter(Q(workspace=workspace) | Q(workspace=None)).order_by("-id")
    return found.prefetch_related("halts__set_by", "halts__rearmed_by")


def incident_get(workspace: Workspace, public_id: str | UUID) -> Incident:
    try:
        return incidents_of(workspace).get(public_id=as_uuid(public_id))
    except Incident.DoesNotExist:
        raise Http404("No such incident") from None


# --- limits ----------------------------------------------------------------------------------------------------------


def limits_for(account: Account) -> RiskLimits:
    """Return what counts for the orders of an account: of its own limits and its workspace's the tighter ones."""
    rows = list(Limits.objects.filter(Q(account=account) | Q(account=None), workspace=account.workspace_id))
    if not rows:
        return RiskLimits()
    return RiskLimits(
        max_order=_tightest(row.max_order for row in rows),
        max_position=_tightest(row.max_position for row in rows),
        max_orders=min((row.max_orders for row in rows if row.max_orders is not None), default=None),
        max_deviation=_tightest(row.max_deviation for row in rows),
    )


def _tightest(values: Iterable[Decimal | None]) -> Decimal | None:
    return min((value for value in values if value is not None), default=None)


def limits_get(workspace: Workspace, account: Account | None) -> Limits:
    """Return the limits of a workspace, or of one of its accounts: an unsaved row without any while none are set."""
    found = Limits.objects.filter(workspace=workspace, account=account).select_related("account").first()
    return found or Limits(workspace=workspace, account=account)


def limits_of(workspace: Workspace) -> list[Limits]:
    """Return all limits that stand in a workspace, its own first."""
    found = Limits.objects.filter(workspace=workspace).select_related("account")
    return sorted(found, key=lambda row: (row.account_id is not None, row.account_id or 0))
