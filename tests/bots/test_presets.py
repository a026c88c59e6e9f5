"""Presets: their figures come from the price of the moment, their cells pay their fees, and their lines are close."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bots.models import Bot, BotInput
from bots.preflight import preview
from bots.presets import preset_start, presets
from bots.recipes import RECIPES
from exchanges.adapters.demo.specs import SPECS
from exchanges.models import Market
from exchanges.services import demo_markets_ensure
from tests.factories import account_of, alice, funded, priced, workspace_of
from trading.core.errors import InvalidInput
from trading.core.rounding import price_to_tick
from trading.core.types import Side

pytestmark = pytest.mark.django_db
PRICES = {"BTC/USDT": 97_123.45, "ETH/USDT": 3_456.78, "DOGE/USDT": 0.36123}


@pytest.fixture
def account():
    demo_markets_ensure()
    return funded(account_of(alice()), 100_000)


def price_all(factor: float = 1.0) -> None:
    for market in Market.objects.filter(source="demo"):
        price = PRICES.get(market.symbol, SPECS[market.symbol].base_price)
        priced(market, float(price_to_tick(price * factor, market.tick, Side.BUY)))


def seen(account, preset):
    return preview(
        workspace=account.workspace,
        account=account,
        market=preset.market,
        strategy=preset.strategy,
        params=preset.params,
        budget=preset.budget,
    )


@pytest.mark.parametrize("factor", [0.2, 0.73, 1.0, 1.37, 9.9])
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.key)
def test_each_may_start_at_any_price(account, recipe, factor):
    price_all(factor)
    preset = next(one for one in presets() if one.key == recipe.key)
    found = seen(account, preset)
    assert found.faults == ()
    assert found.preview is not None
    assert found.preview.warnings == ()


@pytest.mark.parametrize("factor", [0.2, 1.0, 9.9])
def test_the_lively_grid_pays_its_fees_and_is_close_to_the_price(account, factor):
    price_all(factor)
    preset = next(one for one in presets() if one.key == "lively-grid")
    found = seen(account, preset)
    figures = {figure.key: figure.value for figure in found.preview.figures}
    assert figures["net_ratio_min"] >= Decimal("0.001")
    sells = [level.price for level in found.preview.levels if level.role == "sell"]
    buys = [level.price for level in found.preview.levels if level.role == "buy"]
    assert min(sells) / preset.price - 1 < Decimal("0.0025")
    assert 1 - max(buys) / preset.price < Decimal("0.0055")
    assert sells, "held cells mean an opening buy, which fills at the next price"


def test_one_step_creates_and_starts(account):
    price_all()
    bot = preset_start(workspace=account.workspace, account=account, key="lively-grid", by=alice())
    assert (bot.status, bot.name, bot.market.symbol) == (Bot.Status.RUNNING, "Lively grid DOGE", "DOGE/USDT")
    assert BotInput.objects.get().payload["kind"] == "start"


def test_without_prices_they_are_shown_and_not_started(account):
    assert {preset.key for preset in presets()} == {recipe.key for recipe in RECIPES}
    assert all(preset.params == {} for preset in presets())
    with pytest.raises(InvalidInput) as caught:
        preset_start(workspace=account.workspace, account=account, key="trend", by=alice())
    assert caught.value.code == "no_price"
    assert not Bot.objects.exists()


def test_an_account_without_money_starts_nothing(account):
    price_all()
    poor = account_of(alice())
    with pytest.raises(InvalidInput) as caught:
        preset_start(workspace=workspace_of(alice()), account=poor, key="trend", by=alice())
    assert (caught.value.field, caught.value.code) == ("budget", "budget_above_balance")
    assert not Bot.objects.exists()


def test_an_unknown_preset_names_the_known(account):
    with pytest.raises(InvalidInput, match="lively-grid"):
        preset_start(workspace=account.workspace, account=account, key="nonsense", by=alice())


def test_markets_that_do_not_exist_bring_no_preset():
    assert presets("elsewhere") == []
