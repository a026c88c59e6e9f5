"""A database full of bots, made in bulk: what an installation with many tenants looks like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, EventCounter, Workspace
from bots.markets import markets_write
from bots.models import Bot
from exchanges.models import Market, PaperOrder
from exchanges.services import demo_clock_ensure, demo_markets_ensure
from trading.models import Balance, Order, Position, Runtime, Wake
from trading.services.funding import paper_account_fund

BATCH = 5_000
BOTS_AN_ACCOUNT = 100
CASH = Decimal(1_000_000)
ONE_ORDER = {  # a deal that buys at market and then rests with its exit: one order a decision
    "base_order": "100",
    "safety_orders": 0,
    "take_profit_percent": "50",
}
EAGER = {  # one deal after the other, each waiting for little and stopped at little: many wakes, many fills
    "base_order": "100",
    "safety_orders": 0,
    "take_profit_percent": "0.05",
    "take_profit_after_fees": False,
    "stop_loss_percent": "0.05",
}


def markets() -> list[Market]:
    """Return the demo's spot markets."""
    demo_clock_ensure(speed=1)
    demo_markets_ensure()
    return list(Market.objects.filter(source="demo", perpetual=False).order_by("id"))


def accounts(count: int, workspace: Workspace | None = None) -> list[Account]:
    """Make funded paper accounts, each in a workspace of its own or all in one."""
    if workspace is None:
        workspaces = Workspace.objects.bulk_create([Workspace(name=f"Tenant {n}") for n in range(count)], BATCH)
        EventCounter.objects.bulk_create([EventCounter(workspace=one) for one in workspaces], BATCH)
    else:
        workspaces = [workspace] * count
    made = Account.objects.bulk_create([Account(workspace=w, name=f"Paper {n}") for n, w in enumerate(workspaces)])
    for account in made:
        paper_account_fund(account=account, coin="USDT", amount=CASH)
    return made


def sleepers(count: int, on: Sequence[Market], prices: dict[int, float]) -> None:
    """Make running bots that have decided once, have an order resting and wait for a price: a third for two levels."""
    homes = accounts(-(-count // BOTS_AN_ACCOUNT))
    now = timezone.now()
    for numbers in _batches(count):
        with transaction.atomic():
            bots = Bot.objects.bulk_create(
                Bot(
                    workspace_id=homes[n // BOTS_AN_ACCOUNT].workspace_id,
                    account=homes[n // BOTS_AN_ACCOUNT],
                    market=on[n % len(on)],
                    name=f"Sleeper {n}",
                    strategy="dca",
                    params=ONE_ORDER,
                    budget=Decimal(110),
                    status=Bot.Status.RUNNING,
                    started_at=now,
                )
                for n in numbers
            )
            Runtime.objects.bulk_create(Runtime(bot=bot, number=1, state={}, state_version=1, seen={}) for bot in bots)
            Position.objects.bulk_create(Position(bot=bot, market_id=bot.market_id) for bot in bots)
            Balance.objects.bulk_create(
                Balance(account_id=bot.account_id, bot=bot, coin="USDT", amount=Decimal(110)) for bot in bots
            )
            wakes = [_wake(bot, n, count, prices) for n, bot in zip(numbers, bots, strict=True)]
            Wake.objects.bulk_create(wakes)
            _rest(bots, wakes, now)


def _rest(bots: Sequence[Bot], wakes: Sequence[Wake], now: datetime) -> None:
    """Let each bot have a buy resting below its level, here and in the paper venue's book."""
    half = Decimal(50)
    PaperOrder.objects.bulk_create(
        PaperOrder(
            account_id=bot.account_id,
            market_id=bot.market_id,
            client_order_id=f"b{bot.pk}",
            side="buy",
            kind="limit",
            qty=1,
            price=half,
            lock_coin="USDT",
            locked=half,
            below=(wake.below or 0) / 2,
            seq=bot.pk,
        )
        for bot, wake in zip(bots, wakes, strict=True)
    )
    Order.objects.bulk_create(
        Order(
            workspace_id=bot.workspace_id,
            account_id=bot.account_id,
            bot=bot,
            market_id=bot.market_id,
            slot="deal:1:base",
            gen=1,
            number=1,
            client_order_id=f"b{bot.pk}",
            side="buy",
            kind="limit",
            want={},
            qty=1,
            price=half,
            lock_coin="USDT",
            locked=half,
            status=Order.Status.WORKING,
            sent_at=now,
        )
        for bot in bots
    )


def _wake(bot: Bot, n: int, count: int, prices: dict[int, float]) -> Wake:
    """Spread the levels from 1 % to 50 % away from the price, so that each step of the price has its own bots."""
    last = prices[bot.market_id]
    away = 0.01 + 0.49 * n / count
    return Wake(
        bot=bot, market_id=bot.market_id, below=last * (1 - away), above=last * (1 + away) if n % 3 == 0 else None
    )


def traders(
    count: int, on: Sequence[Market], each_account: int, params: dict[str, Any], workspace: Workspace | None = None
) -> list[Bot]:
    """Make drafts that trade when they are started."""
    homes = accounts(-(-count // each_account), workspace)
    made = []
    for n in range(count):
        home, market = homes[n // each_account], on[n % len(on)]
        bot = Bot(
            workspace_id=home.workspace_id,
            account=home,
            market=market,
            name=f"Trader {n}",
            strategy="dca",
            params=params,
            budget=Decimal(110),
        )
        bot.save()
        markets_write(bot, {"main": market})
        made.append(bot)
    return made


def _batches(count: int) -> Iterator[range]:
    for begin in range(0, count, BATCH):
        yield range(begin, min(count, begin + BATCH))
