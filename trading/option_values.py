"""Single values from a command line: each returns what was meant, or raises InvalidInput naming the option."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from trading.core.errors import InvalidInput


def params_value(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text, parse_float=Decimal, parse_constant=_no_constant))
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"--params is not a JSON object like '{{\"fast\": 12}}': {error}", field="params", value=text
        ) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def number_value(name: str, text: object) -> Decimal:
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise InvalidInput(f"--{name} {text} is not a number", field=name, value=text)
    return value


def positive_value(name: str, text: object) -> Decimal:
    value = number_value(name, text)
    if value <= 0:
        raise InvalidInput(f"--{name} {text} must be above 0", field=name, value=text)
    return value


def ratio_value(name: str, text: object) -> Decimal:
    value = number_value(name, text)
    if not 0 <= value < 1:
        raise InvalidInput(f"--{name} {text} must be a ratio from 0 up to below 1", field=name, value=text)
    return value


def share_value(text: object) -> Decimal | None:
    if text is None:
        return None
    value = positive_value("liquidity-ratio", text)
    if value > 1:
        message = f"--liquidity-ratio {text} must be at most 1: the whole volume of a candle"
        raise InvalidInput(message, field="liquidity-ratio", value=text)
    return value


def time_value(text: str) -> int:
    """Return epoch ms of a day, a time (UTC) or epoch ms."""
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"--start {text} is neither a time like 2022-01-31T12:30 nor epoch ms", field="start", value=text
        ) from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
