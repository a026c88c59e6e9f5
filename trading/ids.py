"""Order ids of this installation."""

from __future__ import annotations

from django.conf import settings

from bots.models import Bot
from trading.core.ids import client_order_id


def order_id(bot: Bot, slot: str, gen: int, attempt: int) -> str:
    return client_order_id(settings.INSTALLATION_EPOCH, str(bot.public_id), slot, gen, attempt)
