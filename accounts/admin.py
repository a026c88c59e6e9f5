"""Operators' view of people, workspaces and accounts. People are made here or by `create_user`; nobody signs up."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts.admin_base import ReadOnlyAdmin
from accounts.links import set_password_link
from accounts.models import Account, Event, Membership, User, Workspace
from accounts.services import workspace_ensure

admin.site.site_header = admin.site.site_title = "Binnacle operators"
admin.site.index_title = "Everything on this installation"
for tokens in (OutstandingToken, BlacklistedToken):  # they show what signs a person in
    admin.site.unregister(tokens)


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    list_display = ("email", "name", "is_active", "is_staff", "is_demo", "last_login")
    list_filter = ("is_active", "is_staff", "is_demo")
    search_fields = ("email", "name")
    ordering = ("email",)
    fields = (
        "email",
        "name",
        "time_zone",
        "is_active",
        "is_staff",
        "is_superuser",
        "groups",
        "last_login",
        "date_joined",
    )
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ("groups",)
    actions = ("send_link",)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.email = obj.email.lower()
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        if not change:
            workspace_ensure(obj)
            self._show_link(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # their records stay; an inactive user can't sign in

    @admin.action(description="Show a one-time link to set the password")
    def send_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset.filter(is_active=True)[:20]:
            self._show_link(request, user)

    def _show_link(self, request: HttpRequest, user: User) -> None:
        link = set_password_link(user, request.build_absolute_uri("/"))
        messages.success(request, f"{user.email} can set a password here, once: {link}")


@admin.register(Workspace)
class WorkspaceAdmin(admin.ModelAdmin):
    list_display = ("name", "public_id", "created_at")
    search_fields = ("name", "public_id")
    readonly_fields = ("public_id", "created_at")
    inlines = (MembershipInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("name", "workspace", "venue", "feed", "quote", "created_at")
    list_filter = ("venue", "feed")
    search_fields = ("name", "public_id", "workspace__name")
    list_select_related = ("workspace",)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "workspace", "seq", "level", "kind", "text")
    list_filter = ("level", "kind")
    search_fields = ("text", "bot")
    list_select_related = ("workspace",)
    ordering = ("-id",)
