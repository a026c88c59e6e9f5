"""The embedded process: web server, Celery worker, beat and market streams as parts of one process.

The web server (twisted) has the main thread. Nothing is lost when the process dies: the database is the queue.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from typing import NoReturn

from celery import beat as celery_beat
from celery.worker import state as worker_state
from daphne.server import Server
from django.conf import settings
from django_celery_beat.schedulers import DatabaseScheduler
from twisted.internet import reactor
from twisted.internet.task import LoopingCall

from config import asgi, watchdog
from config.celery import app
from config.web import web_facts
from trading import heartbeat, signs
from trading.advice import run_advisers
from trading.streams import run_streams

log = logging.getLogger(__name__)
STOP_WITHIN_S = 8.0
# The first sign of life may take this much longer than the later ones; a part that never comes up is stuck, too.
START_S = {"web": 20.0, "sweep": 20.0, "feeds": 120.0, "prices": 120.0}  # the streams ask the venues first
QUEUES = ["ticks", "orders", "market", "jobs"]
ADVICE_THREADS = 2  # of their own: an adviser may take a minute, and a tick must never wait for one


def run(socket_fd: int | None, ready_fd: int | None, launcher: int | None) -> NoReturn:
    """Serve until SIGTERM or SIGINT, then end the process."""
    # whitenoise's file responses are read in one go under ASGI: its files are small.
    warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
    stop = threading.Event()
    scheduler = celery_beat.Service(app, scheduler_cls=DatabaseScheduler)
    parts = [
        threading.Thread(target=_work, name="worker", daemon=True),
        threading.Thread(target=scheduler.start, name="beat", daemon=True),
        threading.Thread(target=run_streams, args=(stop,), name="streams", daemon=True),
    ]
    # Not among the parts that are waited for at the end: a call of an adviser may be left behind, its row times out.
    advisers = [
        threading.Thread(target=run_advisers, args=(stop,), name=f"advisers {n}", daemon=True)
        for n in range(ADVICE_THREADS)
    ]
    for name, start_s in START_S.items():
        heartbeat.expect(name, start_s)
    for part in (*parts, *advisers):
        part.start()
    guard = threading.Thread(
        target=watchdog.watch,
        args=(stop, [*parts, *advisers], settings.WATCHDOG_S, launcher),
        name="watchdog",
        daemon=True,
    )
    guard.start()
    sign = signs.Sign("embedded", queues=",".join(QUEUES), progress=lambda: heartbeat.count("sweep"), facts=web_facts)
    shown = signs.start(sign)
    _serve_web(socket_fd, ready_fd)
    shown.end(0)
    _stop(stop, scheduler, parts)


def _work() -> None:
    app.WorkController(
        pool_cls="threads",
        queues=QUEUES,
        concurrency=3,  # one database file has one writer: more threads would only wait; a job and a venue may hold one
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    ).start()


def _serve_web(socket_fd: int | None, ready_fd: int | None) -> None:
    """Run the web server in this thread until a signal stops it."""
    endpoint = f"fd:fileno={socket_fd}" if socket_fd is not None else f"tcp:{settings.PORT}:interface={settings.HOST}"
    proxied = bool(settings.SECURE_PROXY_SSL_HEADER)
    server = Server(
        application=asgi.application,
        endpoints=[endpoint],
        http_timeout=120,
        proxy_forwarded_address_header="X-Forwarded-For" if proxied else None,
        server_name="binnacle",
    )
    pulse = LoopingCall(heartbeat.beat, "web")

    def ready() -> None:
        pulse.start(1.0)
        if ready_fd is not None:
            os.write(ready_fd, b"1")
            os.close(ready_fd)

    reactor.callWhenRunning(ready)
    server.run()


def _stop(stop: threading.Event, scheduler: celery_beat.Service, parts: list[threading.Thread]) -> NoReturn:
    """End the parts; whoever hangs is left behind, for what it had begun stands in the database."""
    until = time.monotonic() + STOP_WITHIN_S
    stop.set()
    worker_state.should_stop = 0  # type: ignore[assignment]
    parts[0].join(STOP_WITHIN_S)  # beat goes on meanwhile: its messages wake the worker, which then sees that it ends
    scheduler.stop()
    for part in parts:
        part.join(max(0.0, until - time.monotonic()))
    late = [part.name for part in parts if part.is_alive()]
    if late:
        log.warning("Stopped without waiting longer for: %s", ", ".join(late))
    logging.shutdown()
    os._exit(1 if late else 0)  # at once: the thread pools' own exit handlers would wait for ever
