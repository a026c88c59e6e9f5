"""What the API of orders, fills, positions and PnL takes and gives."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.api_input import AmountField, ListQuery, StrictSerializer
from trading.models import AdviceAsk, Fill, Order


class OrderQuery(ListQuery):
    bot = serializers.UUIDField(required=False)
    status = serializers.ChoiceField(choices=Order.Status.choices, required=False)


class FillQuery(ListQuery):
    bot = serializers.UUIDField(required=False)


class DepositIn(StrictSerializer):
    coin = serializers.CharField(max_length=16)
    amount = AmountField()


class PaperAccountIn(StrictSerializer):
    name = serializers.CharField(max_length=80)
    amount = AmountField(help_text="Practice money, in USDT")


class ResetIn(StrictSerializer):
    amount = AmountField(help_text="Of the account's quote coin")


class OrderOut(serializers.Serializer[Order]):
    id = serializers.UUIDField(source="public_id")
    bot = serializers.UUIDField(source="bot.public_id")
    market = serializers.CharField(source="market.symbol")
    slot = serializers.CharField(help_text="What the strategy calls it; (bot, slot, gen) is placed at most once")
    gen = serializers.IntegerField()
    client_order_id = serializers.CharField()
    exchange_order_id = serializers.CharField()
    side = serializers.CharField()
    kind = serializers.CharField()
    tif = serializers.CharField()
    qty = AmountField()
    price = AmountField(allow_null=True)
    trigger = AmountField(allow_null=True)
    filled_qty = AmountField()
    filled_quote = AmountField()
    status = serializers.ChoiceField(choices=Order.Status.choices)
    cancelling: Any = serializers.SerializerMethodField(help_text="A cancel is asked for and not confirmed yet")
    reason = serializers.CharField()
    unknown_since = serializers.DateTimeField(
        source="unknown_at", allow_null=True, help_text="Since when nobody knows what became of it, while it is unknown"
    )
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)

    def get_cancelling(self, order: Order) -> bool:
        return bool(order.cancel_why) and order.is_live


class CommandIn(StrictSerializer):
    kind = serializers.CharField(max_length=40, help_text="GET /api/v1/strategies/{key}/ lists what a strategy takes")
    args: Any = serializers.DictField(required=False, default=dict, help_text="By the schema that stands with the kind")


class CommandOut(serializers.Serializer[Any]):
    bot = serializers.UUIDField()
    kind = serializers.CharField()
    args: Any = serializers.DictField(help_text="As they stand in the bot's inbox: typed, without what wasn't given")
    by = serializers.CharField(help_text="Who sent it")


class FillOut(serializers.Serializer[Fill]):
    id = serializers.CharField(source="exec_id")
    bot = serializers.UUIDField(source="bot.public_id")
    order = serializers.UUIDField(source="order.public_id")
    market = serializers.CharField(source="market.symbol")
    side = serializers.CharField()
    price = AmountField()
    qty = AmountField()
    fee = AmountField()
    fee_coin = serializers.CharField()
    realised = AmountField(help_text="Gross, at average cost, in quote")
    maker = serializers.BooleanField()
    ts_ms = serializers.IntegerField(help_text="Market time")
    created_at = serializers.DateTimeField()


class HoldingOut(serializers.Serializer[Any]):
    market = serializers.CharField(source="market.symbol")
    qty = AmountField(help_text="Short: negative")
    avg_price = AmountField(allow_null=True)
    price = AmountField(allow_null=True)
    realised = AmountField()
    unrealised = AmountField(allow_null=True)
    fees = AmountField()
    funding = AmountField(help_text="Received and paid on a perpetual position; paid: negative")
    margin = AmountField(help_text="Held by a perpetual position")
    leverage = AmountField()
    liquidation_price = AmountField(allow_null=True)
    total = AmountField(allow_null=True)
    fills = serializers.IntegerField()


class PnlOut(serializers.Serializer[Any]):
    quote = serializers.CharField()
    budget = AmountField()
    qty = AmountField()
    avg_price = AmountField(allow_null=True)
    price = AmountField(allow_null=True, help_text="At which it is reckoned; null while there is none")
    price_age_ms = serializers.IntegerField(allow_null=True)
    realised = AmountField(help_text="Gross")
    unrealised = AmountField(allow_null=True)
    fees = AmountField()
    funding = AmountField(help_text="Received and paid on perpetual positions; paid: negative")
    total = AmountField(allow_null=True, help_text="realised + unrealised - fees + funding, exactly")
    equity = AmountField(allow_null=True)
    hold = AmountField(allow_null=True, help_text="What buying at the start and holding would have made")
    fills = serializers.IntegerField()
    holdings = HoldingOut(many=True, help_text="One a market; quantity and average above are the main market's")


class PositionOut(PnlOut):
    bot = serializers.UUIDField()
    market = serializers.CharField()


class WhyOut(serializers.Serializer[Any]):
    headline = serializers.CharField()
    lines = serializers.ListField(child=serializers.CharField())


class QuestionOut(serializers.Serializer[Any]):
    id = serializers.CharField(source="ask_id")
    kind = serializers.CharField()
    advisor = serializers.CharField()
    status = serializers.ChoiceField(choices=AdviceAsk.Status.choices)
    payload: Any = serializers.DictField()
    value: Any = serializers.JSONField(allow_null=True)
    error = serializers.CharField()
    latency_ms = serializers.IntegerField(allow_null=True)
    cost = AmountField(help_text="In USD")
    asked_ms = serializers.IntegerField(help_text="Market time")
    deadline_ms = serializers.IntegerField(help_text="Market time")
    created_at = serializers.DateTimeField()
    answered_at = serializers.DateTimeField(allow_null=True)


class EquityOut(serializers.Serializer[Any]):
    ts_ms = serializers.ListField(child=serializers.IntegerField())
    equity = serializers.ListField(child=AmountField())
    hold = serializers.ListField(child=AmountField())


class BalanceOut(serializers.Serializer[Any]):
    coin = serializers.CharField()
    free = AmountField(help_text="What no bot has reserved")
