"""/metrics: what happened and how things stand, for whoever runs the installation; nobody's name is in it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from tests.trading.world import World
from trading import metrics
from trading.core.errors import OutcomeUnknown
from trading.metrics import Measured
from trading.models import JobRun

pytestmark = pytest.mark.django_db


def _samples(client, **headers) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = client.get("/metrics", **headers)
    assert answer.status_code == 200
    found = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        found |= {(one.name, tuple(sorted(one.labels.items()))): one.value for one in family.samples}
    return found


def test_it_tells_what_bots_did_and_how_things_stand(client):
    before = _samples(client)
    world = World()
    bot = world.bot()
    world.price(94.0)
    found = _samples(client)
    assert found["binnacle_ticks_total", ()] > before["binnacle_ticks_total", ()]
    assert found["binnacle_decisions_total", ()] >= 2
    assert found["binnacle_fills_total", (("venue", "paper"),)] >= 1
    assert found["binnacle_orders_total", (("outcome", "accepted"), ("venue", "paper"))] >= 4
    assert found["binnacle_venue_call_seconds_count", (("venue", "paper"),)] >= 1
    assert found["binnacle_decision_late_seconds_count", ()] >= 1
    assert found["binnacle_bots", (("status", "running"),)] == 1
    assert found["binnacle_price_age_seconds", (("source", "demo"),)] < 1000
    assert found["binnacle_http_requests_total", (("status", "2xx"),)] >= 1
    text = client.get("/metrics").content.decode()
    assert bot.name not in text
    assert str(bot.public_id) not in text
    assert world.account.workspace.name not in text


def test_a_counter_never_falls(client):
    metrics.count("ticks", by=3)
    first = _samples(client)["binnacle_ticks_total", ()]
    metrics.count("ticks")
    assert _samples(client)["binnacle_ticks_total", ()] == first + 1
    assert _samples(client)["binnacle_ticks_total", ()] == first + 1


def test_an_unknown_outcome_is_counted_as_one(client):
    class Silent:
        def place(self, orders):
            raise OutcomeUnknown("no answer")

    with pytest.raises(OutcomeUnknown):
        Measured(Silent(), "paper").place([1, 2])
    found = _samples(client)
    assert found["binnacle_orders_total", (("outcome", "unknown"), ("venue", "paper"))] == 2
    labels = (("call", "place"), ("outcome", "failed"), ("venue", "paper"))
    assert found["binnacle_venue_calls_total", labels] == 1


def test_strangers_are_refused(client, settings):
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.7").status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "10.0.0.7"}).status_code == 403
    settings.BEHIND_PROXY = True
    assert client.get("/metrics").status_code == 403
    settings.METRICS_TOKEN = "a-long-token"
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer a-long-token"}).status_code == 200


def test_ready_means_that_the_sweep_runs(client):
    assert client.get("/readyz").status_code == 503
    now = timezone.now()
    JobRun.objects.create(name="sweep", status="done", started_at=now, ended_at=now)
    assert client.get("/readyz").json() == {"status": "ok"}
    JobRun.objects.update(ended_at=now - timedelta(minutes=2))
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").json() == {"status": "ok"}
