"""The status page of a workspace: its own holds and warnings, nobody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.services import event_append
from tests.factories import alice, bob, bot_of, priced, workspace_of
from trading.models import Hold, JobRun
from trading.status import status_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _swept():
    now = timezone.now()
    JobRun.objects.create(name="sweep", status="done", started_at=now, ended_at=now)


def _held(bot, reason: str) -> None:
    now = timezone.now()
    Hold.objects.create(
        workspace=bot.workspace, account=bot.account, bot=bot, cause="fills", reason=reason, since=now, seen_at=now
    )


def test_it_shows_what_is_held_and_what_went_wrong_and_only_ones_own(client):
    mine, theirs = bot_of(alice(), name="Mine"), bot_of(bob(), name="Theirs")
    _held(mine, "my fills don't agree")
    _held(theirs, "their fills don't agree")
    event_append(workspace=mine.workspace, kind="x", text="my warning", level="warning", bot=mine.public_id)
    event_append(workspace=theirs.workspace, kind="x", text="their warning", level="warning", bot=theirs.public_id)
    client.force_login(alice())
    page = client.get("/status/").content.decode()
    assert "my fills don&#x27;t agree" in page
    assert "my warning" in page
    assert "Mine" in page
    assert "heir" not in page
    part = client.get("/status/", headers={"HX-Request": "true"})
    assert part.content.strip().startswith(b'<div id="status"')


def test_all_is_well():
    bot = bot_of(alice(), status="running")
    priced(bot.market)
    assert status_of(workspace_of(alice())).well


def test_prices_and_work_that_stop_are_told():
    bot = bot_of(alice(), status="running")
    priced(bot.market, age_s=86_400)
    JobRun.objects.update(ended_at=timezone.now() - timedelta(minutes=2))
    found = status_of(workspace_of(alice()))
    assert [check.state for check in found.checks] == ["bad", "bad"]
    assert "BTC/USDT" in found.checks[1].now


def test_a_stranger_signs_in_first(client):
    assert client.get("/status/").status_code == 302
