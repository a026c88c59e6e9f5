"""How a parameter reads where it can't be changed: with its unit, a choice by its word, yes and no for a switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from bots.advisors.registry import ADVISORS
from bots.edits import Difference
from bots.models import Bot
from bots.param_fields import choice_word, flat_params, unit_word, walk
from bots.strategies.registry import get_strategy
from exchanges.models import Market
from trading.core.params import params_schema

NUMBERS = ("number", "integer")


@dataclass(frozen=True, slots=True)
class Words:
    """One value as a person reads it; an empty text is "not set"."""

    text: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class WordedDifference:
    title: str
    old: Words
    new: Words


def words_of(shape: Mapping[str, Any], value: Any, market: Market) -> Words:
    """Write one value of this shape: 1650 of a quote coin as "1,650" and "USDT"."""
    if value is None or value == "" or value == []:
        return Words("")
    if isinstance(value, bool):
        return Words("yes" if value else "no")
    if isinstance(value, list | tuple):
        return Words(", ".join(map(str, value)))
    if "enum" in shape:
        return Words(str(shape.get("labels", {}).get(value, choice_word(str(value)))))
    if shape.get("format") == "advisor" and value in ADVISORS:
        return Words(ADVISORS[value].title)
    unit = unit_word(shape.get("unit", ""), market)
    return Words(_number(value) if _is_number(shape) else str(value), unit)


def params_worded(bot: Bot) -> list[tuple[str, Words]]:
    """Return each parameter of a bot that says something now, with its title; its markets stand elsewhere."""
    values = flat_params(bot.params)
    found = []
    for name, shape in _shapes(bot):
        words = words_of(shape, values.get(name), bot.market)
        if words.text and shape.get("format") != "symbols" and _in_use(name, shape, values):
            found.append((shape["title"], words))
    return found


def differences_worded(bot: Bot, differences: Sequence[Difference]) -> list[WordedDifference]:
    shapes = dict(_shapes(bot))
    return [
        WordedDifference(
            one.title,
            words_of(shapes.get(one.field, {}), one.old, bot.market),
            words_of(shapes.get(one.field, {}), one.new, bot.market),
        )
        for one in differences
    ]


def _shapes(bot: Bot) -> list[tuple[str, dict[str, Any]]]:
    schema = params_schema(get_strategy(bot.strategy).params)
    return [(name, shape) for name, _, shape in walk(schema["properties"])]


def _in_use(name: str, shape: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Say whether any of the other parameters on which this one depends has the value that makes it count."""
    group = name.rpartition(".")[0]
    wanted = shape.get("when", {})
    return not wanted or any(values.get(f"{group}.{other}") in _listed(value) for other, value in wanted.items())


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _is_number(shape: Mapping[str, Any]) -> bool:
    kinds = shape.get("type", ())
    return any(kind in NUMBERS for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _number(value: Any) -> str:
    try:
        text = f"{Decimal(str(value)):,f}"
    except InvalidOperation:
        return str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
