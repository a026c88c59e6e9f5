"""What /metrics says: the counters of all processes, and how things stand at this moment, read from the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.db.models import Count
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from accounts.models import Account
from bots.models import Bot
from exchanges.prices import quotes_get
from risk.models import Halt
from trading import metrics
from trading.health import Health, health
from trading.health_processes import BAD, OK, WARN, alive
from trading.metrics import BUCKETS_S, CALL_OUTCOMES, CALLS, ORDER_OUTCOMES, Key
from trading.models import Hold, Order
from trading.repairs import bots_late, markets_live
from trading.services.waking import bots_due

DUE_MOST = 5000
VENUES = tuple(str(venue) for venue in Account.Venue.values)
# name: (words, labels, the values that the labels take)
COUNTERS: dict[str, tuple[str, tuple[str, ...], list[tuple[str, ...]]]] = {
    "ticks": ("Ticks of bots", (), [()]),
    "decisions": ("Decisions of strategies", (), [()]),
    "fills": ("Fills booked", ("venue",), [(venue,) for venue in VENUES]),
    "orders": ("Orders sent", ("venue", "outcome"), [(v, o) for v in VENUES for o in ORDER_OUTCOMES]),
    "venue_calls": (
        "Calls of venues",
        ("venue", "call", "outcome"),
        [(venue, call, outcome) for venue in VENUES for call in CALLS for outcome in CALL_OUTCOMES],
    ),
    "http_requests": ("Requests answered", ("status",), [(f"{n}xx",) for n in range(1, 6)]),
}
HISTOGRAMS: dict[str, tuple[str, tuple[str, ...], list[tuple[str, ...]]]] = {
    "decision_late_seconds": ("How long what a decision is about had waited for it", (), [()]),
    "venue_call_seconds": ("How long a call of a venue took", ("venue",), [(venue,) for venue in VENUES]),
    "http_request_seconds": ("How long a request took", (), [()]),
}


class Everything:
    """A collector: asked once a scrape."""

    def collect(self) -> Iterator[Metric]:
        metrics.flush(now=True)
        sums = metrics.sums_read(_keys())
        yield from _counters(sums)
        yield from _histograms(sums)
        yield from _gauges(health())


def page() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Everything())
    return generate_latest(registry)


def _keys() -> Iterator[Key]:
    for name, (_, _, values) in COUNTERS.items():
        yield from ((name, *labels) for labels in values)
    for name, (_, _, values) in HISTOGRAMS.items():
        for labels in values:
            yield (f"{name}_ms", *labels)
            yield from ((name, *labels, bucket) for bucket in (*map(str, BUCKETS_S), "+Inf"))


def _counters(sums: Mapping[Key, int]) -> Iterator[Metric]:
    for name, (words, labels, values) in COUNTERS.items():
        family = CounterMetricFamily(f"binnacle_{name}", words, labels=labels)
        for one in values:
            if (name, *one) in sums or not labels:
                family.add_metric(one, sums.get((name, *one), 0))
        yield family


def _histograms(sums: Mapping[Key, int]) -> Iterator[Metric]:
    for name, (words, labels, values) in HISTOGRAMS.items():
        family = HistogramMetricFamily(f"binnacle_{name}", words, labels=labels)
        for one in values:
            total, buckets = 0, []
            for bucket in (*map(str, BUCKETS_S), "+Inf"):
                total += sums.get((name, *one, bucket), 0)
                buckets.append((bucket, float(total)))
            family.add_metric(one, buckets, sums.get((f"{name}_ms", *one), 0) / 1000)
        yield family


def _gauges(found: Health) -> Iterator[Metric]:
    now = found.at
    yield _gauge(
        "health", "0: everything works, 1: look at it, 2: something is wrong", (OK, WARN, BAD).index(found.state)
    )
    yield _gauge("bots_due", "Bots that have something to do now", len(bots_due(now, DUE_MOST)))
    yield _gauge("bots_late", "Bots that have been due for more than 30 s", len(bots_late(now)))
    yield _gauge("orders_in_doubt", "Orders whose outcome is unknown", Order.objects.filter(status="unknown").count())
    yield _gauge("halts", "Kill switches pulled", Halt.objects.filter(rearmed_at=None).count())
    yield _gauge("database_bytes", "Size of the database", found.facts.database_bytes or 0)
    by_status = Bot.objects.values_list("status").annotate(n=Count("pk")).order_by("status")
    yield _gauges_of("bots", "Bots", "status", dict(by_status))
    holds = Hold.objects.filter(lifted_at=None).values_list("cause").annotate(n=Count("pk")).order_by("cause")
    yield _gauges_of("holds", "Holds that are open", "cause", dict(holds))
    yield _gauges_of("price_age_seconds", "Age of the oldest price that a live bot needs", "source", _price_ages())
    depths = {name: depth for name, depth, _ in found.queues if depth is not None}
    yield _gauges_of("queue_depth", "Messages that wait", "queue", depths)
    yield _gauges_of(
        "queue_workers", "Workers of a queue", "queue", {name: workers for name, _, workers in found.queues}
    )
    yield from _processes(found)
    ages = {job.name: (now - job.last.started_at).total_seconds() for job in found.jobs if job.last is not None}
    yield _gauges_of("job_age_seconds", "Since a job began last", "job", ages)
    yield _gauges_of(
        "job_failed", "1: its last run failed", "job", {job.name: int(job.state == BAD) for job in found.jobs}
    )


def _processes(found: Health) -> Iterator[Metric]:
    signs = [one.sign for one in alive(found.processes)]
    kinds = {kind: sum(sign.kind == kind for sign in signs) for kind in {sign.kind for sign in signs}}
    yield _gauges_of("processes", "Processes that show life", "kind", kinds)
    offsets = [abs(sign.clock_offset_ms or 0) for sign in signs]
    yield _gauge("clock_offset_seconds", "Of the worst clock, to the database's", max(offsets, default=0) / 1000)
    sockets = sum(int(sign.facts.get("sockets", 0)) for sign in signs)
    yield _gauge("websocket_clients", "Pages that are connected", sockets)
    failures = sum(int(sign.facts.get("failures", 0)) for sign in signs)
    yield _gauge("contained_failures", "Failures that were contained, of the processes alive", failures)


def _price_ages() -> dict[str, float]:
    markets = markets_live()
    quotes = quotes_get([market.pk for market in markets])
    now_ms = timezone.now().timestamp() * 1000
    ages: dict[str, float] = {}
    for market in markets:
        quote = quotes.get(market.pk)
        age = (now_ms - quote.received_ms) / 1000 if quote is not None else float("inf")
        ages[market.source] = max(ages.get(market.source, 0.0), age)
    return ages


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"binnacle_{name}", words, value=value)


def _gauges_of(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"binnacle_{name}", words, labels=(label,))
    for one, value in values.items():
        family.add_metric((one,), value)
    return family
