"""Reads about people, workspaces and their events. Whatever is not in the given workspace does not exist (404)."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404

from accounts.models import Account, Event, EventCounter, Membership, Role, User, Workspace

WRITERS = frozenset({Role.OWNER, Role.TRADER})
EVENTS_PAGE = 200


def as_uuid(value: str | UUID) -> UUID:
    """Read a public id; one that can't be an id names nothing, hence 404."""
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise Http404("No such object") from None


def memberships_of(user: User) -> QuerySet[Membership]:
    return Membership.objects.filter(user=user).select_related("workspace").order_by("id")


def membership_find(user: User, workspace_id: str | None = None) -> Membership | None:
    """Return the membership in the chosen workspace, or in the user's first one when none is chosen or it is gone."""
    found = list(memberships_of(user))
    for membership in found:
        if str(membership.workspace.public_id) == workspace_id:
            return membership
    return found[0] if found else None


def members_of(workspace_id: int) -> set[int]:
    """Return the ids of the users who may look into a workspace now."""
    found = Membership.objects.filter(workspace_id=workspace_id, user__is_active=True)
    return set(found.values_list("user_id", flat=True))


def can_write(membership: Membership | None) -> bool:
    """Viewers look; owners and traders act."""
    return membership is not None and membership.role in WRITERS


def accounts_of(workspace: Workspace) -> QuerySet[Account]:
    return Account.objects.filter(workspace=workspace).order_by("id")


def account_get(workspace: Workspace, public_id: str | UUID) -> Account:
    try:
        return accounts_of(workspace).get(public_id=as_uuid(public_id))
    except Account.DoesNotExist:
        raise Http404("No such account") from None


def events_of(workspace: Workspace) -> QuerySet[Event]:
    return Event.objects.filter(workspace=workspace)


def events_after(workspace: Workspace, seq: int, limit: int = EVENTS_PAGE) -> list[Event]:
    """Return what happened after `seq`, oldest first."""
    return list(events_of(workspace).filter(seq__gt=seq).order_by("seq")[:limit])


def events_of_bot(workspace: Workspace, bot: UUID, limit: int = 50) -> list[Event]:
    """Return a bot's latest events, newest first."""
    return list(events_of(workspace).filter(bot=bot).order_by("-seq")[:limit])


def last_seq(workspace: Workspace) -> int:
    """Return the number of the newest event, 0 when nothing has happened yet."""
    return EventCounter.objects.filter(workspace=workspace).values_list("last", flat=True).first() or 0
