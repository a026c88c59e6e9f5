"""Sleeping bots and what wakes them: rows in an index, found by one query per price update."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q

from bots.models import Bot, BotInput
from bots.selectors import not_replayed
from exchanges.models import Market
from exchanges.paper_path import TrailWatch
from exchanges.prices import extremes_since
from trading.core.errors import StrategyFault
from trading.core.types import Decision, Side, Signal, Trail, TrailWake, Woken
from trading.halted import halted
from trading.inbox import input_row
from trading.missed import Touched
from trading.models import Runtime, Wake
from trading.models import TrailWake as TrailRow
from trading.services.listening import derived_wake, derived_wakes_replace, listening_drop, signal_wakes_replace
from trading.services.sending import orders_unsent
from trading.signals import HUB

if TYPE_CHECKING:
    from trading.situation import Situation

MARKETS_A_QUERY = 50
TICKED = (Bot.Status.RUNNING, Bot.Status.PAUSED, Bot.Status.STOPPING)


def bots_due(now: datetime, limit: int = 500, *, among: Sequence[int] | None = None) -> list[int]:
    """Return the bots that have something to do: an input they haven't seen, a time that has come, an unsent order.

    At most `limit`, or all those of `among`; never those of a replay.

    A denial alone wakes nobody: it is asked again after its back-off.
    """
    waiting = Q(not_before=None) | Q(not_before__lte=now)
    held = Runtime.objects.filter(not_before__gt=now).values("bot_id")
    real = not_replayed("bot__account__")
    ticked = Q(bot__status__in=TICKED) & real
    # Under a halt no strategy decides: what it is told waits. What is to be cancelled is everybody's, also of bots that
    # have ended.
    asleep = halted() & Q(bot__status__in=(Bot.Status.RUNNING, Bot.Status.PAUSED))
    ending = (Q(bot__status__in=TICKED) | halted()) & real
    if among is not None:
        ticked, ending, limit = ticked & Q(bot_id__in=among), ending & Q(bot_id__in=among), len(among)
    found = [
        BotInput.objects.filter(ticked & ~asleep, number=None).exclude(kind="denied").exclude(bot_id__in=held),
        Runtime.objects.filter(ending, waiting, due_at__lte=now),
        orders_unsent().filter(ending).exclude(bot_id__in=held),
    ]
    return sorted({bot for rows in found for bot in rows.values_list("bot_id", flat=True).distinct()[:limit]})[:limit]


def wakes_replace(situation: Situation, decision: Decision) -> None:
    """Arm what this decision waits for, and only that; in the decision's transaction.

    Raises StrategyFault for a series that the strategy didn't ask for in its needs.
    """
    bot, wake, needs = situation.bot, decision.wake, situation.needs
    levels: dict[str, tuple[list[float], list[float]]] = {}
    for price in wake.prices:
        levels.setdefault(price.series, ([], []))[price.above].append(price.level)
    strange = [name for name in levels if name not in situation.markets and name not in needs.derived]
    strange += [name for name in wake.signals if name not in needs.signals]
    strange += [trail.market for trail in wake.trails if trail.market not in situation.markets]
    if strange:
        raise StrategyFault(f"it waits for {strange[0]!r}, which it didn't ask for in its needs")
    wanted = {name: (max(below, default=None), min(above, default=None)) for name, (below, above) in levels.items()}
    markets = {alias: one.market for alias, one in situation.markets.items()}
    _prices_replace(bot, {markets[name].pk: pair for name, pair in wanted.items() if name in markets})
    derived_wakes_replace(bot, markets, needs, wake.prices)
    signal_wakes_replace(bot, markets, needs, wake.signals)
    _trails_replace(bot, [(markets[trail.market], trail) for trail in wake.trails], situation.view.now_ms)


def _prices_replace(bot: Bot, wanted: Mapping[int, tuple[float | None, float | None]]) -> None:
    armed = {row.market_id: (row.below, row.above) for row in Wake.objects.filter(bot=bot)}
    if armed == wanted:
        return
    Wake.objects.filter(bot=bot, market_id__in=[key for key in armed if armed[key] != wanted.get(key)]).delete()
    Wake.objects.bulk_create(
        Wake(bot=bot, market_id=market, below=below, above=above)
        for market, (below, above) in wanted.items()
        if armed.get(market) != (below, above)
    )


def _trails_replace(bot: Bot, wanted: Sequence[tuple[Market, TrailWake]], now_ms: int) -> None:
    """Arm trailing wakes; one that stays as it is keeps the peak that it has seen."""
    heard = {_trail_key(row): row.pk for row in TrailRow.objects.filter(bot=bot)}
    new = [
        TrailRow(bot=bot, market=market, side=side, **trail._asdict(), since_ms=now_ms)
        for market, (_, side, trail) in wanted
    ]
    kept = {_trail_key(row) for row in new}
    gone = [pk for key, pk in heard.items() if key not in kept]
    if gone:
        TrailRow.objects.filter(pk__in=gone).delete()
    TrailRow.objects.bulk_create([row for row in new if _trail_key(row) not in heard])


def _trail_key(row: TrailRow) -> tuple[object, ...]:
    return row.market_id, str(row.side), _trail(row)


def wakes_drop(bot: Bot) -> None:
    """Let nothing wake this bot any more."""
    Wake.objects.filter(bot=bot).delete()
    listening_drop(bot)
    TrailRow.objects.filter(bot=bot).delete()


def wakes_check(situation: Situation, decision: Decision) -> None:
    """After the commit: did a price or a signal move between the view and now? Then wake at once."""
    bot, needs = situation.bot, situation.needs
    for one in situation.markets.values():
        seen = extremes_since(one.market.pk, one.quote.seq)
        if seen is None:  # not all remembered: better one decision too many than a touch that is lost
            seen = (float("-inf"), float("inf"))
        prices_wake(one.market.pk, *seen, seq=one.quote.seq + 1, bot_id=bot.pk, standing=one.quote.last)
        if needs.derived and seen != (one.quote.last, one.quote.last):
            derived_wake(one.market.pk, bot_id=bot.pk)
    if not decision.wake.signals:
        return
    markets = {alias: one.market.pk for alias, one in situation.markets.items()}
    known = {name: spec for name, spec in needs.signals.items() if name in decision.wake.signals}
    values = HUB.values(markets, dataclasses.replace(needs, signals=known), bot.timeframe_ms, situation.market_ms)
    for name, spec in known.items():
        place = situation.view.derived if spec.market in needs.derived else situation.view.markets
        if values[name] != place[spec.market].signals[name]:
            input_row(bot.pk, Signal(name, values[name], situation.view.now_ms)).save()


def markets_trailed(market_ids: Collection[int]) -> set[int]:
    """Return those of these markets on which a trailing wake waits."""
    return set(TrailRow.objects.filter(market__in=market_ids).values_list("market_id", flat=True).distinct())


def trails_of(market: Market) -> list[TrailWatch]:
    """Return the trailing wakes that wait on a market."""
    return [
        TrailWatch(row.pk, market.pk, Side(row.side), _trail(row), row.since_ms)
        for row in TrailRow.objects.filter(market=market).order_by("pk")
    ]


def _trail(row: TrailRow) -> Trail:
    return Trail(row.activation, row.offset_ratio, row.offset, row.floor)


@transaction.atomic
def trails_fired(watch_ids: Iterable[Hashable], touched: Touched | None = None) -> list[int]:
    """Wake the bots whose trailing wakes have fired; each fires once and is then re-armed."""
    fired: list[Any] = list(watch_ids)
    if not fired:
        return []
    rows = list(TrailRow.objects.filter(pk__in=fired).select_for_update().values_list("pk", "bot_id"))
    TrailRow.objects.filter(pk__in=[row[0] for row in rows]).delete()
    BotInput.objects.bulk_create(_woken(bot, "trail", touched) for _, bot in rows)
    return [bot for _, bot in rows]


def _woken(bot_id: int, by: str, touched: Touched | None) -> BotInput:
    """Return the input of a wake; what touched it stands beside it, until its decision has looked."""
    return input_row(bot_id, Woken(by), touched=touched) if touched is not None else input_row(bot_id, Woken(by))


def markets_touched(stretches: Sequence[Touched]) -> set[int]:
    """Return the markets in which somebody waits for a level that these stretches reach: one query over its indexes
    for up to MARKETS_A_QUERY markets. Locks nothing."""
    reach: dict[int, tuple[float, float]] = {}
    for one in stretches:
        low, high = reach.get(one.market_id, (one.low, one.high))
        reach[one.market_id] = (min(low, one.low), max(high, one.high))
    found: set[int] = set()
    for begin in range(0, len(reach), MARKETS_A_QUERY):
        part = list(reach.items())[begin : begin + MARKETS_A_QUERY]
        touched = Q(*(_touches(market, low, high) for market, (low, high) in part), _connector=Q.OR)
        found.update(Wake.objects.filter(touched).values_list("market_id", flat=True).distinct())
    return found


def _touches(market_id: int, low: float, high: float) -> Q:
    return Q(market_id=market_id) & (Q(below__gte=low) | Q(above__lte=high))


@transaction.atomic
def prices_wake(
    market_id: int,
    low: float,
    high: float,
    *,
    seq: int | None = None,
    bot_id: int | None = None,
    standing: float | None = None,
) -> list[int]:
    """Wake the bots whose level lies in [low, high] of update `seq`; each wake fires once and is then re-armed."""
    if standing is not None and low == high == standing:
        return []  # nothing has moved
    found = Wake.objects.filter(_touches(market_id, low, high))
    if bot_id is not None:
        found = found.filter(bot_id=bot_id)
    rows = list(found.select_for_update().values_list("id", "bot_id"))
    if not rows:
        return []
    Wake.objects.filter(id__in=[row[0] for row in rows]).delete()
    bots = [row[1] for row in rows]
    touched = Touched(market_id, seq, low, high) if seq is not None and isfinite(low + high) else None
    BotInput.objects.bulk_create(_woken(bot, "price", touched) for bot in bots)
    return bots


def signals_recheck() -> None:
    """Let every bot that waits for a signal look again: a change may have been stored, but told to nobody."""
    waiting = Bot.objects.filter(not_replayed("account__"), status__in=TICKED, signal_wakes__isnull=False).distinct()
    rows = (input_row(bot, Woken("restart")) for bot in waiting.values_list("pk", flat=True))
    BotInput.objects.bulk_create(rows, batch_size=500)
