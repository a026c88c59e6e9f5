"""The demo is made once, with money and markets, and only where everybody at the keyboard is the owner."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Account, User
from exchanges.models import DemoClock, Market
from tests.factories import alice
from trading.models import Journal
from trading.selectors import free_balance

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_home(settings):
    settings.EMBEDDED, settings.LOOPBACK = True, True


def seed() -> str:
    out = StringIO()
    call_command("seed_demo", stdout=out)
    return out.getvalue()


def test_the_demo_can_trade_at_once(client):
    alice()
    assert "demo@binnacle.local" in seed()
    account = Account.objects.get()
    assert free_balance(account, "USDT") == Decimal(100_000)
    assert account.paper_wallets.get().total == Decimal(100_000)
    assert {"BTC/USDT", "ETH/USDT", "SOL/USDT", "DOGE/USDT"} <= set(Market.objects.values_list("symbol", flat=True))
    assert client.login(username="demo@binnacle.local", password="demo-binnacle")
    assert [user.email for user in User.objects.filter(is_demo=True)] == ["demo@binnacle.local"]


def test_done_again_it_changes_nothing():
    seed()
    clock = DemoClock.objects.get()
    seed()
    assert (User.objects.count(), Account.objects.count(), Journal.objects.count()) == (1, 1, 1)
    assert DemoClock.objects.get().epoch_ms == clock.epoch_ms


@pytest.mark.parametrize(("embedded", "loopback"), [(False, True), (True, False), (False, False)])
def test_elsewhere_it_refuses(settings, embedded, loopback):
    settings.EMBEDDED, settings.LOOPBACK = embedded, loopback
    with pytest.raises(CommandError, match="loopback"):
        seed()
    assert not User.objects.exists()
    assert not Market.objects.exists()
