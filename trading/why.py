"""Why a bot did or didn't trade: from its orders, the last prices, what was denied and its strategy's own notes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from bots.models import Bot, BotMarket
from exchanges.models import Market
from exchanges.prices import quotes_get
from trading.core.rounding import to_decimal
from trading.held import held_reason
from trading.models import Fill, Order, Runtime

MOST_DENIED = 5
MOST_LINES = 12


@dataclass(frozen=True)
class Why:
    """Why a bot did or didn't trade: one sentence, and what stands behind it."""

    headline: str
    lines: tuple[str, ...] = ()


def orders_denied(bot: Bot) -> list[Order]:
    """Return what the bot wants and may not have at the moment, with the reasons."""
    return list(Order.objects.filter(bot=bot, current=True, wanted=True, status=Order.Status.DENIED).order_by("id"))


class Denied(NamedTuple):
    """The orders that one reason keeps from being placed; only the first is named, a grid can have hundreds."""

    reason: str
    first: Order
    number: int


def denied_by_reason(bot: Bot) -> list[Denied]:
    """Return what the bot wants and may not have at the moment, once for each reason."""
    groups: dict[str, list[Order]] = {}
    for order in orders_denied(bot):
        groups.setdefault(order.reason, []).append(order)
    return [Denied(reason, orders[0], len(orders)) for reason, orders in groups.items()]


def _distance(price: Decimal, last: Decimal) -> str:
    return f"{(price / last - 1) * 100:+.2f} %".replace("-", "\u2212")


def _on_tick(price: Decimal, tick: Decimal) -> str:
    """Write a price with the places of its market's tick."""
    exponent = tick.normalize().as_tuple().exponent
    return f"{price:,.{max(0, -exponent) if isinstance(exponent, int) else 0}f}"


def _nearest(orders: Iterable[Order], last: Decimal, tick: Decimal) -> list[str]:
    """Name the next buy and the next sell, and how far away they are."""
    found = []
    for side, pick in (("buy", max), ("sell", min)):
        prices = [order.price for order in orders if order.side == side and order.price is not None]
        if prices:
            price = pick(prices)
            found.append(f"next {side} at {_on_tick(price, tick)} ({_distance(price, last)})")
    return found


def _why_not_running(bot: Bot) -> str:
    reason = f": {bot.status_reason}" if bot.status_reason else ""
    return {
        Bot.Status.DRAFT: "Not started yet.",
        Bot.Status.STOPPED: f"Stopped{reason}.",
        Bot.Status.STOPPING: "Stopping: cancelling its orders.",
        Bot.Status.ERROR: f"Halted by an error{reason}. Its open orders still rest; resume it or stop it.",
    }.get(Bot.Status(bot.status), "")


def why(bot: Bot, held: str | None = None) -> Why:
    """Say what the bot is waiting for, from its orders, the last prices, what was denied and what holds it back.

    `held` is the reason for that, from somebody who knows it already.
    """
    if bot.status not in (Bot.Status.RUNNING, Bot.Status.PAUSED):
        return Why(_why_not_running(bot))
    markets = _markets(bot)
    quotes = quotes_get(market.pk for market in markets)
    silent = [market.symbol for market in markets if market.pk not in quotes]
    orders = list(Order.objects.filter(bot=bot, status__in=Order.LIVE, cancel_why="").order_by("id"))
    reason = held_reason(bot) if held is None else held
    denied = (*_doubts(reason, orders), *_denials(bot))
    if silent:
        names = ", ".join(silent[:3]) + (" and others" if len(silent) > 3 else "")
        return Why("Waiting for the first price." if len(markets) == 1 else f"Waiting for prices of {names}.", denied)
    lasts = {market.pk: to_decimal(quotes[market.pk].last) for market in markets}
    return _why_running(bot, markets, lasts, orders, denied)


def _why_running(
    bot: Bot, markets: list[Market], lasts: dict[int, Decimal], orders: list[Order], denied: tuple[str, ...]
) -> Why:
    start, notes = _start(bot), _notes(bot)
    if any(order.kind == "market" for order in orders):
        return Why(f"{start}: a market order fills at the next price", (*denied, *notes)[:MOST_LINES])
    waits = []
    for market in markets:
        mine = [order for order in orders if order.market_id == market.pk]
        nearest = ", ".join(_nearest(mine, lasts[market.pk], market.tick))
        if nearest:
            waits.append(nearest if len(markets) == 1 else f"{market.symbol}: {nearest}")
    if len(markets) == 1 and waits:
        return Why(f"{start}: {waits[0]}", (*denied, *notes)[:MOST_LINES])
    idle = notes[0] if notes else "no order rests; it waits for its signal"
    return Why(f"{start}: {idle}", (*denied, *waits, *notes[1:])[:MOST_LINES])


def _start(bot: Bot) -> str:
    if not Fill.objects.filter(bot=bot).exists():
        return "No fill yet"
    return "Paused, nothing that adds risk is placed" if bot.status == Bot.Status.PAUSED else "Running"


def _markets(bot: Bot) -> list[Market]:
    links = BotMarket.objects.filter(bot=bot).select_related("market").order_by("position")
    return [link.market for link in links] or [bot.market]


def _denials(bot: Bot) -> list[str]:
    """Return what the bot wants and may not have, with the reasons; a paused one wants nothing new."""
    if bot.status == Bot.Status.PAUSED:
        return []
    found = denied_by_reason(bot)[:MOST_DENIED]
    return [f"{one.first.slot if one.number == 1 else f'{one.number} orders'}: {one.reason}" for one in found]


def _doubts(reason: str, orders: Iterable[Order]) -> list[str]:
    """Return what holds the bot back, and the orders of which something is open: their outcome, or a change."""
    found = [f"Held: {reason}"] if reason else []
    doubtful = [order for order in orders if order.in_doubt or order.amend_tries]
    return found + [f"{order.slot}: {order.state_words}" for order in doubtful[:MOST_DENIED]]


def _notes(bot: Bot) -> list[str]:
    """Return what the strategy said of its last decision; what it said of single orders, the orders say better."""
    runtime = Runtime.objects.filter(bot=bot).only("notes").first()
    return [note["text"] for note in runtime.notes if "price" not in note] if runtime else []
