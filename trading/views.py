"""Pages that move money: so far one, the button by which somebody without an account opens one to practise with."""

from __future__ import annotations

from decimal import Decimal

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.middleware import WorkspaceRequest
from accounts.selectors import accounts_of, can_write
from trading.core.errors import InvalidInput
from trading.services.funding import paper_account_open

BALANCE = Decimal(100_000)


@login_required
@require_POST
def open_account(request: WorkspaceRequest) -> HttpResponse:
    """Open a paper account with the usual balance; pressed twice it opens one."""
    if not can_write(request.membership):
        raise PermissionDenied("Your role in this workspace is viewer: you may look, but not change anything")
    if accounts_of(request.workspace).exists():
        return redirect("bots:dashboard")
    try:
        account = paper_account_open(workspace=request.workspace, name="Paper", amount=BALANCE)
    except InvalidInput as fault:
        messages.error(request, fault.message)
    else:
        messages.success(request, f"The account {account.name} is open, with practice money in it.")
    return redirect("bots:dashboard")
