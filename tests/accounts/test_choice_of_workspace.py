"""Which workspace a page works in, and what its shell shows."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.http import HttpResponse
from django.test import RequestFactory

from accounts.context import shell
from accounts.middleware import SESSION_KEY, WorkspaceMiddleware
from accounts.models import Membership, Role, User
from tests.factories import account_of, alice, bob, member_of, viewer_of, workspace_of

pytestmark = pytest.mark.django_db


def request_of(user, chosen: str = ""):
    request = RequestFactory().get("/")
    request.user, request.session = user, SessionStore()
    if chosen:
        request.session[SESSION_KEY] = chosen
    WorkspaceMiddleware(lambda _: HttpResponse())(request)
    return request


def test_the_first_workspace_unless_one_is_chosen():
    user = alice()
    other = workspace_of(bob())
    Membership.objects.create(workspace=other, user=user, role=Role.VIEWER)
    assert request_of(user).workspace == workspace_of(user)
    assert request_of(user, str(other.public_id)).workspace == other
    assert request_of(user, str(other.public_id)).membership.role == Role.VIEWER


@pytest.mark.parametrize("chosen", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_choice_that_is_not_ones_own_is_passed_over(chosen):
    assert request_of(alice(), chosen).workspace == workspace_of(alice())
    assert request_of(alice(), str(workspace_of(bob()).public_id)).workspace == workspace_of(alice())


def test_somebody_without_a_workspace_gets_one():
    user = User.objects.create_superuser("root@example.org", "a long enough one")
    request = request_of(user)
    assert (request.membership.user, request.membership.role) == (user, Role.OWNER)
    assert request_of(user).workspace == request.workspace


def test_nobody_has_none():
    request = request_of(AnonymousUser())
    assert (request.workspace, request.membership) == (None, None)
    assert shell(request)["workspace"] is None
    assert shell(request)["can_write"] is False


@pytest.mark.parametrize(("role", "writes"), [(Role.OWNER, True), (Role.TRADER, True), (Role.VIEWER, False)])
def test_the_shell_knows_who_may_write(role, writes):
    assert shell(request_of(member_of(workspace_of(alice()), role)))["can_write"] is writes


@pytest.mark.parametrize(("feeds", "mode"), [([], "DEMO"), (["demo"], "DEMO"), (["demo", "replay:x"], "PAPER")])
def test_the_pill_names_the_mode(feeds, mode):
    for feed in feeds:
        account_of(alice(), feed=feed)
    assert shell(request_of(alice()))["mode"] == mode


def test_the_shell_asks_the_database_only_when_it_is_used(django_assert_num_queries):
    account_of(alice())
    request = request_of(viewer_of(workspace_of(alice())))
    with django_assert_num_queries(0):
        context = shell(request)
    with django_assert_num_queries(1):
        assert len(context["accounts"]) == 1
        assert str(context["mode"]) == "DEMO"
