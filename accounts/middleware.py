"""Which workspace a request works in: the one chosen in the session, else the user's first."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.models import Membership, User, Workspace
from accounts.selectors import membership_find
from accounts.services import workspace_ensure

SESSION_KEY = "workspace"  # public id, as text


class WorkspaceRequest(HttpRequest):
    """A request of a signed-in user, as views behind `login_required` see it."""

    user: User
    workspace: Workspace
    membership: Membership


class WorkspaceMiddleware:
    """Set `request.membership` and `request.workspace`; both are None for somebody who isn't signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        membership = None
        if request.user.is_authenticated:
            chosen = request.session.get(SESSION_KEY)
            membership = membership_find(request.user, chosen) or workspace_ensure(request.user)
        request.membership = membership  # type: ignore[attr-defined]
        request.workspace = membership.workspace if membership else None  # type: ignore[attr-defined]
        return self.get_response(request)
