"""What others trade on an account of ours: told, never booked, and held where it changes what our bots hold."""

from __future__ import annotations

from django.db.models import Q

from accounts.models import Account
from accounts.services import EventDraft
from bots.models import Bot
from trading.core.ids import is_ours
from trading.core.ports import Execution
from trading.core.rounding import plain
from trading.models import Hold, Order, Position
from trading.services.holds import hold_set


def foreign_event(execution: Execution) -> EventDraft:
    """An execution that no order of ours explains is told, and changes nothing in our books."""
    lost = is_ours(execution.client_order_id)
    text = f"{execution.side} {plain(execution.qty)} {execution.symbol} at {plain(execution.price)} was traded by "
    text += "an order of ours that this database doesn't know" if lost else "an order that isn't ours"
    return EventDraft("fill.foreign", text, "error" if lost else "warning", None, {"exec_id": execution.exec_id})


def foreign_hold(account: Account, execution: Execution) -> None:
    """A position of a perpetual is netted: what others trade there changes what our bots hold, by how much nobody says.

    Coins need no hold of their own: if some that our books need are gone, the comparison of balances finds that.
    """
    market = {"market__symbol": execution.symbol, "market__perpetual": True}
    held = Position.objects.filter(bot__account=account, **market).exclude(qty=0).values("bot_id")
    ordered = Order.objects.filter(account=account, status__in=Order.LIVE, **market).values("bot_id")
    for bot in Bot.objects.filter(Q(pk__in=held) | Q(pk__in=ordered)):
        hold_set(
            account=account,
            bot=bot,
            cause=Hold.Cause.FOREIGN,
            ref=f"trade:{execution.symbol}"[:80],
            reason=f"Somebody else traded {execution.symbol} on this account, so its position there is no longer what "
            "this bot's books say. The bot places nothing that adds risk. Set the position right on the venue's page, "
            "or stop the bot; then lift this",
            needs_person=True,
        )
