"""What the risk gate may look at when it judges the orders of one decision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.conf import settings

from bots.models import Bot
from risk.selectors import limits_for
from trading.core.ports import RiskContext, RiskLimits
from trading.exposure import exposure_of
from trading.halted import halted_reason

if TYPE_CHECKING:
    from trading.situation import Situation


def gate_facts(situation: Situation) -> RiskContext:
    """Read it once a decision. A replay trades nothing: no limits, no kill switch."""
    limits = RiskLimits() if situation.simulated else limits_for(situation.bot.account)
    context = RiskContext(
        free=situation.free,
        price_age_ms=situation.price_age_ms,
        halted="the bot is paused" if situation.bot.status == Bot.Status.PAUSED else situation.held,
        facts={"price_max_age_ms": settings.PRICE_MAX_AGE_MS},
        limits=limits,
        exposure=exposure_of(situation) if limits.max_position is not None else {},
        open_orders=len(situation.live),
    )
    halted = "" if situation.simulated else halted_reason(situation.bot)
    return replace(context, halted=halted) if halted else context
