"""The API of incidents and limits. The kill switch itself stands in `trading.api_halts`."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import WorkspaceListView, WorkspaceView
from accounts.api_input import AmountField, ListQuery, StrictSerializer, body_of
from accounts.idempotency import idempotent
from accounts.selectors import account_get
from risk.models import Incident
from risk.selectors import incident_get, incidents_of, limits_get, limits_of
from risk.services import FIELDS, limits_set

NONE = "null: no limit"


class IncidentOut(serializers.Serializer[Incident]):
    id = serializers.UUIDField(source="public_id")
    kind = serializers.CharField()
    title = serializers.CharField()
    detail: Any = serializers.DictField(help_text="What was done, by whom, and what it came to")
    halts: Any = serializers.SerializerMethodField(help_text="The halts behind it; /api/v1/halts/ has them")
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)

    def get_halts(self, incident: Incident) -> list[str]:
        return [str(halt.public_id) for halt in incident.halts.all()]


class IncidentQuery(ListQuery):
    open = serializers.BooleanField(required=False, allow_null=True, default=None, help_text="Only open or closed ones")


class LimitsOut(serializers.Serializer[Any]):
    account = serializers.UUIDField(
        source="account.public_id", allow_null=True, default=None, help_text="null: workspace"
    )
    max_order = AmountField(allow_null=True)
    max_position = AmountField(allow_null=True)
    max_orders = serializers.IntegerField(allow_null=True)
    max_deviation = AmountField(allow_null=True)


class LimitsIn(StrictSerializer):
    account = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="Of this account; null: of the whole workspace"
    )
    max_order = AmountField(
        required=False, allow_null=True, default=None, help_text=f"Of one order, in the quote coin; {NONE}"
    )
    max_position = AmountField(
        required=False,
        allow_null=True,
        default=None,
        help_text=f"Of a bot's position on a market with its open orders, in the quote coin; {NONE}",
    )
    max_orders = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text=f"Open at once, of a bot; {NONE}"
    )
    max_deviation = AmountField(
        required=False,
        allow_null=True,
        default=None,
        help_text=f"Ratio: how far above the market a limit buy (below: a sell) may stand, 0.05 is 5 %; {NONE}",
    )


@extend_schema_view(
    get=extend_schema(
        operation_id="incidents_list", parameters=[IncidentQuery], description="List incidents.", tags=["risk"]
    )
)
class IncidentsView(WorkspaceListView):
    serializer_class = IncidentOut

    def get_queryset(self) -> QuerySet[Incident]:
        wanted = IncidentQuery.read(self.request).get("open")
        found = incidents_of(self.workspace)
        return found if wanted is None else found.filter(closed_at__isnull=wanted)


class IncidentView(WorkspaceView):
    @extend_schema(operation_id="incidents_get", responses=IncidentOut, tags=["risk"])
    def get(self, request: Request, incident_id: str) -> Response:
        """Show one incident."""
        return Response(IncidentOut(incident_get(self.workspace, incident_id)).data)


class LimitsView(WorkspaceView):
    @extend_schema(operation_id="limits_list", responses=LimitsOut(many=True), tags=["risk"])
    def get(self, request: Request) -> Response:
        """List the limits that are set: the workspace's, then those of its accounts. The tighter one decides."""
        return Response(LimitsOut(limits_of(self.workspace), many=True).data)

    @extend_schema(operation_id="limits_set", request=LimitsIn, responses=LimitsOut, tags=["risk"])
    @idempotent
    def put(self, request: Request) -> Response:
        """Replace the limits of the workspace or of one account, all four at once; for owners of the workspace."""
        given = body_of(LimitsIn, request)
        account = account_get(self.workspace, given["account"]) if given["account"] else None
        values = {name: given[name] for name in FIELDS}
        limits_set(workspace=self.workspace, account=account, values=values, by=self.person)
        return Response(LimitsOut(limits_get(self.workspace, account)).data)


urlpatterns = [
    path("incidents/", IncidentsView.as_view(), name="incidents"),
    path("incidents/<uuid:incident_id>/", IncidentView.as_view(), name="incident"),
    path("limits/", LimitsView.as_view(), name="limits"),
]
