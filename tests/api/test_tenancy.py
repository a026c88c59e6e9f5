"""Every address of the product, tried by its owner, a stranger, a viewer and nobody.

A new address must be classified here: one that names an object is recognised by its parameter; any other must stand
in PUBLIC or OWN, or the test fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.models import Account, Event
from accounts.services import event_append
from bots.models import Bot, BotInput
from risk.models import Halt, Incident, Limits
from risk.services import Target, halt_set
from tests.factories import MarketFactory, account_of, alice, bob, bot_of, funded, priced, viewer_of
from trading.core.types import Kind, Side, Want
from trading.inbox import want_json
from trading.models import Hold, Order

pytestmark = pytest.mark.django_db

PUBLIC = {
    "favicon.ico",
    "healthz",
    "readyz",
    "metrics",  # with a token or from this machine, and without a tenant in it: tests/web/test_metrics.py
    "api/v1/auth/login/",
    "api/v1/auth/refresh/",
    "api/schema/",
    "api/docs/",
    "set-password/<uidb64>/<token>/",
    "sign-in/",
    "sign-out/",
    "demo/",
}
OWN = {  # of the signed-in person's own workspace; no object is named in the address
    "",
    "bots/",
    "bots/new/",
    "bots/new/<slug:strategy>/",
    "bots/new/<slug:strategy>/preview/",
    "bots/presets/<slug:key>/",
    "status/",
    "ops/health/",  # for the staff: tests/trading/test_health.py
    "strategies/",
    "strategies/<slug:strategy>/",
    "accounts/open/",
    "kill/",
    "kill/foreign/",
    "risk/",
    "risk/incidents/",
    "risk/limits/",
    "api/v1/halts/",
    "api/v1/holds/",
    "api/v1/incidents/",
    "api/v1/limits/",
    "api/v1/me/",
    "api/v1/accounts/",
    "api/v1/accounts/paper/",
    "api/v1/events/",
    "api/v1/strategies/",
    "api/v1/strategies/<slug:strategy>/",
    "api/v1/presets/",
    "api/v1/presets/<slug:key>/start/",
    "api/v1/bots/",
    "api/v1/bots/preview/",
    "api/v1/orders/",
    "api/v1/fills/",
    "api/v1/positions/",
}
SHARED = {  # by all tenants: markets and their prices belong to nobody
    "api/v1/markets/",
    "api/v1/markets/<int:market_id>/",
    "api/v1/markets/<int:market_id>/candles/",
    "api/v1/markets/<int:market_id>/price/",
}
OBJECT_PARAMETERS = {"account_id", "bot_id", "halt_id", "hold_id", "incident_id", "order_id", "public_id"}
OPERATORS = "admin/"
RECORDED = (Bot, BotInput, Order, Event, Account, Halt, Hold, Incident, Limits)
UNSAFE = ("post", "put", "patch", "delete")


def walk(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route, entry
        else:
            yield from walk(entry, route)


ROUTES = dict(walk(get_resolver()))
PRODUCT = {route: entry for route, entry in ROUTES.items() if not route.startswith(OPERATORS)}
OBJECTS = {r: e for r, e in PRODUCT.items() if OBJECT_PARAMETERS & set(e.pattern.converters)}
PRIVATE = {r: e for r, e in PRODUCT.items() if r in OWN | SHARED or r in OBJECTS}


def methods_of(entry: URLPattern) -> list[str]:
    """The methods that a view answers, as far as it says so itself."""
    owner = getattr(entry.callback, "cls", None) or getattr(entry.callback, "view_class", None)
    return [name for name in ("get", *UNSAFE) if owner is None or hasattr(owner, name)]


def call(client: Client, method: str, path: str):
    if method == "get":
        return client.get(path)
    body = {} if path.startswith("/api/") else None
    if body is None:
        return client.generic(method.upper(), path)
    return client.generic(method.upper(), path, json.dumps(body), content_type="application/json")


def as_user(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


class World:
    """What alice has, and how to name it in an address."""

    def __init__(self) -> None:
        self.alice = alice()
        self.market = priced(MarketFactory())
        self.account: Account = funded(account_of(self.alice, name="Alices own account"))
        self.bot: Bot = bot_of(self.alice, account=self.account, market=self.market, name="Alices own bot")
        Bot.objects.filter(pk=self.bot.pk).update(status="running")
        self.order = Order.objects.create(
            workspace=self.bot.workspace,
            account=self.account,
            bot=self.bot,
            market=self.market,
            slot="grid:1:buy",
            gen=1,
            number=1,
            client_order_id="bn1",
            side="buy",
            kind="limit",
            want=want_json(Want("main", Side.BUY, Kind.LIMIT, 1.0, price=90.0)),
            qty=Decimal(1),
            price=Decimal(90),
            status="working",
        )
        event_append(workspace=self.bot.workspace, kind="note", text="Alices own event", bot=self.bot.public_id)
        halted = Target(Halt.Scope.ACCOUNT, "Alices own account", self.account.workspace, self.account)
        self.halt, _ = halt_set(target=halted, reason="Alices own reason", by=self.alice)
        self.hold = Hold.objects.create(
            workspace=self.bot.workspace,
            account=self.account,
            bot=self.bot,
            cause=Hold.Cause.FOREIGN,
            reason="Alices own hold",
            needs_person=True,
            since=timezone.now(),
            seen_at=timezone.now(),
        )
        self.values = {
            "hold_id": self.hold.pk,
            "halt_id": self.halt.public_id,
            "incident_id": self.halt.incident.public_id,
            "account_id": self.account.public_id,
            "bot_id": self.bot.public_id,
            "public_id": self.bot.public_id,
            "order_id": self.order.public_id,
            "market_id": self.market.pk,
            "strategy": "grid",
            "key": "calm-grid",
            "verb": "pause",
            "kind": "resume",
        }

    def path(self, route: str, entry: URLPattern) -> str:
        path = route
        for name, converter in entry.pattern.converters.items():
            word = next(
                word for word in (f"<{kind}:{name}>" for kind in ("uuid", "slug", "int", "str")) if word in path
            )
            path = path.replace(word, converter.to_url(self.values[name]))
        return f"/{path}"

    def snapshot(self) -> tuple[object, ...]:
        rows = [list(model.objects.order_by("pk").values_list()) for model in RECORDED]
        return tuple(map(str, rows))


@pytest.fixture
def world() -> World:
    return World()


def test_every_address_is_classified():
    unknown = set(PRODUCT) - PUBLIC - OWN - SHARED - set(OBJECTS)
    assert not unknown, f"classify these addresses in this test: {sorted(unknown)}"
    for route in PRODUCT:
        if "<uuid:" in route:
            assert route in OBJECTS, f"{route} names an object by a parameter that this test does not know"


def test_the_classification_is_not_stale():
    assert set(PRODUCT) >= PUBLIC | OWN, f"gone: {sorted((PUBLIC | OWN) - set(PRODUCT))}"
    assert len(OBJECTS) >= 15


@pytest.mark.parametrize("route", OBJECTS)
def test_a_strangers_object_does_not_exist(world, route):
    entry, client = OBJECTS[route], as_user(bob())
    before = world.snapshot()
    answers = {method: call(client, method, world.path(route, entry)).status_code for method in methods_of(entry)}
    assert 404 in answers.values(), answers
    assert set(answers.values()) <= {404, 405}, answers
    assert world.snapshot() == before


@pytest.mark.parametrize("route", OBJECTS)
def test_its_owner_gets_it_at_the_same_address(world, route):
    entry, client = OBJECTS[route], as_user(world.alice)
    answers = {method: call(client, method, world.path(route, entry)).status_code for method in methods_of(entry)}
    assert any(code not in {404, 405} for code in answers.values()), answers
    assert max(answers.values()) < 500, answers


@pytest.mark.parametrize("route", PRIVATE)
def test_nobody_gets_in_without_signing_in(world, route):
    entry, client = PRIVATE[route], Client()
    for method in methods_of(entry):
        answer = call(client, method, world.path(route, entry))
        if route.startswith("api/"):
            assert answer.status_code == 401, (method, answer.status_code)
            assert answer.json()["detail"]["code"] == "not_authenticated"
        else:
            assert answer.status_code == 302, (method, answer.status_code)
            assert answer["Location"].startswith("/sign-in/?next=")


@pytest.mark.parametrize("route", sorted(OWN))
def test_a_stranger_sees_nothing_of_it_in_his_own(world, route):
    client = as_user(bob())
    account_of(bob())
    answer = call(client, "get", world.path(route, PRODUCT[route]))
    assert answer.status_code < 500
    text = answer.content.decode()
    for secret in ("Alices own", str(world.bot.public_id), str(world.account.public_id), "alice@example.org"):
        assert secret not in text


@pytest.mark.parametrize("route", PRIVATE)
def test_a_viewer_changes_nothing(world, route):
    client = as_user(viewer_of(world.bot.workspace))
    before = world.snapshot()
    for method in methods_of(PRIVATE[route]):
        answer = call(client, method, world.path(route, PRIVATE[route]))
        if method in UNSAFE:
            assert answer.status_code in {403, 405}, (method, answer.status_code)
        else:
            assert answer.status_code in {200, 403, 405}, (method, answer.status_code)
    assert world.snapshot() == before


@pytest.mark.parametrize("route", [r for r in ROUTES if r.startswith(OPERATORS) and not ROUTES[r].pattern.converters])
def test_the_admin_is_for_operators(world, route):
    path = "/" + route.replace("^", "").replace("$", "")
    if "(?P" in path or path in {"/admin/login/", "/admin/logout/"}:
        path = "/admin/"
    answer = as_user(world.alice).get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("page", ["bots/new/grid/preview/", "bots/presets/calm-grid/"])
def test_a_strangers_account_cannot_be_named_in_a_form(world, page):
    client = as_user(bob())
    account_of(bob())
    answer = client.post(f"/{page}", {"account": str(world.account.public_id), "market": world.market.pk})
    assert answer.status_code in {404, 422}
    assert "Alices own" not in answer.content.decode()
    assert Bot.objects.count() == 1


@pytest.mark.parametrize("route", ["api/v1/bots/", "api/v1/orders/", "api/v1/fills/", "api/v1/events/"])
def test_a_strangers_id_in_a_filter_finds_nothing(world, route):
    client = as_user(bob())
    for name, value in (("bot", world.bot.public_id), ("account", world.account.public_id)):
        answer = client.get(f"/{route}", {name: value})
        assert answer.status_code in {400, 404} or answer.json()["results"] == []
