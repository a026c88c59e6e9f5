"""The operators' admin: every list and page opens, people are made with a link, and what happened can't be changed."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse

from accounts.models import Membership, User
from accounts.services import user_create
from bots.models import Bot, BotInput
from tests.api.test_tenancy import World
from tests.factories import PASSWORD, alice, bot_of
from trading.core.rounding import plain
from trading.models import Balance, Fill, Journal, Order, Position, Runtime

pytestmark = pytest.mark.django_db
OURS = [
    model for model in admin.site._registry if model._meta.app_label in {"accounts", "bots", "exchanges", "trading"}
]
RECORDS = [Order, Fill, Position, Journal, Balance, Runtime, BotInput]


@pytest.fixture
def operator(client):
    user = user_create(email="root@example.org", password=PASSWORD, staff=True)
    client.force_login(user)
    return client


def address(model, page: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_lists_and_pages_open(operator, model):
    World()
    assert operator.get(address(model, "changelist"), {"q": "x"}).status_code == 200
    assert operator.get(address(model, "changelist")).status_code == 200
    row = model._default_manager.first()
    if row is not None:
        assert operator.get(address(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", RECORDS, ids=lambda model: model.__name__)
def test_what_happened_is_only_looked_at(operator, model):
    world = World()
    before = world.snapshot()
    assert operator.get(address(model, "add")).status_code == 403
    row = model._default_manager.first()
    if row is not None:
        assert operator.post(address(model, "change", row.pk), {"status": "filled"}).status_code == 403
        assert operator.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [row.pk if row else 1], "post": "yes"}
    operator.post(address(model, "changelist"), chosen)
    assert world.snapshot() == before


def test_every_money_record_is_in_the_admin():
    shown = set(admin.site._registry)
    assert {apps.get_model("trading", name) for name in ("Order", "Fill", "Position", "Journal", "Balance")} <= shown


def test_an_operator_makes_a_person_who_gets_a_link(operator):
    form = {"email": "Carol@example.org", "name": "Carol", "time_zone": "UTC", "is_active": "on"}
    answer = operator.post(address(User, "add"), form, follow=True)
    user = User.objects.get(email="carol@example.org")
    assert not user.has_usable_password()
    assert Membership.objects.get(user=user).workspace.name == "Carol"
    page = answer.content.decode()
    assert "/set-password/" in page
    assert user.password not in page
    again = {"action": "send_link", "_selected_action": [user.pk]}
    assert "/set-password/" in operator.post(address(User, "changelist"), again, follow=True).content.decode()


def test_the_same_address_in_another_case_is_refused(operator):
    alice()
    form = {"email": "ALICE@example.org", "time_zone": "UTC"}
    answer = operator.post(address(User, "add"), form)
    assert answer.status_code == 200
    assert User.objects.filter(email__iexact="alice@example.org").count() == 1


def test_passwords_are_not_shown(operator):
    user = alice()
    assert user.password not in operator.get(address(User, "change", user.pk)).content.decode()


def test_an_operator_pauses_running_bots(operator):
    running, draft = bot_of(alice(), status="running"), bot_of(alice())
    chosen = {"action": "pause", "_selected_action": [running.pk, draft.pk]}
    operator.post(address(Bot, "changelist"), chosen, follow=True)
    assert set(Bot.objects.values_list("pk", "status")) == {(running.pk, "paused"), (draft.pk, "draft")}
    assert BotInput.objects.get().payload["by"] == "root@example.org"


def test_amounts_are_written_without_idle_zeros(operator):
    World()
    row = Order.objects.first()
    assert row is not None
    for page in (operator.get(address(Order, "changelist")), operator.get(address(Order, "change", row.pk))):
        html = page.content.decode()
        assert f">{plain(row.qty)}<" in html
        assert "00000000" not in html
    assert operator.get(address(Order, "changelist"), {"o": "-7"}).status_code == 200  # still sorts by quantity
    journal = Journal.objects.first()
    assert journal is not None
    assert "00000000" not in operator.get(address(Journal, "change", journal.pk)).content.decode()
