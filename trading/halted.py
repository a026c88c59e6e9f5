"""Who stands under a pulled kill switch at the moment: reads for whoever decides, sends and finds what is due.

Replays never do: they trade nothing, and their bots live by candle time.
"""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import Account
from bots.models import Bot
from exchanges.selectors import REPLAY
from risk.models import Halt
from risk.selectors import halt_words, halts_over

Scope = Halt.Scope
HALTED = "halted"  # why its orders are cancelled (`Order.cancel_why`)


def halts_on(bot: Bot, account: Account) -> QuerySet[Halt]:
    """Return the halts that keep this bot's orders from adding risk, as a condition for the send itself, too."""
    if account.feed.startswith(REPLAY):
        return Halt.objects.none()
    return halts_over(bot.workspace_id, bot.account_id, bot.public_id)


def halted_reason(bot: Bot) -> str:
    """Say which kill switch keeps the bot from adding risk; empty when none does."""
    halt = halts_on(bot, bot.account).order_by("id").first()
    return halt_words(halt) if halt is not None else ""


def is_halted(bot: Bot) -> bool:
    return halts_on(bot, bot.account).exists()


def halted(path: str = "bot__") -> Q:
    """Select rows whose bot (over `path`) stands under a halt."""
    named = Q(scope=Scope.BOT, bot=OuterRef(f"{path}public_id")) | Q(
        scope=Scope.ACCOUNT, account=OuterRef(f"{path}account")
    )
    wide = Q(scope=Scope.WORKSPACE, workspace=OuterRef(f"{path}workspace")) | Q(scope=Scope.PLATFORM)
    return Q(Exists(Halt.objects.filter(named | wide, rearmed_at=None)))
