"""Every strategy on the shelf starts on paper from the page and from the API, by its parameters alone, and decides."""

from __future__ import annotations

import pytest
from django.test import Client
from test_bad_parameters import account, good, sent  # noqa: F401 - a fixture among them

from accounts.models import Account
from bots.models import Bot
from bots.strategies.registry import STRATEGIES
from exchanges.models import Market
from tests.factories import alice
from trading.dryrun import what_now
from trading.models import AdviceAsk, DerivedWake, Order, Runtime, SignalWake, Wake
from trading.runtime import run_due

pytestmark = pytest.mark.django_db
BUDGET = "50000"


def by_api(client: Client, account: Account, key: str) -> None:  # noqa: F811
    params, market = good(key)
    body = {"account": str(account.public_id), "market": market.symbol, "strategy": key, "name": "Mine"}
    body |= {"params": params, "budget": BUDGET, "start": True}
    answer = client.post("/api/v1/bots/", body, content_type="application/json")
    assert answer.status_code == 201, answer.content


def by_page(client: Client, account: Account, key: str) -> None:  # noqa: F811
    params, market = good(key)
    values = {f"params.{name}": sent(value) for name, value in params.items() if value not in (None, False)}
    values |= {"account": str(account.public_id), "market": market.pk, "name": "Mine", "timeframe_ms": 60_000}
    answer = client.post(f"/bots/new/{key}/", values | {"budget": BUDGET, "then": "start"})
    assert answer.status_code == 302, answer.content


@pytest.mark.parametrize("way", [by_api, by_page])
@pytest.mark.parametrize("key", STRATEGIES)
def test_it_starts_decides_and_waits_for_something(client: Client, account: Account, key: str, way) -> None:  # noqa: F811
    client.force_login(alice())
    way(client, account, key)
    run_due()
    bot = Bot.objects.get()
    assert (bot.strategy, bot.status) == (key, Bot.Status.RUNNING), bot.status_reason
    runtime = Runtime.objects.get(bot=bot)
    assert runtime.number >= 1
    waits = [rows.objects.filter(bot=bot).exists() for rows in (Order, Wake, DerivedWake, SignalWake, AdviceAsk)]
    assert any(waits) or runtime.due_at is not None
    assert {row.market for row in bot.bot_markets.all()} <= set(Market.objects.all())
    assert what_now(bot).notes
    for tab in ("orders", "fills", "activity", "settings", "decision"):
        assert client.get(f"/bots/{bot.public_id}/", {"tab": tab}).status_code == 200
    assert client.get(f"/api/v1/bots/{bot.public_id}/what-now/").status_code == 200
