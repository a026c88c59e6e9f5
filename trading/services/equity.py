"""Equity snapshots: at each fill, and every five minutes for bots that hold something."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from bots.models import Bot
from bots.selectors import not_replayed
from exchanges.prices import Quote, quotes_get
from trading.core.rounding import money, to_decimal
from trading.models import EquityPoint, Position
from trading.worth import total_at


def _point(bot: Bot, positions: Sequence[Position], ts_ms: int, prices: Mapping[int, Decimal]) -> EquityPoint | None:
    """Return the bot's equity at these prices (by market), None while something that it holds has none.

    Beside it what the same budget would be worth if it had bought the bot's own market at its start.
    """
    total = Decimal(0)
    hold = bot.budget
    for position in positions:
        price = prices.get(position.market_id)
        if price is None and position.qty:
            return None
        total += total_at(position, price or Decimal(0))
        if position.market_id == bot.market_id and price is not None:
            hold = money(bot.budget * price / (position.first_price or price))
    return EquityPoint(bot=bot, ts_ms=ts_ms, equity=bot.budget + total, hold=hold)


def equity_point_add(bot: Bot, position: Position, ts_ms: int, price: Decimal) -> None:
    """Write the bot's equity at a fill of `position` at `price`; its other markets count at their last prices."""
    others = list(Position.objects.filter(bot=bot).exclude(pk=position.pk))
    prices = {market: to_decimal(quote.last) for market, quote in _quotes(others).items()}
    point = _point(bot, [position, *others], ts_ms, prices | {position.market_id: price})
    if point is not None:
        point.save(force_insert=True)


def _quotes(positions: Sequence[Position]) -> dict[int, Quote]:
    return quotes_get({position.market_id for position in positions}) if positions else {}


def equity_snapshot() -> int:
    """Write a point for every bot that is alive and has a price; returns how many."""
    alive = (Bot.Status.RUNNING, Bot.Status.PAUSED, Bot.Status.STOPPING, Bot.Status.ERROR)
    rows = Position.objects.filter(not_replayed("bot__account__"), bot__status__in=alive, left_price=None)
    rows = rows.select_related("bot")
    held: defaultdict[Bot, list[Position]] = defaultdict(list)
    for position in rows.exclude(first_price=None):
        held[position.bot].append(position)
    quotes = _quotes([position for own in held.values() for position in own])
    prices = {market: to_decimal(quote.last) for market, quote in quotes.items()}
    points = []
    for bot, own in held.items():
        known = [quotes[position.market_id].market_ms for position in own if position.market_id in quotes]
        point = _point(bot, own, max(known), prices) if known else None
        points += [point] if point is not None else []
    EquityPoint.objects.bulk_create(points)
    return len(points)
