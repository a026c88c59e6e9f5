"""Ending a bot: the engine's own orders, without asking the strategy."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts.containment import contain
from bots.models import Bot
from bots.selectors import not_replayed
from bots.services import bot_failed, bot_finished
from exchanges.prices import quotes_get
from trading.core.rounding import to_float
from trading.core.types import Kind, Side, Want
from trading.ids import order_id
from trading.inbox import want_json
from trading.leases import Lease
from trading.left import tradable
from trading.models import Balance, Order, Position, Runtime
from trading.services.claims import ENGINE
from trading.services.funding import budget_release
from trading.services.waking import wakes_drop
from trading.situation import inputs_open, markets_of

EXIT_SLOT = f"{ENGINE}exit"
EXIT_TRIES = 3
WAIT_FOR_PRICE = timedelta(seconds=1)


@transaction.atomic
def stop_step(lease: Lease, bot: Bot, runtime: Runtime, now: datetime) -> bool:
    """Do the next thing on the way to stopped; returns True when something is left to send or to wait for."""
    moved = Runtime.objects.filter(bot=bot, lease_token=lease.token, number=runtime.number)
    if not moved.update(number=runtime.number + 1, due_at=None, not_before=None):
        return False
    for row in inputs_open(bot):
        row.number = runtime.number + 1
        row.save(update_fields=["number"])
    if bot.stop_mode == Bot.StopMode.LEAVE:
        unsent = Order.objects.filter(bot=bot, status=Order.Status.PLANNED)
        unsent.update(status=Order.Status.CANCELLED, closed_at=timezone.now(), locked=Decimal(0), reason="never sent")
        wakes_drop(bot)
        bot_finished(bot=bot, reason="everything left as it is")
        return False
    live = Order.objects.filter(bot=bot, status__in=Order.LIVE)
    live.exclude(slot__startswith=ENGINE).filter(cancel_why="").update(cancel_why="stopping")
    if live.exists():
        return True
    held = _to_leave(bot)
    quotes = quotes_get([position.market_id for position in held])
    if len(quotes) < len(held):  # nobody can say whether what it holds can be sold
        Runtime.objects.filter(bot=bot).update(due_at=now + WAIT_FOR_PRICE, not_before=now + WAIT_FOR_PRICE)
        return False
    exits = [(position, qty) for position in held if (qty := tradable(position, quotes[position.market_id])) > 0]
    if exits:
        return all(_exit(bot, runtime, position, qty) for position, qty in exits)
    bot_end(bot, _ended(bot))
    return False


def _ended(bot: Bot) -> str:
    """Say how it ended: coins are sold or kept, positions on perpetuals always closed."""
    if bot.stopped_at is not None:
        return "what it had left was closed"
    sold = bot.stop_mode == Bot.StopMode.SELL
    perpetual = [row.market.perpetual for row in Position.objects.filter(bot=bot).select_related("market")]
    words = ["orders cancelled"]
    if any(perpetual):
        words.append("positions closed")
    if not all(perpetual) or not perpetual:
        words.append(f"coins sold to {bot.market.quote}" if sold else "coins kept")
    return ", ".join(words)


@transaction.atomic
def bot_end(bot: Bot, reason: str) -> None:
    """Give back what the bot holds and mark it stopped. Nothing of it may be live any more."""
    budget_release(bot=bot)
    Runtime.objects.filter(bot=bot).update(due_at=None, not_before=None)
    wakes_drop(bot)
    bot_finished(bot=bot, reason=reason)


def leftovers_release() -> int:
    """Return the coins of stopped bots whose orders were left alone and have ended since; returns how many bots."""
    stopped = Balance.objects.filter(not_replayed("account__"), bot__status=Bot.Status.STOPPED)
    holding = stopped.exclude(amount=0).values("bot_id")
    ended = (
        Bot.objects.filter(pk__in=holding).exclude(orders__status__in=Order.LIVE).select_related("market", "account")
    )
    released = 0
    for bot in ended:
        with contain(f"leftovers of bot {bot.pk}"):
            released += budget_release(bot=bot)
    return released


def _to_leave(bot: Bot) -> list[Position]:
    """Return what is traded away: everything when it is to be sold, and in any case what can't be kept as coins.

    A perpetual position is no coin: without its bot nobody would watch its margin. Coins that went to the account when
    the bot ended the last time aren't the bot's any more.
    """
    sold = bot.stop_mode == Bot.StopMode.SELL
    held = [row for row in Position.objects.filter(bot=bot).select_related("market").order_by("id") if row.qty]
    return [row for row in held if row.market.perpetual or (sold and row.left_price is None)]


def _exit(bot: Bot, runtime: Runtime, position: Position, qty: Decimal) -> bool:
    market = position.market
    slot = EXIT_SLOT if market.pk == bot.market_id else f"{EXIT_SLOT}:{market.base.lower()}"
    exits = Order.objects.filter(bot=bot, slot=slot)
    last = exits.order_by("-gen").first()
    gen = last.gen + 1 if last else 1
    if last is not None and exits.filter(status=Order.Status.REJECTED, wanted=True).count() >= EXIT_TRIES:
        exits.update(wanted=False)  # whoever stops it again begins to count anew
        text = "position could not be closed" if market.perpetual else "coins could not be sold"
        if bot.stopped_at is None:
            bot_failed(bot=bot, reason=f"its {text}: {last.reason}")
        else:  # it has no budget any more that it could go on with
            bot_end(bot, f"its {text}: {last.reason}")
        return False
    exits.update(current=False)
    side = Side.SELL if position.qty > 0 else Side.BUY
    alias = next((name for name, one in markets_of(bot).items() if one.pk == market.pk), "main")
    Order.objects.create(
        workspace_id=bot.workspace_id,
        account=bot.account,
        bot=bot,
        market=market,
        alias=alias,
        slot=slot,
        gen=gen,
        number=runtime.number + 1,
        client_order_id=order_id(bot, slot, gen, 1),
        side=side,
        kind=Kind.MARKET,
        reduce=True,
        leverage=position.leverage,
        want=want_json(Want(alias, side, Kind.MARKET, to_float(qty), gen=gen, reduce=True, tag="exit")),
        qty=qty,
        lock_coin=market.quote if market.perpetual else market.base,
        locked=Decimal(0) if market.perpetual else qty,
    )
    return True
