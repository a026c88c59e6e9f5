"""The installation in the admin: whether this database may send, and the word of the operator that it may again."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin_base import ReadOnlyAdmin
from accounts.models import Installation
from trading.core.errors import InvalidInput
from trading.services.installing import copy_confirm


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    list_display = ("installation_id", "epoch", "blocked", "confirmed_at", "confirmed_by")
    list_select_related = ("confirmed_by",)
    actions = ("confirm",)

    @admin.action(description="Confirm that no other copy of this database runs, and trade again")
    def confirm(self, request: HttpRequest, queryset: QuerySet[Installation]) -> None:
        try:
            row = copy_confirm(by=request.user if request.user.is_authenticated else None)
        except InvalidInput as fault:
            messages.error(request, fault.message)
        else:
            messages.success(request, f"This database trades again, in epoch {row.epoch}.")
