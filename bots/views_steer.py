"""Changing a bot that stands: its form beside what the change would do, and a look at what it would do anyway."""

from __future__ import annotations

import inspect
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.middleware import WorkspaceRequest
from bots.boards import figure_rows
from bots.doorbell import ring
from bots.edits import Look, dry_run, edit_look
from bots.edits import edit as make_edit
from bots.forms import EditForm
from bots.models import Bot
from bots.param_words import differences_worded
from bots.selectors import bot_get
from bots.strategies.registry import get_strategy
from bots.views import UNPROCESSABLE, writer_only
from exchanges.selectors import markets_of
from trading.core.errors import InvalidInput, InvalidInputs


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: WorkspaceRequest, public_id: UUID) -> HttpResponse:
    """Show a bot's parameters with what a change would do, or make the change."""
    writer_only(request.membership)
    bot = bot_get(request.workspace, public_id)
    form = _form(bot, request)
    if request.method == "POST" and form.is_valid():
        try:
            changes = form.changes() if _takes_params(bot) else {"name": form.cleaned_data["name"]}
            make_edit(bot=bot, by=request.user, changes=changes, revision=form.cleaned_data["revision"])
        except InvalidInput as fault:
            form.show_faults(fault)
        else:
            ring([bot.pk])
            messages.success(request, f"{bot.name} was changed.")
            return redirect("bots:detail", bot.public_id)
    context = _context(bot, form)
    return render(request, "bots/edit.html", context, status=UNPROCESSABLE if form.errors else 200)


@login_required
@require_POST
def edit_preview(request: WorkspaceRequest, public_id: UUID) -> HttpResponse:
    """Answer what the change that stands in the form would do, with each fault for its field."""
    writer_only(request.membership)
    bot = bot_get(request.workspace, public_id)
    form = _form(bot, request)
    context = _context(bot, form)
    return render(request, "bots/edit.html#preview", context, status=UNPROCESSABLE if form.errors else 200)


@login_required
@require_GET
def what_now(request: WorkspaceRequest, public_id: UUID) -> HttpResponse:
    """Show what the bot would change at this moment; nothing is done."""
    bot = bot_get(request.workspace, public_id)
    context: dict[str, Any] = {"bot": bot, "run": None, "fault": None}
    try:
        context["run"] = dry_run(bot)
    except InvalidInput as fault:
        context["fault"] = fault
    return render(request, "bots/what_now.html", context)


def _takes_params(bot: Bot) -> bool:
    return bot.status not in (Bot.Status.STOPPING, Bot.Status.STOPPED)


def _form(bot: Bot, request: WorkspaceRequest) -> EditForm:
    markets = [bot.market, *markets_of(bot.account.feed).exclude(pk=bot.market_id)]
    return EditForm(bot, get_strategy(bot.strategy), markets, request.POST if request.method == "POST" else None)


def _context(bot: Bot, form: EditForm) -> dict[str, Any]:
    look = _look(bot, form)
    found = look.seen.preview if look else None
    first, rest = figure_rows(found.figures) if found else ([], [])
    strategy = get_strategy(bot.strategy)
    word = inspect.getdoc(type(strategy).adopt) or ""
    return {
        "bot": bot,
        "form": form,
        "strategy": strategy,
        "market": bot.market,
        "look": look,
        "differences": differences_worded(bot, look.differences) if look else [],
        "first": first,
        "rest": rest,
        "word": " ".join(word.partition("\n\n")[0].split()),
        "takes_params": _takes_params(bot),
    }


def _look(bot: Bot, form: EditForm) -> Look | None:
    """Look at what the form would change; its faults go to the form when it is bound."""
    if not _takes_params(bot):
        return None
    if not form.is_bound:
        return edit_look(bot, bot.params)
    told = bool(form.errors)
    if not form.is_valid() and not told:
        return None
    look = edit_look(bot, form.params())
    if look.faults and not told:
        form.show_faults(InvalidInputs(look.faults))
    return look
