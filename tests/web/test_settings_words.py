"""A bot's settings and an edit's changes as people read them: units, choices by their words, each market once."""

from __future__ import annotations

import re
from decimal import Decimal

from django.test import Client

from bots.models import Bot
from tests.factories import BotFactory, MarketFactory, candled, priced
from tests.trading.test_commands import DCA
from tests.trading.world import World


def rows(html: str) -> dict[str, str]:
    """Return what stands beside each label of the panel."""
    found = re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", html.split('id="panel"', 1)[1], re.DOTALL)
    return {label: " ".join(re.sub(r"<[^>]+>", "", value).split()) for label, value in found}


def settings(page: Client, bot: Bot) -> dict[str, str]:
    return rows(page.get(f"/bots/{bot.public_id}/?tab=settings").content.decode())


def test_each_setting_has_its_unit_and_its_word(page: Client, world: World) -> None:
    more = {"trailing_stop": False, "cooldown_minutes": 5, "start": "price_drop", "drop_percent": "2"}
    shown = settings(page, world.bot(strategy="dca", params=DCA | more, budget=Decimal(40_000), start=False))
    assert shown["Take profit"].endswith(" %")
    assert shown["Cooldown"] == "5 minutes"
    assert shown["Start a deal"] == "Price drop"
    assert shown["Trailing stop"] == "no"
    assert shown["Price drop"] == "2 %"


def test_a_setting_without_effect_is_not_shown(page: Client, world: World) -> None:
    params = DCA | {"start": "immediately", "drop_candles": 60, "base_order_wait_minutes": 10}
    shown = settings(page, world.bot(strategy="dca", params=params, start=False))
    assert "Recent high over" not in shown
    assert "Wait for the base order" not in shown


def test_many_markets_are_listed_once_and_can_wrap(page: Client, world: World) -> None:
    others = [candled(priced(MarketFactory(symbol=f"C{n}/USDT", base=f"C{n}"), 10.0), 2) for n in range(12)]
    markets = {f"m{n}": one for n, one in enumerate([world.market, *others])}
    bot = BotFactory(
        account=world.account,
        market=world.market,
        markets=markets,
        strategy="scan",
        params={"symbols": [one.symbol for one in markets.values()], "quote_per_deal": "1650"},
    )
    html = page.get(f"/bots/{bot.public_id}/?tab=settings").content.decode()
    panel = html.split('id="panel"', 1)[1]
    assert panel.count("C11/USDT") == 1
    assert '<dd class="num">' not in panel  # figures don't wrap, long lists and conditions must
    assert rows(html)["Amount per deal"] == "1,650 USDT"


def test_an_edit_tells_its_changes_in_the_same_words(page: Client, world: World) -> None:
    bot = world.bot(strategy="dca", params=dict(DCA), start=False)
    form = {f"params.{name}": str(value) for name, value in DCA.items()}
    form |= {"name": bot.name, "params.trailing_stop": "on", "params.stop_loss_percent": "12"}
    html = page.post(f"/bots/{bot.public_id}/edit/preview/", form).content.decode()
    changes = html.split('class="pairs differences"', 1)[1].split("</dl>", 1)[0]
    told = " ".join(re.sub(r"<[^>]+>", " ", changes).split())
    assert "Stop loss not set becomes 12 %" in told
    assert "Trailing stop no becomes yes" in told


def test_an_edit_beyond_the_budget_is_refused_in_its_preview(page: Client, world: World) -> None:
    """A fault that belongs to no field of the form."""
    bot = world.bot(strategy="dca", params=dict(DCA), budget=Decimal(400))
    form = {f"params.{name}": str(value) for name, value in DCA.items()}
    form |= {"name": bot.name, "params.safety_order": "5000"}
    answer = page.post(f"/bots/{bot.public_id}/edit/preview/", form, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert "note-error" in answer.content.decode()


def test_an_edit_that_cannot_be_judged_does_not_say_that_nothing_changes(page: Client, world: World) -> None:
    from django.core.cache import cache

    bot = world.bot(strategy="dca", params=dict(DCA), start=False)
    cache.clear()
    form = {f"params.{name}": str(value) for name, value in DCA.items()} | {"name": bot.name, "params.base_order": "90"}
    html = page.post(f"/bots/{bot.public_id}/edit/preview/", form).content.decode()
    assert "There is no current price" in html
    assert "No parameter changes." not in html
