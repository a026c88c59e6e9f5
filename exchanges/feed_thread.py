"""Feeds in an event loop and thread of their own. They touch no database.

A feed that fails or falls silent is started again with back-off, and the others never notice.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from accounts.containment import contain
from exchanges.demo import wall_now_ms
from exchanges.sources import Stream
from trading.core.errors import VenueUnavailable

_BACKLOG = 500  # pieces, then a feed that catches up waits
_WAIT_S = 0.025


class FeedThread:
    """The feeds' event loop in a thread of its own."""

    def __init__(self, streams: Sequence[Stream], beat: Callable[[str], object]) -> None:
        self._streams = streams
        self._beat = beat
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="feeds", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._tasks])
        self._thread.join(timeout=5)

    async def _main(self) -> None:
        self._tasks = [asyncio.ensure_future(self._watch(stream)) for stream in self._streams]
        self._tasks.append(asyncio.ensure_future(self._heart()))
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _heart(self) -> None:
        while True:
            self._beat("feeds")
            await asyncio.sleep(1)

    async def _watch(self, stream: Stream) -> None:
        """Keep one feed running."""
        first, longest = stream.backoff_s
        pause = first
        while True:
            before = dict(stream.received_ms)
            with contain(f"feed {stream.source}") as outcome:
                await _pump(stream)
            stream.error = str(outcome.error or "the feed ended")
            stream.restarts += 1
            pause = first if stream.received_ms != before else min(pause * 2, longest)
            await asyncio.sleep(pause)


async def _pump(stream: Stream) -> None:
    """Move updates from the feed to the conflator. Raises VenueUnavailable after a silence."""
    updates = stream.feed.updates(list(stream.markets)).__aiter__()
    while True:
        while stream.conflator.backlog > _BACKLOG:
            await asyncio.sleep(_WAIT_S)
        try:
            async with asyncio.timeout(stream.silence_s):
                update = await anext(updates)
        except TimeoutError as error:
            raise VenueUnavailable(f"{stream.source} has been silent for {stream.silence_s:g} s") from error
        except StopAsyncIteration:
            return
        stream.conflator.put(update, wall_now_ms())
        stream.error = ""
