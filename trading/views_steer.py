"""Pages on which a person tells a running bot something, cancels one of its orders, or closes what a stopped one left:
first what it does, then it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.middleware import WorkspaceRequest
from bots.command_form import CommandForm
from bots.doorbell import ring
from bots.markets import markets_of_bot
from bots.models import Bot
from bots.selectors import bot_get
from bots.strategies.registry import get_strategy
from bots.views import UNPROCESSABLE, writer_only
from trading.core.commands import command_spec
from trading.core.errors import InvalidInput, InvalidInputs
from trading.selectors import left_of, order_get
from trading.services.closing import position_close
from trading.services.commands import CommandLook, command, command_look, command_options, order_cancel

UNTOLD = "required"  # a form that was just opened isn't told what is still missing


@login_required
@require_http_methods(["GET", "POST"])
def tell(request: WorkspaceRequest, public_id: UUID, kind: str) -> HttpResponse:
    """Show what a command does now, with a form for its arguments; or send it."""
    writer_only(request.membership)
    bot = bot_get(request.workspace, public_id)
    form = _form(request, bot, kind)

    def send() -> str:
        command(bot=bot, kind=kind, args=form.args(), by=request.user)
        return f"{command_spec(get_strategy(bot.strategy), kind).title}: {bot.name} was told."

    def show(fault: InvalidInput | None) -> dict[str, Any]:
        if fault is not None:
            form.show_faults(fault)
        return _context(bot, kind, form)

    return _first_what_it_does(request, bot, "bots/tell.html", send if form.is_valid() else None, show)


@login_required
@require_POST
def tell_preview(request: WorkspaceRequest, public_id: UUID, kind: str) -> HttpResponse:
    """Answer what the command that stands in the form would do, with each fault for its field."""
    writer_only(request.membership)
    bot = bot_get(request.workspace, public_id)
    form = _form(request, bot, kind)
    context = _context(bot, kind, form)
    return render(request, "bots/tell.html#preview", context, status=UNPROCESSABLE if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def cancel(request: WorkspaceRequest, order_id: UUID) -> HttpResponse:
    """Show what the cancel of an order does, or cancel it."""
    writer_only(request.membership)
    order = order_get(request.workspace, order_id)

    def send() -> str:
        order_cancel(order=order, by=request.user)
        return f"The order {order.slot} is being cancelled."

    def show(fault: InvalidInput | None) -> dict[str, Any]:
        return {"order": order, "bot": order.bot, "market": order.market, "fault": fault}

    return _first_what_it_does(request, order.bot, "bots/cancel.html", send, show)


@login_required
@require_http_methods(["GET", "POST"])
def close(request: WorkspaceRequest, public_id: UUID) -> HttpResponse:
    """Show what closing the position that a stopped bot left does, or close it."""
    writer_only(request.membership)
    bot = bot_get(request.workspace, public_id)

    def send() -> str:
        position_close(bot=bot, by=request.user)
        return f"{bot.name} closes what it left."

    def show(fault: InvalidInput | None) -> dict[str, Any]:
        if fault is not None:
            bot.refresh_from_db()  # what was undone with the refusal still stands in this object
        left = left_of(bot)
        return {
            "bot": bot,
            "market": bot.market,
            "left": left,
            "left_open": any(one.position.market.perpetual for one in left),
            "closable": [one for one in left if not one.fault],
            "fault": fault,
        }

    return _first_what_it_does(request, bot, "bots/close.html", send, show)


def _first_what_it_does(
    request: WorkspaceRequest,
    bot: Bot,
    template: str,
    send: Callable[[], str] | None,
    show: Callable[[InvalidInput | None], dict[str, Any]],
) -> HttpResponse:
    """Show what a page does; a POST does it and says so. What is refused is shown again, with its fault.

    `send` is None for what can't be sent as it stands.
    """
    fault = None
    if request.method == "POST" and send is not None:
        try:
            done = send()
        except InvalidInput as error:
            fault = error
        else:
            ring([bot.pk])
            return _done(request, bot, done)
    context = show(fault)
    form = context.get("form")
    refused = fault is not None or (form is not None and bool(form.errors))
    return render(request, template, context, status=UNPROCESSABLE if refused else 200)


def _done(request: WorkspaceRequest, bot: Bot, text: str) -> HttpResponse:
    """Tell the page that holds the form; a form that was a page of its own goes back to its bot."""
    address = reverse("bots:detail", args=[bot.public_id])
    if not request.htmx:  # type: ignore[attr-defined]  # set by django-htmx's middleware
        messages.success(request, text)
        return redirect(address)
    return HttpResponse(status=204, headers={"HX-Trigger": json.dumps({"told": {"text": text, "back": address}})})


def _form(request: WorkspaceRequest, bot: Bot, kind: str) -> CommandForm:
    try:
        spec, options = command_spec(get_strategy(bot.strategy), kind), command_options(bot, kind)
    except InvalidInput as fault:
        raise Http404(fault.message) from None
    markets = [bot.market, *(one for one in markets_of_bot(bot) if one.pk != bot.market_id)]
    return CommandForm(spec, markets, options, request.POST if request.method == "POST" else None)


def _context(bot: Bot, kind: str, form: CommandForm) -> dict[str, Any]:
    told = bool(form.errors)
    look = CommandLook()
    if not form.is_bound or form.is_valid():
        look = command_look(bot=bot, kind=kind, args=form.args())
    if form.is_bound and look.faults and not told:
        form.show_faults(InvalidInputs(look.faults))
    return {
        "bot": bot,
        "kind": kind,
        "spec": command_spec(get_strategy(bot.strategy), kind),
        "form": form,
        "run": look.run,
        "faults": [fault for fault in look.faults if not form.is_bound and fault.code != UNTOLD],
    }
