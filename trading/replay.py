"""A candle file as a live market, in lock-step: the live path itself, driven as fast as it goes.

Real rows, the real paper venue, the real tick; only the clock is the file's and the walk stops at each fill, as
docs/strategies.md says. Everything stands in a workspace of its own, which is deleted at the end.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from accounts.models import Account, Workspace
from accounts.services import paper_account_create
from bots.models import Bot, BotMarket
from bots.strategies.registry import get_strategy
from exchanges.models import Market
from trading.core.accounting import Books, Holding
from trading.core.candles import Candles
from trading.core.errors import StrategyFault
from trading.core.metrics import equity_at_closes, fill_line, max_drawdown_ratio
from trading.core.ports import SimulatedAdvisor
from trading.core.rounding import to_decimal, to_float
from trading.core.types import MarketRules, Perpetual, Side
from trading.models import Fill, LedgerEntry, Order, Position
from trading.replay_driver import Driver, Progress
from trading.services.funding import paper_account_fund
from trading.signals import HUB
from trading.situation import markets_of
from trading.worth import total_at


@dataclass(frozen=True)
class ReplayMarket:
    """One market of a replay: its candles, and the rules that orders on it must keep."""

    candles: Candles
    rules: MarketRules


@dataclass
class Replayed:
    """What a replay left in the database, still there while its context is open."""

    bot: Bot
    markets: dict[str, ReplayMarket]
    fills: list[Fill]
    orders: int
    seconds: float

    @property
    def candles(self) -> Candles:
        return next(iter(self.markets.values())).candles

    def positions(self) -> dict[str, Position]:
        """Return the positions as the live path kept them, by alias."""
        held = {row.market_id: row for row in Position.objects.filter(bot=self.bot).select_related("market")}
        return {alias: held[market.pk] for alias, market in markets_of(self.bot).items() if market.pk in held}

    def books(self) -> Books:
        """Return the books of a bot with one market: position, and the bot's own quote balance."""
        (position,) = self.positions().values()
        cash = self.ledger_sum("bot", self.bot.market.quote)
        holding = Holding(position.qty, position.cost, position.realised, position.fees)
        return Books(self.bot.budget, cash, holding, len(self.fills))

    def final_equity(self) -> Decimal:
        """Return budget + profit at the last closes, without a fee for leaving."""
        closes = {alias: to_decimal(market.candles.close[-1].item()) for alias, market in self.markets.items()}
        totals = (total_at(position, closes[alias]) for alias, position in self.positions().items())
        budget: Decimal = self.bot.budget
        return budget + sum(totals, Decimal(0))

    def lines(self) -> Iterator[str]:
        """Yield the contract's line of each fill; with several markets each begins with its alias."""
        several = len(self.markets) > 1
        for fill in self.fills:
            order = fill.order
            line = fill_line(fill.ts_ms, order.slot, order.gen, Side(fill.side), fill.price, fill.qty, fill.fee)
            yield f"{order.alias},{line}" if several else line

    def max_drawdown_ratio(self) -> float:
        equity = np.full(len(self.candles), to_float(self.bot.budget))
        for alias, market in self.markets.items():
            equity += self._flows(alias, market.candles)
        return max_drawdown_ratio(equity)

    def _flows(self, alias: str, candles: Candles) -> NDArray[np.float64]:
        """Return what the fills of one market add to the equity at each close."""
        fills = [fill for fill in self.fills if fill.order.alias == alias]
        ts = np.array([fill.ts_ms for fill in fills], dtype=np.int64)
        sign = np.array([1.0 if fill.side == Side.BUY else -1.0 for fill in fills])
        qty = np.array([to_float(fill.qty) for fill in fills])
        price = np.array([to_float(fill.price) for fill in fills])
        fee = np.array([to_float(fill.fee) for fill in fills])
        candle = np.searchsorted(candles.ts, ts)
        return equity_at_closes(candle, sign * qty, -sign * qty * price - fee, candles.close, 0.0)

    def ledger_sum(self, book: str, coin: str) -> Decimal:
        entries = LedgerEntry.objects.filter(journal__account=self.bot.account, book=book, coin=coin)
        return sum((entry.amount for entry in entries), Decimal(0))

    def ledger_sums(self) -> dict[str, Decimal]:
        """Return the sum of all ledger entries by coin: zero, if the books are right."""
        sums: dict[str, Decimal] = {}
        for entry in LedgerEntry.objects.filter(journal__account=self.bot.account):
            sums[entry.coin] = sums.get(entry.coin, Decimal(0)) + entry.amount
        return sums


@contextmanager
def replayed(
    *,
    strategy: str,
    params: dict[str, object],
    markets: Mapping[str, ReplayMarket],
    cash: Decimal,
    fee: Decimal,
    advisor: SimulatedAdvisor | None = None,
    keep: bool = False,
    on_progress: Progress | None = None,
) -> Iterator[Replayed]:
    """Run the strategy through the candles on the live path; what it made is deleted when the context closes.

    `markets` by alias, in the order of the strategy's needs, all on one grid of candles. Raises StrategyFault when the
    bot ended in an error.
    """
    if connection.vendor == "postgresql":
        # What is thrown away need not survive a power cut: don't wait for the disk at each of many small commits.
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit TO off")
    bot = _set_up(strategy, params, markets, cash, fee)
    try:
        began = time.perf_counter()
        Driver(bot, {alias: market.candles for alias, market in markets.items()}, advisor).run(on_progress)
        seconds = time.perf_counter() - began
        bot.refresh_from_db()
        if bot.status == Bot.Status.ERROR:
            raise StrategyFault(bot.status_reason)
        fills = list(Fill.objects.filter(bot=bot).select_related("order").order_by("id"))
        sent = Order.objects.filter(bot=bot, sent_at__isnull=False).count()
        yield Replayed(bot, dict(markets), fills, sent, seconds)
    finally:
        for market in markets_of(bot).values():
            HUB.forget(market.pk)
        if not keep:
            _delete(bot)


def _set_up(
    strategy: str, params: dict[str, object], markets: Mapping[str, ReplayMarket], cash: Decimal, fee: Decimal
) -> Bot:
    name = f"replay {uuid.uuid4()}"
    workspace = Workspace.objects.create(name=name)
    plan = get_strategy(strategy)
    refs = plan.needs(plan.params.model_validate(params)).markets
    rows = {alias: _market(name, refs[alias].symbol, market.rules, fee) for alias, market in markets.items()}
    main = next((rows[alias] for alias, ref in refs.items() if not ref.symbol), next(iter(rows.values())))
    account = paper_account_create(workspace=workspace, name="replay", feed=name, quote=main.quote)
    paper_account_fund(account=account, coin=main.quote, amount=cash)
    bot = Bot.objects.create(
        workspace=workspace,
        account=account,
        market=main,
        name=name,
        strategy=strategy,
        params=params,
        timeframe_ms=next(iter(markets.values())).candles.timeframe_ms,
        budget=cash,
    )
    BotMarket.objects.bulk_create(
        BotMarket(bot=bot, alias=alias, market=rows[alias], position=k) for k, alias in enumerate(refs)
    )
    return bot


def _market(source: str, symbol: str, rules: MarketRules, fee: Decimal) -> Market:
    perpetual = rules.perpetual or Perpetual()
    return Market.objects.create(
        source=source,
        symbol=symbol or f"{rules.base}/{rules.quote}",
        base=rules.base,
        quote=rules.quote,
        tick=rules.tick,
        lot=rules.lot,
        min_qty=rules.min_qty,
        min_notional=rules.min_notional,
        maker_fee=fee,
        taker_fee=fee,
        perpetual=rules.perpetual is not None,
        max_leverage=perpetual.max_leverage,
        maintenance_rate=perpetual.maintenance_rate,
        funding_rate=perpetual.funding_rate,
        funding_interval_ms=perpetual.funding_interval_ms,
    )


def _delete(bot: Bot) -> None:
    workspace, source = bot.workspace_id, bot.market.source
    Bot.objects.filter(pk=bot.pk).delete()
    Account.objects.filter(workspace=workspace).delete()
    Workspace.objects.filter(pk=workspace).delete()
    Market.objects.filter(source=source).delete()
