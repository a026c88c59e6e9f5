"""From what a person wrote to a strategy's typed parameters; faults name their field as "params.<name>"."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from bots.advisors.registry import get_advisor
from bots.strategies.registry import STRATEGIES, get_strategy
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.fields import format_of
from trading.core.params import parse_params
from trading.core.ports import Strategy

PREFIX = "params."


def strategy_of(key: str) -> Strategy:
    if key not in STRATEGIES:
        raise InvalidInput(
            f"There is no strategy {key!r}; there are: {', '.join(sorted(STRATEGIES))}",
            field="strategy",
            value=key,
            code="unknown_strategy",
        )
    return get_strategy(key)


def params_of(strategy: Strategy, raw: Mapping[str, Any]) -> BaseModel:
    try:
        params = parse_params(strategy.params, raw)
        _advisors_check(params)
    except InvalidInput as fault:
        raise under_params(fault) from None
    return params


def _advisors_check(params: BaseModel) -> None:
    """Refuse an adviser that isn't on the shelf: a strategy is pure and knows no other shelf than its own."""
    for name, info in type(params).model_fields.items():
        key = getattr(params, name)
        if format_of(info) != "advisor":
            continue
        try:
            get_advisor(key)
        except InvalidInput as fault:
            raise InvalidInput(fault.message, field=name, value=key, code=fault.code) from None


def under_params(fault: InvalidInput) -> InvalidInputs:
    """Return the same faults with their fields under "params."."""
    faults = fault.faults if isinstance(fault, InvalidInputs) else (fault,)
    return InvalidInputs(
        [InvalidInput(one.message, field=_path(one.field), value=one.value, code=one.code) for one in faults]
    )


def _path(field: str) -> str:
    return field if field == "params" or field.startswith(PREFIX) else f"{PREFIX}{field}".rstrip(".")


def params_json(params: BaseModel) -> dict[str, Any]:
    """Return the parameters as they are kept: complete, so that a later default can't change an old bot."""
    return params.model_dump(mode="json")


def revision_of(params: Mapping[str, Any]) -> str:
    """Return a short name of these parameters as they are kept: an edit says by it what it was made from."""
    text = json.dumps(params, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
