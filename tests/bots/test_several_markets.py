"""Bots over several markets: their rows follow from the strategy's needs, and what can't be had names its parameter."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.cache import cache

from accounts.models import Account
from bots.models import Bot, BotMarket
from bots.preflight import open_bot, preview
from bots.services import bot_clone, bot_edit, bot_start
from exchanges.models import Market
from tests.factories import MarketFactory, account_of, alice, candled, funded, priced
from trading.core.errors import InvalidInput, InvalidInputs

pytestmark = pytest.mark.django_db
STEPS = {"tick": Decimal("0.01"), "lot": Decimal("0.00001")}
SCAN = {"symbols": ["ETH/USDT", "SOL/USDT"], "max_deals": 1, "quote_per_deal": "100", "entry": "close < 90"}
PAIR = {"symbol": "BTC/USDT:USDT", "leg_quote": "500"}
WARM = 200  # closed candles: more than either asks for


def market(symbol: str, **values: object) -> Market:
    base, quote = symbol.partition(":")[0].split("/")
    return priced(MarketFactory(symbol=symbol, base=base, quote=quote, **STEPS, **values))


@pytest.fixture
def account() -> Account:
    for symbol in ("BTC/USDT", "ETH/USDT", "SOL/USDT"):
        candled(market(symbol), WARM)
    for symbol in ("BTC/USDT:USDT", "ETH/USDT:USDT"):
        candled(market(symbol, perpetual=True), WARM)
    market("ETH/EUR")
    return funded(account_of(alice()), 100_000)


def wish(account: Account, strategy: str, params: dict, chosen: str | None = None) -> dict:
    found = Market.objects.get(symbol=chosen) if chosen else None
    return {"account": account, "market": found, "strategy": strategy, "params": params}


def opened(account: Account, strategy: str, params: dict, chosen: str | None = None, **values: object) -> Bot:
    values = {"name": "Mine", "budget": Decimal(5000), "by": alice()} | values
    return open_bot(workspace=account.workspace, **wish(account, strategy, params, chosen), **values)


def fault_of(account: Account, strategy: str, params: dict, chosen: str | None = None) -> dict[str, InvalidInput]:
    with pytest.raises(InvalidInputs) as caught:
        opened(account, strategy, params, chosen)
    assert not Bot.objects.exists()
    return {fault.field: fault for fault in caught.value.faults}


def rows(bot: Bot) -> dict[str, str]:
    return {row.alias: row.market.symbol for row in BotMarket.objects.filter(bot=bot).order_by("position")}


def test_a_scan_has_a_row_for_each_of_its_markets_and_needs_no_chosen_one(account) -> None:
    bot = opened(account, "scan", SCAN)
    assert rows(bot) == {"ETH/USDT": "ETH/USDT", "SOL/USDT": "SOL/USDT"}
    assert bot.market.symbol == "ETH/USDT"


def test_a_pair_has_its_own_market_and_the_other(account) -> None:
    bot = opened(account, "pair", PAIR, "ETH/USDT:USDT")
    assert rows(bot) == {"main": "ETH/USDT:USDT", "other": "BTC/USDT:USDT"}
    assert bot.market.symbol == "ETH/USDT:USDT"


def test_a_clone_watches_the_same_markets(account) -> None:
    bot = opened(account, "pair", PAIR, "ETH/USDT:USDT")
    assert rows(bot_clone(bot=bot, by=None)) == rows(bot)


def test_an_edit_of_a_draft_moves_its_rows(account) -> None:
    bot = opened(account, "scan", SCAN)
    kept = BotMarket.objects.get(bot=bot, alias="SOL/USDT").pk
    bot_edit(bot=bot, by=None, changes={"params": SCAN | {"symbols": ["SOL/USDT", "BTC/USDT"]}})
    assert rows(bot) == {"SOL/USDT": "SOL/USDT", "BTC/USDT": "BTC/USDT"}
    assert BotMarket.objects.get(bot=bot, alias="SOL/USDT").pk == kept
    bot.refresh_from_db()
    assert bot.market.symbol == "SOL/USDT"


@pytest.mark.parametrize(
    ("symbols", "code", "told"),
    [
        (["ETH/USDT", "NO/SUCH"], "unknown_market", "There is no market NO/SUCH"),
        (["ETH/USDT", "SOL/USDC"], "unknown_market", "did you mean SOL/USDT?"),
        (["ETH/USDT", "ETH/EUR"], "quote", "the same quote coin"),
        (["ETH/USDT", "OLD/USDT"], "invalid", "not traded at present"),
    ],
)
def test_a_market_that_cannot_be_had_is_a_fault_of_its_parameter(account, symbols, code, told) -> None:
    market("OLD/USDT", active=False)
    found = fault_of(account, "scan", SCAN | {"symbols": symbols})
    assert found["params.symbols"].code == code
    assert told in found["params.symbols"].message


def test_the_same_market_twice_is_refused(account) -> None:
    found = fault_of(account, "pair", PAIR | {"symbol": "ETH/USDT:USDT"}, "ETH/USDT:USDT")
    assert found["params.symbol"].code == "duplicate"


def test_a_strategy_that_trades_on_a_chosen_market_asks_for_it(account) -> None:
    found = fault_of(account, "pair", PAIR)
    assert (found["market"].code, list(found)) == ("required", ["market"])


def test_too_little_history_names_the_market_what_is_stored_and_how_long_it_takes(account) -> None:
    candled(market("LTC/USDT"), 5)
    found = fault_of(account, "scan", SCAN | {"symbols": ["ETH/USDT", "LTC/USDT"], "entry": "rsi(14) < 30"})
    fault = found["params.symbols"]
    assert fault.code == "too_little_history"
    assert "closed 1m candles of LTC/USDT, 5 are stored; ready in" in fault.message
    assert fault.value == 5


def test_more_leverage_than_a_market_gives_is_refused(account) -> None:
    found = fault_of(account, "pair", PAIR | {"leverage": "50"}, "ETH/USDT:USDT")
    assert found["params.leverage"].code == "leverage"
    assert "at most 10, not 50" in found["params.leverage"].message


def test_one_stale_price_stops_the_whole_bot(account) -> None:
    priced(Market.objects.get(symbol="SOL/USDT"), 100.0, age_s=3600)
    seen = preview(workspace=account.workspace, **wish(account, "scan", SCAN))
    assert [(fault.field, fault.value, fault.code) for fault in seen.faults] == [
        ("params.symbols", "SOL/USDT", "no_price")
    ]
    cache.clear()
    assert {fault.value for fault in preview(workspace=account.workspace, **wish(account, "scan", SCAN)).faults} == {
        "ETH/USDT",
        "SOL/USDT",
    }


def test_a_preview_is_told_of_every_market(account) -> None:
    seen = preview(workspace=account.workspace, **wish(account, "pair", PAIR, "ETH/USDT:USDT")).require()
    assert {alias: found.symbol for alias, found in seen.markets.items()} == {
        "main": "ETH/USDT:USDT",
        "other": "BTC/USDT:USDT",
    }
    assert seen.preview
    assert {figure.unit for figure in seen.preview.figures} >= {"ETH", "BTC", "USDT"}


# --- perpetuals: one bot at a time -----------------------------------------------------------------------------------


def test_a_perpetual_that_another_bot_has_is_taken(account) -> None:
    first = opened(account, "pair", PAIR, "ETH/USDT:USDT", start=True, name="First")
    second = {**wish(account, "pair", PAIR | {"symbol": "ETH/USDT:USDT"}, "BTC/USDT:USDT"), "name": "Second"}
    with pytest.raises(InvalidInputs) as caught:
        open_bot(workspace=account.workspace, budget=Decimal(5000), by=alice(), **second)
    assert {fault.code for fault in caught.value.faults} == {"market_taken"}
    assert "First trades ETH/USDT:USDT" in " ".join(fault.message for fault in caught.value.faults)
    assert list(Bot.objects.all()) == [first]


def test_even_two_drafts_that_were_seen_together_do_not_both_start(account) -> None:
    first = opened(account, "pair", PAIR, "ETH/USDT:USDT")
    second = opened(account, "pair", PAIR, "ETH/USDT:USDT")
    bot_start(bot=first, by=None)
    with pytest.raises(InvalidInput) as caught:
        bot_start(bot=second, by=None)
    assert caught.value.code == "market_taken"
    Bot.objects.filter(pk=first.pk).update(status="stopped")
    assert bot_start(bot=second, by=None).status == Bot.Status.RUNNING


def test_another_account_is_another_matter(account) -> None:
    opened(account, "pair", PAIR, "ETH/USDT:USDT", start=True)
    other = funded(account_of(alice()), 100_000)
    assert opened(other, "pair", PAIR, "ETH/USDT:USDT", start=True).status == Bot.Status.RUNNING
