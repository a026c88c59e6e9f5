"""The page of a bot over several markets: every position, funding in the result, each market's chart."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import User
from bots.models import Bot
from exchanges.models import Market
from tests.factories import BotFactory, MarketFactory, account_of, candled, funded, priced
from tests.web.test_bot_page import part
from trading.models import AdviceAsk, Position, Runtime, Wake
from trading.selectors import pnl_of

STEPS = {"base": "ETH", "quote": "USDT", "tick": Decimal("0.01"), "lot": Decimal("0.001"), "perpetual": True}


@pytest.fixture
def eth(db: None) -> Market:
    return candled(priced(MarketFactory(symbol="ETH/USDT:USDT", **STEPS), 110.0), 20)


@pytest.fixture
def btc(db: None) -> Market:
    return candled(priced(MarketFactory(symbol="BTC/USDT:USDT", **STEPS | {"base": "BTC"}), 950.0), 20)


@pytest.fixture
def pair(person: User, eth: Market, btc: Market) -> Bot:
    """Long two ether at 100, short one bitcoin at 1,000; both have paid fees, one was paid funding."""
    account = funded(account_of(person, name="Practice"), 10_000)
    params = {"symbol": btc.symbol, "leg_quote": "200"}
    bot = BotFactory(
        account=account, market=eth, markets={"main": eth, "other": btc}, strategy="pair", params=params,
        status=Bot.Status.RUNNING, budget=Decimal(2000), name="Two legs",
    )  # fmt: skip
    shared = {"bot": bot, "leverage": 2, "fills": 1}
    Position.objects.create(market=eth, qty=2, cost=200, fees=Decimal("0.3"), funding=Decimal("-0.25"), **shared)
    Position.objects.create(
        market=btc, qty=-1, cost=-1000, fees=Decimal("0.5"), funding=Decimal("0.75"), realised=7, **shared
    )
    return bot


def url(bot: Bot, rest: str = "") -> str:
    return f"/bots/{bot.public_id}/{rest}"


def test_the_result_adds_up_over_all_markets_funding_included(pair: Bot) -> None:
    result = pnl_of(pair)
    assert result.unrealised == 2 * 110 - 200 + (1000 - 950)
    assert (result.realised, result.fees, result.funding) == (7, Decimal("0.8"), Decimal("0.5"))
    assert result.total == result.realised + result.unrealised - result.fees + result.funding
    assert result.total == sum(one.total for one in result.holdings if one.total is not None)


def test_one_market_without_a_price_makes_the_result_unknown(pair: Bot, btc: Market) -> None:
    cache.clear()
    result = pnl_of(pair)
    assert (result.total, result.unrealised, result.equity) == (None, None, None)


def test_the_page_shows_every_position_and_the_same_sum(page: Client, pair: Bot) -> None:
    html = page.get(url(pair)).content.decode()
    parts = {name: part(html, name) for name in ("realised", "unrealised", "funding", "fees", "total")}
    assert sum(parts.values()) - parts["total"] == parts["total"]
    positions = html.split('id="bot-positions"', 1)[1].split("</section>", 1)[0]
    assert "ETH/USDT:USDT" in positions
    assert "Short" in positions
    assert "Liquidation" in positions
    assert positions.count("<tr id=") == 2


def test_a_position_knows_where_it_is_liquidated(pair: Bot) -> None:
    long, short = sorted(pnl_of(pair).holdings, key=lambda one: one.qty, reverse=True)
    assert long.liquidation_price is not None
    assert short.liquidation_price is not None
    assert 50 < long.liquidation_price < 51  # half of the entry, and the maintenance margin
    assert 1490 < short.liquidation_price < 1500


def test_the_chart_is_of_the_market_asked_for_and_of_no_other(page: Client, pair: Bot, btc: Market) -> None:
    assert page.get(url(pair, "chart/")).json()["average"] == "100"
    other = page.get(url(pair, "chart/"), {"market": btc.pk}).json()
    assert (other["average"], other["orders"]) == ("1000", [])
    assert Decimal(other["liquidation"]) > 1000
    foreign = priced(MarketFactory(symbol="SOL/USDT"))
    for rest in ("chart/", "candles/", "markers/"):
        assert page.get(url(pair, rest), {"market": btc.pk}).status_code == 200, rest
        assert page.get(url(pair, rest), {"market": foreign.pk}).status_code == 404, rest
    html = page.get(url(pair), {"market": btc.pk}).content.decode()
    assert f'data-market="{btc.pk}" data-symbol="BTC/USDT:USDT"' in html


def test_the_decision_tab_says_what_it_said_and_what_wakes_it(page: Client, pair: Bot, eth: Market) -> None:
    Runtime.objects.create(bot=pair, number=7, notes=[{"code": "pair.flat", "text": "The spread is near its mean."}])
    Wake.objects.create(bot=pair, market=eth, below=90.5)
    html = page.get(url(pair), {"tab": "decision"}).content.decode()
    assert "Decision 7" in html
    assert "The spread is near its mean." in html
    assert "ETH/USDT:USDT at or below 90.5" in html


def test_questions_and_answers_stand_on_the_page_of_a_bot_that_asks(page: Client, person: User) -> None:
    market = candled(priced(MarketFactory()), 100)
    bot = BotFactory(
        account=account_of(person), market=market, strategy="adviser", params={"investment": "500"}, status="running"
    )
    AdviceAsk.objects.create(
        workspace=bot.workspace, bot=bot, ask_id="a1", kind="direction", payload={"rsi": 41.5}, number=1,
        asked_ms=1_700_000_000_000, deadline_ms=1_700_000_100_000, deadline_at="2026-01-01T00:00:00Z",
        advisor="local", status="answered", latency_ms=120,
        value={"side": "buy", "confidence": 0.7, "allocation_ratio": 0.5258},
    )  # fmt: skip
    html = page.get(url(bot), {"tab": "advice"}).content.decode()
    assert "direction" in html
    assert "</span> 70 %</span>" in html
    assert '<span class="unit">allocation</span> 52.6 %' in html
    assert "<dt>rsi</dt><dd>41.5</dd>" in html
    assert "120 ms" in html
    (row,) = page.get(f"/api/v1/bots/{bot.public_id}/advice/").json()
    assert (row["id"], row["value"]["side"], row["cost"]) == ("a1", "buy", "0")


def test_stopping_names_everything_that_is_held(page: Client, pair: Bot) -> None:
    html = page.get(url(pair, "stop/")).content.decode()
    assert "close positions" in html
    assert "1,170.00" in html  # 2 x 110 and 1 x 950


def test_a_bot_of_one_spot_market_has_no_table_of_positions(page: Client, running: Bot) -> None:
    html = page.get(url(running)).content.decode()
    assert 'aria-label="Positions"' not in html
    assert 'data-part="funding"' not in html
