"""Which bot has a perpetual market: a venue nets all of an account's positions there, so one bot at a time may.

Two bots would close each other's positions and pay each other's liquidations, on opposite sides even more so.
"""

from __future__ import annotations

from collections.abc import Iterable

from accounts.models import Account
from bots.models import Bot, BotMarket
from exchanges.models import Market
from trading.core.errors import InvalidInput, InvalidInputs

CLAIMING = (Bot.Status.RUNNING, Bot.Status.PAUSED, Bot.Status.STOPPING, Bot.Status.ERROR)
LIVE = ("planned", "sending", "working", "unknown")  # orders that may still fill


def claim_faults(account: Account, markets: Iterable[Market], own: Bot | None = None) -> list[InvalidInput]:
    """Return a fault for each perpetual among `markets` that another living bot of the account has, or in which a
    stopped one has left a position or an order."""
    perpetual = [market for market in markets if market.perpetual]
    if not perpetual:
        return []
    links = BotMarket.objects.filter(bot__account=account, market__in=perpetual).select_related("bot", "market")
    others = links.exclude(bot=own) if own is not None else links
    stopped = others.filter(bot__status=Bot.Status.STOPPED).prefetch_related("bot__positions")
    return [
        InvalidInput(
            f"{row.bot.name} {has} {row.market.symbol} in {account.name} already; a perpetual market is netted, "
            f"so only one bot of an account may trade it{way_out}",
            field="market",
            value=row.market.symbol,
            code="market_taken",
        )
        for row, has, way_out in [
            *((row, "trades", "") for row in others.filter(bot__status__in=CLAIMING)),
            *((row, "has left a position on", ". Close it on its page") for row in stopped if _has_left(row)),
            *((row, "has left orders on", "") for row in stopped if not _has_left(row) and _has_orders(row)),
        ]
    ]


def _has_orders(row: BotMarket) -> bool:
    """Say whether a stopped bot's order still rests there: when it fills, it makes a position."""
    return bool(row.bot.orders.filter(market=row.market_id, status__in=LIVE).exists())


def _has_left(row: BotMarket) -> bool:
    """Say whether a stopped bot has more there than what is too small to be closed."""
    market = row.market
    return any(
        abs(one.qty) >= max(market.min_qty, market.lot) and abs(one.cost) >= market.min_notional
        for one in row.bot.positions.all()
        if one.market_id == row.market_id
    )


def claim(bot: Bot) -> None:
    """Refuse to start a bot on a perpetual that another one has. In a transaction: the account's row is its lock."""
    markets = [row.market for row in BotMarket.objects.filter(bot=bot).select_related("market")]
    if any(market.perpetual for market in markets):
        Account.objects.select_for_update(no_key=True).get(pk=bot.account_id)
        faults = claim_faults(bot.account, markets, own=bot)
        if faults:
            raise InvalidInputs(faults)
