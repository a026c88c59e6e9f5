"""A copied or restored database asks and reads, and sends nothing, until an operator has said which copy trades."""

from __future__ import annotations

from io import StringIO
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.urls import reverse

from accounts.installation import COPIED, blocked_reason, installation_check, installation_now
from accounts.models import Installation, User
from bots.models import BotInput
from exchanges.models import PaperOrder
from exchanges.paper import PaperVenue
from tests.factories import alice
from tests.trading.alike import assert_same
from tests.trading.shapes import trial
from tests.trading.test_lost_answers import planned_bot
from tests.trading.world import World, check_books, live_orders, run_once
from trading.clock import WALL
from trading.core.errors import VenueUnavailable
from trading.core.ids import client_order_id
from trading.held import held_reason
from trading.ids import order_id
from trading.models import Order
from trading.runtime import accounts_reconcile, venue_for
from trading.services.sending import cancels_send, orders_send
from trading.services.waking import bots_due

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ours(settings):
    """This installation has an id, and the database is its own."""
    settings.INSTALLATION_ID = str(uuid4())
    installation_check()


def copied(settings) -> None:
    """The database is somewhere else now: another id outside, and a process that starts there."""
    settings.INSTALLATION_ID = str(uuid4())
    cache.clear()


def confirm() -> str:
    out = StringIO()
    call_command("confirm_installation", "--no-other-copy-runs", stdout=out)
    return out.getvalue()


def test_a_database_belongs_to_the_installation_that_starts_it_first(settings):
    assert str(Installation.objects.get().installation_id) == settings.INSTALLATION_ID
    installation_check()
    assert (Installation.objects.count(), installation_now()) == (1, (1, ""))


def test_without_an_id_outside_nothing_is_compared(settings):
    settings.INSTALLATION_ID = ""
    installation_check()
    assert blocked_reason() == ""


def test_a_copy_sends_nothing_of_what_was_planned_and_nobody_is_due_for_it(settings):
    world = World()
    bot = planned_bot(world)
    copied(settings)
    run_once()
    assert not world.account.paper_orders.exists()
    assert set(Order.objects.filter(bot=bot).values_list("status", flat=True)) == {"planned"}
    assert Installation.objects.get().blocked == COPIED
    assert bot.pk not in bots_due(WALL.now())
    assert held_reason(bot) == COPIED


def test_a_copy_cancels_and_changes_nothing_that_may_be_the_other_ones(settings):
    world = World()
    bot = world.bot()
    resting = live_orders(bot)
    Order.objects.filter(bot=bot, slot="grid:0:buy").update(cancel_why="cancelled")
    other = resting["grid:1:buy"]
    Order.objects.filter(pk=other.pk).update(amend_qty=other.qty * 2, amend_price=other.price, amend_want=other.want)
    BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
    copied(settings)
    run_once()
    accounts_reconcile()
    assert set(PaperOrder.objects.values_list("status", flat=True)) == {"working"}
    assert PaperOrder.objects.get(client_order_id=other.client_order_id).qty == other.qty
    venue = venue_for(world.account)
    for send in (lambda: venue.place([]), lambda: venue.cancel([]), lambda: venue.amend([])):
        with pytest.raises(VenueUnavailable, match="copied or restored"):
            send()
    assert len(venue.open_orders()) == 3
    assert venue.balances()


def test_a_copy_that_is_found_out_between_reading_and_sending_sends_nothing():
    """Another process has compared the ids a moment ago: the send itself sees what it has found."""
    world = World()
    bot = planned_bot(world)

    def meanwhile(execute, sql, params, many, context):
        if sql.startswith('UPDATE "trading_order"'):
            Installation.objects.filter(blocked="").update(blocked=COPIED)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(meanwhile):
        orders_send(bot, PaperVenue(world.account))
    assert not world.account.paper_orders.exists()


def test_a_copy_cancels_nothing_whatever_way_to_the_venue_it_has(settings):
    world = World()
    bot = world.bot()
    copied(settings)
    cancels_send(list(live_orders(bot).values()), PaperVenue(world.account))
    assert set(PaperOrder.objects.values_list("status", flat=True)) == {"working"}
    assert set(Order.objects.filter(bot=bot).values_list("cancel_sent_at", flat=True)) == {None}


def test_a_copy_goes_on_booking_what_the_venue_says(settings):
    world = World()
    bot = world.bot()
    copied(settings)
    world.price(100.0)
    assert Order.objects.get(bot=bot, slot="grid:open").status == "filled"
    check_books(world.account)


def test_an_operator_lets_it_go_on_under_ids_that_no_copy_has_used(settings):
    world = World()
    bot = planned_bot(world)
    before = set(Order.objects.filter(bot=bot).values_list("client_order_id", flat=True))
    copied(settings)
    assert blocked_reason()
    assert "epoch 2" in confirm()
    run_once()
    after = set(Order.objects.filter(bot=bot).values_list("client_order_id", flat=True))
    assert not before & after
    assert after == set(world.account.paper_orders.values_list("client_order_id", flat=True))
    row = Installation.objects.get()
    assert (str(row.installation_id), row.blocked, row.epoch) == (settings.INSTALLATION_ID, "", 2)
    assert row.confirmed_at is not None
    assert held_reason(bot) == ""


def test_the_ids_of_the_first_epoch_are_those_that_they_always_were(settings):
    bot = World().bot(start=False)
    first = order_id(bot, "a", 1, 1)
    assert first == client_order_id(settings.INSTALLATION_EPOCH, str(bot.public_id), "a", 1, 1)
    Installation.objects.update(epoch=2)
    cache.clear()
    assert order_id(bot, "a", 1, 1) != first


def test_nothing_is_confirmed_that_isnt_blocked_and_nobody_confirms_by_accident(settings):
    with pytest.raises(CommandError, match="nothing to confirm"):
        confirm()
    copied(settings)
    with pytest.raises(CommandError, match="Stop every other copy"):
        call_command("confirm_installation")
    assert blocked_reason()


def test_every_page_says_that_nothing_is_sent(settings, client):
    client.force_login(alice())
    assert b"Nothing is sent." not in client.get("/").content
    copied(settings)
    assert b"Nothing is sent." in client.get("/").content


def test_an_operator_confirms_in_the_admin_and_stands_in_the_record(settings, client):
    person = User.objects.create_superuser("operator@example.org", "correct horse battery")
    client.force_login(person)
    copied(settings)
    assert blocked_reason()
    address = reverse("admin:accounts_installation_changelist")
    row = Installation.objects.get()
    client.post(address, {"action": "confirm", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert (row.blocked, row.confirmed_by) == ("", person)


def test_a_copy_replays_as_any_other_database_does(settings):
    """A replay trades nothing: whoever looks into a backup may replay on it."""
    settings.INSTALLATION_ID = str(uuid4())
    cache.clear()
    assert blocked_reason()
    assert assert_same(trial("grid", 1)) > 0
