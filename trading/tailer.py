"""One reader of new Event rows and prices per web process, whatever the number of its sockets.

Rows are the truth and the hint only makes it quick: without any hint the counters are looked at every 200 ms. Events
go to each socket in the order of their sequence, each once, and only to sockets of their workspace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer

from accounts.containment import contain
from accounts.models import Event, EventCounter
from accounts.selectors import members_of
from exchanges.prices import Quote, quotes_get
from trading.channel_layer import EVENTS_GROUP

POLL_S = 0.2
PRICES_S = 0.25
MOST_EVENTS = 500  # who missed more than this asks for its pages anew
JOIN_AGAIN_S = 600  # group memberships expire in the in-memory layer

Frame = dict[str, Any]


class Socket(Protocol):
    """What the tailer wants of a connected page."""

    user_id: int
    workspace_id: int
    seq: int  # the last event it has been given
    markets: frozenset[int]

    def give_events(self, events: list[Frame]) -> None: ...

    def give_prices(self, prices: list[Frame]) -> None: ...

    def shut(self) -> None:
        """Close the page's line: its user may not look any more."""
        ...


def event_frame(event: Event) -> Frame:
    return {
        "seq": event.seq,
        "kind": event.kind,
        "level": event.level,
        "bot": str(event.bot) if event.bot else None,
        "text": event.text,
        "data": event.data,
        "at": event.created_at.isoformat(),
    }


def price_frame(quote: Quote) -> Frame:
    return {
        "market": quote.market_id,
        "seq": quote.seq,
        "ts": quote.market_ms,
        "open": quote.open,
        "high": quote.high,
        "low": quote.low,
        "last": quote.last,
        "received_ms": quote.received_ms,
    }


def read_events(known: dict[int, int]) -> dict[int, tuple[list[Frame], set[int]]]:
    """Return what is newer than `known` {workspace id: seq}, oldest first, and who may see it now (user ids).

    One query when nothing is newer.
    """
    heads = EventCounter.objects.filter(workspace_id__in=known).values_list("workspace_id", "last")
    behind = [workspace_id for workspace_id, last in heads if last > known[workspace_id]]
    found: dict[int, tuple[list[Frame], set[int]]] = {}
    for workspace_id in behind:
        news = Event.objects.filter(workspace_id=workspace_id, seq__gt=known[workspace_id]).order_by("seq")
        found[workspace_id] = [event_frame(event) for event in news[:MOST_EVENTS]], members_of(workspace_id)
    return found


class Tailer:
    """Serves the sockets of one event loop; runs only while there are any."""

    def __init__(self) -> None:
        self._sockets: dict[int, set[Socket]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._hinted = asyncio.Event()
        self._price_seqs: dict[int, int] = {}

    def join(self, socket: Socket) -> None:
        self._sockets.setdefault(socket.workspace_id, set()).add(socket)
        self._hinted.set()
        self._price_seqs = {}  # so that the newcomer gets the present prices
        if not self._tasks:
            self._tasks = [asyncio.create_task(run()) for run in (self._events, self._hints, self._prices)]

    def leave(self, socket: Socket) -> None:
        sockets = self._sockets.get(socket.workspace_id, set())
        sockets.discard(socket)
        if not sockets:
            self._sockets.pop(socket.workspace_id, None)
        if not self._sockets:
            for task in self._tasks:
                task.cancel()
            self._tasks = []

    async def _events(self) -> None:
        while True:
            self._hinted.clear()
            with contain("tailer"):
                await self._events_once()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hinted.wait(), POLL_S)

    async def _events_once(self) -> None:
        known = {key: min(socket.seq for socket in sockets) for key, sockets in self._sockets.items()}
        fresh = await database_sync_to_async(read_events)(known)
        for workspace_id, (events, members) in fresh.items():
            if len(events) == MOST_EVENTS:
                self._hinted.set()  # there is more
            for socket in tuple(self._sockets.get(workspace_id, ())):
                if socket.user_id not in members:
                    self.leave(socket)
                    socket.shut()
                    continue
                news = [event for event in events if event["seq"] > socket.seq]
                if news:
                    socket.seq = news[-1]["seq"]
                    socket.give_events(news)

    async def _hints(self) -> None:
        while True:
            with contain("tailer hints") as outcome:
                await self._listen()
            if outcome.failed:
                await asyncio.sleep(JOIN_AGAIN_S / 100)

    async def _listen(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            await asyncio.sleep(JOIN_AGAIN_S)
            return
        channel = await layer.new_channel()
        await layer.group_add(EVENTS_GROUP, channel)
        try:
            until = time.monotonic() + JOIN_AGAIN_S
            async with asyncio.timeout(JOIN_AGAIN_S):
                while time.monotonic() < until:
                    await layer.receive(channel)
                    self._hinted.set()
        except TimeoutError:
            return
        finally:
            await layer.group_discard(EVENTS_GROUP, channel)

    async def _prices(self) -> None:
        while True:
            with contain("tailer prices"):
                await self._prices_once()
            await asyncio.sleep(PRICES_S)

    async def _prices_once(self) -> None:
        wanted = frozenset().union(*(socket.markets for socket in self._all()))
        if not wanted:
            return
        quotes = await sync_to_async(quotes_get, thread_sensitive=False)(sorted(wanted))
        fresh = {key: quote for key, quote in quotes.items() if self._price_seqs.get(key) != quote.seq}
        self._price_seqs |= {key: quote.seq for key, quote in fresh.items()}
        for socket in tuple(self._all()):
            frames = [price_frame(quote) for key, quote in fresh.items() if key in socket.markets]
            if frames:
                socket.give_prices(frames)

    def _all(self) -> Iterable[Socket]:
        return (socket for sockets in self._sockets.values() for socket in sockets)


_tailers: WeakKeyDictionary[asyncio.AbstractEventLoop, Tailer] = WeakKeyDictionary()


def tailer() -> Tailer:
    """Return the tailer of the running loop: a web process has one."""
    loop = asyncio.get_running_loop()
    return _tailers.setdefault(loop, Tailer())
