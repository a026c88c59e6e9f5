"""What a person may tell a running bot: its strategy declares it as data, and page, API, checks and docs follow.

A strategy has `commands = {"close": CommandSpec(...), ...}` beside its `params`; `decide` meets them in its inbox as
Command(kind, args, by), the arguments as JSON has them and without those that weren't given. One that declares nothing
takes what every bot takes: the cancel of an order (by its address, never as a kind of its own) and COMMON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.params import params_schema, parse_params
from trading.core.ports import Strategy
from trading.core.types import View

PREFIX = "args."
# Said by the platform itself: a strategy hears them and declares none of them.
OWN_KINDS = frozenset({"start", "pause", "resume", "stop", "edit", "cancel"})


class NoArgs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", title="No arguments")


Options = Mapping[str, Mapping[str, str]]  # argument -> value -> words
Check = Callable[[Any, Any, Any, View], None]


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One kind of command.

    `args` is a model with fields as those of parameters (trading.core.fields); `empty` in a field's extra says what
    leaving it out means. `confirm` is what a person is warned of before it is sent. One that `adds` risk isn't taken
    by a paused bot. `options(params, state)` names the values that an argument may have at this moment. `check(args,
    params, state, view)` raises InvalidInput for what can't be done at this moment; it is asked before the command is
    written, so that `decide` still has to drop what has become impossible since. `state` may be None.
    """

    title: str
    help: str
    args: type[BaseModel] = NoArgs
    confirm: str = ""
    adds: bool = False
    options: Callable[[Any, Any], Options] | None = None
    check: Check | None = None


@runtime_checkable
class Commanded(Protocol):
    """A strategy that takes commands of its own."""

    commands: ClassVar[Mapping[str, CommandSpec]]


COMMON: Mapping[str, CommandSpec] = {
    "resume": CommandSpec(
        "Take up again",
        "Asks again for orders that were cancelled by hand or refused; what was held back by hand may start again.",
        adds=True,
    )
}


def commands_of(strategy: Strategy) -> dict[str, CommandSpec]:
    """Return all that a person may tell a bot of this strategy, its own commands first."""
    return {**(strategy.commands if isinstance(strategy, Commanded) else {}), **COMMON}


def command_spec(strategy: Strategy, kind: str) -> CommandSpec:
    """Return the declaration of this kind. Raises InvalidInput with the known ones."""
    known = commands_of(strategy)
    if kind in known:
        return known[kind]
    hint = " An order is cancelled at its own address." if kind == "cancel" else ""
    text = f"{strategy.title} takes no command “{kind[:40]}”; known are {', '.join(known)}.{hint}"
    raise InvalidInput(text, field="kind", value=kind, code="unknown")


def command_args(spec: CommandSpec, raw: Mapping[str, Any]) -> BaseModel:
    """Return typed arguments. Raises InvalidInputs, each fault's field under "args."."""
    try:
        return parse_params(spec.args, raw)
    except InvalidInputs as fault:
        raise under_args(fault) from None


def under_args(fault: InvalidInput) -> InvalidInputs:
    """Return the same faults with their fields under "args."; a fault of no field stays one."""
    found = fault.faults if isinstance(fault, InvalidInputs) else (fault,)
    return InvalidInputs(
        [InvalidInput(one.message, field=_path(one.field), value=one.value, code=one.code) for one in found]
    )


def _path(field: str) -> str:
    return "args" if field == "params" else PREFIX + field if field else ""


def args_json(args: BaseModel) -> dict[str, Any]:
    """Return arguments as an inbox keeps them: JSON, without those that weren't given."""
    return args.model_dump(mode="json", exclude_none=True)


def command_schema(kind: str, spec: CommandSpec) -> dict[str, Any]:
    """Return what scripts and pages are told of a command; `schema` is a JSON schema like that of parameters."""
    words = {"kind": kind, "title": spec.title, "help": spec.help, "confirm": spec.confirm, "adds": spec.adds}
    return {**words, "schema": params_schema(spec.args)}
