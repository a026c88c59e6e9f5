"""People are made by operators, each with a workspace of their own, and set their password through a one-time link."""

from __future__ import annotations

import re
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Account, Membership, Role, User, Workspace
from accounts.services import paper_account_create, user_create, workspace_ensure
from tests.factories import PASSWORD, UserFactory, alice, workspace_of
from trading.core.errors import InvalidInput

pytestmark = pytest.mark.django_db


def run(*args: str) -> str:
    out = StringIO()
    call_command("create_user", *args, stdout=out)
    return out.getvalue()


def path_of(output: str) -> str:
    found = re.search(r"https?://[^/]+(/set-password/\S+)", output)
    assert found, output
    return found.group(1)


def test_a_new_person_owns_a_workspace():
    user = user_create(email="  Carol@Example.org ", password=PASSWORD, name="Carol")
    membership = Membership.objects.get(user=user)
    assert user.email == "carol@example.org"
    assert (membership.role, membership.workspace.name) == (Role.OWNER, "Carol")
    assert workspace_ensure(user) == membership


def test_passwords_are_kept_as_argon2id(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    user = user_create(email="carol@example.org", password=PASSWORD)
    assert user.password.startswith("argon2$argon2id$")


@pytest.mark.parametrize(
    "email", ["", "carol", "carol@", "@example.org", "a b@example.org", "x" * 300 + "@example.org"]
)
def test_a_bad_address_is_refused(email):
    with pytest.raises(InvalidInput) as caught:
        user_create(email=email, password=PASSWORD)
    assert caught.value.field == "email"
    assert not User.objects.exists()


def test_an_address_is_given_once_whatever_its_case():
    user_create(email="carol@example.org", password=PASSWORD)
    with pytest.raises(InvalidInput, match="already"):
        user_create(email="CAROL@example.org", password=PASSWORD)
    assert Workspace.objects.count() == 1


@pytest.mark.parametrize("password", ["short", "carol@example.org", "123456789012", "qwerty123456"])
def test_a_weak_password_is_refused_and_never_repeated(password):
    with pytest.raises(InvalidInput) as caught:
        user_create(email="carol@example.org", password=password)
    assert caught.value.field == "password"
    assert caught.value.value is None
    assert not User.objects.exists()


def test_the_command_prints_a_link_that_works_once(client):
    path = path_of(run("carol@example.org", "--name", "Carol"))
    user = User.objects.get()
    assert not user.has_usable_password()
    form = client.get(path, follow=True)
    assert "Set your password" in form.content.decode()
    address = form.redirect_chain[-1][0]
    assert "set-password/" in address
    assert path.rstrip("/").rpartition("/")[2] not in address, "the token must leave the address"
    answer = client.post(address, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert answer.status_code == 302
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert client.session["_auth_user_id"] == str(user.pk)
    client.logout()
    assert "spent" in client.get(path, follow=True).content.decode()


@pytest.mark.parametrize(("first", "second"), [("short", "short"), (PASSWORD, PASSWORD + "x"), ("", "")])
def test_a_bad_new_password_is_refused_in_the_page(client, first, second):
    page = client.get(path_of(run("carol@example.org")), follow=True)
    answer = client.post(page.redirect_chain[-1][0], {"new_password1": first, "new_password2": second})
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert not User.objects.get().has_usable_password()


@pytest.mark.parametrize(
    "path", ["/set-password/MQ/abc-def/", "/set-password/%00/x/", "/set-password/zzzz/set-password/"]
)
def test_an_invented_link_is_spent(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert "spent" in answer.content.decode()


def test_the_command_links_again_only_for_somebody_who_is_there():
    with pytest.raises(CommandError, match="no active user"):
        run("carol@example.org", "--again")
    run("carol@example.org")
    with pytest.raises(CommandError, match="--again"):
        run("carol@example.org")
    assert "/set-password/" in run("Carol@example.org", "--again", "--base", "https://bots.example.org")


def test_the_command_refuses_a_bad_address():
    with pytest.raises(CommandError, match="not an e-mail address"):
        run("carol")


def test_an_operator_may_use_the_admin():
    run("carol@example.org", "--operator")
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser) == (True, True)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "A", "starting_balance": Decimal(-1)}, "amount"),
        ({"name": "A", "starting_balance": Decimal("NaN")}, "amount"),
    ],
)
def test_an_account_with_bad_values_is_not_made(values, field):
    with pytest.raises(InvalidInput) as caught:
        paper_account_create(workspace=workspace_of(alice()), **values)
    assert caught.value.field == field
    assert not Account.objects.exists()


def test_account_names_are_unique_within_a_workspace_only():
    paper_account_create(workspace=workspace_of(alice()), name="Paper")
    with pytest.raises(InvalidInput, match="already"):
        paper_account_create(workspace=workspace_of(alice()), name=" Paper ")
    paper_account_create(workspace=workspace_of(UserFactory()), name="Paper")
    assert Account.objects.filter(name="Paper").count() == 2


def test_the_admin_shows_nobody_the_tokens_that_sign_people_in(admin_client: Client) -> None:
    assert admin_client.get("/admin/").status_code == 200
    assert "token" not in admin_client.get("/admin/").content.decode().lower().replace("csrfmiddlewaretoken", "")
    assert admin_client.get("/admin/token_blacklist/outstandingtoken/").status_code == 404
