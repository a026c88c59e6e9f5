"""The kill switch in the admin: the record of every halt, and the one over the whole platform."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from accounts.admin_base import ReadOnlyAdmin
from risk.models import Halt
from risk.services import Target
from trading.services.halting import kill


@admin.register(Halt)
class HaltAdmin(ReadOnlyAdmin):
    """Adding one halts the whole platform; re-arming asks for a password and stands on the halt's own page."""

    list_display = ("id", "scope", "workspace", "account", "reason", "set_by", "set_at", "rearmed_at", "page")
    list_filter = ("scope", ("rearmed_at", admin.EmptyFieldListFilter))
    search_fields = ("reason", "public_id", "workspace__name", "account__name")
    list_select_related = ("workspace", "account", "set_by")
    ordering = ("-id",)

    @admin.display(description="progress")
    def page(self, halt: Halt) -> str:
        return format_html('<a href="{}">open</a>', reverse("trading:halt", args=[halt.public_id]))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("reason", "flatten") if obj is None else super().get_fields(request, obj)

    def save_model(self, request: Any, obj: Halt, form: Any, change: bool) -> None:
        target = Target(Halt.Scope.PLATFORM, "the whole platform")
        halt = kill(target=target, reason=obj.reason, by=request.user, flatten=obj.flatten)
        obj.__dict__.update({field.attname: getattr(halt, field.attname) for field in Halt._meta.concrete_fields})
        obj._state.adding = False
