"""The figures of `make bench-live`, each with the load of the machine while it was taken."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.core.cache import cache
from django.db import connection, connections
from django.utils import timezone

from bench.live.latency import Page, fill_to_page, input_to_order, page_user, price_to_input, told
from bench.live.population import EAGER, ONE_ORDER, markets, sleepers, traders
from bench.live.processes import processes
from bots.models import Bot, BotInput
from bots.services import bot_start
from exchanges.models import Market
from exchanges.paper_match import Reach
from exchanges.prices import quote_put
from trading.clock import WALL
from trading.core.types import Bar
from trading.models import Fill, Order, Wake
from trading.runtime import run_due
from trading.services.waking import bots_due, prices_wake
from trading.streams import Pipeline

PRICE = 100.0


def run(wanted: argparse.Namespace) -> None:
    cache.clear()
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "sleepers": _sleepers,
        "ticks": _ticks,
        "processes": _processes,
    }
    for name in wanted.parts.split(","):
        parts[name](wanted)


def _say(what: str, figure: str) -> None:
    load = os.getloadavg()[0]
    print(f"{what:<58} {figure:>34}   load {load:.1f}", flush=True)


def _tell(on: Sequence[Market], price: float) -> None:
    now_ms = int(time.time() * 1000)
    for market in on:
        quote_put(market.pk, Bar(now_ms, price, price, price, price, 1.0), now_ms)


# --- sleeping bots ---------------------------------------------------------------------------------------------------


def _sleepers(wanted: argparse.Namespace) -> None:
    on = markets()
    began = time.perf_counter()
    sleepers(wanted.sleepers, on, dict.fromkeys((market.pk for market in on), PRICE))
    _say(f"{wanted.sleepers:,} sleeping bots made", f"{time.perf_counter() - began:.0f} s")
    _vacuum()
    _say("a price that wakes 10 bots, in the database", _wake_cost(on[0]))
    _say("a price that wakes nobody", _quiet_cost(on[0]))
    _say("the sweep's question who is due, nobody is", _due_cost())
    began = time.perf_counter()
    _churn(on, wanted.updates)
    _say(f"{wanted.updates:,} wake updates", f"{wanted.updates / (time.perf_counter() - began):,.0f} a second")
    _say("a price that wakes 10 bots, after them", _wake_cost(on[0]))
    _say("a price that wakes nobody, after them", _quiet_cost(on[0]))
    _say(f"a round of prices on {len(on)} markets that concerns nobody", _round_cost(on))
    _say("the sweep's question who is due, nobody is, after them", _due_cost())
    _say("size of the database", _size())


def _wake_cost(market: Market, tries: int = 30) -> str:
    """Wake the ten nearest, again and again, each time a step further; undone at the end."""
    taken: list[float] = []
    rows = Wake.objects.filter(market=market, below__isnull=False).order_by("-below")
    levels = [float(row.below or 0) for row in rows.only("below")[: tries * 10]]
    woken = []
    for n in range(tries):
        low = levels[(n + 1) * 10 - 1]
        with _timed(taken):
            woken.append(len(prices_wake(market.pk, low, PRICE, seq=n + 1)))
    BotInput.objects.all().delete()
    return f"{_spread(taken)} ({min(woken)}-{max(woken)} woken)"


def _quiet_cost(market: Market, tries: int = 100) -> str:
    taken: list[float] = []
    for _ in range(tries):
        with _timed(taken):
            prices_wake(market.pk, PRICE, PRICE)
    return _spread(taken)


def _round_cost(on: Sequence[Market], tries: int = 100) -> str:
    """Take one price of each market the whole way of the streams."""
    pipeline = Pipeline()
    taken: list[float] = []
    for n in range(tries):
        now_ms = int(time.time() * 1000) + n
        with _timed(taken):
            pipeline.before({market.pk for market in on}, {market.pk: Reach(PRICE, PRICE, now_ms) for market in on})
            for market in on:
                bar = Bar(now_ms, PRICE, PRICE, PRICE, PRICE, 1.0)
                pipeline.on_bar(market, bar, [], received_ms=now_ms, catching_up=False)
            pipeline.after()
    return _spread(taken)


def _due_cost(tries: int = 30) -> str:
    taken: list[float] = []
    for _ in range(tries):
        with _timed(taken):
            found = bots_due(WALL.now())
        if found:
            raise SystemExit(f"{len(found)} bots are due that should sleep")
    return _spread(taken)


def _churn(on: Sequence[Market], updates: int) -> None:
    """Move wakes as decisions do: the old row goes, a new one comes."""
    last = Wake.objects.order_by("-pk").values_list("pk", flat=True)[0]
    done = 0
    while done < updates:
        rows = list(Wake.objects.filter(pk__lte=last).order_by("pk")[:5_000])
        if not rows:
            last = Wake.objects.order_by("-pk").values_list("pk", flat=True)[0]
            continue
        Wake.objects.filter(pk__in=[row.pk for row in rows]).delete()
        for row in rows:
            row.pk = None
        Wake.objects.bulk_create(rows)
        done += len(rows)


def _vacuum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _size() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        return str(cursor.fetchone()[0])


# --- ticks -----------------------------------------------------------------------------------------------------------


def _ticks(wanted: argparse.Namespace) -> None:
    """Each bot's first tick buys at market: one order. The price that fills it makes a second one: its exit."""
    on = markets()
    _tell(on, PRICE)
    bots = traders(wanted.traders, on, 10, ONE_ORDER)
    for bot in bots:
        bot_start(bot=bot, by=None)
    ids = [bot.pk for bot in bots]
    _tell(on, PRICE)
    before = Order.objects.count()
    took = _in_processes(wanted.workers, _tick_all, ids)
    placed = Order.objects.count() - before
    working = Order.objects.filter(bot__in=ids, status__in=("working", "filled")).count()
    _say(
        f"{len(ids):,} bot ticks in {wanted.workers} processes, {placed:,} orders ({working:,} sent)",
        f"{len(ids) / took:,.0f} ticks a second",
    )


def _tick_all(ids: Sequence[int]) -> None:
    for begin in range(0, len(ids), 50):
        run_due(bot_ids=ids[begin : begin + 50])


def _in_processes(count: int, work: Callable[[Sequence[int]], None], ids: Sequence[int]) -> float:
    """Share the bots among processes of their own and return how long all of it took."""
    connections.close_all()
    context = multiprocessing.get_context("fork")
    ready, go = context.Semaphore(0), context.Event()

    def child(part: Sequence[int]) -> None:
        Bot.objects.first()  # connected
        ready.release()
        go.wait()
        work(part)

    children = [context.Process(target=child, args=(ids[n::count],)) for n in range(count)]
    for one in children:
        one.start()
    for _ in children:
        ready.acquire()
    began = time.perf_counter()
    go.set()
    for one in children:
        one.join()
        if one.exitcode:
            raise SystemExit("a process that ticked has failed")
    return time.perf_counter() - began


@contextmanager
def _timed(taken: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    taken.append((time.perf_counter() - began) * 1000)


def _spread(taken: Sequence[float]) -> str:
    ordered = sorted(taken)
    return f"{statistics.median(ordered):.2f} ms, worst {ordered[-1]:.2f} ms"


# --- everything together ---------------------------------------------------------------------------------------------


def _processes(wanted: argparse.Namespace) -> None:
    """Bots that trade all the time, beside those that sleep, on the processes of production."""
    on = markets()
    user, workspace = page_user()
    bots = traders(wanted.active, on, 100, EAGER, workspace)
    for bot in bots:
        bot_start(bot=bot, by=None)
    connections.close_all()
    with processes(wanted.workers) as running:
        page = Page(running.port, user)
        page.start()
        time.sleep(wanted.warm)
        since = timezone.now()
        time.sleep(wanted.seconds)
        memory = running.memory_mb()
        page.close()
        _say(f"memory of all processes, {wanted.sleepers:,} bots asleep, {wanted.active:,} active", f"{memory:,.0f} MB")
    fills = Fill.objects.filter(created_at__gte=since).count()
    _say("fills a second meanwhile", f"{fills / wanted.seconds:,.1f}")
    _say("a price that wakes, until its wake is written", told(price_to_input(since)))
    _say("from the wake to the order sent", told(input_to_order("woken", since)))
    _say("from a fill to the order that answers it", told(input_to_order("filled", since)))
    _say("from a fill to the frame in the socket", told(fill_to_page(page.came, workspace, since)))
    faults = Bot.objects.filter(status=Bot.Status.ERROR).count()
    _say("bots that failed", f"{faults:,}")
