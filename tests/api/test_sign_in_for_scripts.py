"""Tokens: a pair for e-mail and password, each refresh token good for one use, and no hint to whom it fails."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts.services import password_set
from tests.factories import PASSWORD, alice, bob, member_of, workspace_of

pytestmark = pytest.mark.django_db
LOGIN, REFRESH, ME = "/api/v1/auth/login/", "/api/v1/auth/refresh/", "/api/v1/me/"


def post(path: str, **body: object):
    return APIClient().post(path, body, format="json")


def get(path: str, access: str, **headers: str):
    return APIClient().get(path, headers={"Authorization": f"Bearer {access}", **headers})


def signed_in() -> dict[str, str]:
    return post(LOGIN, email=alice().email, password=PASSWORD).json()


def test_a_pair_opens_the_api():
    answer = get(ME, signed_in()["access"])
    body = answer.json()
    assert (answer.status_code, body["email"]) == (200, "alice@example.org")
    assert body["workspace"]["role"] == "owner"
    assert body["workspaces"] == [body["workspace"]]


def test_the_address_may_be_written_in_any_case():
    alice()
    assert post(LOGIN, email="ALICE@example.org", password=PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("email", "password"), [("alice@example.org", "wrong"), ("nobody@example.org", PASSWORD), ("' OR 1=1 --", PASSWORD)]
)
def test_every_wrong_pair_gets_the_same_answer(email, password):
    alice()
    answer = post(LOGIN, email=email, password=password)
    assert answer.status_code == 401
    detail = answer.json()["detail"]
    assert (detail["code"], detail["value"]) == ("no_active_account", None)
    assert password not in answer.content.decode()


def test_an_inactive_person_stays_outside():
    user = alice()
    tokens = signed_in()
    user.is_active = False
    user.save()
    assert post(LOGIN, email=user.email, password=PASSWORD).status_code == 401
    assert get(ME, tokens["access"]).status_code == 401
    assert post(REFRESH, refresh=tokens["refresh"]).status_code == 401


def test_a_refresh_token_works_once():
    first = signed_in()
    second = post(REFRESH, refresh=first["refresh"])
    assert second.status_code == 200
    assert second.json()["refresh"] != first["refresh"]
    assert get(ME, second.json()["access"]).status_code == 200
    again = post(REFRESH, refresh=first["refresh"])
    assert again.status_code == 401
    assert again.json()["detail"]["code"] == "token_not_valid"
    assert first["refresh"] not in again.content.decode()


def test_a_new_password_ends_the_tokens():
    user = alice()
    tokens = signed_in()
    password_set(user=user, password="an altogether other one")
    assert get(ME, tokens["access"]).status_code == 401
    assert post(REFRESH, refresh=tokens["refresh"]).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é"])
def test_an_invented_token_is_refused_in_our_shape(token):
    answer = APIClient().get(ME, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert set(answer.json()["detail"]) == {"code", "message", "field", "value"}


def test_nobody_gets_a_401_that_says_how_to_sign_in():
    answer = APIClient().get(ME)
    assert answer.status_code == 401
    assert answer.json()["detail"]["code"] == "not_authenticated"
    assert "Bearer" in answer["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "email", "required"),
        ({"email": "a@example.org"}, "password", "required"),
        ({"email": "a@example.org", "password": "x", "otp": "secret-value-1"}, "otp", "unknown_field"),
        ({"email": "a@example.org", "pasword": "secret-value-1"}, "pasword", "unknown_field"),
        ({"email": ["a"], "password": "secret-value-1"}, "email", "invalid"),
        ({"email": "a@example.org", "password": {"a": "secret-value-1"}}, "password", "invalid"),
    ],
)
def test_a_bad_sign_in_names_its_field_and_never_repeats_the_password(body, field, code):
    answer = post(LOGIN, **body)
    assert answer.status_code == 400
    faults = answer.json().get("errors", [answer.json()["detail"]])
    assert (field, code) in {(fault["field"], fault["code"]) for fault in faults}
    assert "secret-value-1" not in answer.content.decode()


def test_a_header_chooses_among_ones_own_workspaces_only():
    mine, theirs = workspace_of(alice()), workspace_of(bob())
    member = member_of(mine, "viewer")
    access = post(LOGIN, email=member.email, password=PASSWORD).json()["access"]
    chosen = get(ME, access, **{"X-Workspace": str(mine.public_id)}).json()
    assert chosen["workspace"] == {"id": str(mine.public_id), "name": mine.name, "role": "viewer"}
    assert get(ME, access, **{"X-Workspace": str(theirs.public_id)}).status_code == 404
    assert get(ME, access, **{"X-Workspace": "nonsense"}).status_code == 404
