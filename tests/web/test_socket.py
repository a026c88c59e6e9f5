"""The page's websocket: every event of one's own workspace, in order, each once; nothing of anybody else's."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import async_to_sync, sync_to_async
from channels.testing import WebsocketCommunicator
from django.db import connections
from django.test import Client

from accounts.models import Event, Membership, User, Workspace
from accounts.services import event_append
from config.asgi import application
from tests.factories import AccountFactory, MarketFactory, account_of, alice, bob, priced, workspace_of
from trading.channel_layer import EVENTS_GROUP, ThreadSafeInMemoryChannelLayer
from trading.consumers import PageConsumer
from trading.tailer import MOST_EVENTS

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]
PATIENCE_S = 60  # for what must come; on an idle machine it comes at once


class Line(WebsocketCommunicator):
    """A page's line, asked with the patience that a busy machine needs: Channels' own is one second."""

    async def receive_output(self, timeout: float = PATIENCE_S) -> Any:
        return await super().receive_output(max(timeout, PATIENCE_S))

    async def wait(self, timeout: float = PATIENCE_S) -> None:
        await super().wait(max(timeout, PATIENCE_S))

    async def is_quiet(self, seconds: float) -> bool:
        """Say whether nothing but beats comes for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not await self.receive_nothing(timeout=left) and (await self.receive_json_from())["type"] != "beat":
                return False
        return True


@pytest_asyncio.fixture(autouse=True)
async def _connections_closed() -> AsyncIterator[None]:
    """The thread in which async code reads the database keeps its connection, and the test database must go."""
    yield
    await sync_to_async(connections.close_all)()


def _headers(user: User | None) -> list[tuple[bytes, bytes]]:
    headers = [(b"origin", b"http://localhost"), (b"host", b"localhost")]
    if user is not None:
        client = Client()
        client.force_login(user)
        headers.append((b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode()))
    return headers


async def _open(user: User | None, query: str = "") -> Line:
    headers = await sync_to_async(_headers)(user)
    return Line(application, f"/ws/?{query}", headers=headers)


async def _frames(socket: Line, kind: str) -> dict[str, Any]:
    """Return the next frame of this kind."""
    async with asyncio.timeout(PATIENCE_S):  # beats go on for ever
        while True:
            frame: dict[str, Any] = await socket.receive_json_from()
            if frame["type"] == kind:
                return frame


async def _seqs(socket: Line, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        found += [event["seq"] for event in (await _frames(socket, "events"))["events"]]
    return found


def _append(workspace: Workspace, count: int = 1) -> list[Event]:
    return [event_append(workspace=workspace, kind="note", text=f"number {i}") for i in range(count)]


async def test_somebody_not_signed_in_is_refused() -> None:
    socket = await _open(None)
    connected, _ = await socket.connect()
    assert not connected


async def test_somebody_deactivated_is_refused() -> None:
    user = await sync_to_async(alice)()
    socket = await _open(user)
    await User.objects.filter(pk=user.pk).aupdate(is_active=False)
    connected, _ = await socket.connect()
    assert not connected


async def test_what_was_missed_and_what_follows_comes_in_order() -> None:
    user = await sync_to_async(alice)()
    workspace = await sync_to_async(workspace_of)(user)
    await sync_to_async(_append)(workspace, 5)
    socket = await _open(user, "since=2")
    await socket.connect()
    assert (await socket.receive_json_from())["type"] == "hello"
    assert await _seqs(socket, 3) == [3, 4, 5]
    await sync_to_async(_append)(workspace, 4)
    assert await _seqs(socket, 4) == [6, 7, 8, 9]
    await socket.disconnect()


async def test_a_second_page_that_is_behind_repeats_nothing_for_the_first() -> None:
    user = await sync_to_async(alice)()
    workspace = await sync_to_async(workspace_of)(user)
    await sync_to_async(_append)(workspace, 4)
    first = await _open(user, "since=4")
    await first.connect()
    assert (await first.receive_json_from())["type"] == "hello"
    second = await _open(user, "since=1")
    await second.connect()
    assert await _seqs(second, 3) == [2, 3, 4]
    assert await first.is_quiet(0.4)
    await sync_to_async(_append)(workspace)
    assert await _seqs(first, 1) == [5]
    assert await _seqs(second, 1) == [5]
    await first.disconnect()
    await second.disconnect()


async def test_an_event_says_what_happened() -> None:
    user = await sync_to_async(alice)()
    workspace = await sync_to_async(workspace_of)(user)
    socket = await _open(user, "since=0")
    await socket.connect()
    await sync_to_async(event_append)(workspace=workspace, kind="fill", text="Bought", data={"price": "97.10"})
    (event,) = (await _frames(socket, "events"))["events"]
    assert event["kind"] == "fill"
    assert event["text"] == "Bought"
    assert event["data"] == {"price": "97.10"}
    await socket.disconnect()


async def test_without_since_only_news_come() -> None:
    user = await sync_to_async(alice)()
    workspace = await sync_to_async(workspace_of)(user)
    await sync_to_async(_append)(workspace, 3)
    socket = await _open(user)
    await socket.connect()
    assert (await socket.receive_json_from())["seq"] == 3
    await sync_to_async(_append)(workspace)
    assert await _seqs(socket, 1) == [4]
    await socket.disconnect()


@pytest.mark.parametrize("since", [0, 10_000])
async def test_a_page_that_missed_too_much_or_knows_another_past_starts_anew(since: int) -> None:
    user = await sync_to_async(alice)()
    workspace = await sync_to_async(workspace_of)(user)
    await sync_to_async(_append)(workspace, MOST_EVENTS + 1)
    socket = await _open(user, f"since={since}")
    await socket.connect()
    frame = await socket.receive_json_from()
    assert (frame["type"], frame["seq"]) == ("reset", MOST_EVENTS + 1)
    await sync_to_async(_append)(workspace)
    assert await _seqs(socket, 1) == [MOST_EVENTS + 2]
    await socket.disconnect()


async def test_a_strangers_events_never_arrive() -> None:
    mine, theirs = await sync_to_async(alice)(), await sync_to_async(bob)()
    socket = await _open(mine, "since=0")
    await socket.connect()
    await sync_to_async(_append)(await sync_to_async(workspace_of)(theirs), 3)
    event = await sync_to_async(event_append)(
        workspace=await sync_to_async(workspace_of)(mine), kind="note", text="mine"
    )
    frame = await _frames(socket, "events")
    assert [(one["seq"], one["text"]) for one in frame["events"]] == [(event.seq, "mine")]
    assert await socket.is_quiet(0.5)
    await socket.disconnect()


async def _closed_with(socket: Line) -> tuple[int, list[str]]:
    """Wait for the end of a socket; returns its code and the frames before it."""
    seen: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while (message := await socket.receive_output())["type"] != "websocket.close":
            seen.append(message["text"])
    await socket.disconnect()  # else what is left of it might read the database while the next test empties it
    return message["code"], seen


async def _guest() -> tuple[User, Workspace]:
    """Somebody who looks into another one's workspace."""
    guest, host = await sync_to_async(bob)(), await sync_to_async(alice)()
    workspace = await sync_to_async(workspace_of)(host)
    await Membership.objects.filter(user=guest).adelete()
    await Membership.objects.acreate(user=guest, workspace=workspace, role="viewer")
    return guest, workspace


async def test_a_removed_member_s_open_page_sees_nothing_more_of_the_workspace() -> None:
    guest, workspace = await _guest()
    socket, host = await _open(guest, "since=0"), await _open(await User.objects.aget(email="alice@example.org"))
    for one in (socket, host):
        await one.connect()
    await sync_to_async(_append)(workspace)
    assert await _seqs(socket, 1) == [1]
    await Membership.objects.filter(user=guest).adelete()
    await sync_to_async(event_append)(workspace=workspace, kind="note", text="a secret")
    code, frames = await _closed_with(socket)
    assert code == 4401
    assert not any("secret" in frame for frame in frames)
    assert await _seqs(host, 2) == [1, 2]
    await host.disconnect()


async def test_a_removed_member_loses_the_socket_even_where_nothing_happens() -> None:
    guest, _ = await _guest()
    client = Client()
    await sync_to_async(client.force_login)(guest)
    socket = Line(PageConsumer.as_asgi(beat_s=0.05, check_s=0.1), "/ws/")
    socket.scope |= {"user": guest, "session": await sync_to_async(lambda: client.session)()}
    await socket.connect()
    await Membership.objects.filter(user=guest).adelete()
    code, _ = await _closed_with(socket)
    assert code == 4401


async def test_prices_of_wanted_markets_arrive_and_repeat_only_when_they_move() -> None:
    user = await sync_to_async(alice)()
    await sync_to_async(account_of)(user)
    market = await sync_to_async(MarketFactory)()
    await sync_to_async(priced)(market, 101.5)
    socket = await _open(user, f"markets={market.pk}")
    await socket.connect()
    (price,) = (await _frames(socket, "prices"))["prices"]
    assert (price["market"], price["last"]) == (market.pk, 101.5)
    assert await socket.is_quiet(0.6)
    await sync_to_async(priced)(market, 102.0)
    assert (await _frames(socket, "prices"))["prices"][0]["last"] == 102.0
    await socket.disconnect()


async def test_prices_of_a_source_that_is_not_ones_own_never_arrive() -> None:
    user = await sync_to_async(alice)()
    await sync_to_async(account_of)(user)
    foreign = await sync_to_async(MarketFactory)(source="replay:secret")
    await sync_to_async(AccountFactory)(feed="replay:secret")
    await sync_to_async(priced)(foreign, 7.0)
    socket = await _open(user, f"markets={foreign.pk},nonsense,-1")
    await socket.connect()
    assert (await socket.receive_json_from())["type"] == "hello"
    assert await socket.is_quiet(0.6)
    await socket.disconnect()


async def test_numbers_that_no_market_or_sequence_can_have_are_as_good_as_absent() -> None:
    user = await sync_to_async(alice)()
    huge = "9" * 31
    socket = await _open(user, f"since={huge}&markets={huge},{'9' * 5000}")
    connected, _ = await socket.connect()
    assert connected
    assert (await socket.receive_json_from())["type"] == "hello"
    await socket.disconnect()


async def test_what_a_page_sends_is_ignored() -> None:
    user = await sync_to_async(alice)()
    socket = await _open(user, "since=0")
    await socket.connect()
    await socket.send_json_to({"type": "stop", "bot": "all"})
    await sync_to_async(_append)(await sync_to_async(workspace_of)(user))
    assert await _seqs(socket, 1) == [1]
    await socket.disconnect()


async def test_a_session_that_ended_loses_its_socket_and_a_living_one_beats() -> None:
    user = await sync_to_async(alice)()
    client = Client()
    await sync_to_async(client.force_login)(user)
    session = await sync_to_async(lambda: client.session)()
    socket = Line(PageConsumer.as_asgi(beat_s=0.05, check_s=0.1), "/ws/")
    socket.scope |= {"user": user, "session": session}
    await socket.connect()
    assert (await _frames(socket, "beat"))["now_ms"] > 0
    await sync_to_async(session.flush)()
    code, _ = await _closed_with(socket)
    assert code == 4401


async def test_a_hint_from_another_thread_wakes_the_reader_at_once() -> None:
    layer = ThreadSafeInMemoryChannelLayer()
    channel = await layer.new_channel()
    await layer.group_add(EVENTS_GROUP, channel)
    sent: list[float] = []

    def send() -> None:
        sent.append(time.monotonic())
        async_to_sync(layer.group_send)(EVENTS_GROUP, {"type": "hint"})

    reader = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0)  # the reader waits before the sender starts
    thread = threading.Thread(target=send)
    thread.start()
    message = await asyncio.wait_for(reader, PATIENCE_S)  # its end is what would wake the loop if the hint didn't
    late_s = time.monotonic() - sent[0]
    await asyncio.to_thread(thread.join)
    assert message == {"type": "hint"}
    assert late_s < PATIENCE_S / 2
