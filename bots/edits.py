"""What an edit of a bot would change: its parameters, its figures and, while it lives, its orders.

An edge helper like `bots.preflight`: the page and the API look through it before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from accounts.models import User
from bots.models import Bot
from bots.param_fields import flat_params, walk
from bots.parameters import params_json, params_of, strategy_of, under_params
from bots.preflight import Preflight, edit_bot, held_faults, preview
from trading.core.errors import InvalidInput, InvalidInputs, StrategyFault
from trading.core.params import params_schema
from trading.dryrun import DryRun, what_now

LIVING = (Bot.Status.RUNNING, Bot.Status.PAUSED, Bot.Status.ERROR)


@dataclass(frozen=True, slots=True)
class Difference:
    """One parameter that the edit changes; None is "not set"."""

    field: str
    title: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Look:
    """An edit before it is made. With `faults` it is refused; `run` is None for a bot that isn't trading."""

    seen: Preflight
    faults: tuple[InvalidInput, ...]
    differences: tuple[Difference, ...] = ()
    run: DryRun | None = None


def edit_look(bot: Bot, params: Mapping[str, Any]) -> Look:
    """Return what this bot with these parameters would be, and would do now. Writes nothing."""
    seen = preview(
        workspace=bot.workspace,
        account=bot.account,
        market=bot.market,
        strategy=bot.strategy,
        params=params,
        budget=bot.budget,
        timeframe_ms=bot.timeframe_ms,
        own=bot,
    )
    if seen.params is None:
        return Look(seen, seen.faults)
    changed = differences(bot, seen.params)
    faults = seen.faults + tuple(held_faults(bot, seen))
    if bot.status not in LIVING:
        return Look(seen, faults, changed)
    try:
        return Look(seen, faults, changed, dry_run(bot, seen.params))
    except InvalidInput as fault:
        return Look(seen, (*faults, *_faults(fault)), changed)


def dry_run(bot: Bot, params: BaseModel | None = None) -> DryRun:
    """Let the bot decide on a copy, with other parameters if given. Raises InvalidInput, its fields under "params."."""
    try:
        return what_now(bot, None if params is None else params_json(params))
    except StrategyFault as fault:
        raise InvalidInput(str(fault).capitalize(), field="params", code="strategy_fault") from fault
    except InvalidInput as fault:
        raise fault if fault.field == "market" else under_params(fault) from None


def edit(*, bot: Bot, by: User | None, changes: Mapping[str, Any], revision: str = "") -> Bot:
    """Make an edit; what the strategy itself can't take on over what it holds is refused before anything is written."""
    if "params" in changes and bot.status in LIVING:
        dry_run(bot, params_of(strategy_of(bot.strategy), changes["params"]))
    return edit_bot(bot=bot, by=by, changes=changes, revision=revision)


def _faults(fault: InvalidInput) -> tuple[InvalidInput, ...]:
    return fault.faults if isinstance(fault, InvalidInputs) else (fault,)


def differences(bot: Bot, new: BaseModel) -> tuple[Difference, ...]:
    """Return the parameters whose value changes, with their titles; "112.0" for "112" is no change."""
    strategy = strategy_of(bot.strategy)
    titles = {name: shape["title"] for name, _, shape in walk(params_schema(strategy.params)["properties"])}
    old = params_of(strategy, bot.params)
    before, after = flat_params(old.model_dump()), flat_params(new.model_dump())
    old_words, new_words = flat_params(params_json(old)), flat_params(params_json(new))
    return tuple(
        Difference(name, titles.get(name, name), old_words.get(name), new_words[name])
        for name, value in after.items()
        if before.get(name) != value
    )
