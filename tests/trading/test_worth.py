"""What accounts are worth counts every coin in them, whoever holds it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bots.models import Bot
from bots.services import bot_stop
from tests.factories import MarketFactory, priced
from tests.trading.world import World, run_once
from trading.models import Balance
from trading.selectors import pnl_of, worth_of

pytestmark = pytest.mark.django_db


def worth(world: World) -> Decimal | None:
    return worth_of([world.account], "USDT")


@pytest.mark.parametrize("mode", ["keep", "sell", "leave"])
def test_a_stop_takes_nothing_from_the_worth(mode: str) -> None:
    world = World()
    bot = world.bot()
    world.price(95.0)
    bot_stop(bot=bot, mode=mode, by=None)
    run_once()
    world.price(95.0)
    bot.refresh_from_db()
    assert bot.status == Bot.Status.STOPPED
    result = pnl_of(bot)
    assert worth(world) == Decimal(10000) + (result.total or 0)
    assert bool(result.qty) == (mode != "sell")
    assert bool(worth_of([world.account], "USDT", left=True)) == (mode == "keep")


def test_a_bot_that_was_started_a_moment_ago_is_not_counted_twice() -> None:
    world = World()
    world.bot(start=False, status=Bot.Status.RUNNING)
    assert worth(world) == Decimal(10000)


def test_a_coin_without_a_price_makes_the_worth_unknown() -> None:
    world = World()
    Balance.objects.create(account=world.account, coin="XMR", amount=Decimal(1))
    assert worth(world) is None
    MarketFactory(symbol="XMR/USDT")
    assert worth(world) is None


def test_other_quote_coins_are_not_mixed_in() -> None:
    assert worth_of([World().account], "EUR") == 0


def test_a_coin_counts_at_its_own_price_and_never_at_that_of_its_perpetual() -> None:
    world = World()
    future = MarketFactory(symbol="BTC/USDT:USDT", quote="USDT", perpetual=True)
    priced(future, 50.0)
    Balance.objects.create(account=world.account, coin="BTC", amount=Decimal(1))
    assert worth(world) == Decimal(10100)
