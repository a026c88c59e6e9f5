"""Closing by hand what a stopped bot has left: it stops once more, and the way to stop that sells does the rest."""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction

from accounts.models import User
from bots.models import Bot
from bots.services import bot_close
from trading.core.errors import InvalidInput
from trading.left import Left, left_of
from trading.models import Balance, LedgerEntry, Position
from trading.services.ledger import Leg, post


@transaction.atomic
def position_close(*, bot: Bot, by: User | None) -> Bot:
    """Have a stopped bot close what it left, at market: positions on perpetuals, and coins that its account still has.

    Raises InvalidInput for a bot that hasn't stopped, and when there is nothing that can be closed.
    """
    held = left_of(bot)
    bot = bot_close(bot=bot, by=by)  # under the bot's lock from here on
    closable = [one for one in held if not one.fault]
    if not closable:
        text = "; ".join(one.fault for one in held) or "it holds nothing"
        raise InvalidInput(
            f"There is nothing of {bot.name} to close: {text}", field="position", code="nothing_to_close"
        )
    for one in closable:
        if not one.position.market.perpetual:
            _take_back(bot, one)
        Position.objects.filter(pk=one.position.pk).update(left_price=None)
    return bot


def _take_back(bot: Bot, one: Left) -> None:
    """Give coins back to the bot that left them, so that nobody else can use them meanwhile."""
    coin = one.position.market.base
    rows = list(Balance.objects.select_for_update().filter(account=bot.account, coin=coin).order_by("id"))
    own = sum((row.amount for row in rows if row.bot_id == bot.pk), Decimal(0))
    free = sum((row.amount for row in rows if row.bot_id is None), Decimal(0))
    missing = max(Decimal(0), one.qty - own)
    if missing > free:  # somebody took them a moment ago
        text = f"{bot.account.name} no longer has the {coin} free that {bot.name} left"
        raise InvalidInput(text, field="position", code="nothing_to_close")
    entries = LedgerEntry.objects.filter(bot=bot).count()
    legs = [Leg("free", coin, -missing), Leg("bot", coin, missing, bot)]
    post(account=bot.account, kind="take back", ref=f"take-back:{bot.public_id}:{coin}:{entries}", legs=legs)
