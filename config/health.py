"""`/healthz`: is this process able to serve? `/readyz`: is the work done, too? Both without signing in, and terse."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from trading.health_processes import OK
from trading.health_work import sweep_check


def healthz(request: HttpRequest) -> JsonResponse:
    """Say whether the database answers this process."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "down", "database": "no answer"}, status=503)
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether bots are looked after: the database answers, and the sweep has run in the last 30 s."""
    try:
        sweep = sweep_check(timezone.now())
    except DatabaseError:
        return JsonResponse({"status": "down", "database": "no answer"}, status=503)
    if sweep.state != OK:
        return JsonResponse({"status": "down", "sweep": sweep.now}, status=503)
    return JsonResponse({"status": "ok"})
