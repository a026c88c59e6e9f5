"""Writes about bots: what is wanted. They leave commands in a bot's inbox and never trade.

Life of a bot:   draft -> running <-> paused;   running, paused, error -> stopping -> stopped;
                 stopped -> stopping -> stopped, to close what it left;
                 anything alive -> error (its reason beside it) -> running again (resume) or stopping
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from pydantic import BaseModel

from accounts.models import Account, Event, User, Workspace
from accounts.services import event_append
from bots.claims import claim
from bots.markets import main_market, markets_of_needs, markets_write
from bots.models import Bot, BotInput
from bots.parameters import params_json, params_of, revision_of, strategy_of
from bots.values import NAME_MAX, account_check, budget_clean, name_clean, timeframe_clean
from exchanges.models import Market
from exchanges.selectors import REPLAY
from risk.selectors import halt_words, halts_over
from trading.core.errors import InvalidInput
from trading.core.rounding import plain

REASON_MAX = 300
EDITABLE = ("name", "params", "budget", "timeframe_ms")
Status = Bot.Status


# --- what is wanted --------------------------------------------------------------------------------------------------


@transaction.atomic
def bot_create(
    *,
    workspace: Workspace,
    account: Account,
    market: Market | None,
    strategy: str,
    params: Mapping[str, Any],
    name: str,
    budget: Decimal,
    timeframe_ms: int = 60_000,
    created_by: User | None,
) -> Bot:
    """Create a draft with the rows of its markets; `market` is None for a strategy that names all of its own.

    Raises InvalidInput for values that no bot can have; funds are judged by `bots.preflight`.
    """
    account_check(workspace, account)
    plan = strategy_of(strategy)
    typed = params_of(plan, params)
    markets = markets_of_needs(account, market, plan, typed)
    main = main_market(plan.needs(typed), markets)
    bot = Bot.objects.create(
        workspace=workspace,
        account=account,
        market=main,
        strategy=strategy,
        params=params_json(typed),
        name=name_clean(name),
        budget=budget_clean(budget, main),
        timeframe_ms=timeframe_clean(timeframe_ms),
        created_by=created_by,
    )
    markets_write(bot, markets)
    where = main.symbol if len(markets) == 1 else f"{len(markets)} markets"
    _tell(bot, "created", f"{bot.name} created on {where} with {plain(bot.budget)} {main.quote}")
    return bot


@transaction.atomic
def bot_edit(*, bot: Bot, by: User | None, changes: Mapping[str, Any], revision: str = "") -> Bot:
    """Change a bot: its name at any time, its parameters until it stops, budget and timeframe while it is a draft.

    A living bot takes new parameters with its next decision. `revision` names the parameters that the change was made
    from: if somebody has edited them meanwhile it is refused. What is no change is not written.
    """
    _lock(bot)
    _require_editable(bot, changes, revision)
    before = {name: getattr(bot, name) for name in EDITABLE}
    if "name" in changes:
        bot.name = name_clean(changes["name"])
    if "params" in changes:
        _take_params(bot, changes["params"])
    if "budget" in changes:
        bot.budget = budget_clean(changes["budget"], bot.market)
    if "timeframe_ms" in changes:
        bot.timeframe_ms = timeframe_clean(changes["timeframe_ms"])
    changed = sorted(name for name, value in before.items() if getattr(bot, name) != value)
    if changed:
        bot.save(update_fields=[*EDITABLE, "market"])
        if "params" in changed and bot.status != Status.DRAFT:
            _command(bot, "edit", by)
        _tell(bot, "edited", f"{bot.name} edited{_by(by)}: {', '.join(changed)}")
    return bot


def _require_editable(bot: Bot, changes: Mapping[str, Any], revision: str) -> None:
    living = (Status.RUNNING, Status.PAUSED, Status.ERROR)
    free = set(EDITABLE) if bot.status == Status.DRAFT else {"name", "params"} if bot.status in living else {"name"}
    frozen = sorted(set(changes) - free)
    if frozen:
        when = "Only a draft can change" if frozen[0] != "params" else "A bot that has stopped can't change"
        text = f"{when} its {frozen[0]}; {bot.name} is {bot.status}. Clone it to try other values"
        raise InvalidInput(text, field=frozen[0], code="wrong_state")
    if revision and "params" in changes and revision != revision_of(bot.params):
        text = f"{bot.name} was edited meanwhile; look at its parameters again"
        raise InvalidInput(text, field="revision", value=revision, code="conflict")


def _take_params(bot: Bot, raw: Mapping[str, Any]) -> None:
    plan = strategy_of(bot.strategy)
    typed = params_of(plan, raw)
    needs = plan.needs(typed)
    markets = markets_of_needs(bot.account, bot.market, plan, typed)
    main = main_market(needs, markets)
    if main.quote != bot.market.quote:
        text = f"Its budget is in {bot.market.quote}, and {main.symbol} trades in {main.quote}"
        raise InvalidInput(text, field="params", value=main.symbol, code="quote")
    if typed != _known_params(bot):  # "112.0" for "112" is no change
        bot.market, bot.params = main, params_json(typed)
        markets_write(bot, markets)
    if bot.status != Status.DRAFT:
        claim(bot)


def _known_params(bot: Bot) -> BaseModel | None:
    """Return the bot's parameters as they are; None for those that today's code wouldn't take any more."""
    try:
        return params_of(strategy_of(bot.strategy), bot.params)
    except InvalidInput:
        return None


@transaction.atomic
def bot_clone(*, bot: Bot, by: User | None, name: str = "") -> Bot:
    """Create a draft with the same wishes."""
    return bot_create(
        workspace=bot.workspace,
        account=bot.account,
        market=bot.market,
        strategy=bot.strategy,
        params=bot.params,
        name=name or f"{bot.name[: NAME_MAX - 7]} (copy)",
        budget=bot.budget,
        timeframe_ms=bot.timeframe_ms,
        created_by=by,
    )


@transaction.atomic
def bot_delete(*, bot: Bot, by: User | None) -> None:
    """Delete a draft. What has run stays: its orders, fills and ledger entries are on record."""
    _lock(bot)
    _require(bot, "deleted", Status.DRAFT)
    _tell(bot, "deleted", f"{bot.name} deleted{_by(by)}")
    bot.delete()


# --- life ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def bot_start(*, bot: Bot, by: User | None) -> Bot:
    _lock(bot)
    _require(bot, "started", Status.DRAFT, hint="Clone it to run it anew")
    _require_armed(bot)
    claim(bot)
    bot.started_at = timezone.now()
    _move(bot, Status.RUNNING)
    _command(bot, "start", by)
    _tell(bot, "started", f"{bot.name} started{_by(by)}", Event.Level.SUCCESS)
    return bot


@transaction.atomic
def bot_pause(*, bot: Bot, by: User | None) -> Bot:
    """Pause: from now on no order that adds risk; exits and stops stay."""
    _lock(bot)
    _require(bot, "paused", Status.RUNNING)
    _move(bot, Status.PAUSED)
    _command(bot, "pause", by)
    _tell(bot, "paused", f"{bot.name} paused{_by(by)}")
    return bot


@transaction.atomic
def bot_resume(*, bot: Bot, by: User | None) -> Bot:
    """Go on after a pause, or try again after an error."""
    _lock(bot)
    _require(bot, "resumed", Status.PAUSED, Status.ERROR)
    _require_armed(bot)
    _move(bot, Status.RUNNING)
    _command(bot, "resume", by)
    _tell(bot, "resumed", f"{bot.name} resumed{_by(by)}")
    return bot


@transaction.atomic
def bot_stop(*, bot: Bot, mode: str, by: User | None) -> Bot:
    """Begin to stop: the runtime carries the mode out and then calls `bot_finished`."""
    if mode not in Bot.StopMode.values:
        raise InvalidInput(
            f"Stop mode must be one of {', '.join(Bot.StopMode.values)}",
            field="mode",
            value=mode,
            code="invalid_choice",
        )
    _lock(bot)
    _require(bot, "stopped", Status.RUNNING, Status.PAUSED, Status.ERROR)
    bot.stop_mode = mode
    _move(bot, Status.STOPPING)
    _command(bot, "stop", by, mode=mode)
    _tell(bot, "stopping", f"{bot.name} is stopping{_by(by)}: {Bot.StopMode(mode).label.lower()}", mode=mode)
    return bot


@transaction.atomic
def bot_close(*, bot: Bot, by: User | None) -> Bot:
    """Let a stopped bot begin to stop once more, as one that sells; `trading.services.closing` calls it."""
    _lock(bot)
    _require(bot, "told to close what it left", Status.STOPPED)
    bot.stop_mode = Bot.StopMode.SELL
    _move(bot, Status.STOPPING)
    _command(bot, "close", by)
    _tell(bot, "stopping", f"{bot.name} closes what it left{_by(by)}", mode=bot.stop_mode)
    return bot


# --- what the runtime reports ----------------------------------------------------------------------------------------


@transaction.atomic
def bot_failed(*, bot: Bot, reason: str) -> Bot:
    """Mark a living bot as failed, with its reason; the others go on."""
    _lock(bot)
    if bot.is_alive:
        _move(bot, Status.ERROR, reason)
        _tell(bot, "error", f"{bot.name} stopped itself: {reason}", Event.Level.ERROR, reason=reason)
    return bot


@transaction.atomic
def bot_finished(*, bot: Bot, reason: str) -> Bot:
    """Mark a bot as stopped: nothing of it is working any more."""
    _lock(bot)
    if bot.is_alive:
        bot.stopped_at = timezone.now()
        _move(bot, Status.STOPPED, reason)
        _tell(bot, "stopped", f"{bot.name} stopped: {reason}", reason=reason)
    return bot


def input_add(*, bot: Bot, kind: str, payload: Mapping[str, Any]) -> BotInput:
    """Put one entry into the bot's inbox, in the caller's transaction."""
    return BotInput.objects.create(bot=bot, kind=kind, payload=dict(payload))


# --- parts -----------------------------------------------------------------------------------------------------------


def _lock(bot: Bot) -> None:
    """Read the row anew under its lock, so that two people (or a person and the runtime) can't both move it."""
    bot.refresh_from_db(from_queryset=Bot.objects.select_for_update(no_key=True))


def _require(bot: Bot, verb: str, *allowed: str, hint: str = "") -> None:
    if bot.status not in allowed:
        names = " or ".join(Status(status).label.lower() for status in allowed)
        text = f"{bot.name} is {Status(bot.status).label.lower()}; only a bot that is {names} can be {verb}"
        raise InvalidInput(f"{text}. {hint}".rstrip(". "), field="status", value=bot.status, code="wrong_state")


def _require_armed(bot: Bot) -> None:
    """Refuse what would begin to trade under a kill switch; a replay trades nothing."""
    halt = halts_over(bot.workspace_id, bot.account_id, bot.public_id).order_by("id").first()
    if halt is not None and not bot.account.feed.startswith(REPLAY):
        text = f"{bot.name} can't trade: {halt_words(halt)}. Somebody has to re-arm it first"
        raise InvalidInput(text, field="status", value=bot.status, code="halted")


def _move(bot: Bot, status: str, reason: str = "") -> None:
    bot.status = status
    bot.status_reason = reason[:REASON_MAX]
    bot.save(update_fields=["status", "status_reason", "stop_mode", "started_at", "stopped_at"])


def _command(bot: Bot, kind: str, by: User | None, **args: Any) -> None:
    input_add(bot=bot, kind="command", payload={"kind": kind, "args": args, "by": by.email if by else ""})


def _tell(bot: Bot, what: str, text: str, level: str = Event.Level.INFO, **data: Any) -> None:
    event_append(
        workspace=bot.workspace_id,
        kind=f"bot.{what}",
        text=text,
        level=level,
        bot=bot.public_id,
        data={"status": bot.status, **data},
    )


def _by(user: User | None) -> str:
    return f" by {user.name or user.email}" if user else ""
