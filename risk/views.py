"""Pages about risk: what stands halted, the limits, and the incidents that people look back at."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.middleware import WorkspaceRequest
from accounts.models import Account, Role
from accounts.selectors import account_get, accounts_of, can_write
from risk.forms import LimitsForm
from risk.selectors import incident_get, incidents_of, limits_for, limits_get, limits_of
from risk.services import limits_set

UNPROCESSABLE = 422
PAGE = 25
LATEST = 5


@login_required
@require_GET
def overview(request: WorkspaceRequest) -> HttpResponse:
    rows = {row.account_id: row for row in limits_of(request.workspace)}
    accounts = list(accounts_of(request.workspace))
    context = {
        "own": rows.get(None),
        "of_accounts": [(account, rows.get(account.pk)) for account in accounts],
        "incidents": list(incidents_of(request.workspace)[:LATEST]),
    }
    return render(request, "risk/overview.html", context)


@login_required
@require_GET
def incidents(request: WorkspaceRequest) -> HttpResponse:
    pages = Paginator(incidents_of(request.workspace), PAGE)
    return render(request, "risk/incidents.html", {"page": pages.get_page(request.GET.get("page"))})


@login_required
@require_GET
def incident(request: WorkspaceRequest, incident_id: UUID) -> HttpResponse:
    found = incident_get(request.workspace, incident_id)
    return render(request, "risk/incident.html", {"incident": found, "of_halts": list(found.halts.all())})


@login_required
@require_http_methods(["GET", "POST"])
def limits(request: WorkspaceRequest, account_id: UUID | None = None) -> HttpResponse:
    """Show or change the limits of the workspace, or of one of its accounts."""
    account = account_get(request.workspace, account_id) if account_id else None
    owner = request.membership.role == Role.OWNER
    if request.method == "POST" and not can_write(request.membership):
        raise PermissionDenied("Your role in this workspace is viewer: you may look, but not change anything")
    row = limits_get(request.workspace, account)
    unit = account.quote if account else _unit(request)
    form = LimitsForm(row, unit, request.POST if request.method == "POST" else None, frozen=not owner)
    if form.is_bound and form.is_valid():
        limits_set(workspace=request.workspace, account=account, values=form.values(), by=request.user)
        messages.success(request, f"The limits of {account.name if account else 'the workspace'} are saved.")
        return redirect("risk:overview")
    status = UNPROCESSABLE if form.errors else 200
    return render(request, "risk/limits.html", _limits_context(request, account, form, owner=owner), status=status)


def _limits_context(
    request: WorkspaceRequest, account: Account | None, form: LimitsForm, *, owner: bool
) -> dict[str, Any]:
    return {
        "form": form,
        "account": account,
        "owner": owner,
        "counts": limits_for(account) if account else None,
        "others": [one for one in accounts_of(request.workspace) if account is None or one.pk != account.pk],
    }


def _unit(request: WorkspaceRequest) -> str:
    """Name the coin of the workspace's limits where all its accounts have the same one."""
    quotes = {account.quote for account in accounts_of(request.workspace)}
    return quotes.pop() if len(quotes) == 1 else "quote coin"
