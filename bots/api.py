"""The API of bots: what can be had, what it would do, and a bot's life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import WorkspaceListView, WorkspaceView
from accounts.api_input import StrictSerializer, body_of
from accounts.idempotency import idempotent
from accounts.models import Account, Workspace
from accounts.selectors import account_get
from bots.api_shapes import (
    BotIn,
    BotOut,
    BotPatch,
    BotQuery,
    CloneIn,
    DryRunOut,
    EditPreviewIn,
    EditPreviewOut,
    NothingIn,
    PresetOut,
    PresetStartIn,
    PreviewIn,
    PreviewOut,
    StopIn,
    StrategyOut,
)
from bots.doorbell import ring
from bots.edits import dry_run, edit, edit_look
from bots.markets import unknown_market
from bots.models import Bot
from bots.parameters import revision_of
from bots.preflight import open_bot, preview, start_bot
from bots.presets import preset_start, presets
from bots.selectors import bot_get, bots_of
from bots.services import bot_clone, bot_delete, bot_pause, bot_resume, bot_stop
from bots.strategies.registry import STRATEGIES
from exchanges.models import Market
from trading.core.commands import command_schema, commands_of
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.params import params_schema
from trading.core.ports import Strategy


def _account(workspace: Workspace, public_id: Any) -> Account:
    """Find the account named in a body; one that isn't there is a fault of that field."""
    found: Account | None = Account.objects.filter(workspace=workspace, public_id=public_id).first()
    if found is None:
        raise InvalidInput("There is no such account", field="account", value=public_id, code="unknown_account")
    return found


def _market(account: Account, symbol: str) -> Market:
    found = Market.objects.filter(source=account.feed, symbol=symbol).first()
    if found is None:
        raise unknown_market(account, symbol, "market")
    return found


def _wish(workspace: Workspace, given: dict[str, Any]) -> dict[str, Any]:
    """Put the objects in the place of their names."""
    account = _account(workspace, given["account"])
    market = _market(account, given["market"]) if "market" in given else None
    return {**given, "workspace": workspace, "account": account, "market": market}


# --- what can be had -------------------------------------------------------------------------------------------------


def _strategy_out(strategy: Strategy) -> dict[str, Any]:
    names = ("key", "title", "summary", "version")
    told = {name: getattr(strategy, name) for name in names}
    commands = [command_schema(kind, spec) for kind, spec in commands_of(strategy).items()]
    return {**told, "schema": params_schema(strategy.params), "commands": commands}


class StrategiesView(WorkspaceView):
    @extend_schema(operation_id="strategies_list", responses=StrategyOut(many=True), tags=["strategies"])
    def get(self, request: Request) -> Response:
        """List the strategies with the schemas of their parameters and commands."""
        return Response(StrategyOut([_strategy_out(one) for one in STRATEGIES.values()], many=True).data)


class StrategyView(WorkspaceView):
    @extend_schema(operation_id="strategies_get", responses=StrategyOut, tags=["strategies"])
    def get(self, request: Request, strategy: str) -> Response:
        """Show one strategy with the schemas of its parameters and commands."""
        if strategy not in STRATEGIES:
            raise NotFound(f"There is no strategy {strategy[:40]}")
        return Response(StrategyOut(_strategy_out(STRATEGIES[strategy])).data)


class PresetsView(WorkspaceView):
    @extend_schema(operation_id="presets_list", responses=PresetOut(many=True), tags=["presets"])
    def get(self, request: Request) -> Response:
        """List ready-made bots, their figures taken from the current prices."""
        return Response(PresetOut(presets(), many=True).data)


class PresetStartView(WorkspaceView):
    @extend_schema(operation_id="presets_start", request=PresetStartIn, responses={201: BotOut}, tags=["presets"])
    @idempotent
    def post(self, request: Request, key: str) -> Response:
        """Create a preset's bot at the current price and start it."""
        account = _account(self.workspace, body_of(PresetStartIn, request)["account"])
        bot = preset_start(workspace=self.workspace, account=account, key=key, by=self.person)
        ring([bot.pk])
        return Response(BotOut(bot).data, status=201)


class PreviewView(WorkspaceView):
    @extend_schema(operation_id="bots_preview", request=PreviewIn, responses=PreviewOut, tags=["bots"])
    def post(self, request: Request) -> Response:
        """Check a bot and show what it would do at the current price; changes nothing."""
        return Response(PreviewOut(preview(**_wish(self.workspace, body_of(PreviewIn, request))).require()).data)


# --- bots ------------------------------------------------------------------------------------------------------------


@extend_schema_view(
    get=extend_schema(operation_id="bots_list", parameters=[BotQuery], description="List bots.", tags=["bots"])
)
class BotsView(WorkspaceListView):
    serializer_class = BotOut

    def get_queryset(self) -> QuerySet[Bot]:
        query = BotQuery.read(self.request)
        account = account_get(self.workspace, query["account"]) if "account" in query else None
        found = bots_of(self.workspace, account=account, status=query.get("status", ""))
        return found.filter(strategy=query["strategy"]) if "strategy" in query else found

    @extend_schema(operation_id="bots_create", request=BotIn, responses={201: BotOut}, tags=["bots"])
    @idempotent
    def post(self, request: Request) -> Response:
        """Create a bot as a draft, or started; refused whole when anything is wrong with it."""
        bot = open_bot(**_wish(self.workspace, body_of(BotIn, request)), by=self.person)
        if bot.is_alive:
            ring([bot.pk])
        return Response(BotOut(bot).data, status=201)


class BotView(WorkspaceView):
    @extend_schema(operation_id="bots_get", responses=BotOut, tags=["bots"])
    def get(self, request: Request, bot_id: str) -> Response:
        """Show one bot."""
        return Response(BotOut(bot_get(self.workspace, bot_id)).data)

    @extend_schema(operation_id="bots_edit", request=BotPatch, responses=BotOut, tags=["bots"])
    def patch(self, request: Request, bot_id: str) -> Response:
        """Change a bot: its name at any time, its parameters until it stops, the rest while it is a draft.

        A living bot takes new parameters with its next decision; POST .../edit-preview/ shows before what that changes.
        """
        bot, changes = bot_get(self.workspace, bot_id), body_of(BotPatch, request)
        revision = changes.pop("revision")
        edited = edit(bot=bot, by=self.person, changes=changes, revision=revision)
        ring([edited.pk])
        return Response(BotOut(edited).data)

    @extend_schema(operation_id="bots_delete", responses={204: None}, tags=["bots"])
    def delete(self, request: Request, bot_id: str) -> Response:
        """Delete a draft."""
        bot_delete(bot=bot_get(self.workspace, bot_id), by=self.person)
        return Response(status=204)


class EditPreviewView(WorkspaceView):
    @extend_schema(operation_id="bots_edit_preview", request=EditPreviewIn, responses=EditPreviewOut, tags=["bots"])
    def post(self, request: Request, bot_id: str) -> Response:
        """Show what an edit of the parameters would change, or why it is refused; changes nothing."""
        bot = bot_get(self.workspace, bot_id)
        look = edit_look(bot, body_of(EditPreviewIn, request)["params"])
        if look.faults:
            raise InvalidInputs(look.faults)
        shown = {"differences": look.differences, "preview": look.seen, "run": look.run}
        return Response(EditPreviewOut({"revision": revision_of(bot.params), **shown}).data)


class WhatNowView(WorkspaceView):
    @extend_schema(operation_id="bots_what_now", responses=DryRunOut, tags=["bots"])
    def get(self, request: Request, bot_id: str) -> Response:
        """Show what the bot would change at this moment: a dry run on a copy; nothing is sent or written."""
        return Response(DryRunOut(dry_run(bot_get(self.workspace, bot_id))).data)


class CloneView(WorkspaceView):
    @extend_schema(operation_id="bots_clone", request=CloneIn, responses={201: BotOut}, tags=["bots"])
    @idempotent
    def post(self, request: Request, bot_id: str) -> Response:
        """Create a draft with the same parameters."""
        bot = bot_get(self.workspace, bot_id)
        made = bot_clone(bot=bot, by=self.person, name=body_of(CloneIn, request)["name"])
        return Response(BotOut(made).data, status=201)


# --- life ------------------------------------------------------------------------------------------------------------


def _step(view: WorkspaceView, bot_id: str, shape: type[StrictSerializer], do: Callable[..., Bot]) -> Response:
    """Take one step; the bot's worker is told at once, and the answer shows the new status."""
    bot = bot_get(view.workspace, bot_id)
    moved = do(bot=bot, by=view.person, **body_of(shape, view.request))
    ring([moved.pk])
    return Response(BotOut(moved).data)


class StartView(WorkspaceView):
    @extend_schema(operation_id="bots_start", request=NothingIn, responses=BotOut, tags=["bots"])
    @idempotent
    def post(self, request: Request, bot_id: str) -> Response:
        """Start a draft, after a look at the current price and the free money."""
        return _step(self, bot_id, NothingIn, start_bot)


class PauseView(WorkspaceView):
    @extend_schema(operation_id="bots_pause", request=NothingIn, responses=BotOut, tags=["bots"])
    @idempotent
    def post(self, request: Request, bot_id: str) -> Response:
        """Place no more order that adds risk; exits and stops stay."""
        return _step(self, bot_id, NothingIn, bot_pause)


class ResumeView(WorkspaceView):
    @extend_schema(operation_id="bots_resume", request=NothingIn, responses=BotOut, tags=["bots"])
    @idempotent
    def post(self, request: Request, bot_id: str) -> Response:
        """Go on after a pause or an error."""
        return _step(self, bot_id, NothingIn, bot_resume)


class StopView(WorkspaceView):
    @extend_schema(operation_id="bots_stop", request=StopIn, responses=BotOut, tags=["bots"])
    @idempotent
    def post(self, request: Request, bot_id: str) -> Response:
        """Stop for good: keep what is held, sell it to quote, or leave everything as it is."""
        return _step(self, bot_id, StopIn, bot_stop)


urlpatterns = [
    path("strategies/", StrategiesView.as_view(), name="strategies"),
    path("strategies/<slug:strategy>/", StrategyView.as_view(), name="strategy"),
    path("presets/", PresetsView.as_view(), name="presets"),
    path("presets/<slug:key>/start/", PresetStartView.as_view(), name="preset-start"),
    path("bots/", BotsView.as_view(), name="bots"),
    path("bots/preview/", PreviewView.as_view(), name="bots-preview"),
    path("bots/<uuid:bot_id>/", BotView.as_view(), name="bot"),
    path("bots/<uuid:bot_id>/edit-preview/", EditPreviewView.as_view(), name="bot-edit-preview"),
    path("bots/<uuid:bot_id>/what-now/", WhatNowView.as_view(), name="bot-what-now"),
    path("bots/<uuid:bot_id>/clone/", CloneView.as_view(), name="bot-clone"),
    path("bots/<uuid:bot_id>/start/", StartView.as_view(), name="bot-start"),
    path("bots/<uuid:bot_id>/pause/", PauseView.as_view(), name="bot-pause"),
    path("bots/<uuid:bot_id>/resume/", ResumeView.as_view(), name="bot-resume"),
    path("bots/<uuid:bot_id>/stop/", StopView.as_view(), name="bot-stop"),
]
