"""The way to a new bot: one screen, its preview beside it from the same service as the API's."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.middleware import WorkspaceRequest
from accounts.selectors import accounts_of
from bots.boards import figure_rows, sketch_closes
from bots.doorbell import ring
from bots.forms import WizardForm
from bots.preflight import Preflight, fresh, open_bot
from bots.preflight import preview as preflight
from bots.presets import recipe_of
from bots.recipes import Recipe
from bots.sketch import marks_of, sketch
from bots.strategies.registry import STRATEGIES, get_strategy
from bots.views import UNPROCESSABLE, writer_only
from exchanges.models import Market
from exchanges.prices import quote_get
from exchanges.selectors import markets_of
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.rounding import to_decimal


@login_required
@require_http_methods(["GET", "POST"])
def wizard(request: WorkspaceRequest, strategy: str) -> HttpResponse:
    """Show the form; a POST creates the bot, and starts it when that button was pressed."""
    writer_only(request.membership)
    if not accounts_of(request.workspace).exists():
        messages.info(request, "A bot needs an account to trade with: open one first.")
        return redirect("bots:dashboard")
    form = _form(request, strategy)
    if request.method == "POST" and form.is_valid():
        try:
            bot = open_bot(
                workspace=request.workspace,
                name=form.cleaned_data["name"],
                by=request.user,
                start=request.POST.get("then") == "start",
                **form.wish(),
            )
        except InvalidInput as fault:
            form.show_faults(fault)
        else:
            ring([bot.pk])
            return redirect("bots:detail", bot.public_id)
    context = _preview(request, form) | {"form": form, "strategy": form.strategy}
    return render(request, "bots/wizard.html", context, status=UNPROCESSABLE if form.errors else 200)


@login_required
@require_POST
def preview(request: WorkspaceRequest, strategy: str) -> HttpResponse:
    """Answer the preview of what stands in the form now, with each fault for its field."""
    writer_only(request.membership)
    form = _form(request, strategy)
    context = _preview(request, form) | {"form": form, "strategy": form.strategy}
    return render(request, "bots/wizard.html#preview", context, status=UNPROCESSABLE if form.errors else 200)


def _form(request: WorkspaceRequest, key: str) -> WizardForm:
    if key not in STRATEGIES:
        raise Http404("No such strategy")
    accounts = list(accounts_of(request.workspace))
    if not accounts:
        raise Http404("This workspace has no account to trade with")
    asked = request.POST if request.method == "POST" else request.GET
    account = next((one for one in accounts if str(one.public_id) == asked.get("account")), accounts[0])
    markets = list(markets_of(account.feed))
    if not markets:
        raise Http404("This account has no market to trade on")
    strategy = get_strategy(key)
    if request.method == "POST":
        return WizardForm(strategy, accounts, markets, request.POST)
    recipe = recipe_of(key)
    market = next((one for one in markets if str(one.pk) == asked.get("market")), None)
    market = market or next((one for one in markets if recipe and one.symbol == recipe.symbol), markets[0])
    initial: dict[str, Any] = {"account": account.public_id, "market": market.pk}
    if recipe is not None:
        initial["timeframe_ms"] = recipe.timeframe_ms
        initial["params"] = _suggestion(recipe, market)
    form = WizardForm(strategy, accounts, markets, initial=initial)
    form.initial.setdefault("name", f"{strategy.title} {market.base}" if form.asks_market else strategy.title)
    return form


def _suggestion(recipe: Recipe, market: Market) -> dict[str, Any]:
    """Return sensible parameters at the current price, those of the calmest preset of this strategy."""
    quote = quote_get(market.pk)
    if quote is None or not fresh(quote):
        return {}
    return recipe.params(market, to_decimal(quote.last), recipe.budget)


def _preview(request: WorkspaceRequest, form: WizardForm) -> dict[str, Any]:
    """Make the preview of a form; its faults go to the form when it is bound."""
    if form.is_bound:
        seen = _look(request, form)
    else:
        copy = WizardForm(form.strategy, [*form.accounts.values()], [*form.markets.values()], form.filled())
        seen = _look(request, copy)
    market = (seen.main if seen else None) or form.chosen_market
    quote = quote_get(market.pk)
    price = to_decimal(quote.last) if quote is not None else None
    found = seen.preview if seen else None
    first, rest = figure_rows(found.figures) if found else ([], [])
    return {
        "seen": seen,
        "market": market,
        "others": [one for one in seen.markets.values() if one.pk != market.pk] if seen else [],
        "price": price,
        "no_price": quote is None or not fresh(quote),
        "drawing": sketch(sketch_closes(market), price, marks_of(found)),
        "first": first,
        "rest": rest,
    }


def _look(request: WorkspaceRequest, form: WizardForm) -> Preflight | None:
    """Judge what stands in the form; faults that it hasn't told yet go to their fields."""
    told = {message for messages in form.errors.values() for message in messages}
    asked = WizardForm(form.strategy, [*form.accounts.values()], [*form.markets.values()], form.data)
    asked.full_clean()  # of its own: a fault that was put at a field takes the value out of the form
    try:
        wish = asked.wish()
    except KeyError:  # a field that the wish needs is at fault, and says so itself
        return None
    seen = preflight(workspace=request.workspace, **wish)
    readable = "budget" in asked.cleaned_data
    new = [fault for fault in seen.faults if fault.message not in told and (readable or fault.field != "budget")]
    if new:
        form.show_faults(InvalidInputs(new))
    return seen if readable else None  # one that can't be read is no empty one: what it would reserve is not shown
