"""What every API view of ours has in common: the workspace, the roles, the pages of lists."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import ListAPIView
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.middleware import SESSION_KEY
from accounts.models import Membership, User, Workspace
from accounts.selectors import as_uuid, can_write, memberships_of
from accounts.services import workspace_ensure


class NoSlashAdded(APIView):
    """A call without the closing slash is a 404: a redirect would turn a POST into a GET without its body."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view = super().as_view(**initkwargs)
        view.should_append_slash = False  # type: ignore[attr-defined]  # read by CommonMiddleware
        return view


class WorkspaceView(NoSlashAdded):
    """A view inside one workspace: the one of the header X-Workspace, else the session's, else the user's first."""

    workspace: Workspace
    membership: Membership

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.membership = membership_of(request)
        self.workspace = self.membership.workspace
        if request.method not in SAFE_METHODS and not can_write(self.membership):
            raise PermissionDenied("Your role in this workspace is viewer: you may look, but not change anything")

    @property
    def person(self) -> User:
        user = self.request.user
        if not isinstance(user, User):
            raise PermissionDenied
        return user


class CursorPages(CursorPagination):
    """Newest first, by an immutable unique key; `?limit=` up to 200."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200

    def decode_cursor(self, request: Any) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not str(cursor.position).isdecimal():
            raise NotFound(self.invalid_cursor_message)
        return cursor


class WorkspaceListView(WorkspaceView, ListAPIView[Any]):
    """A list in cursor pages, newest first."""

    pagination_class = CursorPages


def membership_of(request: Request) -> Membership:
    """Return the membership that a request works under; a workspace that isn't the user's does not exist."""
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied
    wanted = request.headers.get("X-Workspace")
    if wanted is not None:
        found = memberships_of(user).filter(workspace__public_id=as_uuid(wanted)).first()
        if found is None:
            raise Http404("No such workspace")
        return found
    chosen = request.session.get(SESSION_KEY) if hasattr(request, "session") else None
    mine = list(memberships_of(user))
    picked = next((one for one in mine if str(one.workspace.public_id) == chosen), None)
    return picked or (mine[0] if mine else workspace_ensure(user))
