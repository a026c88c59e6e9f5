"""The API of holds: why bots and accounts may add no risk, and the word of a person that lifts one."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import WorkspaceListView, WorkspaceView
from accounts.api_input import ListQuery, body_of
from accounts.idempotency import idempotent
from bots.api_shapes import NothingIn
from bots.doorbell import ring
from trading.held import holds_ever
from trading.models import Hold
from trading.selectors import hold_get
from trading.services.holds import held_by, hold_lift_by


class HoldOut(serializers.Serializer[Hold]):
    id = serializers.IntegerField()
    account = serializers.UUIDField(source="account.public_id")
    bot = serializers.UUIDField(source="bot.public_id", allow_null=True, default=None, help_text="null: all of them")
    cause = serializers.ChoiceField(choices=Hold.Cause.choices)
    ref = serializers.CharField(help_text="What it is about: an order's id, a coin, a market")
    reason = serializers.CharField()
    needs_person = serializers.BooleanField(help_text="It stands until somebody lifts it; others lift themselves")
    since = serializers.DateTimeField()
    seen_at = serializers.DateTimeField(help_text="When its cause was last found to stand")
    lifted_at = serializers.DateTimeField(allow_null=True)
    lifted_by: Any = serializers.SerializerMethodField()
    lifted_why = serializers.CharField()

    def get_lifted_by(self, hold: Hold) -> str:
        return hold.lifted_by.name or hold.lifted_by.email if hold.lifted_by else ""


class HoldQuery(ListQuery):
    active = serializers.BooleanField(required=False, allow_null=True, default=None, help_text="Only those that stand")


@extend_schema_view(
    get=extend_schema(operation_id="holds_list", parameters=[HoldQuery], description="List holds.", tags=["risk"])
)
class HoldsView(WorkspaceListView):
    serializer_class = HoldOut

    def get_queryset(self) -> QuerySet[Hold]:
        active = HoldQuery.read(self.request).get("active")
        found = holds_ever(self.workspace)
        return found if active is None else found.filter(lifted_at__isnull=active)


class LiftView(WorkspaceView):
    @extend_schema(operation_id="holds_lift", request=NothingIn, responses=HoldOut, tags=["risk"])
    @idempotent
    def post(self, request: Request, hold_id: int) -> Response:
        """Lift a hold that waits for a person; its bots go on at once."""
        hold = hold_get(self.workspace, hold_id)
        body_of(NothingIn, request)
        hold_lift_by(hold=hold, by=self.person)
        ring(held_by(hold))
        return Response(HoldOut(hold_get(self.workspace, hold_id)).data)


urlpatterns = [
    path("holds/", HoldsView.as_view(), name="holds"),
    path("holds/<int:hold_id>/lift/", LiftView.as_view(), name="hold-lift"),
]
