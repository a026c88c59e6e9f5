"""How a workspace's own trading fares: is it looked after, do its prices come, what is held, what went wrong lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from accounts.models import Event, Workspace
from bots.models import Bot
from exchanges.models import Market
from exchanges.prices import quotes_get
from trading.health_processes import BAD, OK, Check
from trading.health_work import sweep_check
from trading.models import Hold
from trading.services.waking import TICKED

MOST_HOLDS = 50
MOST_EVENTS = 20
MENDING = "Whoever runs this installation can see it, too. Your resting orders stay as they are."


@dataclass(frozen=True, slots=True)
class Status:
    at: datetime
    checks: list[Check]
    holds: list[Hold]
    events: list[Event]
    names: dict[UUID, str]  # of bots, by public id

    @property
    def well(self) -> bool:
        return not self.holds and all(check.state == OK for check in self.checks)


def status_of(workspace: Workspace, now: datetime | None = None) -> Status:
    at = now or timezone.now()
    holds = Hold.objects.filter(workspace=workspace, lifted_at=None).select_related("bot", "account").order_by("-since")
    news = Event.objects.filter(workspace=workspace, level__in=(Event.Level.WARNING, Event.Level.ERROR))
    events = list(news.order_by("-seq")[:MOST_EVENTS])
    bots = Bot.objects.filter(workspace=workspace, public_id__in={event.bot for event in events if event.bot})
    names = dict(bots.values_list("public_id", "name"))
    return Status(at, [_work(at), _prices(workspace, at)], list(holds[:MOST_HOLDS]), events, names)


def _work(now: datetime) -> Check:
    if sweep_check(now).state == OK:
        return Check("Work", OK, "your bots are looked after each second")
    return Check("Work", BAD, "nobody looks after bots right now", MENDING)


def _prices(workspace: Workspace, now: datetime) -> Check:
    live = Bot.objects.filter(workspace=workspace, status__in=TICKED)
    markets = list(Market.objects.filter(pk__in=live.values("market_id")))
    quotes = quotes_get([market.pk for market in markets])
    oldest = int(now.timestamp() * 1000) - settings.PRICE_MAX_AGE_MS
    dark = [m.symbol for m in markets if (quote := quotes.get(m.pk)) is None or quote.received_ms < oldest]
    if dark:
        todo = f"Your bots there add no risk until prices come again. {MENDING}"
        return Check("Prices", BAD, f"none of now for {', '.join(sorted(set(dark))[:5])}", todo)
    return Check("Prices", OK, "they come" if markets else "none of your bots waits for any")
