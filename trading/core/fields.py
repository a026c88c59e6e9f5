"""What one field of a strategy's parameters is: its kind, its bounds, its words. Forms, schemas and messages ask here.

`json_schema_extra` of a field may say more than its type: `unit` ("quote", "base", "ratio", ...), `group` (fields that
belong together), and `format` for texts that mean something: "symbol" (one market), "symbols" (a list of them) and
"condition" (see trading.core.conditions).
"""

from __future__ import annotations

import types
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trading.core.rounding import plain

_UNSAID = Decimal("1e12")  # bounds from here on only keep nonsense out; naming them helps nobody
_LISTS = (list, tuple, set, frozenset)
_BOUND_WORDS = {"gt": "above", "ge": "from", "lt": "below"}


class FieldKind(StrEnum):
    CHOICE = "choice"
    DECIMAL = "decimal"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    LIST = "list"  # of texts
    GROUP = "group"  # a model of its own
    TEXT = "text"


def plain_type(info: FieldInfo) -> Any:
    """Return the field's type without `| None`."""
    if get_origin(info.annotation) not in (Union, types.UnionType):
        return info.annotation
    options = [option for option in get_args(info.annotation) if option is not type(None)]
    return options[0] if len(options) == 1 else info.annotation


def kind_of(info: FieldInfo) -> FieldKind:
    found = plain_type(info)
    if choices_of(info):
        return FieldKind.CHOICE
    if get_origin(found) in _LISTS:
        return FieldKind.LIST
    if isinstance(found, type) and issubclass(found, BaseModel):
        return FieldKind.GROUP
    kinds = {Decimal: FieldKind.DECIMAL, int: FieldKind.INTEGER, bool: FieldKind.BOOLEAN}
    return kinds.get(found, FieldKind.TEXT)


def choices_of(info: FieldInfo) -> tuple[str, ...]:
    found = plain_type(info)
    options = get_args(found) if get_origin(found) is Literal else ()
    return options if all(isinstance(option, str) for option in options) else ()


def bounds_of(info: FieldInfo, *keys: str) -> dict[str, Any]:
    """Return the field's constraints among `keys`, those of numbers unless others are named."""
    wanted = keys or ("gt", "ge", "lt", "le")
    found = {key: getattr(item, key, None) for item in info.metadata for key in wanted if hasattr(item, key)}
    return {key: bound for key, bound in found.items() if bound is not None}


def extra_of(info: FieldInfo) -> dict[str, Any]:
    return dict(info.json_schema_extra) if isinstance(info.json_schema_extra, dict) else {}


def format_of(info: FieldInfo) -> str:
    return str(extra_of(info).get("format", ""))


def title_of(name: str, info: FieldInfo) -> str:
    return info.title or name.replace("_", " ").capitalize()


def expected(info: FieldInfo) -> str:
    """Say in words what a field takes, for messages and help: "a number above 0", "one of arithmetic, geometric"."""
    kind = kind_of(info)
    if kind is FieldKind.CHOICE:
        return "one of " + ", ".join(choices_of(info))
    if kind is FieldKind.LIST:
        return _expected_list(info)
    nouns = {
        FieldKind.INTEGER: "a whole number",
        FieldKind.DECIMAL: "a number",
        FieldKind.BOOLEAN: "true or false",
        FieldKind.GROUP: "an object with named values",
    }
    texts = {"symbol": "a market such as ETH/USDT", "condition": "a condition such as rsi(14) < 30"}
    noun = nouns.get(kind) or texts.get(format_of(info)) or _expected_text(info)
    bounds = {key: bound for key, bound in bounds_of(info).items() if bound < _UNSAID}
    words = _BOUND_WORDS | {"le": "to" if "ge" in bounds else "up to"}
    return " ".join([noun, *(f"{words[key]} {plain(Decimal(str(bounds[key])))}" for key in words if key in bounds)])


def _expected_text(info: FieldInfo) -> str:
    most = bounds_of(info, "max_length").get("max_length")
    return f"a text of at most {most} characters" if most else "a text"


def _expected_list(info: FieldInfo) -> str:
    noun = "markets such as ETH/USDT" if format_of(info) == "symbols" else "texts"
    counts = bounds_of(info, "min_length", "max_length")
    least, most = counts.get("min_length"), counts.get("max_length")
    if least and most:
        return f"a list of {least} to {most} {noun}"
    if most:
        return f"a list of at most {most} {noun}"
    return f"a list of at least {least} {noun}" if least else f"a list of {noun}"
