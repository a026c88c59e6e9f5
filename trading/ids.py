"""Order ids of this installation."""

from __future__ import annotations

from django.conf import settings

from accounts.installation import installation_now
from bots.models import Bot
from trading.core.ids import client_order_id


def order_id(bot: Bot, slot: str, gen: int, attempt: int) -> str:
    """Return the id of an attempt. The installation's first epoch leaves no trace in it, each later one does."""
    number, _ = installation_now()
    epoch = settings.INSTALLATION_EPOCH if number == 1 else f"{settings.INSTALLATION_EPOCH}.{number}"
    return client_order_id(epoch, str(bot.public_id), slot, gen, attempt)
