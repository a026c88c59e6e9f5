"""The websocket of a page: server to client only. Whatever a page wants done goes through HTTP.

`/ws/?since=SEQ&markets=ID,ID` answers with JSON frames:

    {"type": "hello", "seq", "now_ms"}      the stream stands; seq = where it starts
    {"type": "events", "events": [...]}     every event of the workspace after `since`, in order, each once
    {"type": "prices", "prices": [...]}     the latest price of each wanted market, at most four times a second
    {"type": "reset", "seq"}                too much was missed: fetch the page's blocks anew, go on from seq
    {"type": "beat", "now_ms"}              nothing else happened for a while
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.sessions.backends.base import SessionBase

from accounts.middleware import SESSION_KEY
from accounts.models import User
from accounts.selectors import accounts_of, last_seq, members_of, membership_find
from exchanges.models import Market
from trading.tailer import MOST_EVENTS, Frame, tailer

log = logging.getLogger(__name__)
BATCH_S = 0.1
BEAT_S = 5.0
CHECK_S = 60.0  # how soon a signed-out session or a removed member loses its sockets where nothing happens
MOST_MARKETS = 20
NOT_SIGNED_IN = 4401
MOST_DIGITS = 18  # of an id or a sequence: all that fit into 63 bits


_open: set[PageConsumer] = set()


class PageConsumer(AsyncWebsocketConsumer):
    """One page. It is given frames by the process's tailer and touches no database once it stands."""

    channel_layer_alias = ""  # none: a socket lives on when the broker doesn't

    def __init__(self, *args: Any, beat_s: float = BEAT_S, check_s: float = CHECK_S, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.beat_s, self.check_s = beat_s, check_s
        self.user_id = 0
        self.workspace_id = 0
        self.seq = 0
        self.markets: frozenset[int] = frozenset()
        self._pending: list[Frame] = []
        self._sent_at = 0.0
        self._flushing: asyncio.Task[None] | None = None
        self._pricing: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        since, wanted = _query(self.scope["query_string"])
        head = await database_sync_to_async(self._admit)(wanted)
        if head is None:
            await self.close(NOT_SIGNED_IN)
            return
        await self.accept()
        missed = head - since if since is not None else 0
        lost = not 0 <= missed <= MOST_EVENTS
        self.seq = head if since is None or lost else since
        await self._frame({"type": "reset" if lost else "hello", "seq": self.seq, "now_ms": _now_ms()})
        self._keeper = asyncio.create_task(self._keep())
        tailer().join(self)
        _open.add(self)
        log.debug("page of user %s connected, %s now", self.user_id, len(_open))

    async def disconnect(self, code: int) -> None:
        tailer().leave(self)
        _open.discard(self)
        log.debug("page of user %s gone (%s), %s now", self.user_id, code, len(_open))
        for task in (self._keeper, self._flushing, self._pricing):
            if task is not None:
                task.cancel()

    def give_events(self, events: list[Frame]) -> None:
        self._pending.extend(events)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    def give_prices(self, prices: list[Frame]) -> None:
        if self._pricing is None or self._pricing.done():  # a page that can't keep up misses prices, not events
            self._pricing = asyncio.create_task(self._frame({"type": "prices", "prices": prices}))

    def shut(self) -> None:
        self._pending.clear()
        for task in (self._keeper, self._flushing, self._pricing):
            if task is not None:
                task.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self.close(NOT_SIGNED_IN))

    def _admit(self, wanted: frozenset[int]) -> int | None:
        """Set the workspace and the markets this page may see; return the newest sequence, None for a stranger."""
        known = getattr(self.scope.get("user"), "pk", None)  # AnonymousUser has none
        user = User.objects.filter(pk=known, is_active=True).first() if known else None
        membership = membership_find(user, self._session().get(SESSION_KEY)) if user else None
        if user is None or membership is None:
            return None
        feeds = accounts_of(membership.workspace).values_list("feed", flat=True)
        self.user_id, self.workspace_id = user.pk, membership.workspace.pk
        self.markets = frozenset(Market.objects.filter(pk__in=wanted, source__in=feeds).values_list("pk", flat=True))
        return last_seq(membership.workspace)

    async def _flush(self) -> None:
        """Send at once what comes alone; what comes in a burst goes out in batches."""
        while self._pending:
            await asyncio.sleep(max(0.0, self._sent_at + BATCH_S - time.monotonic()))
            events, self._pending = self._pending, []
            self._sent_at = time.monotonic()
            await self._frame({"type": "events", "events": events})
        self._flushing = None

    async def _keep(self) -> None:
        """Beat, so that a page can tell silence from a dead line; close once the session or the membership is over."""
        checked = time.monotonic()
        while True:
            await asyncio.sleep(self.beat_s)
            await self._frame({"type": "beat", "now_ms": _now_ms()})
            if time.monotonic() - checked >= self.check_s:
                checked = time.monotonic()
                if not await database_sync_to_async(self._signed_in)():
                    await self.close(NOT_SIGNED_IN)
                    return

    def _signed_in(self) -> bool:
        session = self._session()
        return self.user_id in members_of(self.workspace_id) and session.exists(session.session_key or "")

    def _session(self) -> SessionBase:
        session: SessionBase = self.scope["session"]
        return session

    async def _frame(self, frame: Frame) -> None:
        await self.send(text_data=json.dumps(frame))


def sockets_open() -> int:
    """Return how many pages are connected to this process."""
    return len(_open)


def _query(raw: bytes) -> tuple[int | None, frozenset[int]]:
    """Read ?since= and ?markets=; what is no number, or one that no row can have, is as good as absent."""
    values = parse_qs(raw.decode("ascii", "replace"))
    since = values.get("since", [""])[0]
    markets = values.get("markets", [""])[0].split(",")[:MOST_MARKETS]
    return (
        int(since) if _is_id(since) else None,
        frozenset(int(part) for part in markets if _is_id(part)),
    )


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) <= MOST_DIGITS


def _now_ms() -> int:
    return int(time.time() * 1000)
