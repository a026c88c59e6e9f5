"""How it fares, in one look: the installation, for its operators; a workspace's own trading, for its members."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from accounts.middleware import WorkspaceRequest
from trading.health import health
from trading.status import status_of


@login_required
@require_GET
def operators(request: WorkspaceRequest) -> HttpResponse:
    """Show it to the staff; the page asks for its moving part every 5 s."""
    if not request.user.is_staff:
        raise PermissionDenied("This page is for those who run the installation")
    part = "trading/health.html#health" if request.htmx else "trading/health.html"  # type: ignore[attr-defined]
    response = render(request, part, {"health": health()})
    patch_vary_headers(response, ("HX-Request",))
    return response


@login_required
@require_GET
def status(request: WorkspaceRequest) -> HttpResponse:
    """Show it to everybody in the workspace."""
    part = "trading/status.html#status" if request.htmx else "trading/status.html"  # type: ignore[attr-defined]
    response = render(request, part, {"status": status_of(request.workspace)})
    patch_vary_headers(response, ("HX-Request",))
    return response
