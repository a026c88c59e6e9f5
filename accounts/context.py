"""What the shell around every page shows: the mode, the workspace, its accounts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.installation import blocked_reason
from accounts.models import Account, Membership
from accounts.selectors import accounts_of, can_write, last_seq, memberships_of

NOBODY: dict[str, Any] = {"workspace": None, "can_write": False, "mode": ""}


def mode_of(accounts: list[Account]) -> str:
    """Name the mode pill: DEMO as long as every account trades the demo market, else PAPER."""
    return "DEMO" if all(account.feed == "demo" for account in accounts) else "PAPER"


def shell(request: HttpRequest) -> dict[str, Any]:
    """Template context of every page; what costs a query is read only when the template uses it."""
    base = {"embedded": settings.EMBEDDED, "demo_offered": settings.EMBEDDED and settings.LOOPBACK}
    membership: Membership | None = getattr(request, "membership", None)
    if membership is None:
        return {**base, **NOBODY}
    workspace = membership.workspace
    accounts: Any = SimpleLazyObject(lambda: list(accounts_of(workspace)))
    return {
        **base,
        "workspace": workspace,
        "membership": membership,
        "can_write": can_write(membership),
        "accounts": accounts,
        "workspaces": SimpleLazyObject(lambda: [entry.workspace for entry in memberships_of(membership.user)]),
        "mode": SimpleLazyObject(lambda: mode_of(accounts)),
        "last_seq": SimpleLazyObject(lambda: last_seq(workspace)),
        "blocked": SimpleLazyObject(blocked_reason),
    }
