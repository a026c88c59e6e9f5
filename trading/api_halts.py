"""The API of the kill switch: pull it, watch it, re-arm it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import WorkspaceListView, WorkspaceView
from accounts.api_input import ListQuery, StrictSerializer, body_of
from accounts.idempotency import idempotent
from accounts.selectors import account_get
from bots.selectors import bot_get
from risk.models import Halt
from risk.selectors import halt_get, halts_of
from risk.services import REASON_MAX, Target
from trading.core.errors import InvalidInput
from trading.halt_progress import Progress, progress_of
from trading.services.halting import kill, rearm

Scope = Halt.Scope


class HaltIn(StrictSerializer):
    scope = serializers.ChoiceField(choices=Scope.choices, help_text="platform: for operators only")
    bot = serializers.UUIDField(required=False, allow_null=True, default=None, help_text="For the scope bot")
    account = serializers.UUIDField(required=False, allow_null=True, default=None, help_text="For the scope account")
    reason = serializers.CharField(max_length=REASON_MAX, required=False, allow_blank=True, default="")
    flatten = serializers.BooleanField(default=False, help_text="Close what the bots hold at market, too: they end")
    foreign = serializers.BooleanField(
        default=False, help_text="Cancel orders on the accounts that no bot of ours has written, too"
    )


class RearmIn(StrictSerializer):
    password = serializers.CharField(max_length=200, required=False, allow_blank=True, default="", write_only=True)
    resume = serializers.BooleanField(default=False, help_text="Let the bots that it paused go on")


class OpenOrderOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="order.public_id")
    bot = serializers.UUIDField(source="order.bot.public_id")
    market = serializers.CharField(source="order.market.symbol")
    side = serializers.CharField(source="order.side")
    why = serializers.CharField(help_text="What it waits for")


class ProgressOut(serializers.Serializer[Progress]):
    done = serializers.BooleanField()
    asked = serializers.IntegerField(help_text="Orders whose cancel was asked for")
    confirmed = serializers.IntegerField(help_text="Of these, how many are gone")
    open = serializers.IntegerField()
    on_their_way = serializers.IntegerField(help_text="Sent a moment before, outcome not known yet")
    open_orders = OpenOrderOut(source="listed", many=True, help_text="The first 50 of them")
    paused = serializers.IntegerField(help_text="Bots that it paused")
    ended = serializers.IntegerField(help_text="Bots that it lets close what they hold and end")
    ending = serializers.IntegerField(help_text="Of these, how many are not through yet")
    foreign: Any = serializers.ListField(child=serializers.DictField(), help_text="Orders that aren't ours, by account")


class HaltOut(serializers.Serializer[Halt]):
    id = serializers.UUIDField(source="public_id")
    scope = serializers.ChoiceField(choices=Scope.choices)
    account = serializers.UUIDField(source="account.public_id", allow_null=True, default=None)
    bot = serializers.UUIDField(allow_null=True)
    reason = serializers.CharField()
    flatten = serializers.BooleanField()
    foreign = serializers.BooleanField()
    incident = serializers.UUIDField(source="incident.public_id")
    set_by: Any = serializers.SerializerMethodField()
    set_at = serializers.DateTimeField()
    rearmed_by: Any = serializers.SerializerMethodField()
    rearmed_at = serializers.DateTimeField(allow_null=True)

    def get_set_by(self, halt: Halt) -> str:
        return halt.set_by.name or halt.set_by.email if halt.set_by else ""

    def get_rearmed_by(self, halt: Halt) -> str:
        return halt.rearmed_by.name or halt.rearmed_by.email if halt.rearmed_by else ""


class HaltProgressOut(HaltOut):
    progress = ProgressOut()


class RearmOut(HaltOut):
    resumed = serializers.IntegerField(help_text="Bots that go on")
    not_resumed: Any = serializers.ListField(child=serializers.CharField(), help_text="Why others don't")


class HaltQuery(ListQuery):
    active = serializers.BooleanField(required=False, allow_null=True, default=None, help_text="Only those that stand")


@extend_schema_view(
    get=extend_schema(operation_id="halts_list", parameters=[HaltQuery], description="List halts.", tags=["risk"])
)
class HaltsView(WorkspaceListView):
    serializer_class = HaltOut

    def get_queryset(self) -> QuerySet[Halt]:
        active = HaltQuery.read(self.request).get("active")
        found = halts_of(self.workspace)
        return found if active is None else found.filter(rearmed_at__isnull=active)

    @extend_schema(operation_id="halts_set", request=HaltIn, responses={201: HaltOut}, tags=["risk"])
    @idempotent
    def post(self, request: Request) -> Response:
        """Pull the kill switch: from now on nothing that adds risk is sent. Pulling it again changes nothing."""
        given = body_of(HaltIn, request)
        target = self._target(given)
        wants = {name: given[name] for name in ("reason", "flatten", "foreign")}
        return Response(HaltOut(kill(target=target, by=self.person, **wants)).data, status=201)

    def _target(self, given: dict[str, Any]) -> Target:
        scope, workspace = given["scope"], self.workspace
        for name in ("bot", "account"):
            if (given[name] is not None) != (scope == name):
                text = f"Name the {name}" if scope == name else f"The scope {scope} takes no {name}"
                raise InvalidInput(text, field=name, value=given[name])
        if scope == Scope.BOT:
            bot = bot_get(workspace, given["bot"])
            return Target(scope, bot.name, workspace, bot=bot.public_id)
        if scope == Scope.ACCOUNT:
            account = account_get(workspace, given["account"])
            return Target(scope, f"account {account.name}", workspace, account)
        if scope == Scope.PLATFORM:
            return PLATFORM
        return Target(scope, f"everything in {workspace.name}", workspace)


PLATFORM = Target(Scope.PLATFORM, "the whole platform")


class HaltView(WorkspaceView):
    @extend_schema(operation_id="halts_get", responses=HaltProgressOut, tags=["risk"])
    def get(self, request: Request, halt_id: str) -> Response:
        """Show a halt and how far it is: orders cancelled, still open and why."""
        halt = halt_get(self.workspace, halt_id)
        whole = halt.scope == Scope.PLATFORM and self.person.is_staff
        progress = progress_of(halt, None if whole else self.workspace)
        return Response({**HaltOut(halt).data, "progress": ProgressOut(progress).data})


class RearmView(WorkspaceView):
    @extend_schema(operation_id="halts_rearm", request=RearmIn, responses=RearmOut, tags=["risk"])
    def post(self, request: Request, halt_id: str) -> Response:
        """Re-arm, with the password of the person who does it: an owner, for the platform an operator.

        Doing it again changes nothing. It takes no Idempotency-Key: a password is kept nowhere, not even as a hash.
        """
        halt = halt_get(self.workspace, halt_id)
        given = body_of(RearmIn, request)
        resumed, faults = rearm(halt=halt, by=self.person, **given)
        return Response({**HaltOut(halt).data, "resumed": resumed, "not_resumed": faults})


urlpatterns = [
    path("halts/", HaltsView.as_view(), name="halts"),
    path("halts/<uuid:halt_id>/", HaltView.as_view(), name="halt"),
    path("halts/<uuid:halt_id>/rearm/", RearmView.as_view(), name="halt-rearm"),
]
