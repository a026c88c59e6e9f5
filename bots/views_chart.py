"""What the chart of a bot draws, as JSON: candles of one of its markets, order lines, average, fills."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, JsonResponse
from django.views.decorators.http import require_GET

from accounts.middleware import WorkspaceRequest
from bots.markets import markets_of_bot
from bots.models import Bot
from bots.selectors import bot_get
from bots.views import UNPROCESSABLE
from bots.views_bot import TIMEFRAMES
from exchanges.models import Market
from exchanges.selectors import candles_page
from trading.core.rounding import plain
from trading.core.timeframes import MINUTE_MS
from trading.selectors import equity_curve, fills_of_workspace, orders_open, pnl_of

CANDLES_PAGE = 600
MOST_MARKERS = 400
EPOCH_DIGITS = 15


def _market(request: WorkspaceRequest, bot: Bot) -> Market:
    """Return the market that is asked for, the main one without a word; another's does not exist here."""
    asked = request.GET.get("market")
    if asked is None:
        return bot.market
    found = next((one for one in markets_of_bot(bot) if str(one.pk) == asked), None)
    if found is None:
        raise Http404("This bot has no such market")
    return found


@login_required
@require_GET
def chart(request: WorkspaceRequest, public_id: UUID) -> JsonResponse:
    """Answer what the chart draws beside candles: order lines, exits, the average price, the equity curve."""
    bot = bot_get(request.workspace, public_id)
    market = _market(request, bot)
    held = next(one for one in pnl_of(bot).holdings if one.market.pk == market.pk)
    orders = [
        {"side": order.side, "price": plain(price), "qty": plain(order.qty), "slot": order.slot}
        for order in orders_open(bot)
        if order.market_id == market.pk and (price := order.price or order.trigger) is not None
    ]
    main = market.pk == bot.market_id and bot.is_alive
    exits = {name: bot.params.get(key) for name, key in (("stop", "stop_price"), ("take", "take_profit_price"))}
    return JsonResponse(
        {
            "orders": orders,
            "average": _plain(held.avg_price),
            "liquidation": _plain(held.liquidation_price),
            "exits": exits if main else {"stop": None, "take": None},
            "range": {name: bot.params.get(name) for name in ("lower", "upper")},
            "equity": [[point.ts_ms, plain(point.equity), plain(point.hold)] for point in equity_curve(bot)],
        }
    )


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


@login_required
@require_GET
def candles(request: WorkspaceRequest, public_id: UUID) -> JsonResponse:
    """Answer a page of candles as columns, oldest first; the newest page ends with the unfinished candle."""
    market = _market(request, bot_get(request.workspace, public_id))
    timeframe_ms = _number(request, "timeframe_ms") or MINUTE_MS
    if timeframe_ms not in TIMEFRAMES:
        return JsonResponse({"detail": "timeframe_ms must be one of the chart's timeframes"}, status=UNPROCESSABLE)
    page, forming = candles_page(market, timeframe_ms, CANDLES_PAGE, _number(request, "before_ms"))
    names = ("open", "high", "low", "close", "volume")
    columns = {"ts": page.ts.tolist()} | {name: getattr(page, name).tolist() for name in names}
    if forming is not None:
        columns["ts"].append(forming.ts_ms)
        for name in names:
            columns[name].append(getattr(forming, name))
    return JsonResponse(columns)


def _number(request: WorkspaceRequest, name: str) -> int | None:
    raw = request.GET.get(name, "")
    return int(raw) if raw.isdecimal() and len(raw) <= EPOCH_DIGITS else None


@login_required
@require_GET
def markers(request: WorkspaceRequest, public_id: UUID) -> JsonResponse:
    """Answer the fills between two moments of market time (epoch ms), the newest MOST_MARKERS of them."""
    bot = bot_get(request.workspace, public_id)
    found = fills_of_workspace(request.workspace, bot=bot).filter(market=_market(request, bot))
    for name, lookup in (("from", "ts_ms__gte"), ("to", "ts_ms__lte")):
        value = _number(request, name)
        if value is not None:
            found = found.filter(**{lookup: value})
    rows = list(found[:MOST_MARKERS])
    fills = [
        {"ts": row.ts_ms, "side": row.side, "price": plain(row.price), "qty": plain(row.qty)} for row in reversed(rows)
    ]
    return JsonResponse({"fills": fills, "complete": len(rows) < MOST_MARKERS})
