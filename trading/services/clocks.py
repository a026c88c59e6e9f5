"""Clocks that don't agree: whoever judges by a wrong clock takes an old price for a new one, and sends too late.

While one of the living workers is more than a second off, every account with a live bot is held; the first look that
finds them all right lets them go.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from accounts.models import Account
from bots.models import Bot
from bots.selectors import ALIVE, not_replayed
from trading.models import Hold, ProcessSign
from trading.services.holds import hold_lift, hold_set
from trading.signs import DEAD_S

MOST_MS = 1000
JUDGES = ("worker", "embedded", "streams")
RIGHT_AGAIN = "all clocks agree again"


def clocks_wrong(now: datetime) -> list[ProcessSign]:
    """Return the living processes whose clock is more than a second off the database's."""
    alive = ProcessSign.objects.filter(kind__in=JUDGES, seen_at__gt=now - timedelta(seconds=DEAD_S))
    return [sign for sign in alive.order_by("name") if abs(sign.clock_offset_ms or 0) > MOST_MS]


def clocks_check(now: datetime) -> int:
    """Hold the accounts with live bots while a clock is wrong, let them go otherwise; returns how many were held."""
    wrong = clocks_wrong(now)
    if not wrong:
        for hold in Hold.objects.filter(cause=Hold.Cause.CLOCK, lifted_at=None).select_related("account", "bot"):
            hold_lift(hold=hold, why=RIGHT_AGAIN)
        return 0
    off_s = (wrong[0].clock_offset_ms or 0) / 1000
    ahead = "ahead" if off_s > 0 else "behind"
    reason = (
        f"The clock of {wrong[0].name} is {abs(off_s):.1f} s {ahead}, so nobody can tell an old price from a new one. "
        "Nothing that adds risk is sent until whoever runs this installation has set it right."
    )
    alive = Bot.objects.filter(not_replayed("account__"), status__in=ALIVE).values("account_id")
    return sum(
        hold_set(account=one, cause=Hold.Cause.CLOCK, reason=reason) for one in Account.objects.filter(pk__in=alive)
    )
