"""Operators' view of what happened: orders, fills, positions, the ledger. Nothing here can be changed."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin_base import ReadOnlyAdmin, ReadOnlyInline
from trading import admin_halts, admin_installation  # noqa: F401  # they register themselves
from trading.models import (
    AdviceAsk,
    Balance,
    Fill,
    Hold,
    JobRun,
    Journal,
    LedgerEntry,
    Order,
    Position,
    ProcessSign,
    Runtime,
)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ("id", "bot", "slot", "gen", "side", "kind", "qty", "price", "filled_qty", "status", "reason")
    list_filter = ("status", "side", "kind")
    search_fields = ("client_order_id", "exchange_order_id", "public_id", "bot__name", "bot__public_id")
    list_select_related = ("bot",)
    ordering = ("-id",)


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    list_display = ("id", "bot", "side", "price", "qty", "fee", "fee_coin", "realised", "exec_id", "created_at")
    list_filter = ("side",)
    search_fields = ("exec_id", "bot__name", "bot__public_id", "order__client_order_id")
    list_select_related = ("bot",)
    ordering = ("-id",)


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    list_display = ("bot", "market", "qty", "cost", "realised", "fees", "fills")
    search_fields = ("bot__name", "bot__public_id")
    list_select_related = ("bot", "market")


class LedgerEntryInline(ReadOnlyInline):
    model = LedgerEntry


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin):
    list_display = ("id", "account", "kind", "ref", "created_at")
    list_filter = ("kind",)
    search_fields = ("ref", "account__name", "account__public_id")
    list_select_related = ("account",)
    inlines = (LedgerEntryInline,)
    ordering = ("-id",)


@admin.register(Balance)
class BalanceAdmin(ReadOnlyAdmin):
    list_display = ("account", "bot", "coin", "amount")
    list_filter = ("coin",)
    search_fields = ("account__name", "bot__name")
    list_select_related = ("account", "bot")


@admin.register(Runtime)
class RuntimeAdmin(ReadOnlyAdmin):
    list_display = ("bot", "number", "due_at", "not_before", "backoff_s", "lease_owner", "lease_until", "ticked_at")
    search_fields = ("bot__name", "bot__public_id")
    list_select_related = ("bot",)


@admin.register(AdviceAsk)
class AdviceAskAdmin(ReadOnlyAdmin):
    list_display = ("id", "bot", "kind", "ask_id", "advisor", "status", "error", "latency_ms", "cost", "created_at")
    list_filter = ("status", "kind", "advisor")
    search_fields = ("ask_id", "bot__name", "bot__public_id")
    list_select_related = ("bot",)
    ordering = ("-id",)


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """A hold that waits for a person is lifted on its bot's page, where its owner sees what it is about."""

    list_display = ("id", "workspace", "account", "bot", "cause", "reason", "needs_person", "since", "lifted_at")
    list_filter = (("lifted_at", admin.EmptyFieldListFilter), "cause", "needs_person")
    search_fields = ("ref", "reason", "bot__name", "bot__public_id", "account__name")
    list_select_related = ("workspace", "account", "bot")
    ordering = ("-id",)


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin):
    list_display = ("name", "status", "started_at", "ended_at", "repairs", "did", "error")
    list_filter = ("status", "name")
    search_fields = ("error", "did")
    ordering = ("-id",)


@admin.register(ProcessSign)
class ProcessSignAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "kind",
        "queues",
        "release",
        "started_at",
        "seen_at",
        "worked_at",
        "done",
        "clock_offset_ms",
    )
    list_filter = ("kind",)
    search_fields = ("name",)
    ordering = ("kind", "-seen_at")
