"""The doorbell rings once what it is about has been committed; a broker that is away makes it late, not wrong."""

from __future__ import annotations

import time

import pytest
from celery import Celery, current_app
from django.db import transaction
from kombu.simple import SimpleQueue

from accounts.containment import failure_counts
from bots.doorbell import ring
from config.celery import app
from config.settings import SERVED_TRANSPORT

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    with current_app.connection_for_read() as connection:
        found = SimpleQueue(connection, current_app.conf.task_default_queue)
        found.clear()
        yield found
        found.close()


@pytest.fixture
def no_broker():
    away = Celery("away", broker="redis://127.0.0.1:1/0", set_as_current=True)
    away.conf.broker_transport_options = SERVED_TRANSPORT
    yield
    app.set_current()
    away.close()


def test_it_rings_after_the_commit_with_the_bots_ids(queue, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        ring([3, 5])
        assert queue.qsize() == 0
    message = queue.get(timeout=60)
    assert message.headers["task"] == "trading.tick"
    assert message.payload[0] == [[3, 5]]
    assert queue.qsize() == 0


def test_nothing_rings_when_it_was_rolled_back(queue, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True) as callbacks, transaction.atomic():
        ring([3])
        transaction.set_rollback(True)
    assert callbacks == []
    assert queue.qsize() == 0


def test_nobody_to_tell_rings_nothing(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        ring([])
    assert callbacks == []


def test_a_broker_that_is_away_breaks_nothing(no_broker, django_capture_on_commit_callbacks):
    before, seconds = failure_counts().get("doorbell", 0), []
    while len(seconds) < 5 and min(seconds, default=3) >= 3:  # a busy machine may be slow once, and not each time
        started = time.monotonic()
        with django_capture_on_commit_callbacks(execute=True):
            ring([3])
        seconds.append(time.monotonic() - started)
        assert failure_counts()["doorbell"] == before + len(seconds)
    assert min(seconds) < 3, "a click must not wait for a broker that is away"
