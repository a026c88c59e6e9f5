"""The API of what happened: orders, fills, positions, PnL, balances."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import AccountOut
from accounts.api_base import WorkspaceListView, WorkspaceView
from accounts.api_input import body_of
from accounts.idempotency import idempotent
from accounts.selectors import account_get
from bots.api_shapes import BotOut, NothingIn
from bots.doorbell import ring
from bots.selectors import bot_get, bots_of
from trading.api_shapes import (
    BalanceOut,
    CommandIn,
    CommandOut,
    DepositIn,
    EquityOut,
    FillOut,
    FillQuery,
    OrderOut,
    OrderQuery,
    PaperAccountIn,
    PnlOut,
    PositionOut,
    QuestionOut,
    ResetIn,
    WhyOut,
)
from trading.models import Fill, Order
from trading.selectors import (
    balances_of,
    equity_curve,
    fills_of_workspace,
    order_get,
    orders_of_workspace,
    pnl_of,
    pnl_of_many,
    questions_of,
    why,
)
from trading.services.closing import position_close
from trading.services.commands import command, order_cancel
from trading.services.funding import paper_account_fund, paper_account_open, paper_account_reset


@extend_schema_view(
    get=extend_schema(operation_id="orders_list", parameters=[OrderQuery], description="List orders.", tags=["orders"])
)
class OrdersView(WorkspaceListView):
    serializer_class = OrderOut

    def get_queryset(self) -> QuerySet[Order]:
        query = OrderQuery.read(self.request)
        bot = bot_get(self.workspace, query["bot"]) if "bot" in query else None
        return orders_of_workspace(self.workspace, bot=bot, status=query.get("status", ""))


class OrderView(WorkspaceView):
    @extend_schema(operation_id="orders_get", responses=OrderOut, tags=["orders"])
    def get(self, request: Request, order_id: str) -> Response:
        """Show one order."""
        return Response(OrderOut(order_get(self.workspace, order_id)).data)


class CancelView(WorkspaceView):
    @extend_schema(operation_id="orders_cancel", request=NothingIn, responses=OrderOut, tags=["orders"])
    @idempotent
    def post(self, request: Request, order_id: str) -> Response:
        """Cancel one live order by hand; its bot is told and doesn't ask for it again before it takes up again."""
        order = order_get(self.workspace, order_id)
        body_of(NothingIn, request)
        order_cancel(order=order, by=self.person)
        ring([order.bot_id])
        return Response(OrderOut(order).data)


class CloseView(WorkspaceView):
    @extend_schema(operation_id="bots_close", request=NothingIn, responses=BotOut, tags=["bots"])
    @idempotent
    def post(self, request: Request, bot_id: str) -> Response:
        """Have a stopped bot close at market what it left: its position, or coins that its account still has free."""
        body_of(NothingIn, request)
        bot = position_close(bot=bot_get(self.workspace, bot_id), by=self.person)
        ring([bot.pk])
        return Response(BotOut(bot).data)


class CommandsView(WorkspaceView):
    @extend_schema(operation_id="bots_command", request=CommandIn, responses={202: CommandOut}, tags=["bots"])
    @idempotent
    def post(self, request: Request, bot_id: str) -> Response:
        """Tell a running bot something that its strategy takes; it acts on it with its next decision, at once."""
        bot = bot_get(self.workspace, bot_id)
        told = command(bot=bot, by=self.person, **body_of(CommandIn, request))
        ring([bot.pk])
        told_out = {"bot": bot.public_id, "kind": told.kind, "args": told.args, "by": told.by}
        return Response(CommandOut(told_out).data, status=202)


@extend_schema_view(
    get=extend_schema(operation_id="fills_list", parameters=[FillQuery], description="List fills.", tags=["fills"])
)
class FillsView(WorkspaceListView):
    serializer_class = FillOut

    def get_queryset(self) -> QuerySet[Fill]:
        query = FillQuery.read(self.request)
        bot = bot_get(self.workspace, query["bot"]) if "bot" in query else None
        return fills_of_workspace(self.workspace, bot=bot)


class PositionsView(WorkspaceView):
    @extend_schema(operation_id="positions_list", responses=PositionOut(many=True), tags=["positions"])
    def get(self, request: Request) -> Response:
        """Show what each living bot holds, and its PnL."""
        bots = [bot for bot in bots_of(self.workspace) if bot.is_alive]
        found = pnl_of_many(bots)
        return Response([_position(bot, found[bot.pk]) for bot in bots])


def _position(bot: Any, pnl: Any) -> dict[str, Any]:
    return {"bot": str(bot.public_id), "market": bot.market.symbol, **PnlOut(pnl).data}


class PnlView(WorkspaceView):
    @extend_schema(operation_id="bots_pnl", responses=PnlOut, tags=["bots"])
    def get(self, request: Request, bot_id: str) -> Response:
        """Show a bot's PnL, in sum and by market: realised + unrealised - fees + funding = total."""
        return Response(PnlOut(pnl_of(bot_get(self.workspace, bot_id))).data)


class WhyView(WorkspaceView):
    @extend_schema(operation_id="bots_why", responses=WhyOut, tags=["bots"])
    def get(self, request: Request, bot_id: str) -> Response:
        """Say why a bot did or didn't trade."""
        return Response(WhyOut(why(bot_get(self.workspace, bot_id))).data)


class QuestionsView(WorkspaceView):
    @extend_schema(operation_id="bots_advice", responses=QuestionOut(many=True), tags=["bots"])
    def get(self, request: Request, bot_id: str) -> Response:
        """List what a bot's strategy has asked its adviser and what came back, newest first."""
        return Response(QuestionOut(questions_of(bot_get(self.workspace, bot_id)), many=True).data)


class EquityView(WorkspaceView):
    @extend_schema(operation_id="bots_equity", responses=EquityOut, tags=["bots"])
    def get(self, request: Request, bot_id: str) -> Response:
        """Show a bot's equity over market time, beside buy-and-hold."""
        points = equity_curve(bot_get(self.workspace, bot_id))
        columns = {name: [getattr(point, name) for point in points] for name in ("ts_ms", "equity", "hold")}
        return Response(EquityOut(columns).data)


class BalancesView(WorkspaceView):
    @extend_schema(operation_id="accounts_balances", responses=BalanceOut(many=True), tags=["accounts"])
    def get(self, request: Request, account_id: str) -> Response:
        """Show the coins of an account that no bot has reserved."""
        found = balances_of(account_get(self.workspace, account_id))
        rows = [{"coin": coin, "free": amount} for coin, amount in found.items()]
        return Response(BalanceOut(rows, many=True).data)


class DepositsView(WorkspaceView):
    @extend_schema(
        operation_id="accounts_deposit", request=DepositIn, responses={201: BalanceOut(many=True)}, tags=["accounts"]
    )
    @idempotent
    def post(self, request: Request, account_id: str) -> Response:
        """Put practice money into a paper account."""
        account = account_get(self.workspace, account_id)
        given = DepositIn(data=request.data)
        given.is_valid(raise_exception=True)
        paper_account_fund(account=account, **given.validated_data)
        rows = [{"coin": coin, "free": amount} for coin, amount in balances_of(account).items()]
        return Response(BalanceOut(rows, many=True).data, status=201)


class PaperAccountsView(WorkspaceView):
    @extend_schema(
        operation_id="accounts_open_paper", request=PaperAccountIn, responses={201: AccountOut}, tags=["accounts"]
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Open another paper account with a chosen balance."""
        given = PaperAccountIn(data=request.data)
        given.is_valid(raise_exception=True)
        account = paper_account_open(workspace=self.workspace, **given.validated_data)
        return Response(AccountOut(account).data, status=201)


class ResetView(WorkspaceView):
    @extend_schema(operation_id="accounts_reset", request=ResetIn, responses=BalanceOut(many=True), tags=["accounts"])
    @idempotent
    def post(self, request: Request, account_id: str) -> Response:
        """Start a paper account anew with a chosen balance; all its bots must have stopped."""
        account = account_get(self.workspace, account_id)
        given = ResetIn(data=request.data)
        given.is_valid(raise_exception=True)
        paper_account_reset(account=account, **given.validated_data)
        rows = [{"coin": coin, "free": amount} for coin, amount in balances_of(account).items()]
        return Response(BalanceOut(rows, many=True).data)


urlpatterns = [
    path("orders/", OrdersView.as_view(), name="orders"),
    path("orders/<uuid:order_id>/", OrderView.as_view(), name="order"),
    path("orders/<uuid:order_id>/cancel/", CancelView.as_view(), name="order-cancel"),
    path("fills/", FillsView.as_view(), name="fills"),
    path("positions/", PositionsView.as_view(), name="positions"),
    path("bots/<uuid:bot_id>/close/", CloseView.as_view(), name="bot-close"),
    path("bots/<uuid:bot_id>/commands/", CommandsView.as_view(), name="bot-commands"),
    path("bots/<uuid:bot_id>/pnl/", PnlView.as_view(), name="bot-pnl"),
    path("bots/<uuid:bot_id>/why/", WhyView.as_view(), name="bot-why"),
    path("bots/<uuid:bot_id>/advice/", QuestionsView.as_view(), name="bot-advice"),
    path("bots/<uuid:bot_id>/equity/", EquityView.as_view(), name="bot-equity"),
    path("accounts/paper/", PaperAccountsView.as_view(), name="accounts-paper"),
    path("accounts/<uuid:account_id>/balances/", BalancesView.as_view(), name="account-balances"),
    path("accounts/<uuid:account_id>/deposits/", DepositsView.as_view(), name="account-deposits"),
    path("accounts/<uuid:account_id>/reset/", ResetView.as_view(), name="account-reset"),
]
