"""Around every request: its id, in the log lines and in the answer, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.correlation import correlated
from trading import metrics

HEADER = "X-Request-ID"


class RequestMiddleware:
    """The outermost middleware. A client's own id is taken over when it can be written into a log."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.monotonic()
        with correlated(request.headers.get(HEADER, "")) as name:
            response = self.get_response(request)
        response.headers[HEADER] = name
        metrics.count("http_requests", f"{response.status_code // 100}xx")
        metrics.observe("http_request_seconds", time.monotonic() - began)
        metrics.flush()
        return response
