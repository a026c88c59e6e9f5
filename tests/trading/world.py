"""A small live world for tests: an account with money, a market with a price, and bots that trade on it.

The live path itself, without threads: prices go through the stream's pipeline, due bots are ticked by hand.
"""

from __future__ import annotations

from decimal import Decimal

from django.utils import timezone

from accounts.models import Account
from bots.models import Bot
from bots.services import bot_start
from exchanges.models import Market, PaperOrder
from exchanges.paper_match import WHOLE, Reach, Terms
from tests.factories import AccountFactory, BotFactory, MarketFactory
from trading.clock import WALL
from trading.core.types import Bar
from trading.models import Balance, Fill, Journal, LedgerEntry, Order
from trading.runtime import run_due
from trading.services.funding import paper_account_fund
from trading.streams import Pipeline

GRID = {"lower": 90, "upper": 110, "levels": 5, "spacing": "arithmetic", "investment": 1000}


class World:
    def __init__(
        self,
        *,
        cash: str = "10000",
        price: float = 100.0,
        account: Account | None = None,
        market: Market | None = None,
        terms: Terms = WHOLE,
    ) -> None:
        self.market = market or MarketFactory()
        self.account = account or AccountFactory()
        paper_account_fund(account=self.account, coin="USDT", amount=Decimal(cash))
        self.pipeline = Pipeline(terms)
        self.ts_ms = 1_700_000_000_000
        self.price(price)

    def price(
        self, last: float, *, low: float | None = None, high: float | None = None, volume: float = 0.0, run: bool = True
    ) -> None:
        """One update of the market; whoever it concerns is ticked, as the doorbell would have it."""
        self.ts_ms += 1000
        bar = Bar(self.ts_ms, last, max(last, high or last), min(last, low or last), last, volume)
        self.pipeline.before({self.market.pk}, {self.market.pk: Reach(bar.low, bar.high, bar.ts_ms)})
        self.pipeline.price_apply(self.market, bar, int(timezone.now().timestamp() * 1000))
        if run:
            run_due()

    def forget_peaks(self) -> None:
        """What a restart of the streams does: whatever they remember of trails is gone."""
        self.pipeline = Pipeline()

    def bot(self, *, start: bool = True, **values: object) -> Bot:
        values.setdefault("params", dict(GRID))
        values.setdefault("budget", Decimal(1005))
        bot = BotFactory(account=self.account, market=self.market, **values)
        if start:
            bot_start(bot=bot, by=None)
            run_due()
        return bot


def by_hand(world: World) -> PaperOrder:
    """An order that somebody else has placed on the account."""
    return PaperOrder.objects.create(
        account=world.account,
        market=world.market,
        client_order_id="by-hand",
        side="buy",
        kind="limit",
        qty=Decimal(1),
        price=Decimal(50),
        status="working",
    )


def run_once() -> int:
    return run_due(WALL)


def live_orders(bot: Bot) -> dict[str, Order]:
    return {order.slot: order for order in Order.objects.filter(bot=bot, status__in=Order.LIVE).order_by("id")}


def check_books(account: Account) -> None:
    """Every journal balances, balances are the sums of their entries, and the books equal the venue's wallets."""
    sums: dict[tuple[int | None, str], Decimal] = {}
    for journal in Journal.objects.filter(account=account).prefetch_related("entries"):
        by_coin: dict[str, Decimal] = {}
        for entry in journal.entries.all():
            by_coin[entry.coin] = by_coin.get(entry.coin, Decimal(0)) + entry.amount
        assert not any(by_coin.values()), f"{journal} leaves {by_coin}"
    for entry in LedgerEntry.objects.filter(journal__account=account, book__in=("free", "bot")):
        key = (entry.bot_id, entry.coin)
        sums[key] = sums.get(key, Decimal(0)) + entry.amount
    balances = {(row.bot_id, row.coin): row.amount for row in Balance.objects.filter(account=account)}
    assert {key: amount for key, amount in sums.items() if amount} == {k: v for k, v in balances.items() if v}
    ours: dict[str, Decimal] = {}
    for (_, coin), amount in balances.items():
        ours[coin] = ours.get(coin, Decimal(0)) + amount
    wallets = {row.coin: row.total for row in account.paper_wallets.all() if row.total}
    assert {coin: amount for coin, amount in ours.items() if amount} == wallets
    assert Fill.objects.filter(account=account).count() == sum(
        order.executions.count() for order in account.paper_orders.all()
    )
