"""Practice money: deposits and resets move the venue's wallet and our books alike."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bots.services import bot_stop
from tests.trading.world import World, check_books, run_once
from trading.core.errors import InvalidInput
from trading.selectors import balances_of
from trading.services.funding import paper_account_fund, paper_account_reset

pytestmark = pytest.mark.django_db


def test_a_deposit_stands_in_the_wallet_and_in_the_books():
    world = World(cash="100")
    paper_account_fund(account=world.account, coin="USDT", amount=Decimal("0.000000000000000001"))
    assert balances_of(world.account) == {"USDT": Decimal("100.000000000000000001")}
    check_books(world.account)


def test_a_deposit_of_nothing_is_refused():
    world = World()
    with pytest.raises(InvalidInput, match="above 0"):
        paper_account_fund(account=world.account, coin="USDT", amount=Decimal(0))


def test_a_reset_waits_until_the_bots_have_stopped_and_keeps_the_record():
    world = World()
    bot = world.bot()
    world.price(100.0)
    with pytest.raises(InvalidInput, match="stop the bots"):
        paper_account_reset(account=world.account, amount=Decimal(500))
    bot.refresh_from_db()
    bot_stop(bot=bot, mode="keep", by=None)
    run_once()
    paper_account_reset(account=world.account, amount=Decimal(500))
    assert balances_of(world.account) == {"USDT": Decimal(500)}
    assert bot.fills.count() == 1
    world.price(95.0)
    assert {row.coin: row.total for row in world.account.paper_wallets.all()} == {"USDT": Decimal(500)}
