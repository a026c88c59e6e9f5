"""Accounts: a person opens one to practise with, by the API or by one button, and sees only their own."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Account
from accounts.services import ACCOUNTS_MAX
from tests.factories import account_of, alice, bob
from trading.models import Journal
from trading.selectors import free_balance

pytestmark = pytest.mark.django_db
ACCOUNTS, OPEN = "/api/v1/accounts/", "/api/v1/accounts/paper/"


@pytest.fixture
def api():
    client = APIClient()
    client.force_authenticate(alice())
    return client


def test_an_account_is_opened_with_its_money(api):
    answer = api.post(OPEN, {"name": "Practice", "amount": "250.5"}, format="json")
    assert (answer.status_code, answer.json()["name"], answer.json()["venue"]) == (201, "Practice", "paper")
    assert free_balance(Account.objects.get(), "USDT") == Decimal("250.5")
    assert api.get(ACCOUNTS).json() == [answer.json()]
    assert api.get(f"{ACCOUNTS}{answer.json()['id']}/").json() == answer.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": "1"}, "name"),
        ({"name": " ", "amount": "1"}, "name"),
        ({"name": "x" * 81, "amount": "1"}, "name"),
        ({"name": "A"}, "amount"),
        ({"name": "A", "amount": "0"}, "amount"),
        ({"name": "A", "amount": "-1"}, "amount"),
        ({"name": "A", "amount": "1000000000001"}, "amount"),
        ({"name": "A", "amount": "NaN"}, "amount"),
        ({"name": "A", "amount": "1", "venue": "bybit"}, "venue"),
    ],
)
def test_a_bad_account_is_not_opened(api, body, field):
    answer = api.post(OPEN, body, format="json")
    assert (answer.status_code, answer.json()["detail"]["field"]) == (400, field)
    assert not Account.objects.exists()
    assert not Journal.objects.exists()


def test_names_are_ones_own(api):
    account_of(bob(), name="Practice")
    assert api.post(OPEN, {"name": "Practice", "amount": 10}, format="json").status_code == 201
    again = api.post(OPEN, {"name": "Practice", "amount": 10}, format="json")
    assert (again.status_code, again.json()["detail"]["code"]) == (400, "taken")
    assert len(api.get(ACCOUNTS).json()) == 1


def test_there_is_an_end_to_it(api):
    for _ in range(ACCOUNTS_MAX):
        account_of(alice())
    answer = api.post(OPEN, {"name": "One more", "amount": 10}, format="json")
    assert (answer.status_code, answer.json()["detail"]["code"]) == (400, "too_many")


def test_a_new_person_opens_one_by_a_button():
    client = Client()
    client.force_login(alice())
    assert "Open a paper account" in client.get("/").content.decode()
    page = client.post("/accounts/open/", follow=True)
    assert page.redirect_chain == [("/", 302)]
    assert "practice money" in page.content.decode()
    assert "Open a paper account" not in page.content.decode()
    assert client.post("/accounts/open/").status_code == 302
    assert free_balance(Account.objects.get(), "USDT") == 100_000
