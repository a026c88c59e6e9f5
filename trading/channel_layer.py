"""The channel layer of embedded mode, and the hint that new Event rows exist.

Channels' own in-memory layer may only be used from the loop that reads it: a message put from a worker's thread lies
there until that loop wakes for another reason (280 ms measured). This one hops onto the reading loop first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer

from accounts.containment import contain

EVENTS_GROUP = "events"
HINT = {"type": "hint"}
HINT_EVERY_S = 0.025  # closer hints add nothing: frames are batched over 100 ms
HINT_TIMEOUT_S = 1.0
HINT_PAUSE_S = 5.0  # after a failure; the tailer polls anyway


class ThreadSafeInMemoryChannelLayer(InMemoryChannelLayer):
    """The in-memory layer, usable from every thread of the process that holds the sockets."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._reader: asyncio.AbstractEventLoop | None = None

    async def receive(self, channel: str) -> dict[str, Any]:
        self._reader = asyncio.get_running_loop()
        message: dict[str, Any] = await super().receive(channel)
        return message

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        await self._on_reader(super().send, channel, message)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._on_reader(super().group_send, group, message)

    async def _on_reader(self, call: Callable[..., Awaitable[None]], name: str, message: dict[str, Any]) -> None:
        reader = self._reader
        if reader is None or not reader.is_running() or reader is asyncio.get_running_loop():
            await call(name, message)
            return

        async def hop() -> None:
            await call(name, message)

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(hop(), reader))


class _Hints:
    """When the next hint may go out. A race between threads costs one hint more or less, which is harmless."""

    not_before = 0.0


def hint() -> None:
    """Tell every web process that Event rows were committed. Sync, cheap, and allowed to be lost."""
    now = time.monotonic()
    if now < _Hints.not_before:
        return
    _Hints.not_before = now + HINT_EVERY_S
    with contain("hint") as outcome:
        async_to_sync(_send_hint)()
    if outcome.failed:
        _Hints.not_before = time.monotonic() + HINT_PAUSE_S


async def _send_hint() -> None:
    layer = get_channel_layer()
    if layer is not None:
        async with asyncio.timeout(HINT_TIMEOUT_S):
            await layer.group_send(EVENTS_GROUP, HINT)
