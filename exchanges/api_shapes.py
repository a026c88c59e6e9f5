"""What the API of markets takes and gives. Rules are money and so strings; prices and candles are data for charts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.api_input import AmountField, ListQuery, QuerySerializer
from exchanges.candle_store import DAY_MS
from exchanges.models import Market
from trading.core.timeframes import MINUTE_MS

CANDLES_DEFAULT, CANDLES_MAX = 500, 1500
LONGEST_MS = 7 * DAY_MS
LAST_MS = 2**53 - 1


class MarketQuery(ListQuery):
    source = serializers.CharField(  # type: ignore[assignment]  # a field of that name, not Field.source
        max_length=64, required=False, help_text="Who gives the prices, such as demo"
    )
    symbol = serializers.CharField(max_length=40, required=False, help_text="The whole symbol, such as BTC/USDT")
    base = serializers.CharField(max_length=16, required=False)
    quote = serializers.CharField(max_length=16, required=False)
    active = serializers.BooleanField(required=False, allow_null=True, default=None, help_text="Open for trading")
    perpetual = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Perpetual futures only, or spot markets only"
    )


class CandleQuery(QuerySerializer):
    timeframe_ms = serializers.IntegerField(
        default=MINUTE_MS, min_value=MINUTE_MS, max_value=LONGEST_MS, help_text="Length of a candle: whole minutes"
    )
    limit = serializers.IntegerField(default=CANDLES_DEFAULT, min_value=1, max_value=CANDLES_MAX)
    before_ms = serializers.IntegerField(
        required=False, min_value=0, max_value=LAST_MS, help_text="Only candles that open before this time"
    )

    def validate_timeframe_ms(self, value: int) -> int:
        if value % MINUTE_MS:
            raise serializers.ValidationError(f"Must be a whole number of minutes: a multiple of {MINUTE_MS}")
        return value


class MarketOut(serializers.Serializer[Market]):
    id = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field of that name, not Field.source
    symbol = serializers.CharField()
    base = serializers.CharField()
    quote = serializers.CharField()
    tick = AmountField(help_text="Step of a price")
    lot = AmountField(help_text="Step of a quantity")
    min_qty = AmountField()
    min_notional = AmountField(help_text="In the quote coin")
    maker_fee = AmountField(help_text="Ratio of the notional: 0.001 = 0.1 %")
    taker_fee = AmountField(help_text="Ratio of the notional")
    active = serializers.BooleanField()
    perpetual = serializers.BooleanField(help_text="A perpetual future: margin is in quote, positions may be short")
    max_leverage = AmountField(source="rules.perpetual.max_leverage", allow_null=True, help_text="Null on spot")
    maintenance_rate = AmountField(
        source="rules.perpetual.maintenance_rate",
        allow_null=True,
        help_text="Ratio of the notional below which a position is liquidated; null on spot",
    )
    funding_rate = AmountField(
        source="rules.perpetual.funding_rate",
        allow_null=True,
        help_text="Ratio of the notional that longs pay shorts each interval (negative: the reverse); null on spot",
    )
    funding_interval_ms = serializers.IntegerField(
        source="rules.perpetual.funding_interval_ms",
        allow_null=True,
        help_text="Funding is paid at each full multiple since 1970, UTC; null on spot",
    )
    demo = serializers.BooleanField(source="is_demo", help_text="Its prices are made up")


class FormingOut(serializers.Serializer[Any]):
    ts = serializers.IntegerField(source="ts_ms")
    open = serializers.FloatField()
    high = serializers.FloatField()
    low = serializers.FloatField()
    close = serializers.FloatField()
    volume = serializers.FloatField()


class CandlesOut(serializers.Serializer[Any]):
    """Columns of equal length, oldest first."""

    market = serializers.IntegerField()
    symbol = serializers.CharField()
    timeframe_ms = serializers.IntegerField()
    demo = serializers.BooleanField()
    ts = serializers.ListField(child=serializers.IntegerField(), help_text="Open times, ms UTC")
    open = serializers.ListField(child=serializers.FloatField())
    high = serializers.ListField(child=serializers.FloatField())
    low = serializers.ListField(child=serializers.FloatField())
    close = serializers.ListField(child=serializers.FloatField())
    volume = serializers.ListField(child=serializers.FloatField(), help_text="In the base coin")
    forming = FormingOut(allow_null=True, help_text="The unfinished candle, when it is known and the newest was asked")


class PriceOut(serializers.Serializer[Any]):
    market = serializers.IntegerField(source="market_id")
    symbol = serializers.CharField()
    seq = serializers.IntegerField(help_text="Rises with each update")
    ts = serializers.IntegerField(source="market_ms", help_text="The market's own time, ms UTC")
    open = serializers.FloatField(help_text="Of this update, as are high and low")
    high = serializers.FloatField()
    low = serializers.FloatField()
    last = serializers.FloatField()
    received_ms = serializers.IntegerField()
    age_ms = serializers.IntegerField()
    stale = serializers.BooleanField(help_text="Too old to act on")
