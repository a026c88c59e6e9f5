"""What a stopped bot has left can be closed by hand: positions on perpetuals, and coins that its account still has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.test import Client

from bots.claims import claim_faults
from bots.models import Bot
from bots.services import bot_resume, bot_stop
from exchanges.models import PaperPosition
from tests.exchanges.books import perpetual
from tests.factories import account_of, alice
from tests.trading.scripted import Scripted, buy, on_the_shelf
from tests.trading.world import World, check_books, run_once
from trading.core.errors import InvalidInput
from trading.core.needs import MarketRef, Needs
from trading.core.types import Decision
from trading.left import left_of
from trading.models import Balance, Order, Position
from trading.pnl import pnl_of
from trading.selectors import free_balance
from trading.services.closing import position_close
from trading.services.funding import paper_account_reset
from trading.services.ledger import Leg, post
from trading.services.stopping import leftovers_release

pytestmark = pytest.mark.django_db
LEVERED = Needs(markets={"main": MarketRef("")}, leverage=10)


@contextmanager
def holding(*, future: bool = True, **more) -> Iterator[tuple[World, Bot]]:
    """A bot that holds 2 and has an order resting far away; on a perpetual with leverage 10."""
    world = World(account=more.pop("account", None))
    if future:
        world.market = perpetual(min_notional=Decimal(5), lot=Decimal("0.00001"), min_qty=Decimal(0))
        world.price(100.0)
    orders = {"in": buy(None, 2.0)} | ({"more": buy(50.0, 1.0)} if more.pop("rests", True) else {})
    with on_the_shelf(Scripted(lambda state, view: Decision(None, orders), LEVERED if future else None)):
        bot = world.bot(strategy="scripted", params={}, budget=Decimal(1000))
        world.price(100.0)
        yield world, bot


def stop(bot: Bot, mode: str) -> None:
    bot_stop(bot=bot, mode=mode, by=None)
    run_once()
    bot.refresh_from_db()


def held(bot: Bot) -> Decimal:
    return Position.objects.get(bot=bot).qty


def test_a_position_that_was_left_open_is_closed_and_its_margin_comes_back():
    with holding() as (world, bot):
        stop(bot, "leave")
        assert (bot.status, held(bot)) == (Bot.Status.STOPPED, 2)
        assert Order.objects.filter(bot=bot, status="working").count() == 1
        world.price(110.0)
        (one,) = left_of(bot)
        assert (one.qty, one.value, one.fault) == (2, 220, "")
        position_close(bot=bot, by=None)
        run_once()
        world.price(111.0)
        bot.refresh_from_db()
        assert (bot.status, bot.status_reason) == (Bot.Status.STOPPED, "what it had left was closed")
        assert held(bot) == PaperPosition.objects.get().qty == 0
        order = Order.objects.get(bot=bot, slot="engine:exit")
        assert (order.status, order.reduce, order.side) == ("filled", True, "sell")
        assert not Order.objects.filter(bot=bot, status__in=Order.LIVE).exists()
        assert not Balance.objects.filter(bot=bot).exclude(amount=0).exists()
        fees = Decimal("0.0005") * (200 + 222)
        assert free_balance(world.account, "USDT") == 10_000 + 22 - fees
        assert pnl_of(bot).total == 22 - fees
        check_books(world.account)


def test_what_a_left_position_is_worth_goes_on_with_the_price_and_its_margin_alone_stays_with_the_bot():
    with holding(rests=False) as (world, bot):
        stop(bot, "leave")
        leftovers_release()
        world.price(105.0)
        assert pnl_of(bot).unrealised == 10
        assert Balance.objects.get(bot=bot, coin="USDT").amount == 20
        check_books(world.account)


@pytest.mark.parametrize("mode", ["keep", "sell"])
def test_a_position_on_a_perpetual_is_closed_by_both_other_ways_and_they_say_so(mode):
    with holding() as (world, bot):
        stop(bot, mode)
        world.price(100.0)
        bot.refresh_from_db()
        assert (bot.status_reason, held(bot)) == ("orders cancelled, positions closed", 0)
        assert left_of(bot) == []


@pytest.mark.parametrize("mode", ["keep", "leave"])
def test_coins_that_were_kept_are_sold_later(mode):
    with holding(future=False) as (world, bot):
        stop(bot, mode)
        leftovers_release()
        position_close(bot=bot, by=None)
        assert free_balance(world.account, "BTC") == 0
        run_once()
        world.price(120.0)
        bot.refresh_from_db()
        assert (bot.status, held(bot)) == (Bot.Status.STOPPED, 0)
        assert not Balance.objects.filter(bot=bot).exclude(amount=0).exists()
        assert pnl_of(bot).realised == 40
        check_books(world.account)


def test_coins_that_the_account_no_longer_has_free_are_left_alone():
    with holding(future=False) as (world, bot):
        stop(bot, "keep")
        legs = [Leg("free", "BTC", Decimal(-1)), Leg("outside", "BTC", Decimal(1))]
        post(account=world.account, kind="withdraw", ref="elsewhere", legs=legs)
        with pytest.raises(InvalidInput, match="has 1 free") as refused:
            position_close(bot=bot, by=None)
        assert refused.value.code == "nothing_to_close"
        bot.refresh_from_db()
        assert bot.status == Bot.Status.STOPPED


def test_only_a_stopped_bot_that_holds_something_is_closed():
    with holding() as (world, bot):
        with pytest.raises(InvalidInput, match="only a bot that is stopped"):
            position_close(bot=bot, by=None)
        stop(bot, "sell")
        world.price(100.0)
        with pytest.raises(InvalidInput, match="it holds nothing"):
            position_close(bot=bot, by=None)


def test_a_position_that_cannot_be_closed_leaves_the_bot_stopped_with_its_reason():
    """It has no budget any more: as a failed bot it could be resumed and would trade with nothing."""
    with holding(rests=False) as (world, bot):
        stop(bot, "leave")
        type(world.market).objects.filter(pk=world.market.pk).update(active=False)
        position_close(bot=bot, by=None)
        run_once()
        bot.refresh_from_db()
        assert bot.status == Bot.Status.STOPPED
        assert bot.status_reason.startswith("its position could not be closed: ")
        with pytest.raises(InvalidInput):
            bot_resume(bot=bot, by=None)
        type(world.market).objects.filter(pk=world.market.pk).update(active=True)
        position_close(bot=bot, by=None)
        run_once()
        world.price(100.0)
        assert held(bot) == 0
        check_books(world.account)


def test_no_other_bot_gets_a_market_where_a_stopped_one_has_left_a_position():
    with holding() as (world, bot):
        stop(bot, "leave")
        (fault,) = claim_faults(world.account, [world.market])
        assert "has left a position on BTC/USDT:USDT" in fault.message
        with pytest.raises(InvalidInput, match="stop the bots"):
            paper_account_reset(account=world.account, amount=Decimal(1))
        position_close(bot=bot, by=None)
        run_once()
        world.price(100.0)
        assert claim_faults(world.account, [world.market]) == []


# --- page and API ---------------------------------------------------------------------------------------------------


@pytest.fixture
def person():
    return alice()


def test_the_pages_say_what_becomes_of_a_position_before_and_after(client: Client, person):
    client.force_login(person)
    with holding(account=account_of(person), rests=False) as (world, bot):
        page = f"/bots/{bot.public_id}/"
        asked = client.get(f"{page}stop/").content.decode()
        assert 'value="keep"' not in asked
        assert 'value="sell" checked' in asked
        assert "stays open with" in asked
        assert "liquidation at" in asked
        assert "Close the position now" not in client.get(page).content.decode()
        stop(bot, "leave")
        assert "Close the position now" in client.get(page).content.decode()
        form = client.get(f"{page}close/").content.decode()
        assert "At market, about" in form
        assert "200.00" in form
        assert client.post(f"{page}close/").status_code == 302
        run_once()
        world.price(100.0)
        assert held(bot) == 0
        assert "Close the position now" not in client.get(page).content.decode()
        assert client.post(f"{page}close/").status_code == 422


def test_the_stop_page_of_a_bot_with_coins_offers_to_keep_them(client: Client, person):
    client.force_login(person)
    with holding(future=False, account=account_of(person)) as (_world, bot):
        asked = client.get(f"/bots/{bot.public_id}/stop/").content.decode()
        assert asked.count('type="radio"') == 3
        assert "at the market&#x27;s mercy" in asked or "at the market's mercy" in asked
        stop(bot, "keep")
        after = client.get(f"/bots/{bot.public_id}/").content.decode()
        assert "that it kept stand in" in after
        assert "Sell the coins now" in after  # kept coins are no position that could be closed
        assert "Sell the coins it kept?" in client.get(f"/bots/{bot.public_id}/close/").content.decode()


def test_the_api_closes_what_was_left_and_says_why_it_can_not(client: Client, person):
    client.force_login(person)
    with holding(account=account_of(person)) as (_world, bot):
        address = f"/api/v1/bots/{bot.public_id}/close/"
        refused = client.post(address, {}, content_type="application/json")
        assert refused.status_code == 409
        stop(bot, "leave")
        done = client.post(address, {}, content_type="application/json")
        assert (done.status_code, done.json()["status"]) == (200, "stopping")
