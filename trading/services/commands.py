"""What a person tells a running bot: the engine acts on it at once where it can, and the strategy is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from pydantic import BaseModel

from accounts.models import User
from accounts.services import event_append
from bots.models import Bot
from bots.services import input_add
from bots.strategies.registry import get_strategy
from trading.core.commands import (
    CommandSpec,
    Options,
    args_json,
    command_args,
    command_spec,
    under_args,
)
from trading.core.errors import InvalidInput, InvalidInputs, StrategyFault
from trading.core.fields import extra_of, title_of
from trading.core.rounding import plain
from trading.core.types import Command
from trading.dryrun import DryRun, what_now
from trading.models import Order, Runtime
from trading.situation import Situation, situation_of

RUNNING = (Bot.Status.RUNNING, Bot.Status.PAUSED)
ENGINE = "engine:"


@dataclass(frozen=True, slots=True)
class CommandLook:
    """A command before it is sent: why it would be refused, or what the bot would do on it at this moment."""

    faults: tuple[InvalidInput, ...] = ()
    run: DryRun | None = None


@transaction.atomic
def order_cancel(*, order: Order, by: User | None) -> Order:
    """Cancel one order by hand. Its strategy is told and decides what follows; the engine never asks for it again.

    Raises InvalidInput for an order that has ended, that is being cancelled, or that the engine itself works with.
    """
    _require_running(order.bot)
    if order.slot.startswith(ENGINE):
        text = "The engine itself works with this order to end what the bot holds; it can't be cancelled by hand"
        raise InvalidInput(text, field="order", value=order.slot, code="wrong_state")
    live = Order.objects.select_for_update(of=("self",), no_key=True).filter(pk=order.pk, status__in=Order.LIVE)
    if not live.filter(cancel_why="").update(cancel_why="cancelled"):
        order.refresh_from_db()
        stands = "is being cancelled already" if order.is_live else f"has ended: {order.get_status_display().lower()}"
        raise InvalidInput(f"The order {order.slot} {stands}", field="order", value=order.slot, code="wrong_state")
    order.cancel_why = "cancelled"
    price = "" if order.price is None else f" at {plain(order.price)}"
    words = f"{order.side} {plain(order.qty)} {order.market.symbol}{price} ({order.slot})"
    _tell(order.bot, "cancel", {"slot": order.slot, "gen": order.gen}, "Order cancelled", words, by)
    return order


@transaction.atomic
def command(*, bot: Bot, kind: str, args: Mapping[str, Any], by: User | None) -> Command:
    """Put a person's command into the bot's inbox, each exactly once and in order.

    Raises InvalidInput for a kind or arguments that its strategy doesn't declare, and for what can't be done now.
    """
    spec, typed = _typed(bot, kind, args)
    _require_running(bot)
    _require_now(bot, spec, typed)
    given = args_json(typed)
    _tell(bot, kind, given, spec.title, ", ".join(_words(bot, typed, given)), by)
    return Command(kind, given, by.email if by else "")


def command_look(*, bot: Bot, kind: str, args: Mapping[str, Any]) -> CommandLook:
    """Say what the command would do at this moment. Writes nothing. Raises InvalidInput for an unknown kind."""
    adds = command_spec(get_strategy(bot.strategy), kind).adds
    try:
        spec, typed = _typed(bot, kind, args)
        _check_running(bot)
        _require_now(bot, spec, typed)
        return CommandLook(run=what_now(bot, command=Command(kind, args_json(typed))))
    except StrategyFault as fault:
        return CommandLook((InvalidInput(str(fault).capitalize(), code="strategy_fault"),))
    except InvalidInput as fault:
        if fault.code == "no_price" and not adds:
            return CommandLook()  # it waits in the inbox for the next price
        return CommandLook(fault.faults if isinstance(fault, InvalidInputs) else (fault,))


def command_options(bot: Bot, kind: str) -> Options:
    """Return the values that the command's arguments may have at this moment, with words for each."""
    spec = command_spec(get_strategy(bot.strategy), kind)
    if spec.options is None:
        return {}
    situation = _situation(bot)
    return spec.options(situation.params, situation.state) if situation else {}


# --- parts -----------------------------------------------------------------------------------------------------------


def _typed(bot: Bot, kind: str, args: Mapping[str, Any]) -> tuple[CommandSpec, BaseModel]:
    spec = command_spec(get_strategy(bot.strategy), kind)
    return spec, command_args(spec, args)


def _require_running(bot: Bot) -> None:
    """Lock the bot's row, so that nobody moves it meanwhile, and refuse one that takes no commands."""
    bot.refresh_from_db(from_queryset=Bot.objects.select_for_update(no_key=True))
    _check_running(bot)


def _check_running(bot: Bot) -> None:
    if bot.status not in RUNNING:
        text = f"{bot.name} is {bot.get_status_display().lower()}; only a running or paused bot takes commands"
        raise InvalidInput(text, field="status", value=bot.status, code="wrong_state")


def _require_now(bot: Bot, spec: CommandSpec, typed: BaseModel) -> None:
    """Refuse what can't be done at this moment. Without a price only what may add risk is: the rest waits for it."""
    if spec.adds and bot.status == Bot.Status.PAUSED:
        text = f"{bot.name} is paused: nothing that may add risk is done before it is resumed"
        raise InvalidInput(text, field="status", value=bot.status, code="wrong_state")
    if spec.check is None:
        return
    situation = _situation(bot)
    if situation is None:
        if spec.adds:
            raise InvalidInput("There is no current price of all its markets; try again", code="no_price")
        return
    try:
        spec.check(typed, situation.params, situation.state, situation.view)
    except InvalidInput as fault:
        raise under_args(fault) from None


def _situation(bot: Bot) -> Situation | None:
    runtime = Runtime.objects.filter(bot=bot).first() or Runtime(bot=bot)
    return situation_of(bot, runtime, timezone.now())


def _words(bot: Bot, typed: BaseModel, given: Mapping[str, Any]) -> list[str]:
    """Say the arguments as a person would: "amount 50 USDT", "deal 2"."""
    coins = {"quote": bot.market.quote, "base": bot.market.base}
    found = []
    for name, value in given.items():
        info = type(typed).model_fields[name]
        unit = str(extra_of(info).get("unit", ""))
        found.append(f"{title_of(name, info).lower()} {value} {coins.get(unit, unit)}".rstrip())
    return found


def _tell(bot: Bot, kind: str, args: Mapping[str, Any], title: str, words: str, by: User | None) -> None:
    """Write the inbox entry, and the event that says who did what."""
    input_add(bot=bot, kind="command", payload={"kind": kind, "args": dict(args), "by": by.email if by else ""})
    event_append(
        workspace=bot.workspace_id,
        kind=f"bot.command.{kind}",
        text=f"{title}{f' by {by.name or by.email}' if by else ''}{f': {words}' if words else ''}",
        level="info",
        bot=bot.public_id,
        data={"command": kind, "by": by.email if by else "", **dict(args)},
    )
