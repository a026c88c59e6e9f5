"""Operators' view of bots: to look, and to pause."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin_base import ReadOnlyAdmin
from accounts.models import User
from bots.doorbell import ring
from bots.models import Bot, BotInput
from bots.services import bot_pause


@admin.register(Bot)
class BotAdmin(ReadOnlyAdmin):
    list_display = ("name", "workspace", "account", "market", "strategy", "status", "status_reason", "created_at")
    list_filter = ("status", "strategy")
    search_fields = ("name", "public_id", "workspace__name")
    list_select_related = ("workspace", "account", "market")
    ordering = ("-id",)
    actions = ("pause",)

    @admin.action(description="Pause the chosen bots that are running", permissions=["pause"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Bot]) -> None:
        by = request.user if isinstance(request.user, User) else None
        paused = [bot_pause(bot=bot, by=by) for bot in queryset.filter(status=Bot.Status.RUNNING)]
        ring([bot.pk for bot in paused])
        messages.success(request, f"{len(paused)} bots paused")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.change_bot")


@admin.register(BotInput)
class BotInputAdmin(ReadOnlyAdmin):
    list_display = ("id", "bot", "kind", "number", "created_at")
    list_filter = ("kind",)
    list_select_related = ("bot",)
    ordering = ("-id",)
