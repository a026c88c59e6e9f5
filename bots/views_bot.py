"""Pages of one bot: see what it does and why, steer it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.middleware import WorkspaceRequest
from accounts.selectors import last_seq
from bots.boards import performance_of
from bots.doorbell import ring
from bots.markets import markets_of_bot
from bots.models import Bot
from bots.param_words import params_worded
from bots.preflight import start_bot
from bots.selectors import bot_get
from bots.services import bot_clone, bot_delete, bot_pause, bot_resume, bot_stop
from bots.strategies.registry import get_strategy
from bots.views import UNPROCESSABLE, page_or_part, writer_only
from exchanges.models import Market
from trading.core.commands import commands_of
from trading.core.errors import InvalidInput
from trading.core.fields import format_of
from trading.selectors import (
    Pnl,
    denied_by_reason,
    events_of,
    fills_recent,
    holds_of,
    last_decision,
    left_of,
    orders_open,
    orders_recent,
    pnl_of,
    questions_of,
    why,
)

TABS = {
    "orders": "Orders",
    "fills": "Fills",
    "performance": "Performance",
    "decision": "Decision",
    "advice": "Advice",
    "activity": "Activity",
    "settings": "Settings",
}
TIMEFRAMES = {60_000: "1m", 300_000: "5m", 900_000: "15m", 3_600_000: "1h", 14_400_000: "4h", 86_400_000: "1d"}
LISTED = 50
LATEST = 4
DENIED = 5  # reasons
CENT = Decimal("0.01")


def _base(bot: Bot) -> dict[str, Any]:
    result = pnl_of(bot)
    markets = markets_of_bot(bot)
    holds = holds_of(bot)
    left = [one for one in left_of(bot) if one.position.market.perpetual or not one.fault]
    return {
        "bot": bot,
        "market": bot.market,
        "watched": markets,
        "several": len(markets) > 1,
        "pnl": result,
        "prices": {one.market.pk: one.price for one in result.holdings},
        "positions": [one for one in result.holdings if one.qty or one.fills],
        "perpetual": any(one.perpetual for one in markets),
        "shown": shown_parts(result),
        "why": why(bot, holds[0].reason if holds else ""),
        "holds": holds,
        "latest": fills_recent(bot, LATEST),
        "left": left,
        "left_open": any(one.position.market.perpetual for one in left),
        "strategy": get_strategy(bot.strategy),
        "commands": commands_of(get_strategy(bot.strategy)),
        "takes_commands": bot.status in (Bot.Status.RUNNING, Bot.Status.PAUSED),
    }


def shown_parts(result: Pnl) -> dict[str, Decimal] | None:
    """Round the parts of a result so that they still add up on the page: the estimate, unrealised, takes the rest."""
    if result.total is None:
        return None
    exact = (result.total, result.realised, result.fees, result.funding)
    total, realised, fees, funding = (value.quantize(CENT) for value in exact)
    unrealised = total - realised + fees - funding
    return {"total": total, "realised": realised, "minus_fees": -fees, "funding": funding, "unrealised": unrealised}


def _panel(bot: Bot, tab: str) -> dict[str, Any]:
    if tab == "fills":
        return {"fills": fills_recent(bot, LISTED)}
    if tab == "performance":
        return {"way": performance_of(bot)}
    if tab == "decision":
        return {"last": last_decision(bot)}
    if tab == "advice":
        return {"questions": questions_of(bot)}
    if tab == "activity":
        return {"events": events_of(bot, LISTED)}
    if tab == "settings":
        return {"params": params_worded(bot)}
    working, denied = orders_open(bot), denied_by_reason(bot)
    return {
        "orders": sorted(working, key=lambda order: (order.market.symbol, -(order.price or Decimal(0)))),
        "denied": denied[:DENIED],
        "denied_more": sum(one.number for one in denied[DENIED:]),
        "closed": [order for order in orders_recent(bot, LISTED) if not order.is_live][:20],
    }


def _tabs(bot: Bot) -> dict[str, str]:
    """Return the page's tabs; the questions only of a bot whose strategy asks an adviser."""
    strategy = get_strategy(bot.strategy)
    asks = any(format_of(info) == "advisor" for info in strategy.params.model_fields.values())
    return {key: word for key, word in TABS.items() if key != "advice" or asks}


def _market(request: WorkspaceRequest, bot: Bot, pnl: Pnl) -> Market:
    """Return the market whose chart is shown: the one asked for, else one in which it holds something, else its own."""
    asked = request.GET.get("market", "")
    held = next((one.market for one in pnl.held if pnl.qty == 0), bot.market)
    return next((one for one in markets_of_bot(bot) if str(one.pk) == asked), held)


def _tab(request: WorkspaceRequest) -> str:
    asked = request.GET.get("tab", "orders")
    return asked if asked in TABS else "orders"


@login_required
@require_GET
def detail(request: WorkspaceRequest, public_id: UUID) -> HttpResponse:
    since = last_seq(request.workspace)  # before all else: what happens from here on comes through the socket
    bot = bot_get(request.workspace, public_id)
    tab = _tab(request)
    shell = {"last_seq": since, "tab": tab, "tabs": _tabs(bot), "timeframes": TIMEFRAMES}
    context = _base(bot) | shell | _panel(bot, tab)
    context["shown_market"] = _market(request, bot, context["pnl"])
    return page_or_part(request, "bots/detail.html", "bots/inc/panel.html", context)


@login_required
@require_GET
def live(request: WorkspaceRequest, public_id: UUID) -> HttpResponse:
    """Answer the moving blocks of the page; with `tab` also the open panel."""
    bot = bot_get(request.workspace, public_id)
    context = _base(bot)
    if request.GET.get("tab"):
        tab = _tab(request)
        context |= {"tab": tab, "with_panel": True} | _panel(bot, tab)
    return render(request, "bots/live.html", context)


ACTIONS: dict[str, Callable[..., Any]] = {
    "start": start_bot,
    "pause": bot_pause,
    "resume": bot_resume,
    "clone": bot_clone,
    "delete": bot_delete,
}


@login_required
@require_POST
def act(request: WorkspaceRequest, public_id: UUID, verb: str) -> HttpResponse:
    """Start, pause, resume, clone or delete; a refusal comes back as a message on the bot's page."""
    writer_only(request.membership)
    bot = bot_get(request.workspace, public_id)
    if verb not in ACTIONS:
        raise Http404("No such action")
    try:
        result = ACTIONS[verb](bot=bot, by=request.user)
    except InvalidInput as fault:
        messages.error(request, fault.message)
        return redirect("bots:detail", bot.public_id)
    if verb == "delete":
        messages.success(request, f"{bot.name} was deleted.")
        return redirect("bots:list")
    ring([bot.pk])
    if request.POST.get("back") == "list":
        return redirect("bots:list")
    return redirect("bots:detail", result.public_id if verb == "clone" else bot.public_id)


@login_required
@require_http_methods(["GET", "POST"])
def stop(request: WorkspaceRequest, public_id: UUID) -> HttpResponse:
    """Show what each way to stop would do to the money, or begin to stop."""
    writer_only(request.membership)
    bot = bot_get(request.workspace, public_id)
    fault = None
    if request.method == "POST":
        try:
            bot_stop(bot=bot, mode=request.POST.get("mode", ""), by=request.user)
        except InvalidInput as error:
            fault = error
        else:
            ring([bot.pk])
            return redirect("bots:detail", bot.public_id)
    result = pnl_of(bot)
    working = orders_open(bot)
    values = [one.value for one in result.held]
    sale = None if None in values else sum((abs(value) for value in values if value is not None), Decimal(0))
    fees = [abs(one.value) * one.market.taker_fee for one in result.held if one.value is not None]
    context = {
        "bot": bot,
        "market": bot.market,
        "pnl": result,
        "fault": fault,
        "orders": working,
        "locked": sum((order.locked for order in working if order.lock_coin == bot.market.quote), Decimal(0)),
        "sale": sale,
        "sale_fee": sum(fees, Decimal(0)) if sale is not None else None,
        "perpetual": any(one.market.perpetual for one in result.held),
        "open_positions": [one for one in result.held if one.market.perpetual],
        "keeps_coins": not all(one.perpetual for one in markets_of_bot(bot)),
    }
    return render(request, "bots/stop.html", context, status=UNPROCESSABLE if fault else 200)
