"""Operators' view of incidents and limits; the kill switch of the platform stands in `trading.admin_halts`."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin_base import ReadOnlyAdmin
from risk.models import Incident, Limits


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ("id", "title", "kind", "workspace", "opened_at", "closed_at")
    list_filter = ("kind",)
    search_fields = ("title", "public_id", "workspace__name")
    list_select_related = ("workspace",)
    ordering = ("-id",)


@admin.register(Limits)
class LimitsAdmin(admin.ModelAdmin):
    list_display = ("workspace", "account", "max_order", "max_position", "max_orders", "max_deviation")
    search_fields = ("workspace__name", "account__name")
    list_select_related = ("workspace", "account")
    raw_id_fields = ("workspace", "account")
