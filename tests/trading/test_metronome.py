"""What the metronome really sends: a message that waited too long, behind a worker that was down, is not run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from celery.signals import before_task_publish
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from config.celery import app

pytestmark = pytest.mark.django_db(transaction=True)  # the scheduler closes connections that are in no transaction
SECONDS = {
    "trading.sweep": 20,
    "trading.limit_orders": 10,
    "trading.reconcile": 30,
    "trading.health": 30,
    "trading.markets": 30,
    "trading.missing_orders": 300,
    "trading.equity": 300,
    "trading.ledger": 3600,
    "trading.retention": 3600,
}


@pytest.mark.parametrize("upgraded", [False, True])
def test_each_beat_expires_before_it_could_pile_up(upgraded):
    DatabaseScheduler(app=app).sync()
    if upgraded:  # the rows of an installation that is older than this
        PeriodicTask.objects.update(expire_seconds=None)
    scheduler = DatabaseScheduler(app=app)
    sent = {}
    began = datetime.now(UTC)

    def hear(sender=None, headers=None, **_):
        expires = datetime.fromisoformat(headers["expires"])
        sent[sender] = expires - began, expires - datetime.now(UTC)  # between the two it was sent

    before_task_publish.connect(hear)
    try:
        for entry in scheduler.schedule.values():
            if entry.task in SECONDS:
                scheduler.apply_async(entry, advance=False)
    finally:
        before_task_publish.disconnect(hear)
        with app.connection_for_write() as connection:
            for queue in app.amqp.queues:
                connection.default_channel.queue_purge(queue)
    assert sent.keys() == SECONDS.keys()
    for task, (most, least) in sent.items():
        assert least <= timedelta(seconds=SECONDS[task]) <= most, task


def test_every_task_has_its_queue_and_every_queue_exists():
    app.loader.import_default_modules()
    routed = app.conf.task_routes
    ours = {name for name in app.tasks if name.startswith("trading.")} - {"trading.ping"}  # each worker has its own
    assert ours - set(routed) == set()
    assert {route["queue"] for route in routed.values()} == set(app.conf.task_queues)
    assert set(SECONDS) < ours
    assert routed["trading.tick"] != routed["trading.retention"]
