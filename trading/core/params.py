"""Parameters from outside: raw mappings into typed pydantic models, and models into one schema.

The form, the API and the documentation of a strategy all come from its model's schema; every fault names its field, the
value given and what would be right.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from trading.core.conditions import parse_condition
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.fields import (
    FieldKind,
    bounds_of,
    choices_of,
    expected,
    extra_of,
    format_of,
    kind_of,
    plain_type,
    title_of,
)
from trading.core.rounding import plain

__all__ = ["expected", "params_schema", "parse_params", "taken_by"]

Model = TypeVar("Model", bound=BaseModel)

_SHOWN = 60  # characters of an offending value that a message repeats
MOST_DECIMALS = 60  # written out, “1e-999999999” fills a gigabyte
_BETWEEN = re.compile(r"[,;\s]+")  # what stands between the entries of a list that came as one text


def parse_params(model: type[Model], raw: Mapping[str, Any]) -> Model:
    """Return the model built from form or JSON values; an empty text counts as not given.

    A group of fields is a mapping of its own, a list may also be one text with commas. Raises InvalidInputs with one
    fault per field ("exit.stop" inside a group): unknown fields with the nearest known name, missing ones, wrong values
    with what would be right, and the model's own rules across fields.
    """
    if not isinstance(raw, Mapping):
        message = f"Parameters must be an object with named values, not {_shown(raw)}."
        raise InvalidInputs([InvalidInput(message, field="params", value=raw, code="type")])
    faults = [_unknown(model, name, value) for name, value in raw.items() if name not in model.model_fields]
    given: dict[str, Any] = {}
    for name, value in raw.items():
        if name in model.model_fields and not _is_empty(value):
            found, wrong = _field_value(model, name, value)
            given[name] = found
            faults += wrong
    told = {fault.field.partition(".")[0] for fault in faults}
    try:
        params = model.model_validate({name: value for name, value in given.items() if name not in told})
    except ValidationError as error:
        faults += _faults(model, error, told)
    except InvalidInput as error:
        across = error.faults if isinstance(error, InvalidInputs) else (error,)
        faults += [one for one in across if one.field not in told]  # a field left out for its fault isn't missing
    else:
        if not faults:
            return params
    raise InvalidInputs(faults)


def _field_value(model: type[BaseModel], name: str, value: Any) -> tuple[Any, list[InvalidInput]]:
    """Return what pydantic shall judge, and the faults that it wouldn't see or couldn't name."""
    info = model.model_fields[name]
    kind = kind_of(info)
    if isinstance(value, bool) and kind is not FieldKind.BOOLEAN:
        return value, [_wrong(model, name, value)]
    if kind is FieldKind.DECIMAL and decimals_of(value) > MOST_DECIMALS:
        message = f"{title_of(name, info)} takes {MOST_DECIMALS} digits after the point at most, not {_shown(value)}."
        return value, [InvalidInput(message, field=name, value=value, code="decimals")]
    if format_of(info) == "condition" and isinstance(value, str):
        try:
            parse_condition(value, field=name)
        except InvalidInput as error:
            return value, [error]
    if kind is FieldKind.LIST and isinstance(value, str):
        return [part for part in _BETWEEN.split(value) if part], []
    if kind is FieldKind.GROUP and isinstance(value, Mapping):
        try:
            return parse_params(plain_type(info), value), []
        except InvalidInputs as error:
            return value, [
                InvalidInput(one.message, field=f"{name}.{one.field}", value=one.value, code=one.code)
                for one in error.faults
            ]
    return value, []


def decimals_of(value: object) -> int:
    """Return how many digits a text or number has after its point; 0 for what is no finite number."""
    try:
        number = Decimal(value) if isinstance(value, str | Decimal) else Decimal(0)
    except ArithmeticError:
        return 0
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def params_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a parameter model, one property per field, in the order of the model.

    A decimal is {"type": ["string", "number"], "format": "decimal"} with minimum / exclusiveMinimum / maximum as
    numbers, a list {"type": "array"}, a group of fields an object of the same kind; optional fields simply are not in
    `required`. Extra keys (unit, step, group, format, ...) come from the field.
    """
    properties = {name: _property(name, info) for name, info in model.model_fields.items()}
    required = [name for name, info in model.model_fields.items() if info.is_required()]
    schema: dict[str, Any] = {"title": model.model_config.get("title") or model.__name__, "type": "object"}
    return schema | {"properties": properties, "required": required, "additionalProperties": False}


def taken_by(model: type[BaseModel], path: str) -> str:
    """Say in words what the field at `path` ("exit.stop" inside a group) takes."""
    *groups, last = path.split(".")
    for group in groups:
        model = plain_type(model.model_fields[group])
    return expected(model.model_fields[last])


# --- faults ---------------------------------------------------------------------------------------------------------


def _faults(model: type[BaseModel], error: ValidationError, told: set[str]) -> list[InvalidInput]:
    """Return one fault per field that hasn't got one yet; of a list's entries the first one speaks for the list."""
    found: dict[str, InvalidInput] = {}
    for item in error.errors():
        name = str(item["loc"][0]) if item["loc"] else "params"
        if name not in told:
            found.setdefault(name, _fault(model, name, item))
    return list(found.values())


def _fault(model: type[BaseModel], name: str, item: Mapping[str, Any]) -> InvalidInput:
    info = model.model_fields.get(name)
    if info is None:
        return InvalidInput(str(item["msg"]), field=name, value=item.get("input"))
    if item["type"] == "missing" and len(item["loc"]) == 1:
        message = f"{title_of(name, info)} is required: {expected(info)}."
        return InvalidInput(message, field=name, value=None, code="required")
    return _wrong(model, name, item.get("input"))


def _wrong(model: type[BaseModel], name: str, value: object) -> InvalidInput:
    info = model.model_fields[name]
    hint = " Write it with a point and without separators." if isinstance(value, str) and "," in value else ""
    message = f"{title_of(name, info)} must be {expected(info)}, not {_shown(value)}.{hint}"
    return InvalidInput(message, field=name, value=value)


def _unknown(model: type[BaseModel], name: object, value: object) -> InvalidInput:
    text = str(name)
    known = list(model.model_fields)
    near = difflib.get_close_matches(text, known, n=1) or [name for name in known if text and name.startswith(text)]
    all_known = "known are " + ", ".join(known) + "." if known else "none is taken."
    hint = f"did you mean {near[0]}?" if near else all_known
    return InvalidInput(f"There is no parameter {_shown(text)}: {hint}", field=text, value=value, code="unknown")


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _shown(value: object) -> str:
    text = f"“{value}”" if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


# --- schema ---------------------------------------------------------------------------------------------------------


def _property(name: str, info: FieldInfo) -> dict[str, Any]:
    shape: dict[str, Any] = {"title": title_of(name, info), "description": info.description or ""}
    shape |= _type(info)
    keys = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
    for key, bound in bounds_of(info).items():
        shape[keys[key]] = int(bound) if bound == int(bound) else float(bound)
    if not info.is_required():
        default = info.get_default(call_default_factory=True, validated_data={})
        if default is not None and not isinstance(default, BaseModel):
            shape["default"] = _default(default)
    return shape | extra_of(info)


def _type(info: FieldInfo) -> dict[str, Any]:
    kind = kind_of(info)
    if kind is FieldKind.CHOICE:
        return {"type": "string", "enum": list(choices_of(info))}
    if kind is FieldKind.DECIMAL:
        return {"type": ["string", "number"], "format": "decimal"}
    if kind is FieldKind.GROUP:
        inner = params_schema(plain_type(info))
        return {key: inner[key] for key in ("type", "properties", "required", "additionalProperties")}
    lengths = bounds_of(info, "min_length", "max_length")
    if kind is FieldKind.LIST:
        words = {"min_length": "minItems", "max_length": "maxItems"}
        return {"type": "array", "items": {"type": "string"}} | {words[key]: size for key, size in lengths.items()}
    if kind is FieldKind.TEXT:
        words = {"min_length": "minLength", "max_length": "maxLength"}
        return {"type": "string"} | {words[key]: size for key, size in lengths.items()}
    return {"type": str(kind)}


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    return list(value) if isinstance(value, tuple | set | frozenset) else value
