"""What the API takes: strict JSON, no unknown field, exact numbers. Free of views, as Django REST framework asks."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, NoReturn

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from trading.core.rounding import money, plain

BODY_MAX = 256 * 1024
NUMBER_MAX_LENGTH = 64
WHOLE_DIGITS, DECIMALS = 18, 18  # what a stored number can hold with room to spare


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = f"The body is larger than {BODY_MAX} bytes"
    default_code = "body_too_large"


class StrictJSONParser(BaseParser):
    """JSON as the standard has it: no NaN, no repeated names, no null bytes, no bottomless nesting, no huge body."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        raw = stream.read(BODY_MAX + 1)
        if len(raw) > BODY_MAX:
            raise BodyTooLarge
        try:
            body = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_repeats)
            _check_text(body, "")
        except RecursionError:
            raise ParseError("The JSON is nested too deeply") from None
        except ValueError as error:
            raise ParseError(f"The body is not the JSON we can read: {error}") from None
        return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name appears twice in one object")
    return found


def _check_text(value: Any, path: str) -> None:
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError(f"{path or 'a text'} holds a null byte or half a character")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key, "a name")
            _check_text(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_text(inner, f"{path}[{index}]")


class StrictSerializer(serializers.Serializer[Any]):
    """Input that refuses what it doesn't know: a misspelt field must not be ignored silently."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [key for key in data if key not in self.fields]
            if unknown:
                raise serializers.ValidationError(
                    {str(key)[:80]: [_unknown_text(str(key), list(self.fields))] for key in unknown},
                    code="unknown_field",
                )
        return super().to_internal_value(data)


def body_of(shape: type[StrictSerializer], request: Request) -> dict[str, Any]:
    """Return the request's body as `shape` has it; raises ValidationError."""
    sent = shape(data=request.data)
    sent.is_valid(raise_exception=True)
    found: dict[str, Any] = sent.validated_data
    return found


class QuerySerializer(StrictSerializer):
    """What stands behind the question mark."""

    paging: ClassVar[tuple[str, ...]] = ()  # names that belong to the pages of a list

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        given = {key: value for key, value in request.query_params.items() if key not in cls.paging}
        query = cls(data=given)
        query.is_valid(raise_exception=True)
        found: dict[str, Any] = query.validated_data
        return found


class ListQuery(QuerySerializer):
    """The filters of a list in cursor pages."""

    paging = ("limit", "cursor")


def _unknown_text(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}" if known else "none is expected"
    return f"There is no field {key[:80]!r}; {hint}"


# --- numbers ---------------------------------------------------------------------------------------------------------


@extend_schema_field({"type": "string", "format": "decimal", "examples": ["1000.5"]})
class AmountField(serializers.Field[Decimal, Any, str, Any]):
    """An exact number: a string or a JSON number in, a plain string out."""

    default_error_messages: ClassVar = {
        "invalid": 'Must be a number such as "1000.5"',
        "range": f"Must have at most {WHOLE_DIGITS} digits before and {DECIMALS} behind the point",
    }

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, str | int | float | Decimal):
            self.fail("invalid")
        text = repr(data) if isinstance(data, float) else str(data).strip()
        if len(text) > NUMBER_MAX_LENGTH or "_" in text or not text.isascii():
            self.fail("invalid")
        try:
            value = Decimal(text)
        except InvalidOperation:
            self.fail("invalid")
        if not value.is_finite():
            self.fail("invalid")
        if not value:
            return Decimal(0)
        exponent = value.as_tuple().exponent
        if value.adjusted() >= WHOLE_DIGITS or not isinstance(exponent, int) or -exponent > DECIMALS:
            self.fail("range")
        return value

    def to_representation(self, value: Decimal) -> str:
        return plain(money(value))
