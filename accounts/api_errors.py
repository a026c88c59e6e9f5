"""The one error shape of the API: {"detail": {"code", "message", "field", "value"}}, and `errors` with all of several.

The four keys are always there, null where they don't apply. `value` is what was refused, as text of at most 256
characters; secrets are never repeated. Django's own 400, 403, 404 and 500 under /api/ get the same shape.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.views import csrf, defaults
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from accounts.correlation import correlation
from trading.core.errors import InvalidInput, InvalidInputs, StaleData, VenueUnavailable
from trading.core.rounding import plain

log = logging.getLogger(__name__)

VALUE_MAX = 256
FAULTS_MAX = 50
SECRETS = ("password", "token", "secret", "refresh", "access", "otp", "code", "key")
STATUS_OF_CODE = {"wrong_state": 409, "halted": 409, "too_many_tries": 429, "conflict": 409, "no_price": 503}
CODES = {
    "parse_error": "malformed",
    "invalid": "invalid",
    "required": "required",
    "null": "required",
    "blank": "required",
}

Fault = dict[str, str | None]


def fault(code: str, message: str, field: str = "", value: object = None) -> Fault:
    """Return one error in our shape; the value of a secret field is left out."""
    return {"code": code, "message": message, "field": field or None, "value": _value_text(field, value)}


def body_of(faults: list[Fault]) -> dict[str, Any]:
    faults = faults[:FAULTS_MAX]
    return {"detail": faults[0], "errors": faults} if len(faults) > 1 else {"detail": faults[0]}


def _value_text(field: str, value: object) -> str | None:
    last = field.rpartition(".")[2].lower()
    if value is None or any(secret in last for secret in SECRETS):
        return None
    text = plain(value) if isinstance(value, Decimal) and value.is_finite() else str(value)
    return text[:VALUE_MAX]


# --- inside Django REST framework ------------------------------------------------------------------------------------


def error_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what an API view raised into our shape; what is nobody's fault but ours goes on to `server_error`."""
    if isinstance(error, InvalidInput):
        return _invalid_input(error)
    if isinstance(error, StaleData | VenueUnavailable):
        set_rollback()
        return Response(body_of([fault("unavailable", str(error))]), status=503)
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, ValidationError):
        faults = list(_flatten(error.detail, "", _sent(context.get("request"))))
        response.data = body_of(faults or [fault("invalid", "The input is not valid")])
    elif isinstance(error, APIException):
        response.data = body_of([_single(error)])
    else:  # Http404 and PermissionDenied of Django
        code, message = ("not_found", "There is no such object") if response.status_code == 404 else _DENIED
        response.data = body_of([fault(code, message)])
    return response


_DENIED = ("permission_denied", "You may not do this")


def _invalid_input(error: InvalidInput) -> Response:
    set_rollback()
    found = error.faults if isinstance(error, InvalidInputs) else (error,)
    faults = [fault(one.code, one.message, one.field, one.value) for one in found]
    return Response(body_of(faults), status=STATUS_OF_CODE.get(str(error.code), 400))


def _single(error: APIException) -> Fault:
    """One fault of DRF itself; some (simplejwt's) carry a mapping instead of a text."""
    detail: Any = error.detail
    if isinstance(detail, Mapping):
        return fault(str(detail.get("code", error.default_code)), str(detail.get("detail", error.default_detail)))
    first = detail[0] if isinstance(detail, list) else detail
    code = getattr(first, "code", error.default_code)
    if str(first).startswith("CSRF Failed"):
        code = "csrf_failed"
    return fault(CODES.get(code, code), str(first))


def _sent(request: Request | None) -> Any:
    return getattr(request, "_full_data", None) if request is not None else None


def _flatten(detail: Any, path: str, sent: Any) -> Iterator[Fault]:
    """Walk DRF's nested faults, naming each field by its path: `params.lower`, `levels[3].price`."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            step = "" if key == "non_field_errors" else str(key)
            inner_sent = sent.get(key) if step and isinstance(sent, Mapping) else sent if not step else None
            yield from _flatten(inner, f"{path}.{step}".strip("."), inner_sent)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            if isinstance(inner, ErrorDetail | str):
                yield from _flatten(inner, path, sent)
            else:
                inner_sent = sent[index] if isinstance(sent, list) and index < len(sent) else None
                yield from _flatten(inner, f"{path}[{index}]", inner_sent)
    else:
        code = getattr(detail, "code", "invalid")
        shown = path and code != "unknown_field" and not isinstance(sent, Mapping | list)
        value = sent if shown else None  # an unknown field may be a misspelt secret
        yield fault(CODES.get(code, code), str(detail), path, value)


# --- Django's own answers --------------------------------------------------------------------------------------------


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _json(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse(body_of([fault(code, message)]), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _json(400, "malformed", "The request can't be read")
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _json(403, *_DENIED)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _json(404, "not_found", f"There is nothing at {request.path[:200]}; addresses end with a slash")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if _is_api(request):
        return _json(500, "server_error", "Something went wrong on our side; it has been recorded")
    return HttpResponse(render_to_string("500.html", {"correlation": correlation()}), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    if _is_api(request):
        return _json(403, "csrf_failed", "The CSRF token is missing or wrong: reload the page and try again")
    return csrf.csrf_failure(request, reason)
