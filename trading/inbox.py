"""A bot's inbox between the database and its strategy: rows of JSON in, the contract's values out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bots.models import BotInput
from trading.core.types import (
    Advice,
    By,
    Closed,
    Command,
    Denied,
    Filled,
    Input,
    Kind,
    Side,
    Signal,
    Tif,
    Trail,
    Trigger,
    Want,
    Woken,
)

_KINDS: dict[str, type[Input]] = {
    "filled": Filled,
    "closed": Closed,
    "advice": Advice,
    "denied": Denied,
    "signal": Signal,
    "command": Command,
    "woken": Woken,
}
_NAMES = {cls: name for name, cls in _KINDS.items()}


def input_row(bot_id: int, value: Input, **beside: Any) -> BotInput:
    """Return the unsaved row of an input; `beside` is kept with it and not told to the strategy."""
    payload = asdict(value) if isinstance(value, Command) else value._asdict()
    payload |= beside
    return BotInput(bot_id=bot_id, kind=_NAMES[type(value)], payload=payload)


def input_value(row: BotInput) -> Input:
    payload: dict[str, Any] = dict(row.payload)
    if row.kind == "woken":
        return Woken(payload["by"])
    if "side" in payload:
        payload["side"] = Side(payload["side"])
    return _KINDS[row.kind](**payload)


def want_json(want: Want) -> dict[str, Any]:
    data = want._asdict()
    data["trigger"] = want.trigger._asdict() if want.trigger else None
    data["trail"] = want.trail._asdict() if want.trail else None
    return data


def want_value(data: dict[str, Any]) -> Want:
    trigger, trail = data.get("trigger"), data.get("trail")
    return Want(
        **{
            **data,
            "side": Side(data["side"]),
            "kind": Kind(data["kind"]),
            "tif": Tif(data["tif"]),
            "trigger": Trigger(trigger["level"], By(trigger["by"])) if trigger else None,
            "trail": Trail(**trail) if trail else None,
        }
    )
