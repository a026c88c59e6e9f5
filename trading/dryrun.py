"""What a bot would do now: its decision made on a copy, compared with what is there, and nothing written.

Edit previews, support and the curious ask here; a draft counts as just started with its whole budget free.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.containment import contain
from bots.models import Bot
from trading.core.errors import InvalidInput, StrategyFault
from trading.core.rounding import plain, to_decimal, to_float
from trading.core.types import Command, Decision, Note, Wake, Woken
from trading.models import Runtime
from trading.services.decisions import Intent, Verdict, verdict_of
from trading.situation import Situation, situation_of


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between what is wanted and what is there. `kind`: place, amend, cancel, keep, deny or refuse."""

    kind: str
    slot: str
    market: str  # symbol
    side: str
    order_kind: str
    qty: Decimal
    price: Decimal | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DryRun:
    """A decision that nobody acts on. `finish` says why the bot would end itself."""

    notes: tuple[Note, ...]
    changes: tuple[Change, ...]
    wakes: tuple[str, ...]
    finish: str = ""

    @property
    def kept(self) -> bool:
        """Say whether any order stays as it is."""
        return any(change.kind == "keep" for change in self.changes)

    @property
    def quiet(self) -> bool:
        """Say whether everything would stay as it is."""
        return not self.finish and all(change.kind == "keep" for change in self.changes)


def what_now(bot: Bot, params: Mapping[str, Any] | None = None, command: Command | None = None) -> DryRun:
    """Let the bot decide on a copy, with `params` instead of its own or after a person's `command` if given.

    Raises InvalidInput while a market has no price or the parameters can't be, StrategyFault when the strategy fails.
    """
    known = Runtime.objects.filter(bot=bot).first()
    runtime = known or Runtime(bot=bot)
    situation = situation_of(bot, runtime, timezone.now(), params=params)
    if situation is None:
        raise InvalidInput("There is no current price of all its markets; try again", field="market", code="no_price")
    situation.state = copy.deepcopy(situation.state)
    if not runtime.number:
        _as_if_started(situation)
    asked = command or (Command("edit") if params is not None else Woken("retry"))
    situation.view.inbox = (*situation.view.inbox, asked)
    decision = _decide(situation)
    return _told(situation, decision, verdict_of(situation, decision))


def _as_if_started(situation: Situation) -> None:
    """A bot that has never decided gets its budget with its first decision."""
    bot, view = situation.bot, situation.view
    quote = bot.market.quote
    if not situation.free.get(quote):
        situation.free[quote] = bot.budget
        view.budget = {**view.budget, quote: to_float(bot.budget)}
    view.inbox = (Command("start"),)


def _decide(situation: Situation) -> Decision:
    with contain(f"dry run of bot {situation.bot.pk}") as outcome:
        return situation.strategy.decide(situation.params, situation.state, situation.view)
    raise StrategyFault(f"its strategy failed: {outcome.error}") from outcome.error


def _told(situation: Situation, decision: Decision, verdict: Verdict) -> DryRun:
    going = [slot for slot, order in situation.orders.items() if order.is_live and order.cancel_why]
    changes = [_cancelled(situation, slot, "is being cancelled already") for slot in going]
    changes += [_cancelled(situation, slot, why) for slot, why in verdict.plan.cancels]
    changes += [_asked(intent, "amend") for intent in verdict.amends]
    changes += [_asked(intent, "place") for intent in verdict.intents]
    changed = {change.slot for change in changes}
    changes += [_kept(situation, slot) for slot in decision.orders if slot not in changed and _is_live(situation, slot)]
    return DryRun(tuple(decision.notes), tuple(changes), tuple(_wakes(situation, decision.wake)), decision.finish)


def _is_live(situation: Situation, slot: str) -> bool:
    order = situation.orders.get(slot)
    return order is not None and order.is_live


def _asked(intent: Intent, kind: str) -> Change:
    reason = intent.refused or (intent.denied.reason if intent.denied else "")
    what = "refuse" if intent.refused else "deny" if intent.denied else kind
    want, symbol = intent.want, intent.watched.market.symbol
    return Change(what, intent.slot, symbol, want.side, want.kind, intent.qty, intent.price or intent.trigger, reason)


def _cancelled(situation: Situation, slot: str, why: str) -> Change:
    order = situation.orders[slot]
    return Change("cancel", slot, order.market.symbol, order.side, order.kind, order.qty, order.price, why)


def _kept(situation: Situation, slot: str) -> Change:
    order = situation.orders[slot]
    return Change("keep", slot, order.market.symbol, order.side, order.kind, order.qty, order.price or order.trigger)


def _wakes(situation: Situation, wake: Wake) -> list[str]:
    """Say in words what would make the bot look again."""
    names = {alias: one.market.symbol for alias, one in situation.markets.items()}
    said = []
    for price in wake.prices:
        side = "at or above" if price.above else "at or below"
        said.append(f"{names.get(price.series, price.series)} {side} {plain(to_decimal(price.level))}")
    said += [f"trailing {trail.side} on {names.get(trail.market, trail.market)}" for trail in wake.trails]
    said += [f"signal {name}" for name in wake.signals]
    if wake.at_ms is not None:
        said.append(f"the time {wake.at_ms}")
    return said
