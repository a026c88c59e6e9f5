"""Pages over all bots: the dashboard, the list, and the way to a new one."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_GET, require_POST

from accounts.middleware import WorkspaceRequest
from accounts.models import Membership
from accounts.selectors import account_get, accounts_of, can_write, last_seq
from bots.boards import bot_drawings, cards_of, recent_fills, rows_of, totals_of
from bots.doorbell import ring
from bots.models import Bot
from bots.presets import preset_start
from bots.selectors import bots_of
from bots.strategies.registry import STRATEGIES
from trading.core.errors import InvalidInput

DASHBOARD_BOTS = 6
# What needs a person first, then what trades; drafts and what has ended follow, the newest first.
FIRST = {Bot.Status.ERROR: 0, Bot.Status.RUNNING: 1, Bot.Status.PAUSED: 1, Bot.Status.STOPPING: 1}
UNPROCESSABLE = 422


def writer_only(membership: Membership) -> None:
    if not can_write(membership):
        raise PermissionDenied("Your role in this workspace is viewer: you may look, but not change anything")


def page_or_part(request: WorkspaceRequest, page: str, part: str, context: dict[str, Any]) -> HttpResponse:
    """Render the page, or only its moving part when htmx asks; a cache must not take the one for the other."""
    asked_by_htmx = bool(request.htmx)  # type: ignore[attr-defined]  # set by django-htmx's middleware
    response = render(request, part if asked_by_htmx else page, context)
    patch_vary_headers(response, ("HX-Request",))
    return response


def _board(request: WorkspaceRequest) -> dict[str, Any]:
    since = last_seq(request.workspace)  # before all else: what happens from here on comes through the socket
    accounts = list(accounts_of(request.workspace))
    rows = rows_of(bots_of(request.workspace))
    return {
        "last_seq": since,
        "rows": rows,
        "totals": totals_of(rows, accounts),
        "attention": [row for row in rows if row.bot.status == Bot.Status.ERROR],
        "markets": sorted({row.bot.market_id for row in rows}),
    }


@login_required
@require_GET
def dashboard(request: WorkspaceRequest) -> HttpResponse:
    context = _board(request)
    top = sorted(context["rows"], key=lambda row: FIRST.get(row.bot.status, len(FIRST)))[:DASHBOARD_BOTS]
    context |= {"top": top, "drawings": bot_drawings(top), "fills": recent_fills(request.workspace)}
    account = accounts_of(request.workspace).first()
    context |= {
        "account": account,
        "cards": SimpleLazyObject(lambda: cards_of(request.workspace, account) if account else []),
    }
    return page_or_part(request, "bots/dashboard.html", "bots/dashboard.html#board", context)


@login_required
@require_GET
def bot_list(request: WorkspaceRequest) -> HttpResponse:
    return page_or_part(request, "bots/list.html", "bots/list.html#board", _board(request))


@login_required
@require_POST
def preset(request: WorkspaceRequest, key: str) -> HttpResponse:
    """Start a preset at the current price: the one click of the dashboard."""
    writer_only(request.membership)
    account = account_get(request.workspace, request.POST.get("account", ""))
    try:
        bot = preset_start(workspace=request.workspace, account=account, key=key, by=request.user)
    except InvalidInput as fault:
        context = {"title": "This bot was not started", "fault": fault}
        return render(request, "bots/refused.html", context, status=UNPROCESSABLE)
    ring([bot.pk])
    return redirect("bots:detail", bot.public_id)


@login_required
@require_GET
def new(request: WorkspaceRequest) -> HttpResponse:
    writer_only(request.membership)
    account = accounts_of(request.workspace).first()
    context = {
        "strategies": list(STRATEGIES.values()),
        "account": account,
        "cards": cards_of(request.workspace, account) if account else [],
    }
    return render(request, "bots/new.html", context)
