"""Builders of rows for tests. `alice()` and `bob()` are two people who share nothing."""

from __future__ import annotations

import time
from decimal import Decimal

import factory
import numpy as np

from accounts.models import Account, Membership, Role, User, Workspace
from accounts.services import workspace_ensure
from bots.markets import markets_write
from bots.models import Bot
from exchanges.candle_store import candles_of
from exchanges.models import Market
from exchanges.prices import quote_put
from exchanges.services import candles_save
from trading.core.types import Bar
from trading.services.funding import paper_account_fund

PASSWORD = "correct horse battery"
GRID = {"lower": 90, "upper": 110, "levels": 5, "spacing": "arithmetic", "investment": 1000}


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        django_get_or_create = ("email",)
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"user{n}@example.org")
    password = factory.django.Password(PASSWORD)

    @factory.post_generation
    def workspace(self, create, extracted, **kwargs):
        workspace_ensure(self)


class MarketFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Market
        django_get_or_create = ("source", "symbol")

    source = "demo"
    symbol = "BTC/USDT"
    base = factory.LazyAttribute(lambda market: market.symbol.split("/")[0])
    quote = factory.LazyAttribute(lambda market: market.symbol.split("/")[1])
    tick = Decimal("0.01")
    lot = Decimal("0.00001")
    min_qty = Decimal("0.00001")
    min_notional = Decimal(5)
    maker_fee = Decimal("0.001")
    taker_fee = Decimal("0.001")


class AccountFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Account

    workspace = factory.LazyFunction(lambda: workspace_of(UserFactory()))
    name = factory.Sequence(lambda n: f"Paper {n}")


class BotFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Bot
        skip_postgeneration_save = True

    account = factory.SubFactory(AccountFactory)
    workspace = factory.SelfAttribute("account.workspace")
    market = factory.SubFactory(MarketFactory)
    name = factory.Sequence(lambda n: f"Grid {n}")
    strategy = "grid"
    params = factory.LazyFunction(lambda: dict(GRID))
    budget = Decimal(1000)

    @factory.post_generation
    def markets(self, create, extracted, **kwargs):
        """Its markets by alias; without any, its own one as "main"."""
        markets_write(self, extracted or {"main": self.market})


def alice() -> User:
    return UserFactory(email="alice@example.org", name="Alice")


def bob() -> User:
    return UserFactory(email="bob@example.org", name="Bob")


def workspace_of(user: User) -> Workspace:
    return workspace_ensure(user).workspace


def member_of(workspace: Workspace, role: str) -> User:
    """A person whose first workspace is this one."""
    user = User.objects.create_user(f"{role}{workspace.pk}@example.org", PASSWORD)
    Membership.objects.create(workspace=workspace, user=user, role=role)
    return user


def viewer_of(workspace: Workspace) -> User:
    return member_of(workspace, Role.VIEWER)


def bot_of(user: User, **values) -> Bot:
    """A draft grid bot on BTC/USDT in the user's own workspace."""
    values.setdefault("account", AccountFactory(workspace=workspace_of(user)))
    return BotFactory(**values)


def account_of(user: User, **values) -> Account:
    return AccountFactory(workspace=workspace_of(user), **values)


def priced(market: Market, price: float = 100.0, age_s: float = 0.0) -> Market:
    """Give a market a current price, or one that is `age_s` old."""
    quote_put(market.pk, Bar(0, price, price, price, price), int((time.time() - age_s) * 1000))
    return market


def candled(market: Market, count: int, price: float = 100.0, timeframe_ms: int = 60_000) -> Market:
    """Store `count` closed candles of a market that wave a little around a price."""
    turns = np.arange(count)
    close = price * (1 + 0.01 * np.sin(turns / 7.0))
    wide = price * 0.002
    ts = 1_700_000_000_000 // timeframe_ms * timeframe_ms + turns * timeframe_ms
    rows = np.column_stack([ts, close, close + wide, close - wide, close, np.ones(count)])
    candles_save(market=market, timeframe_ms=timeframe_ms, candles=candles_of(rows))
    return market


def funded(account: Account, amount: int | Decimal = 10_000) -> Account:
    """Put practice money into an account."""
    paper_account_fund(account=account, coin=account.quote, amount=Decimal(amount))
    return account
