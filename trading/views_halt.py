"""Pages of the kill switch: what it will do, how far it is, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.middleware import WorkspaceRequest
from accounts.models import Account
from accounts.selectors import account_get, accounts_of
from bots.models import Bot
from bots.selectors import bot_get, not_replayed
from bots.views import UNPROCESSABLE, writer_only
from risk.models import Halt
from risk.selectors import halt_get, halts_active
from risk.services import REASON_MAX, Target, asks_password, may_rearm
from trading.core.errors import InvalidInput
from trading.halt_foreign import foreign_count
from trading.halt_progress import Reach, progress_of, reach_of
from trading.services.halting import kill as pull
from trading.services.halting import rearm

Scope = Halt.Scope
STOP_POLLING = 286  # htmx's own answer to "every 2s"


@dataclass(frozen=True, slots=True)
class Choice:
    """One scope that can be chosen, with what it would meet; `standing` is the halt that is there already."""

    value: str
    title: str
    target: Target
    reach: Reach
    standing: Halt | None = None


@login_required
@require_http_methods(["GET", "POST"])
def kill(request: WorkspaceRequest) -> HttpResponse:
    """Say what the kill switch will do, with counts; or pull it."""
    writer_only(request.membership)
    choices = _choices(request)
    fault = None
    if request.method == "POST":
        try:
            chosen = _chosen(choices, request.POST.get("scope", ""))
            halt = pull(
                target=chosen.target,
                reason=request.POST.get("reason", ""),
                by=request.user,
                flatten=bool(request.POST.get("flatten")),
                foreign=bool(request.POST.get("foreign")),
            )
            return redirect("trading:halt", halt.public_id)
        except InvalidInput as error:
            fault = error
    context = {
        "choices": choices,
        "picked": request.POST.get("scope") or choices[0].value,
        "reason": request.POST.get("reason", ""),
        "reason_max": REASON_MAX,
        "fault": fault,
    }
    return render(request, "trading/kill.html", context, status=UNPROCESSABLE if fault else 200)


@login_required
@require_GET
def kill_foreign(request: WorkspaceRequest) -> HttpResponse:
    """Count the orders that aren't ours, apart from the page: an exchange that is slow must not hold it up."""
    writer_only(request.membership)
    accounts = accounts_of(request.workspace).filter(not_replayed())
    return render(request, "trading/inc/foreign.html", {"foreign": [foreign_count(account) for account in accounts]})


def _chosen(choices: list[Choice], value: str) -> Choice:
    found = next((choice for choice in choices if choice.value == value), None)
    if found is None:
        raise InvalidInput("Choose what the kill switch is for", field="scope", value=value)
    return found


def _choices(request: WorkspaceRequest) -> list[Choice]:
    """Return the scopes, the one that the page was opened for first: a bot (?bot=), an account (?account=)."""
    workspace = request.workspace
    standing = {(halt.scope, halt.account_id, halt.bot): halt for halt in halts_active(workspace)}
    asked = request.GET or request.POST
    found = []
    if asked.get("bot"):
        bot = bot_get(workspace, asked["bot"])
        target = Target(Scope.BOT, bot.name, workspace, bot=bot.public_id)
        reach = reach_of(Bot.objects.filter(pk=bot.pk))
        title = f"Only the bot {bot.name}"
        found.append(
            Choice(f"bot:{bot.public_id}", title, target, reach, standing.get((Scope.BOT, None, bot.public_id)))
        )
    reach = reach_of(Bot.objects.filter(workspace=workspace))
    everything = Target(Scope.WORKSPACE, f"everything in {workspace.name}", workspace)
    there = standing.get((Scope.WORKSPACE, None, None))
    found.append(Choice("workspace", "Everything in this workspace", everything, reach, there))
    accounts = list(accounts_of(workspace).filter(not_replayed()))
    found += [_of_account(request, one, standing.get((Scope.ACCOUNT, one.pk, None))) for one in accounts]
    if asked.get("account"):
        first = f"account:{account_get(workspace, asked['account']).public_id}"
        found.sort(key=lambda choice: choice.value != first)
    return found


def _of_account(request: WorkspaceRequest, account: Account, standing: Halt | None) -> Choice:
    target = Target(Scope.ACCOUNT, f"account {account.name}", request.workspace, account)
    reach = reach_of(Bot.objects.filter(account=account))
    return Choice(f"account:{account.public_id}", f"The account {account.name}", target, reach, standing)


@login_required
@require_GET
def halt(request: WorkspaceRequest, halt_id: UUID) -> HttpResponse:
    """Show how far a kill switch is; while something is open the page asks every two seconds."""
    found = halt_get(request.workspace, halt_id)
    context = _halt_context(request, found)
    polled = bool(request.htmx)  # type: ignore[attr-defined]  # set by django-htmx's middleware
    template = "trading/halt.html#progress" if polled else "trading/halt.html"
    status = STOP_POLLING if polled and (context["progress"].done or found.rearmed_at) else 200
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ("HX-Request",))
    return response


@login_required
@require_POST
def rearm_page(request: WorkspaceRequest, halt_id: UUID) -> HttpResponse:
    """Re-arm: an owner's decision, with his password; may let the paused bots go on."""
    writer_only(request.membership)
    found = halt_get(request.workspace, halt_id)
    try:
        resumed, faults = rearm(
            halt=found,
            by=request.user,
            password=request.POST.get("password", ""),
            resume=bool(request.POST.get("resume")),
        )
    except InvalidInput as fault:
        context = _halt_context(request, found) | {"fault": fault, "resume": bool(request.POST.get("resume"))}
        return render(request, "trading/halt.html", context, status=UNPROCESSABLE)
    for text in faults:
        messages.error(request, text)
    went_on = f" {resumed} bot{'s go' if resumed != 1 else ' goes'} on." if resumed else ""
    messages.success(request, f"The kill switch is re-armed.{went_on}")
    return redirect("trading:halt", found.public_id)


def _halt_context(request: WorkspaceRequest, found: Halt) -> dict[str, Any]:
    whole = found.scope == Scope.PLATFORM and request.user.is_staff
    return {
        "halt": found,
        "name": found.incident.detail.get("name", found.get_scope_display()),
        "progress": progress_of(found, None if whole else request.workspace),
        "may_rearm": may_rearm(found, request.user),
        "asks_password": asks_password(request.user),
    }
