"""The health monitor's hands: what can mend itself is mended, and what can't is told to whom it concerns."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.models import Event
from accounts.services import EventDraft, events_append
from bots.doorbell import ring
from bots.models import Bot, BotInput
from bots.selectors import not_replayed
from exchanges.models import Market
from exchanges.prices import quotes_get
from trading.jobs import Run
from trading.leases import LEASE
from trading.models import JobRun, ProcessSign, Runtime
from trading.services.clocks import clocks_check
from trading.services.waking import TICKED
from trading.signs import DEAD_S

LATE = timedelta(seconds=30)  # due for so long, and nobody has ticked it
SILENT = timedelta(minutes=5)  # then its owner is told
TOLD_AGAIN = timedelta(hours=1)
NO_PRICE_MS = 120_000
NEVER_ENDED = timedelta(minutes=15)  # a job's row that says "running" for so long belongs to a process that died
MOST = 500


def health_check(run: Run, now: datetime) -> None:
    """Look after the runtime: leases of the dead, bots that nobody ticks, jobs that never ended."""
    freed = leases_free()
    late = bots_late(now)
    ring(late)
    told = silent_tell(now)
    ended = jobs_end(now)
    held = clocks_check(now)
    run.repairs = freed + len(late) + ended
    words = {
        "leases of the dead freed": freed,
        "late bots rung again": len(late),
        "owners told of a silent bot": told,
        "job runs closed whose process had died": ended,
        "accounts held for a wrong clock": held,
    }
    run.did = "; ".join(f"{count} {what}" for what, count in words.items() if count)


def leases_free() -> int:
    """Free the leases whose holder is dead, and those that reach so far into the future that a clock was wrong.

    Wall time, as leases have it. Fencing makes it safe: a holder that lives after all can't write any more.
    """
    now = timezone.now()
    held = Runtime.objects.filter(lease_until__gt=now).exclude(lease_owner="")
    freed = held.filter(lease_until__gt=now + 6 * LEASE).update(lease_until=None, lease_owner="")
    signs = ProcessSign.objects.filter(kind__in=("worker", "embedded"))
    places = {name.partition("@")[2]: seen for name, seen in signs.values_list("name", "seen_at")}
    gone = [place for place, seen in places.items() if seen < now - timedelta(seconds=DEAD_S)]
    for place in gone[:MOST]:
        freed += held.filter(lease_owner__startswith=f"{place}:").update(lease_until=None, lease_owner="")
    return freed


def leases_give_back(place: str) -> int:
    """Free what a process that ends now still holds."""
    held = Runtime.objects.filter(lease_until__gt=timezone.now(), lease_owner__startswith=f"{place}:")
    return held.update(lease_until=None, lease_owner="")


def bots_late(now: datetime, late: timedelta = LATE) -> list[int]:
    """Return the bots that have had something to do for longer than `late`, and that nobody is ticking."""
    since = now - late
    ticked = Q(bot__status__in=TICKED) & not_replayed("bot__account__")
    free = Q(not_before=None) | Q(not_before__lte=since)
    unleased = Q(lease_until=None) | Q(lease_until__lt=timezone.now())
    timed = Runtime.objects.filter(ticked, free, unleased, due_at__lte=since).values_list("bot_id", flat=True)
    held = Runtime.objects.filter(~(free & unleased)).filter(bot=OuterRef("bot"))
    told = BotInput.objects.filter(ticked, ~Exists(held), number=None, created_at__lte=since).exclude(kind="denied")
    return sorted({*timed[:MOST], *told.values_list("bot_id", flat=True).distinct()[:MOST]})[:MOST]


def silent_tell(now: datetime) -> int:
    """Tell the owners of bots that should have moved for five minutes and haven't."""
    text = (
        "{name} had something to do for more than 5 minutes and no worker has looked at it. Its resting orders stay "
        "as they are. Nothing needs to be done here: whoever runs this installation sees it on the health page."
    )
    return _tell(bots_late(now, SILENT), "bot.silent", text, now)


def markets_check(run: Run, now: datetime) -> None:
    """Find the markets of running bots that have no price, and tell the bots' owners."""
    dark = markets_dark(now)
    bots = list(Bot.objects.filter(status__in=TICKED, market__in=dark).values_list("id", flat=True)[:MOST])
    text = (
        "{name} waits: no price of {market} has come for more than 2 minutes. Nothing that adds risk is sent until "
        "prices come again; resting orders stay as they are."
    )
    told = _tell(bots, "bot.no_price", text, now)
    run.did = f"no price of {', '.join(sorted(market.symbol for market in dark)[:10])}" if dark else ""
    run.did += f"; {told} owners told" if told else ""


def markets_dark(now: datetime, older_ms: int = NO_PRICE_MS) -> list[Market]:
    """Return the markets of live bots whose newest price is too old or unknown."""
    markets = markets_live()
    quotes = quotes_get([market.pk for market in markets])
    oldest = int(now.timestamp() * 1000) - max(older_ms, settings.PRICE_MAX_AGE_MS)
    return [m for m in markets if (quote := quotes.get(m.pk)) is None or quote.received_ms < oldest]


def markets_live() -> list[Market]:
    """Return the markets of live bots."""
    alive = Bot.objects.filter(not_replayed("account__"), status__in=TICKED)
    return list(Market.objects.filter(pk__in=alive.values("market_id")))


def _tell(bot_ids: Collection[int], kind: str, text: str, now: datetime) -> int:
    """Write one event per bot, and not again within an hour."""
    if not bot_ids:
        return 0
    known = Event.objects.filter(bot=OuterRef("public_id"), kind=kind, created_at__gt=now - TOLD_AGAIN)
    bots = Bot.objects.filter(~Exists(known), pk__in=list(bot_ids)).select_related("market")
    told = 0
    for bot in bots:
        words = text.format(name=bot.name, market=bot.market.symbol)
        events_append(bot.workspace_id, [EventDraft(kind, words, Event.Level.WARNING, bot.public_id)])
        told += 1
    return told


def jobs_end(now: datetime) -> int:
    """Close the rows of job runs whose process died before they ended."""
    running = JobRun.objects.filter(status=JobRun.Status.RUNNING, started_at__lt=now - NEVER_ENDED)
    return running.update(status=JobRun.Status.FAILED, ended_at=now, error="its process ended before it did")
