"""The header Idempotency-Key: a write that was sent twice is done once, and answered twice in the same way.

The call's row, what it writes and its answer are one transaction, so that a crash leaves all of it or nothing. Two
calls at the same time meet at the row's unique key: the second waits and gets the first one's answer. An error
rolls everything back and is not remembered.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import IdempotentCall
from trading.core.errors import InvalidInput

if TYPE_CHECKING:
    from accounts.api_base import WorkspaceView

HEADER, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
KEY_MAX = 80
REMEMBERED = timedelta(hours=24)
View = TypeVar("View", bound="WorkspaceView")


class KeyReused(APIException):
    status_code = 422
    default_detail = f"This {HEADER} was used for another call; take a new one for each new wish"
    default_code = "idempotency_key_reused"


def idempotent(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Decorate a handler of a WorkspaceView: with the header, the same call is done once."""

    @functools.wraps(handler)
    def once(view: View, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not key or len(key) > KEY_MAX or not key.isascii() or not key.isprintable():
            text = f"{HEADER} takes 1 to {KEY_MAX} printable ASCII characters"
            raise InvalidInput(text, field=HEADER, code="invalid")
        with transaction.atomic():
            call, new = _call(view, key, _digest(request))
            if not new:
                return Response(call.answer, status=call.status, headers={REPLAYED: "true"})
            response = handler(view, request, *args, **kwargs)
            call.status, call.answer = response.status_code, json.loads(JSONRenderer().render(response.data) or b"null")
            call.save(update_fields=["status", "answer"])
        return response

    return once


def _call(view: WorkspaceView, key: str, digest: str) -> tuple[IdempotentCall, bool]:
    names = {"workspace": view.workspace, "user": view.person, "key": key}
    IdempotentCall.objects.filter(**names, created_at__lt=timezone.now() - REMEMBERED).delete()
    call, new = IdempotentCall.objects.get_or_create(**names, defaults={"digest": digest})
    if call.digest != digest:
        raise KeyReused
    return call, new


def _digest(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True)
    return hashlib.sha256(f"{request.method} {request.path}\n{body}".encode()).hexdigest()
