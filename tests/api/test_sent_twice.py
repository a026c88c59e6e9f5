"""A write with an Idempotency-Key that is sent twice is done once and answered twice in the same way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import IdempotentCall
from bots.models import Bot, BotInput
from tests.factories import GRID, MarketFactory, account_of, alice, bot_of, funded, member_of, priced, workspace_of
from trading.selectors import free_balance

pytestmark = pytest.mark.django_db
BOTS = "/api/v1/bots/"


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def api():
    return client_of(alice())


@pytest.fixture
def account():
    priced(MarketFactory())
    return funded(account_of(alice()))


@pytest.fixture
def wish(account):
    named = {"market": "BTC/USDT", "strategy": "grid", "name": "Mine", "params": GRID}
    return {"account": str(account.public_id), **named, "start": True}


def send(api, body, key, path=BOTS):
    return api.post(path, body, format="json", headers={"Idempotency-Key": key})


def test_the_same_wish_makes_one_bot(api, wish):
    first, second = send(api, wish, "a"), send(api, dict(reversed(wish.items())), "a")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert (Bot.objects.count(), BotInput.objects.count()) == (1, 1)


def test_without_a_key_each_call_counts(api, wish):
    assert api.post(BOTS, wish, format="json").status_code == 201
    assert api.post(BOTS, wish, format="json").status_code == 201
    assert Bot.objects.count() == 2


def test_a_key_is_for_one_wish_only(api, wish, account):
    send(api, wish, "a")
    bot = bot_of(alice(), account=account, status="running")
    for answer in (send(api, {**wish, "name": "Other"}, "a"), send(api, {}, "a", f"{BOTS}{bot.public_id}/pause/")):
        assert (answer.status_code, answer.json()["detail"]["code"]) == (422, "idempotency_key_reused")
    assert Bot.objects.count() == 2
    bot.refresh_from_db()
    assert bot.status == "running"


def test_a_step_that_was_repeated_is_no_conflict(api, account):
    bot = bot_of(alice(), account=account, status="running")
    path = f"{BOTS}{bot.public_id}/pause/"
    assert [send(api, {}, "p", path).status_code for _ in range(3)] == [200, 200, 200]
    assert BotInput.objects.count() == 1
    assert send(api, {}, "q", path).status_code == 409


def test_money_is_put_in_once(api, account):
    path = f"/api/v1/accounts/{account.public_id}/deposits/"
    answers = [send(api, {"coin": "USDT", "amount": "500"}, "d", path) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert free_balance(account, "USDT") == 10_500


def test_an_error_is_not_remembered(api, wish):
    assert send(api, {**wish, "budget": "99999"}, "a").status_code == 400
    assert not IdempotentCall.objects.exists()
    assert send(api, wish, "a").status_code == 201


def test_keys_are_ones_own(api, wish):
    send(api, wish, "a")
    colleague = client_of(member_of(workspace_of(alice()), "trader"))
    answer = send(colleague, wish, "a")
    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer
    assert Bot.objects.count() == 2


def test_a_key_is_forgotten_after_a_day(api, wish):
    send(api, wish, "a")
    IdempotentCall.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert "Idempotent-Replayed" not in send(api, wish, "a")
    assert (Bot.objects.count(), IdempotentCall.objects.count()) == (2, 1)


@pytest.mark.parametrize("key", ["", "x" * 81, "a\x00b", "ключ"])
def test_a_bad_key_is_refused(api, wish, key):
    answer = send(api, wish, key)
    assert (answer.status_code, answer.json()["detail"]["field"]) == (400, "Idempotency-Key")
    assert not Bot.objects.exists()
