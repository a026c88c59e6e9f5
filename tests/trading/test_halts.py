"""The kill switch: from its commit on nothing that adds risk is sent, everything of ours is cancelled, people
re-arm."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts.models import Event
from bots.models import Bot
from bots.services import bot_resume, bot_start, bot_stop
from exchanges.models import PaperOrder
from risk.models import Halt, Incident
from risk.services import Target, halt_rearm, halt_set
from tests.factories import PASSWORD, AccountFactory, member_of
from tests.trading.alike import assert_same
from tests.trading.halts import Away, live, operator, owner_of, pull, rearmed, sweep, venue
from tests.trading.shapes import trial
from tests.trading.world import World, by_hand, check_books, live_orders
from trading.core.errors import InvalidInput
from trading.halt_foreign import foreign_cancel, foreign_count
from trading.halt_progress import progress_of
from trading.leases import lease_release, lease_take
from trading.models import Order, Position, Runtime
from trading.runtime import run_due, venue_for
from trading.services.amending import amends_send
from trading.services.halting import halt_step, halts_carry_out
from trading.services.sending import orders_send

pytestmark = pytest.mark.django_db

SCOPES = ("bot", "account", "workspace", "platform")


def grid(world: World, **values: object) -> Bot:
    """A grid that has bought its opening and rests on both sides of the market."""
    bot = world.bot(**values)
    world.price(100.0)
    assert len(live(bot)) > 2
    return bot


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def stranger() -> Bot:
    """A bot of somebody else, on an account of his own."""
    return grid(World(), name="Strangers")


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_stops_what_is_in_it_and_nothing_else(world, stranger, scope):
    inside = grid(world, name="Inside")
    elsewhere = grid(World(account=AccountFactory(workspace=world.account.workspace)), name="Other account")
    beside = grid(world, name="Same account")
    pull(inside, scope)
    sweep()
    stopped = {
        "bot": {inside},
        "account": {inside, beside},
        "workspace": {inside, beside, elsewhere},
        "platform": {inside, beside, elsewhere, stranger},
    }[scope]
    for bot in (inside, beside, elsewhere, stranger):
        bot.refresh_from_db()
        assert (bot.status == "paused") == (bot in stopped), bot.name
        assert bool(live(bot)) == (bot not in stopped), bot.name
    assert inside.status_reason == "Kill switch: test"
    assert PaperOrder.objects.filter(account=world.account, status="working").count() == len(live(beside))


@pytest.mark.parametrize("scope", SCOPES)
def test_an_order_planned_before_the_halt_is_not_sent_after_it(world, scope):
    """A worker that has decided, and comes to send a moment after the click."""
    bot = grid(world)
    resting = live(bot)
    planned = [order.pk for order in resting if not order.reduce]
    assert planned
    Order.objects.filter(pk__in=planned).update(status="planned", sent_at=None)
    PaperOrder.objects.filter(client_order_id__in=[order.client_order_id for order in resting]).delete()
    pull(bot, scope)
    with venue(Away) as away:
        away.placed.clear()
        orders_send(bot, venue_for(bot.account))
        assert away.placed == []
    assert set(Order.objects.filter(pk__in=planned).values_list("status", flat=True)) == {"planned"}
    sweep()
    assert set(Order.objects.filter(pk__in=planned).values_list("status", flat=True)) == {"cancelled"}


def test_an_amendment_that_makes_an_order_larger_is_not_sent_either(world):
    bot = grid(world)
    order = next(order for order in live(bot) if order.side == "buy" and order.price is not None)
    Order.objects.filter(pk=order.pk).update(amend_want=order.want, amend_qty=order.qty * 2, amend_price=order.price)
    pull(bot)
    order.refresh_from_db()
    amends_send([order], venue_for(bot.account))
    assert PaperOrder.objects.get(client_order_id=order.client_order_id).qty == order.qty
    Order.objects.filter(pk=order.pk).update(amend_qty=order.qty / 2, amend_after=None)
    order.refresh_from_db()
    amends_send([order], venue_for(bot.account))
    assert PaperOrder.objects.get(client_order_id=order.client_order_id).qty == order.qty / 2


def test_a_halted_bot_decides_nothing_and_is_told_everything_once_it_goes_on(world):
    bot = grid(world)
    number = Runtime.objects.get(bot=bot).number
    halt = pull(bot)
    sweep()
    world.price(95.0)
    world.price(105.0)
    sweep()
    assert Runtime.objects.get(bot=bot).number == number
    assert run_due() == 0, "and it isn't due again and again"
    assert rearmed(halt, resume=True) == (1, [])
    run_due()
    bot.refresh_from_db()
    assert bot.status == "running"
    assert bot.status_reason == ""
    assert live_orders(bot)
    assert not bot.inputs.filter(number=None).exclude(kind="denied").exists()
    check_books(world.account)


def test_rearming_alone_lets_nobody_trade_again(world):
    bot = grid(world)
    halt = pull(bot, "workspace")
    sweep()
    rearmed(halt)
    sweep()
    bot.refresh_from_db()
    assert bot.status == "paused"
    assert not [order for order in live(bot) if not order.reduce]
    bot_resume(bot=bot, by=None)
    run_due()
    assert live(bot)


def test_a_bot_that_a_person_had_paused_is_not_resumed_with_the_others(world):
    mine, his = grid(world), grid(world)
    Bot.objects.filter(pk=his.pk).update(status="paused")
    halt = pull(mine, "account")
    sweep()
    assert rearmed(halt, resume=True) == (1, [])
    his.refresh_from_db()
    assert his.status == "paused"


def test_nothing_starts_or_goes_on_while_it_is_halted(world):
    bot, draft = grid(world), world.bot(start=False)
    pull(bot, "account")
    sweep()
    for act, one in ((bot_start, draft), (bot_resume, bot)):
        with pytest.raises(InvalidInput, match="kill switch") as refused:
            act(bot=one, by=None)
        assert refused.value.code == "halted"
    bot_stop(bot=bot, mode="keep", by=None)  # to stop is always allowed
    sweep()
    bot.refresh_from_db()
    assert bot.status == "stopped"


def test_orders_of_bots_that_have_ended_or_failed_are_cancelled_too(world):
    failed, left = grid(world), grid(world)
    Bot.objects.filter(pk=failed.pk).update(status="error")
    bot_stop(bot=left, mode="leave", by=None)
    run_due()
    assert live(failed)
    assert live(left)
    pull(failed, "account")
    sweep()
    assert live(failed, left) == []
    left.refresh_from_db()
    assert left.status == "stopped"
    check_books(world.account)


def test_a_worker_that_dies_before_it_cancels_is_followed_by_another(world):
    bot = grid(world)
    Bot.objects.filter(pk=bot.pk).update(status="error")
    pull(bot)
    halts_carry_out()
    lease = lease_take(bot.pk)
    assert halt_step(lease, bot, Halt.objects.get())
    lease_release(lease)  # nothing is sent, and nothing is due by time any more
    run_due()
    assert live(bot) == []


def test_flatten_sells_what_is_held_and_ends_the_bot(world):
    bot = grid(world)
    world.price(95.0)
    world.price(94.0)
    assert Position.objects.get(bot=bot).qty > 0
    halt = pull(bot, flatten=True)
    sweep()
    world.price(94.0)
    sweep()
    bot.refresh_from_db()
    assert bot.status == "stopped"
    assert Position.objects.get(bot=bot).qty == 0
    progress = progress_of(halt, bot.workspace)
    assert (progress.done, progress.open, progress.ending) == (True, 0, 0)
    check_books(world.account)


def test_flatten_also_closes_what_a_stopping_bot_would_have_kept(world):
    bot = grid(world)
    world.price(94.0)
    bot_stop(bot=bot, mode="keep", by=None)
    pull(bot, flatten=True)
    sweep()
    world.price(94.0)
    sweep()
    bot.refresh_from_db()
    assert (bot.status, bot.stop_mode) == ("stopped", "sell")
    assert Order.objects.filter(bot=bot, slot__startswith="engine:", status="filled").exists()
    assert Position.objects.get(bot=bot).qty == 0


def test_while_the_venue_fails_it_goes_on_trying_and_says_what_is_open(world):
    bot = grid(world)
    count = len(live(bot))
    with venue(Away) as away:
        halt = pull(bot)
        sweep()
        halt.incident.refresh_from_db()
        progress = progress_of(halt, bot.workspace)
        assert (progress.asked, progress.open, progress.confirmed, progress.done) == (count, count, 0, False)
        assert "connection refused" in progress.listed[0].why
        assert "tried again" in progress.listed[0].why
        away.away = False
        try:
            Runtime.objects.filter(bot=bot).update(not_before=timezone.now(), due_at=timezone.now())  # its wait is over
            sweep()
        finally:
            away.away = True
    halt.incident.refresh_from_db()
    progress = progress_of(halt, bot.workspace)
    assert (progress.asked, progress.open, progress.confirmed, progress.done) == (count, 0, count, True)


def test_orders_that_are_not_ours_stay_unless_somebody_chose_them(world):
    bot = grid(world)
    by_hand(world)
    assert foreign_count(world.account).count == 1
    first = pull(bot, "account")
    sweep()
    foreign_cancel(first.pk)
    assert PaperOrder.objects.get(client_order_id="by-hand").status == "working"
    again = pull(bot, "account", foreign=True)
    assert again.pk == first.pk
    foreign_cancel(again.pk)
    assert PaperOrder.objects.get(client_order_id="by-hand").status == "cancelled"
    again.incident.refresh_from_db()
    (said,) = progress_of(again, bot.workspace).foreign
    assert (said["found"], said["open"], said["done"]) == (1, 0, True)


def test_orders_that_are_not_ours_belong_to_an_account(world):
    with pytest.raises(InvalidInput, match="choose an account"):
        pull(grid(world), "bot", foreign=True)


def test_pulling_it_twice_is_one_halt_and_one_incident(world):
    bot = grid(world)
    first, second = pull(bot, "workspace"), pull(bot, "workspace")
    sweep()
    assert first.pk == second.pk
    assert Incident.objects.count() == Halt.objects.count() == 1
    assert Event.objects.filter(kind="risk.halted").count() == 1
    sweep()
    assert Incident.objects.get().detail["paused"] == [str(bot.public_id)]


def test_a_second_switch_keeps_what_the_first_one_gave_back(world):
    bot = grid(world)
    narrow = pull(bot, "bot")
    pull(bot, "workspace")
    sweep()
    resumed, faults = rearmed(narrow, resume=True)
    assert resumed == 0
    assert "kill switch (the workspace)" in faults[0]
    bot.refresh_from_db()
    assert bot.status == "paused"


def test_only_a_person_who_may_rearms_with_his_password(world):
    halt = pull(grid(world), "workspace")
    owner, trader = owner_of(halt.workspace), member_of(halt.workspace, "trader")
    with pytest.raises(PermissionDenied):
        halt_rearm(halt=halt, by=trader, password=PASSWORD)
    with pytest.raises(InvalidInput, match="not your password"):
        halt_rearm(halt=halt, by=owner, password="wrong")
    assert halt_rearm(halt=halt, by=owner, password=PASSWORD)
    assert not halt_rearm(halt=halt, by=owner, password=PASSWORD), "the second time it is nothing new"
    halt.refresh_from_db()
    assert halt.rearmed_by == owner
    assert Incident.objects.get().closed_at == halt.rearmed_at
    assert Event.objects.filter(kind="risk.rearmed").count() == 1


def test_guessing_the_password_ends_soon(world):
    halt = pull(grid(world), "workspace")
    owner = owner_of(halt.workspace)
    for _ in range(5):
        with pytest.raises(InvalidInput, match="not your password"):
            halt_rearm(halt=halt, by=owner, password="guess")
    with pytest.raises(InvalidInput, match="Too many"):
        halt_rearm(halt=halt, by=owner, password=PASSWORD)


def test_the_demo_at_ones_own_keyboard_has_no_password_to_say_again(world, settings):
    halt = pull(grid(world), "workspace")
    owner = owner_of(halt.workspace)
    owner.is_demo = True
    settings.EMBEDDED, settings.LOOPBACK = True, False
    with pytest.raises(InvalidInput, match="not your password"):
        halt_rearm(halt=halt, by=owner, password="")
    settings.LOOPBACK = True
    assert halt_rearm(halt=halt, by=owner, password="")


def test_the_platform_belongs_to_operators(world):
    bot = grid(world)
    with pytest.raises(PermissionDenied):
        pull_as_owner(bot)
    halt = pull(bot, "platform")
    with pytest.raises(PermissionDenied):
        halt_rearm(halt=halt, by=owner_of(bot.workspace), password=PASSWORD)
    assert halt_rearm(halt=halt, by=operator(), password=PASSWORD)


def pull_as_owner(bot: Bot) -> None:
    halt_set(target=Target("platform", "all"), reason="", by=owner_of(bot.workspace))


def test_a_replay_trades_as_its_backtest_does_whatever_is_halted():
    halt_set(target=Target(Halt.Scope.PLATFORM, "all"), reason="", by=operator())
    assert assert_same(trial("grid", 1)) > 0
