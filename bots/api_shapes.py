"""What the API of bots takes and gives."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api_input import AmountField, ListQuery, StrictSerializer
from bots.models import Bot, BotMarket
from bots.parameters import revision_of
from bots.values import NAME_MAX, TIMEFRAMES_MS

MARKET_HELP = (
    "The market's symbol on the account's feed, such as BTC/USDT; not needed where the parameters name all markets"
)
REVISION_HELP = "The `revision` that the change was made from: if the bot was edited meanwhile, it is refused (409)"
PARAMS_HELP = "The strategy's parameters; GET /api/v1/strategies/ has their schema"
BUDGET_HELP = "In the market's quote coin, reserved for the bot while it lives; without it, what the strategy needs"


# --- in --------------------------------------------------------------------------------------------------------------


class PreviewIn(StrictSerializer):
    account = serializers.UUIDField()
    market = serializers.CharField(max_length=40, required=False, help_text=MARKET_HELP)
    strategy = serializers.CharField(max_length=40)
    params: Any = serializers.DictField(help_text=PARAMS_HELP)
    budget = AmountField(required=False, allow_null=True, default=None, help_text=BUDGET_HELP)
    timeframe_ms = serializers.ChoiceField(
        choices=TIMEFRAMES_MS, default=TIMEFRAMES_MS[0], help_text="Of the candles that its signals come from"
    )


class BotIn(PreviewIn):
    name = serializers.CharField(max_length=NAME_MAX)
    start = serializers.BooleanField(default=False, help_text="Start it at once")


class BotPatch(StrictSerializer):
    name = serializers.CharField(max_length=NAME_MAX, required=False)
    params: Any = serializers.DictField(required=False, help_text=PARAMS_HELP)
    budget = AmountField(required=False, help_text=BUDGET_HELP)
    timeframe_ms = serializers.ChoiceField(choices=TIMEFRAMES_MS, required=False)
    revision = serializers.CharField(max_length=12, required=False, default="", help_text=REVISION_HELP)


class StopIn(StrictSerializer):
    mode = serializers.ChoiceField(choices=Bot.StopMode.choices)


class CloneIn(StrictSerializer):
    name = serializers.CharField(max_length=NAME_MAX, required=False, default="")


class NothingIn(StrictSerializer):
    """An action without arguments."""


class PresetStartIn(StrictSerializer):
    account = serializers.UUIDField()


class BotQuery(ListQuery):
    status = serializers.ChoiceField(choices=Bot.Status.choices, required=False)
    account = serializers.UUIDField(required=False)
    strategy = serializers.CharField(max_length=40, required=False)


# --- out -------------------------------------------------------------------------------------------------------------


class BotMarketOut(serializers.Serializer[BotMarket]):
    alias = serializers.CharField(help_text="What its strategy calls it")
    symbol = serializers.CharField(source="market.symbol")
    market_id = serializers.IntegerField()


class BotOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="public_id")
    name = serializers.CharField()
    account = serializers.UUIDField(source="account.public_id")
    market = serializers.CharField(source="market.symbol", help_text=MARKET_HELP)
    market_id = serializers.IntegerField()
    markets = BotMarketOut(many=True, source="bot_markets.all", help_text="All that it watches and may trade")
    quote = serializers.CharField(source="market.quote")
    strategy = serializers.CharField()
    params: Any = serializers.DictField()
    revision = serializers.SerializerMethodField(help_text="Names these parameters: send it back with an edit")
    budget = AmountField()
    timeframe_ms = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Bot.Status.choices)
    status_reason = serializers.CharField()
    stop_mode = serializers.ChoiceField(choices=Bot.StopMode.choices, allow_blank=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    stopped_at = serializers.DateTimeField(allow_null=True)

    def get_revision(self, bot: Bot) -> str:
        return revision_of(bot.params)


class FigureOut(serializers.Serializer[Any]):
    key = serializers.CharField()
    label: Any = serializers.CharField()
    value = AmountField()
    unit = serializers.CharField()
    hint = serializers.CharField()


class LevelOut(serializers.Serializer[Any]):
    price = AmountField()
    qty = AmountField()
    role = serializers.CharField(help_text="buy, sell or none")
    note = serializers.CharField()


class PreviewOut(serializers.Serializer[Any]):
    figures = FigureOut(many=True, source="preview.figures")
    levels = LevelOut(many=True, source="preview.levels")
    warnings = serializers.ListField(child=serializers.CharField(), source="preview.warnings")
    funds: Any = serializers.DictField(child=AmountField(), source="preview.funds", help_text="To reserve, by coin")
    stop_price = AmountField(allow_null=True, source="preview.stop_price")
    take_profit_price = AmountField(allow_null=True, source="preview.take_profit_price")
    price = AmountField(help_text="At which this was reckoned")
    budget = AmountField()
    free = AmountField(help_text="Of the quote coin, what no bot has reserved")
    quote = serializers.CharField()
    markets: Any = serializers.SerializerMethodField(help_text="Symbol of each market, by the strategy's alias")

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_markets(self, seen: Any) -> dict[str, str]:
        return {alias: market.symbol for alias, market in seen.markets.items()}


class EditPreviewIn(StrictSerializer):
    params: Any = serializers.DictField(help_text=PARAMS_HELP)


class DifferenceOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    title: Any = serializers.CharField()
    old: Any = serializers.JSONField(allow_null=True)
    new: Any = serializers.JSONField(allow_null=True)


class NoteOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    text = serializers.CharField()


class ChangeOut(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="place, amend, cancel, keep, deny (by a risk rule) or refuse (too small)")
    slot = serializers.CharField()
    market = serializers.CharField()
    side = serializers.CharField()
    order_kind = serializers.CharField()
    qty = AmountField()
    price = AmountField(allow_null=True, help_text="Its trigger for a stop; null for a market order")
    reason = serializers.CharField()


class DryRunOut(serializers.Serializer[Any]):
    changes = ChangeOut(many=True, help_text="Each order that would rest or end; `keep` stays as it is")
    notes = NoteOut(many=True, help_text="Why, in the strategy's words")
    wakes = serializers.ListField(child=serializers.CharField(), help_text="What would make it decide again")
    finish = serializers.CharField(help_text="Why it would end itself; empty: it would not")


class EditPreviewOut(serializers.Serializer[Any]):
    revision = serializers.CharField(help_text=REVISION_HELP)
    differences = DifferenceOut(many=True, help_text="Parameters that change; empty: the edit does nothing")
    preview = PreviewOut(help_text="The bot with these parameters, at the current price")
    run = DryRunOut(allow_null=True, help_text="What a living bot would do with them now; null for a draft")


class CommandSpecOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    title: Any = serializers.CharField()
    help: Any = serializers.CharField()
    confirm = serializers.CharField(help_text="What a person is warned of before it is sent; empty: nothing")
    adds = serializers.BooleanField(help_text="It may add risk: a paused bot doesn't take it")
    schema: Any = serializers.DictField(help_text="JSON schema of its arguments")


class StrategyOut(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    version = serializers.IntegerField()
    schema: Any = serializers.DictField(
        help_text="JSON schema of its parameters: titles, types, bounds, defaults, descriptions, units and groups"
    )
    commands = CommandSpecOut(many=True, help_text="What a running bot may be told: POST .../bots/{id}/commands/")


class PresetOut(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    strategy = serializers.CharField()
    market = serializers.CharField(source="market.symbol")
    budget = AmountField()
    price = AmountField(allow_null=True)
    timeframe_ms = serializers.IntegerField()
    params: Any = serializers.DictField(help_text="Empty while there is no current price")
