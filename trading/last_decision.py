"""What a bot's last decision said, and what will make the next one: for its page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bots.models import Bot
from trading.models import DerivedWake, Order, Runtime, SignalWake, TrailWake, Wake

MOST_SIGNALS = 12


@dataclass(frozen=True)
class LastDecision:
    """`notes` as the strategy wrote them; `wakes` in words; `slots` the latest generation of each."""

    number: int
    at: datetime | None
    due_at: datetime | None
    notes: tuple[dict[str, Any], ...]
    wakes: tuple[str, ...]
    slots: tuple[Order, ...]


def last_decision(bot: Bot) -> LastDecision | None:
    """Return what stands of the bot's last decision; None before its first."""
    runtime = Runtime.objects.filter(bot=bot).first()
    if runtime is None or not runtime.number:
        return None
    slots = Order.objects.filter(bot=bot, current=True, wanted=True).select_related("market").order_by("slot")
    notes = tuple({"code": note.get("code", ""), "text": note.get("text", "")} for note in runtime.notes)
    wakes = tuple(_wakes(bot)) if bot.is_alive else ()
    return LastDecision(runtime.number, runtime.ticked_at, runtime.due_at, notes, wakes, tuple(slots))


def _wakes(bot: Bot) -> list[str]:
    wakes = Wake.objects.filter(bot=bot).select_related("market").order_by("id")
    derived = DerivedWake.objects.filter(bot=bot).order_by("id")
    trails = TrailWake.objects.filter(bot=bot).select_related("market").order_by("id")
    found = [f"{wake.market.symbol} {_levels(wake.below, wake.above)}" for wake in wakes]
    found += [f"{row.name} {_levels(row.below, row.above)}" for row in derived]
    found += [f"a trailing {trail.side} on {trail.market.symbol} fires" for trail in trails]
    names = sorted(set(SignalWake.objects.filter(bot=bot).values_list("name", flat=True)))
    found += [f"the signal \u201c{name}\u201d changes" for name in names[:MOST_SIGNALS]]
    if len(names) > MOST_SIGNALS:
        found.append(f"{len(names) - MOST_SIGNALS} more signals change")
    return found


def _levels(below: float | None, above: float | None) -> str:
    words = [("at or below", below), ("at or above", above)]
    return " or ".join(f"{word} {level:.10g}" for word, level in words if level is not None)
