"""News from the paper venue's process: it says which accounts something happened to, and those are booked at once.

Only a hint. What it doesn't tell, the reconciliation finds by asking each account, every 30 s.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections, connections

from accounts.containment import contain
from accounts.models import Account
from bots.doorbell import ring
from exchanges.adapters.paperwire.client import Client
from exchanges.adapters.paperwire.parse import NEWS
from exchanges.paper_process import process_client
from trading.channel_layer import hint
from trading.core.errors import VenueError

Book = Callable[[Account], set[int]]  # books what an account's venue has done; returns the bots that it concerns

log = logging.getLogger(__name__)
WAIT_S = 20.0  # how long the venue may hold a question until something happens
IDLE_S = 5.0  # between looks at whether there is such an account
PAUSE_S = (0.5, 10.0)  # first and longest, while the venue can't be reached


def start_news(stop: threading.Event, book: Book) -> threading.Thread | None:
    """Listen in a thread of its own, and `book` accounts with news; None where no such venue is configured."""
    if not settings.PAPER_VENUE_URL:
        return None
    thread = threading.Thread(target=_listen, args=(stop, book), name="venue news", daemon=True)
    thread.start()
    return thread


def _listen(stop: threading.Event, book: Book) -> None:
    try:
        _run(stop, book)
    finally:
        connections.close_all()  # this thread's: nobody else would


def _run(stop: threading.Event, book: Book) -> None:
    newest, pause_s, away = -1, PAUSE_S[0], False
    while not stop.is_set():
        close_old_connections()
        with contain("venue news") as outcome:
            if not Account.objects.filter(venue=Account.Venue.PAPER_PROCESS).exists():
                stop.wait(IDLE_S)
                continue
            try:
                newest = news_take(process_client(), newest, book, wait_s=WAIT_S)
                away, pause_s = _back(away), PAUSE_S[0]
                continue
            except VenueError as error:
                if not away:
                    log.warning("no news from the paper venue, its accounts are asked every 30 s: %s", error)
                away = True
        if outcome.failed or away:
            stop.wait(pause_s)
            pause_s = min(pause_s * 2, PAUSE_S[1])


def _back(away: bool) -> bool:
    if away:
        log.info("news from the paper venue again")
    return False


def news_take(client: Client, after: int, book: Book, *, wait_s: float = 0.0) -> int:
    """Wait for news after `after`, book the accounts that they concern, and ring their bots; returns the newest number.

    Whoever has just come (`after` below 0) is told nothing yet: then all accounts may have news.
    """
    newest, keys = client.get(f"/news?after={after}&wait={int(wait_s)}", NEWS, wait_s=wait_s)
    accounts = Account.objects.filter(venue=Account.Venue.PAPER_PROCESS).order_by("id")
    if after >= 0:
        accounts = accounts.filter(public_id__in=_ids(keys))
    touched: set[int] = set()
    for account in accounts:
        with contain(f"booking account {account.pk}"):
            touched |= book(account)
    if touched:
        ring(sorted(touched))
        hint()
    return newest


def _ids(keys: Sequence[str]) -> list[UUID]:
    """Return the keys that are accounts' of this kind: somebody else may use the venue, too."""
    found = []
    for key in keys:
        try:
            found.append(UUID(key))
        except ValueError:
            log.debug("news of an account that isn't ours: %s", key)
    return found
