"""A small world like `World`, but its account is at a real venue process: prices go to both, calls over the wire."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from bots.models import Bot
from bots.services import bot_start
from exchanges.paper_process import process_client
from tests.exchanges.venue_process import VenueProcess
from tests.factories import BotFactory, UserFactory, workspace_of
from trading.core.types import Bar
from trading.models import Balance, Fill, Order
from trading.runtime import accounts_reconcile, run_due
from trading.services.venue_accounts import process_account_open
from trading.streams import Pipeline, account_book
from trading.venue_news import news_take

SPOT = "BTC/USDT"
MONEY = ("price", "qty", "fee")
TOLD = (*MONEY, "side", "fee_coin", "maker", "ts_ms")


class Later:
    """The engine's clock, ahead of the wall by what a test let pass."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return timezone.now() + self.ahead


class WireWorld:
    def __init__(self, process: VenueProcess, *, cash: str = "10000", price: float = 100.0) -> None:
        self.process, self.clock = process, Later()
        self.market = process.markets_here(SPOT)[SPOT]
        workspace = workspace_of(UserFactory())
        self.account = process_account_open(workspace=workspace, name="Process", amount=Decimal(cash))
        self.key = str(self.account.public_id)
        self.pipeline = Pipeline()
        self.ts_ms = 1_700_000_000_000
        self.newest = -1
        self.last = price
        self.price(price)

    def fault(self, fault: str, *calls: str, **values: object) -> None:
        self.process.fault(fault, *calls, account=self.key, **values)

    def bot(self, **values: Any) -> Bot:
        values.setdefault("budget", Decimal(1005))
        bot = BotFactory(account=self.account, market=self.market, **values)
        bot_start(bot=bot, by=None)
        self.run()
        return bot

    def run(self) -> None:
        """Tick whoever is due, back-offs over."""
        self.clock.ahead += timedelta(seconds=30)
        run_due(self.clock)

    def price(self, last: float) -> None:
        """The market moves, at the venue and here; its news are heard, and bots are ticked."""
        self.ts_ms += 1000
        bar = Bar(self.ts_ms, self.last, max(self.last, last), min(self.last, last), last)
        self.last = last
        self.process.price(SPOT, bar)
        self.pipeline.before({self.market.pk})
        self.pipeline.price_apply(self.market, bar, int(timezone.now().timestamp() * 1000))
        self.hear()
        self.run()

    def hear(self) -> None:
        self.newest = news_take(process_client(), self.newest, account_book)

    def reconcile(self) -> None:
        """As it is done every 30 s; nothing of ours is on its way at this moment."""
        accounts_reconcile(timedelta(0))

    def settle(self) -> None:
        """No fault any more, and everybody looks until nothing is left to do."""
        self.process.control("clear", None)
        for _ in range(6):
            self.reconcile()
            self.hear()
            self.run()


def differences(world: WireWorld) -> list[str]:
    """What our database and the venue's log don't agree on, to the last digit."""
    fills = Fill.objects.filter(account=world.account).select_related("order")
    ours = {fill.exec_id: (fill.order.client_order_id, *(getattr(fill, name) for name in TOLD)) for fill in fills}
    truth = {
        row["payload"]["exec_id"]: (row["client_order_id"], *_told(row["payload"]))
        for row in world.process.truth(world.key, "executed")
    }
    found = [f"fills differ: {ours.items() ^ truth.items()}"] if ours != truth else []
    accepted = [row["client_order_id"] for row in world.process.truth(world.key, "accepted")]
    known = set(Order.objects.filter(account=world.account).values_list("client_order_id", flat=True))
    if len(accepted) != len(set(accepted)) or not set(accepted) <= known:
        found.append(f"at the venue, not in our books: {set(accepted) - known}")
    venue = world.process.venue(world.key)
    working = {report.client_order_id for report in venue.open_orders()}
    ours_live = Order.objects.filter(account=world.account, status__in=Order.LIVE)
    live = set(ours_live.values_list("client_order_id", flat=True))
    if working != live:
        found.append(f"live here or there, not both: {working ^ live}")
    held: dict[str, Decimal] = {}
    for row in Balance.objects.filter(account=world.account):
        held[row.coin] = held.get(row.coin, Decimal(0)) + row.amount
    wallets = {coin: amount for coin, amount in venue.balances().items() if amount}
    if {coin: amount for coin, amount in held.items() if amount} != wallets:
        found.append(f"our books say {held}, the venue {wallets}")
    return found


def _told(payload: dict[str, Any]) -> list[Any]:
    money = [Decimal(payload[name]) for name in MONEY]
    return [*money, payload["side"], payload["fee_coin"], payload["maker"], payload["market_ms"]]
