"""The button by which a person lifts a hold that waits for one."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.middleware import WorkspaceRequest
from bots.doorbell import ring
from bots.selectors import bot_get
from bots.views import writer_only
from trading.core.errors import InvalidInput
from trading.selectors import hold_get
from trading.services.holds import held_by, hold_lift_by


@login_required
@require_POST
def lift(request: WorkspaceRequest, hold_id: int) -> HttpResponse:
    """Lift a hold; a refusal comes back as a message on the page that the button stands on."""
    writer_only(request.membership)
    hold = hold_get(request.workspace, hold_id)
    try:
        hold_lift_by(hold=hold, by=request.user)
    except InvalidInput as fault:
        messages.error(request, fault.message)
    else:
        messages.success(request, "The hold is lifted.")
        ring(held_by(hold))
    if request.POST.get("bot"):
        return redirect("bots:detail", bot_get(request.workspace, request.POST["bot"]).public_id)
    return redirect("bots:dashboard")
