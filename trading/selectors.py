"""Reads of what happened: orders, fills, balances; what bots have made and why they trade stand in `pnl` and `why`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import Http404

from accounts.models import Account, Event, Workspace
from accounts.selectors import as_uuid
from bots.models import Bot
from exchanges.models import Market
from exchanges.prices import Quote, quotes_get
from trading.core.rounding import notional, to_decimal
from trading.held import held_of_many, hold_get, holds_of, holds_open
from trading.last_decision import LastDecision, last_decision
from trading.left import Left, left_of
from trading.models import AdviceAsk, Balance, EquityPoint, Fill, Order, Position
from trading.pnl import Holding, Pnl, pnl_of, pnl_of_many
from trading.why import Denied, Why, denied_by_reason, orders_denied, why

__all__ = [
    "Denied",
    "Holding",
    "LastDecision",
    "Left",
    "Pnl",
    "Why",
    "balances_of",
    "denied_by_reason",
    "equity_curve",
    "events_of",
    "fills_of_many",
    "fills_of_workspace",
    "fills_recent",
    "free_balance",
    "free_to_promise",
    "held_of_many",
    "hold_get",
    "holds_of",
    "holds_open",
    "last_decision",
    "left_of",
    "markets_in_use",
    "order_get",
    "order_prices_of_many",
    "orders_denied",
    "orders_of_workspace",
    "orders_open",
    "orders_recent",
    "pnl_of",
    "pnl_of_many",
    "questions_of",
    "why",
    "worth_of",
]

ZERO, ONE = Decimal(0), Decimal(1)


def free_balance(account: Account, coin: str) -> Decimal:
    """Return what of the account's coins no bot has reserved."""
    row = Balance.objects.filter(account=account, bot=None, coin=coin).first()
    return row.amount if row else ZERO


def free_to_promise(account: Account, coin: str) -> Decimal:
    """Return what a new bot may have: free, and not promised to one that was started a moment ago."""
    alive = (Bot.Status.RUNNING, Bot.Status.PAUSED, Bot.Status.STOPPING)
    waiting = Bot.objects.filter(account=account, market__quote=coin, status__in=alive, balances=None)
    return free_balance(account, coin) - sum(waiting.values_list("budget", flat=True), ZERO)


def balances_of(account: Account) -> dict[str, Decimal]:
    """Return the unreserved coins of an account, without the empty ones."""
    rows = Balance.objects.filter(account=account, bot=None).order_by("coin")
    return {row.coin: row.amount for row in rows if row.amount}


def worth_of(accounts: Iterable[Account], quote: str, *, left: bool = False) -> Decimal | None:
    """Return what accounts hold in a quote coin, bots' shares and coins that bots left behind included.

    Coins count at their current price on the account's own feed; None while one of them has none. Accounts that are
    kept in another quote coin count nothing. With `left` only the coins that no bot holds any more count.
    """
    kept = [account for account in accounts if account.quote == quote]
    rows = [row for row in Balance.objects.filter(account__in=kept).select_related("account") if row.amount]
    rows = [row for row in rows if not left or (row.bot_id is None and row.coin != quote)]
    sources = {row.account.feed for row in rows}
    spot = Market.objects.filter(source__in=sources, quote=quote, perpetual=False)
    markets = {(m.source, m.base): m.pk for m in spot}
    quotes = quotes_get(markets.values())
    total = ZERO
    for row in rows:
        price = ONE if row.coin == quote else _price(quotes, markets.get((row.account.feed, row.coin)))
        if price is None:
            return None
        total += notional(row.amount, price)
    return total


def _price(quotes: Mapping[int, Quote], market_id: int | None) -> Decimal | None:
    found = quotes.get(market_id) if market_id is not None else None
    return to_decimal(found.last) if found is not None else None


def orders_of_workspace(workspace: Workspace, *, bot: Bot | None = None, status: str = "") -> QuerySet[Order]:
    """Return the workspace's orders, newest first."""
    found = Order.objects.filter(workspace=workspace).select_related("bot", "market").order_by("-id")
    found = found.filter(bot=bot) if bot is not None else found
    return found.filter(status=status) if status else found


def order_get(workspace: Workspace, public_id: str | UUID) -> Order:
    try:
        return orders_of_workspace(workspace).get(public_id=as_uuid(public_id))
    except Order.DoesNotExist:
        raise Http404("No such order") from None


def fills_of_workspace(workspace: Workspace, *, bot: Bot | None = None) -> QuerySet[Fill]:
    """Return the workspace's fills, newest first."""
    found = Fill.objects.filter(workspace=workspace).select_related("bot", "market", "order").order_by("-id")
    return found.filter(bot=bot) if bot is not None else found


def orders_open(bot: Bot) -> list[Order]:
    return list(Order.objects.filter(bot=bot, status__in=Order.LIVE).select_related("market").order_by("id"))


def order_prices_of_many(bots: Iterable[Bot]) -> dict[int, list[tuple[str, Decimal]]]:
    """Return side and price of every resting limit order, by the bot's primary key, with one query."""
    found: dict[int, list[tuple[str, Decimal]]] = {}
    orders = Order.objects.filter(bot__in=list(bots), status__in=Order.LIVE, price__isnull=False)
    for bot_id, side, price in orders.values_list("bot_id", "side", "price"):
        found.setdefault(bot_id, []).append((side, price))
    return found


def markets_in_use(bot: Bot) -> list[Market]:
    """Return the markets in which the bot holds something or has an order that lives."""
    held = Position.objects.filter(bot=bot).exclude(qty=0).values("market")
    ordered = Order.objects.filter(bot=bot, status__in=Order.LIVE).values("market")
    return list(Market.objects.filter(Q(pk__in=held) | Q(pk__in=ordered)).order_by("id"))


def orders_recent(bot: Bot, limit: int = 50) -> list[Order]:
    return list(Order.objects.filter(bot=bot).select_related("market").order_by("-id")[:limit])


def fills_recent(bot: Bot, limit: int = 50) -> list[Fill]:
    return list(Fill.objects.filter(bot=bot).select_related("market", "order").order_by("-id")[:limit])


def fills_of_many(bots: Sequence[Bot], limit: int = 10) -> list[Fill]:
    return list(Fill.objects.filter(bot__in=bots).select_related("market", "bot").order_by("-id")[:limit])


def equity_curve(bot: Bot, limit: int = 2000) -> list[EquityPoint]:
    """Return the newest points, oldest first."""
    return list(EquityPoint.objects.filter(bot=bot).order_by("-ts_ms", "-id")[:limit])[::-1]


def events_of(bot: Bot, limit: int = 50) -> list[Event]:
    return list(Event.objects.filter(workspace=bot.workspace_id, bot=bot.public_id).order_by("-seq")[:limit])


def questions_of(bot: Bot, limit: int = 50) -> list[AdviceAsk]:
    """Return what the bot's strategy has asked its adviser, newest first."""
    return list(AdviceAsk.objects.filter(bot=bot).order_by("-id")[:limit])
