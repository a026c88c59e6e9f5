"""The API of markets, their candles and prices: the same for everybody who is signed in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import WorkspaceListView, WorkspaceView
from exchanges.api_shapes import CandleQuery, CandlesOut, FormingOut, MarketOut, MarketQuery, PriceOut
from exchanges.demo import wall_now_ms
from exchanges.models import Market
from exchanges.prices import quote_get
from exchanges.selectors import candles_page, markets_shown
from trading.core.candles import COLUMNS, Candles
from trading.core.errors import StaleData


def _market(market_id: int) -> Market:
    found = markets_shown().filter(pk=market_id).first()
    if found is None:
        raise NotFound(f"There is no market {market_id}")
    return found


@extend_schema_view(
    get=extend_schema(
        operation_id="markets_list", parameters=[MarketQuery], description="List markets.", tags=["markets"]
    )
)
class MarketsView(WorkspaceListView):
    serializer_class = MarketOut

    def get_queryset(self) -> QuerySet[Market]:
        wanted = {name: value for name, value in MarketQuery.read(self.request).items() if value is not None}
        return markets_shown().filter(**wanted)


class MarketView(WorkspaceView):
    @extend_schema(operation_id="markets_get", responses=MarketOut, tags=["markets"])
    def get(self, request: Request, market_id: int) -> Response:
        """Show one market's rules and fees."""
        return Response(MarketOut(_market(market_id)).data)


class CandlesView(WorkspaceView):
    @extend_schema(operation_id="markets_candles", parameters=[CandleQuery], responses=CandlesOut, tags=["markets"])
    def get(self, request: Request, market_id: int) -> Response:
        """Show the newest closed candles, or those before a time, as columns; fewer than asked when there are fewer."""
        market, query = _market(market_id), CandleQuery.read(request)
        timeframe_ms, before_ms = query["timeframe_ms"], query.get("before_ms")
        candles, forming = candles_page(market, timeframe_ms, query["limit"], before_ms)
        head = {"market": market.pk, "symbol": market.symbol, "timeframe_ms": timeframe_ms, "demo": market.is_demo}
        return Response({**head, **_columns(candles), "forming": FormingOut(forming).data if forming else None})


def _columns(candles: Candles) -> dict[str, list[Any]]:
    return {name: getattr(candles, name).tolist() for name in COLUMNS}


class PriceView(WorkspaceView):
    @extend_schema(operation_id="markets_price", responses=PriceOut, tags=["markets"])
    def get(self, request: Request, market_id: int) -> Response:
        """Show the last price; 503 while there is none."""
        market = _market(market_id)
        quote = quote_get(market.pk)
        if quote is None:
            raise StaleData(f"There is no price of {market.symbol} yet")
        age_ms = max(0, wall_now_ms() - quote.received_ms)
        more = {"symbol": market.symbol, "age_ms": age_ms, "stale": age_ms > settings.PRICE_MAX_AGE_MS}
        return Response(PriceOut({**asdict(quote), **more}).data)


urlpatterns = [
    path("markets/", MarketsView.as_view(), name="markets"),
    path("markets/<int:market_id>/", MarketView.as_view(), name="market"),
    path("markets/<int:market_id>/candles/", CandlesView.as_view(), name="market-candles"),
    path("markets/<int:market_id>/price/", PriceView.as_view(), name="market-price"),
]
