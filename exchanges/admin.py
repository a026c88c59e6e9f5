"""Operators' view of markets, the demo clock and the paper venue. Market rules can be mended, the rest only read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin_base import ReadOnlyAdmin
from exchanges.models import (
    CandleBlock,
    DemoClock,
    Market,
    PaperExecution,
    PaperFunding,
    PaperOrder,
    PaperPosition,
    PaperWallet,
)


@admin.register(Market)
class MarketAdmin(admin.ModelAdmin):
    list_display = ("symbol", "source", "tick", "lot", "min_notional", "maker_fee", "taker_fee", "perpetual", "active")
    list_filter = ("source", "active", "perpetual", "quote")
    search_fields = ("symbol", "source")
    ordering = ("source", "symbol")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("source", "symbol", "base", "quote", "perpetual") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its orders and candles hang on it; an inactive market takes no orders


@admin.register(CandleBlock)
class CandleBlockAdmin(ReadOnlyAdmin):
    list_display = ("market", "timeframe_ms", "day", "count")
    list_filter = ("timeframe_ms",)
    search_fields = ("market__symbol", "market__source")
    list_select_related = ("market",)
    fields = ("market", "timeframe_ms", "day", "count")
    ordering = ("-day", "market")


@admin.register(DemoClock)
class DemoClockAdmin(ReadOnlyAdmin):
    list_display = ("seed", "speed", "epoch_ms", "wall_ms", "market_ms", "walked_ms")


@admin.register(PaperWallet)
class PaperWalletAdmin(ReadOnlyAdmin):
    list_display = ("account", "coin", "total", "locked")
    list_filter = ("coin",)
    search_fields = ("account__name", "account__public_id")
    list_select_related = ("account",)


@admin.register(PaperOrder)
class PaperOrderAdmin(ReadOnlyAdmin):
    list_display = ("id", "account", "market", "side", "kind", "qty", "price", "trigger", "status", "reason")
    list_filter = ("status", "side", "kind")
    search_fields = ("client_order_id", "account__name", "account__public_id")
    list_select_related = ("account", "market")
    ordering = ("-id",)


@admin.register(PaperExecution)
class PaperExecutionAdmin(ReadOnlyAdmin):
    list_display = ("id", "account", "order", "price", "qty", "fee", "fee_coin", "maker", "liquidation", "ts_ms")
    list_filter = ("liquidation",)
    search_fields = ("exec_id", "order__client_order_id", "account__name")
    list_select_related = ("account", "order")
    ordering = ("-id",)


@admin.register(PaperPosition)
class PaperPositionAdmin(ReadOnlyAdmin):
    list_display = ("account", "market", "qty", "cost", "margin", "leverage", "below", "above")
    list_filter = ("market",)
    search_fields = ("account__name", "account__public_id")
    list_select_related = ("account", "market")


@admin.register(PaperFunding)
class PaperFundingAdmin(ReadOnlyAdmin):
    list_display = ("id", "account", "market", "amount", "rate", "ts_ms")
    list_filter = ("market",)
    search_fields = ("account__name", "account__public_id")
    list_select_related = ("account", "market")
    ordering = ("-id",)
