"""What a stopped bot has left: a perpetual position of its own, or coins that went to its account when it ended."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from bots.models import Bot
from exchanges.prices import Quote, quotes_get
from trading.core.rounding import notional, plain, qty_to_lot, to_decimal
from trading.models import Balance, Position


class Left(NamedTuple):
    """One position that is still there: how much of it could be closed now, worth what, or why it can't be."""

    position: Position
    qty: Decimal
    value: Decimal
    fault: str


def left_of(bot: Bot) -> list[Left]:
    """Return what a stopped bot still holds, by market; nothing of any other bot."""
    if bot.status != Bot.Status.STOPPED:
        return []
    held = [row for row in Position.objects.filter(bot=bot).select_related("market").order_by("id") if row.qty]
    quotes = quotes_get([row.market_id for row in held])
    there = _coins(bot, held)
    return [_look(bot, row, quotes.get(row.market_id), there.get(row.market.base, Decimal(0))) for row in held]


def tradable(position: Position, quote: Quote) -> Decimal:
    """Return the quantity of the order that closes the position, 0 when it is too small to be one."""
    rules = position.market.rules
    qty = qty_to_lot(abs(position.qty), rules.lot)
    small = qty < rules.min_qty or qty * to_decimal(quote.last) < rules.min_notional
    return Decimal(0) if small else qty


def _look(bot: Bot, position: Position, quote: Quote | None, there: Decimal) -> Left:
    market = position.market
    if quote is None:
        return Left(position, Decimal(0), Decimal(0), f"{market.symbol} has no price now")
    qty = tradable(position, quote)
    value = notional(qty, to_decimal(quote.last))
    if not qty:
        return Left(position, qty, value, f"what is left of {market.symbol} is too small to be traded")
    if not market.perpetual and there < qty:
        text = f"of the {plain(qty)} {market.base} that {bot.name} left, {bot.account.name} has {plain(there)} free"
        return Left(position, qty, value, text)
    return Left(position, qty, value, "")


def _coins(bot: Bot, held: Sequence[Position]) -> dict[str, Decimal]:
    """Return how much of each coin the bot still has itself or its account has free."""
    coins = {row.market.base for row in held if not row.market.perpetual}
    found: dict[str, Decimal] = {}
    rows = Balance.objects.filter(account=bot.account_id, coin__in=coins) if coins else ()
    for row in rows:
        if row.bot_id in (None, bot.pk):
            found[row.coin] = found.get(row.coin, Decimal(0)) + row.amount
    return found
