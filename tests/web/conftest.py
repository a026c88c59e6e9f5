"""A person in front of the pages: signed in, with practice money and a market that has a price."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from bots.models import Bot
from tests.factories import account_of, alice
from tests.trading.world import World


@pytest.fixture
def person(db: None) -> User:
    return alice()


@pytest.fixture
def world(person: User) -> World:
    return World(account=account_of(person, name="Practice"), cash="10000")


@pytest.fixture
def running(world: World) -> Bot:
    """A grid on 90..110 that has bought its opening, sold one line up and bought one down."""
    bot = world.bot(name="Steady")
    world.price(100.0)
    world.price(105.2)
    world.price(99.9)
    return bot


@pytest.fixture
def page(client: Client, person: User) -> Client:
    client.force_login(person)
    return client
