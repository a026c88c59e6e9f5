"""The API of people: sign-in for scripts, who am I, accounts, and what happened."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from accounts.api_base import NoSlashAdded, WorkspaceView
from accounts.api_input import QuerySerializer, StrictSerializer
from accounts.selectors import EVENTS_PAGE, account_get, accounts_of, events_of, last_seq, memberships_of

BIGINT_MAX = 2**63 - 1


# --- tokens ----------------------------------------------------------------------------------------------------------


class LoginIn(StrictSerializer, TokenObtainPairSerializer):
    """E-mail and password."""


class RefreshIn(StrictSerializer, TokenRefreshSerializer):
    """A refresh token; it is spent by its use, and dead once its owner has a new password or is inactive."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        JWTAuthentication().get_user(self.token_class(attrs["refresh"]))
        return super().validate(attrs)


class TokensOut(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="For the header `Authorization: Bearer ...`; valid for 15 minutes")
    refresh = serializers.CharField(help_text="Gets the next pair, once; valid for 14 days")


class LoginView(NoSlashAdded, TokenObtainPairView):
    serializer_class = LoginIn

    @extend_schema(operation_id="auth_login", request=LoginIn, responses=TokensOut, auth=[], tags=["auth"])
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Get a pair of tokens."""
        return super().post(request, *args, **kwargs)


class RefreshView(NoSlashAdded, TokenRefreshView):
    serializer_class = RefreshIn

    @extend_schema(operation_id="auth_refresh", request=RefreshIn, responses=TokensOut, auth=[], tags=["auth"])
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Get the next pair of tokens; the refresh token that was sent is spent by it."""
        return super().post(request, *args, **kwargs)


# --- me --------------------------------------------------------------------------------------------------------------


class WorkspaceOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="workspace.public_id")
    name = serializers.CharField(source="workspace.name")
    role = serializers.CharField()


class MeOut(serializers.Serializer[Any]):
    email = serializers.EmailField()
    name = serializers.CharField()
    time_zone = serializers.CharField()
    workspace = WorkspaceOut(help_text="The one that this request works in")
    workspaces = WorkspaceOut(many=True)


class MeView(WorkspaceView):
    @extend_schema(operation_id="me", responses=MeOut, tags=["me"])
    def get(self, request: Request) -> Response:
        """Say who is asking, and in which workspace; the header X-Workspace chooses another one."""
        person = self.person
        me = {"email": person.email, "name": person.name, "time_zone": person.time_zone}
        return Response(MeOut({**me, "workspace": self.membership, "workspaces": memberships_of(person)}).data)


# --- accounts --------------------------------------------------------------------------------------------------------


class AccountOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="public_id")
    name = serializers.CharField()
    venue = serializers.CharField()
    feed = serializers.CharField(help_text="Whose markets and prices it trades on")
    quote = serializers.CharField()
    created_at = serializers.DateTimeField()


class AccountsView(WorkspaceView):
    @extend_schema(operation_id="accounts_list", responses=AccountOut(many=True), tags=["accounts"])
    def get(self, request: Request) -> Response:
        """List the workspace's accounts."""
        return Response(AccountOut(accounts_of(self.workspace), many=True).data)


class AccountView(WorkspaceView):
    @extend_schema(operation_id="accounts_get", responses=AccountOut, tags=["accounts"])
    def get(self, request: Request, account_id: str) -> Response:
        """Show one account."""
        return Response(AccountOut(account_get(self.workspace, account_id)).data)


# --- events ----------------------------------------------------------------------------------------------------------


class EventQuery(QuerySerializer):
    after = serializers.IntegerField(min_value=0, max_value=BIGINT_MAX, default=0)
    bot = serializers.UUIDField(required=False)
    limit = serializers.IntegerField(min_value=1, max_value=EVENTS_PAGE, default=EVENTS_PAGE)


class EventOut(serializers.Serializer[Any]):
    seq = serializers.IntegerField(help_text="Rises by one within the workspace")
    kind = serializers.CharField()
    level = serializers.CharField()
    bot = serializers.UUIDField(allow_null=True)
    text = serializers.CharField()
    data: Any = serializers.DictField()
    at = serializers.DateTimeField(source="created_at")


class EventsOut(serializers.Serializer[Any]):
    results = EventOut(many=True)
    last = serializers.IntegerField(help_text="The workspace's newest number: ask again with `after` below it")


class EventsView(WorkspaceView):
    @extend_schema(operation_id="events_list", parameters=[EventQuery], responses=EventsOut, tags=["events"])
    def get(self, request: Request) -> Response:
        """Show what happened after a number, oldest first."""
        query = EventQuery.read(request)
        newest = last_seq(self.workspace)
        found = events_of(self.workspace).filter(seq__gt=query["after"]).order_by("seq")
        if "bot" in query:
            found = found.filter(bot=query["bot"])
        return Response({"results": EventOut(found[: query["limit"]], many=True).data, "last": newest})


urlpatterns = [
    path("auth/login/", LoginView.as_view(), name="auth-login"),
    path("auth/refresh/", RefreshView.as_view(), name="auth-refresh"),
    path("me/", MeView.as_view(), name="me"),
    path("accounts/", AccountsView.as_view(), name="accounts"),
    path("accounts/<uuid:account_id>/", AccountView.as_view(), name="account"),
    path("events/", EventsView.as_view(), name="events"),
]
