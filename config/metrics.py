"""`/metrics` for Prometheus: with METRICS_TOKEN as bearer token; without one only where nobody else can reach it."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_LATEST

from trading.metrics_page import page

LOOPBACK = ("127.0.0.1", "::1")


def metrics(request: HttpRequest) -> HttpResponse:
    if not _allowed(request):
        return HttpResponse(
            "Metrics are for the operator: set METRICS_TOKEN and send it as bearer token.\n", status=403
        )
    return HttpResponse(page(), content_type=CONTENT_TYPE_LATEST)


def _allowed(request: HttpRequest) -> bool:
    """Judge a request. Behind a proxy everybody seems to come from this machine, so there it takes the token."""
    if settings.METRICS_TOKEN:
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}")
    forwarded = settings.BEHIND_PROXY or "X-Forwarded-For" in request.headers
    return not forwarded and request.META.get("REMOTE_ADDR", "") in LOOPBACK
