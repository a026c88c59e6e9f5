"""From a price to the order and from a fill to the page, measured on running processes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from datetime import datetime

import websocket
from django.test import Client

from accounts.models import Event, User, Workspace
from accounts.services import user_create, workspace_ensure
from bots.models import BotInput
from trading.models import Order

Spread = tuple[float, float, int]  # p50, p99 in ms, how many


def page_user() -> tuple[User, Workspace]:
    user = user_create(email="bench@example.org", password="correct horse battery staple", name="Bench")  # noqa: S106
    return user, workspace_ensure(user).workspace


class Page(threading.Thread):
    """A page's line: when each event of its workspace came, by its sequence."""

    def __init__(self, port: int, user: User) -> None:
        super().__init__(daemon=True)
        client = Client()
        client.force_login(user)
        cookie = f"sessionid={client.cookies['sessionid'].value}"
        address = f"ws://127.0.0.1:{port}/ws/"
        self._line = websocket.create_connection(address, origin=f"http://127.0.0.1:{port}", cookie=cookie, timeout=30)
        self.came: dict[int, float] = {}

    def run(self) -> None:
        while True:
            try:
                frame = json.loads(self._line.recv())
            except (websocket.WebSocketException, OSError):
                return
            now = time.time()
            for event in frame.get("events", ()):
                self.came[event["seq"]] = now

    def close(self) -> None:
        self._line.close()


def spread(values: Sequence[float]) -> Spread:
    ordered = sorted(values)
    if not ordered:
        return 0.0, 0.0, 0
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], len(ordered)


def told(spread_of: Spread) -> str:
    return f"p50 {spread_of[0]:,.0f} ms, p99 {spread_of[1]:,.0f} ms ({spread_of[2]:,})"


def fill_to_page(came: dict[int, float], workspace: Workspace, since: datetime) -> Spread:
    """Return how long after its transaction began an event of a fill stood in the page's socket."""
    rows = Event.objects.filter(workspace=workspace, kind="fill", created_at__gte=since)
    made = dict(rows.values_list("seq", "created_at"))
    return spread([(came[seq] - at.timestamp()) * 1000 for seq, at in made.items() if seq in came])


def input_to_order(kind: str, since: datetime) -> Spread:
    """Return how long after a price woke a bot (or a fill was booked) the order that answers it was sent."""
    inputs = BotInput.objects.filter(kind=kind, created_at__gte=since, number__isnull=False)
    began: dict[tuple[int, int], float] = {}
    for bot, number, at in inputs.order_by("-id").values_list("bot_id", "number", "created_at"):
        began[bot, number or 0] = at.timestamp()
    sent = Order.objects.filter(sent_at__gte=since).values_list("bot_id", "number", "sent_at")
    taken = [(at.timestamp() - began[bot, number]) * 1000 for bot, number, at in sent if at and (bot, number) in began]
    return spread(taken)


def price_to_input(since: datetime) -> Spread:
    """Return how long after a price was received its wakes were written: an update's number is its time of receipt."""
    rows = BotInput.objects.filter(kind="woken", created_at__gte=since)
    taken = []
    for payload, at in rows.values_list("payload", "created_at"):
        if payload.get("touched"):
            taken.append(at.timestamp() * 1000 - payload["touched"][1])
    return spread(taken)
