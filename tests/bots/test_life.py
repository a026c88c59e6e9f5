"""A bot's life: which step is allowed from where, what each leaves in the inbox and in the events, and nothing else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.models import Event
from bots.models import Bot, BotInput
from bots.services import (
    bot_clone,
    bot_create,
    bot_delete,
    bot_edit,
    bot_failed,
    bot_finished,
    bot_pause,
    bot_resume,
    bot_start,
    bot_stop,
)
from tests.factories import GRID, MarketFactory, account_of, alice, bob, bot_of, workspace_of
from trading.core.errors import InvalidInput

pytestmark = pytest.mark.django_db
Status = Bot.Status

STEPS = {
    "start": (lambda bot, by: bot_start(bot=bot, by=by), {Status.DRAFT}, Status.RUNNING),
    "pause": (lambda bot, by: bot_pause(bot=bot, by=by), {Status.RUNNING}, Status.PAUSED),
    "resume": (lambda bot, by: bot_resume(bot=bot, by=by), {Status.PAUSED, Status.ERROR}, Status.RUNNING),
    "stop": (
        lambda bot, by: bot_stop(bot=bot, mode="sell", by=by),
        {Status.RUNNING, Status.PAUSED, Status.ERROR},
        Status.STOPPING,
    ),
}


@pytest.mark.parametrize("status", Status.values)
@pytest.mark.parametrize("name", STEPS)
def test_each_step_is_allowed_from_its_states_only(name, status):
    user = alice()
    bot = bot_of(user, status=status)
    step, allowed, after = STEPS[name]
    if status in allowed:
        assert step(bot, user).status == after
        bot.refresh_from_db()
        assert bot.status == after
        assert BotInput.objects.get().payload["kind"] == name
        assert Event.objects.count() == 1
    else:
        with pytest.raises(InvalidInput) as caught:
            step(bot, user)
        assert (caught.value.code, caught.value.field) == ("wrong_state", "status")
        assert Status(status).label.lower() in caught.value.message
        bot.refresh_from_db()
        assert bot.status == status
        assert not BotInput.objects.exists()
        assert not Event.objects.exists()


def test_a_step_judges_the_row_and_not_the_copy_in_hand():
    user = alice()
    bot = bot_of(user, status=Status.RUNNING)
    stale = Bot.objects.get(pk=bot.pk)
    bot_stop(bot=bot, mode="keep", by=user)
    with pytest.raises(InvalidInput, match="stopping"):
        bot_pause(bot=stale, by=user)
    assert stale.status == Status.STOPPING


@pytest.mark.parametrize("mode", Bot.StopMode.values)
def test_the_stop_mode_reaches_the_inbox(mode):
    user = alice()
    bot = bot_stop(bot=bot_of(user, status=Status.RUNNING), mode=mode, by=user)
    payload = BotInput.objects.get().payload
    assert payload == {"kind": "stop", "args": {"mode": mode}, "by": user.email}
    assert Bot.objects.get(pk=bot.pk).stop_mode == mode


@pytest.mark.parametrize("mode", ["", "sold", "KEEP"])
def test_an_unknown_stop_mode_changes_nothing(mode):
    bot = bot_of(alice(), status=Status.RUNNING)
    with pytest.raises(InvalidInput) as caught:
        bot_stop(bot=bot, mode=mode, by=None)
    assert caught.value.field == "mode"
    assert Bot.objects.get().status == Status.RUNNING


@pytest.mark.parametrize("status", Status.values)
def test_a_failure_marks_only_what_lives(status):
    bot = bot_failed(bot=bot_of(alice(), status=status), reason="the venue refused the key")
    alive = status in {Status.RUNNING, Status.PAUSED, Status.STOPPING}
    assert bot.status == (Status.ERROR if alive else status)
    assert bot.status_reason == ("the venue refused the key" if alive else "")
    assert Event.objects.filter(kind="bot.error", level="error").exists() is alive


@pytest.mark.parametrize("status", Status.values)
def test_the_end_is_reached_once(status):
    bot = bot_finished(bot=bot_of(alice(), status=status), reason="all orders cancelled")
    alive = status in {Status.RUNNING, Status.PAUSED, Status.STOPPING}
    assert bot.status == (Status.STOPPED if alive else status)
    assert (bot.stopped_at is not None) is alive
    assert Event.objects.filter(kind="bot.stopped").count() == alive
    bot_finished(bot=bot, reason="again")
    assert Event.objects.filter(kind="bot.stopped").count() == alive


def test_a_reason_as_long_as_a_stack_trace_still_fits():
    bot = bot_failed(bot=bot_of(alice(), status=Status.RUNNING), reason="x" * 2000)
    assert len(Bot.objects.get(pk=bot.pk).status_reason) == 300


def test_a_new_bot_keeps_every_parameter_it_will_run_with():
    user = alice()
    bot = bot_create(
        workspace=workspace_of(user),
        account=account_of(user),
        market=MarketFactory(),
        strategy="grid",
        params={**GRID, "lower": "90.0"},
        name="  My   grid ",
        budget=Decimal("1000.50"),
        created_by=user,
    )
    bot.refresh_from_db()
    assert (bot.status, bot.name, bot.budget) == (Status.DRAFT, "My grid", Decimal("1000.5"))
    assert Decimal(bot.params["lower"]) == 90
    assert set(bot.params) > set(GRID), "defaults stand beside what was given"
    assert Event.objects.get().kind == "bot.created"


def test_another_workspaces_account_makes_no_bot():
    with pytest.raises(InvalidInput) as caught:
        bot_create(
            workspace=workspace_of(alice()),
            account=account_of(bob()),
            market=MarketFactory(),
            strategy="grid",
            params=GRID,
            name="x",
            budget=Decimal(1000),
            created_by=None,
        )
    assert caught.value.field == "account"
    assert not Bot.objects.exists()


def test_a_draft_can_be_edited_and_a_running_bot_only_renamed():
    user = alice()
    bot = bot_of(user)
    bot_edit(bot=bot, by=user, changes={"name": "New", "budget": Decimal(500), "params": {**GRID, "levels": 6}})
    bot.refresh_from_db()
    assert (bot.name, bot.budget, bot.params["levels"]) == ("New", 500, 6)
    bot_start(bot=bot, by=user)
    bot_edit(bot=bot, by=user, changes={"name": "Newer"})
    with pytest.raises(InvalidInput) as caught:
        bot_edit(bot=bot, by=user, changes={"name": "Newest", "budget": Decimal(9)})
    assert (caught.value.field, caught.value.code) == ("budget", "wrong_state")
    assert Bot.objects.get().name == "Newer"


def test_a_clone_is_a_draft_with_the_same_wishes():
    user = alice()
    bot = bot_of(user, status=Status.STOPPED, name="x" * 80)
    copy = bot_clone(bot=bot, by=user)
    assert copy.pk != bot.pk
    assert (copy.status, copy.strategy, copy.budget, copy.account) == (Status.DRAFT, "grid", bot.budget, bot.account)
    assert copy.name.endswith("(copy)")
    assert len(copy.name) <= 80


@pytest.mark.parametrize("status", Status.values)
def test_only_a_draft_can_be_deleted(status):
    bot = bot_of(alice(), status=status)
    if status == Status.DRAFT:
        bot_delete(bot=bot, by=None)
        assert not Bot.objects.exists()
        assert Event.objects.get().kind == "bot.deleted"
    else:
        with pytest.raises(InvalidInput, match="only a bot that is draft"):
            bot_delete(bot=bot, by=None)
        assert Bot.objects.exists()
