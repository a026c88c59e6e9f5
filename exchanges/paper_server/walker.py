"""The venue's own prices: they walk over its book whether or not anybody calls, and tell who has news."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from django.db.models import Max

from exchanges.demo import wall_now_ms
from exchanges.models import Market, PaperLog
from exchanges.paper_match import Reach, Walked, markets_waiting, walk
from exchanges.prices import past_put, quote_put
from exchanges.trails import Trails
from trading.core.types import Bar

LONGEST_WAIT_S = 25.0
_TOLD = (  # what an account must know without having asked for it
    PaperLog.Kind.EXECUTED,
    PaperLog.Kind.LIQUIDATED,
    PaperLog.Kind.FUNDED,
    PaperLog.Kind.ENDED,
    PaperLog.Kind.CANCELLED,
)


class Board:
    """Who has news: a bell over the log. The log's ids are the numbers of the news, so that a restart loses none.

    It is a hint. On PostgreSQL a row can become visible after one with a higher id of another account; whoever asked
    in between isn't told of it, and finds it by asking the account itself.
    """

    def __init__(self) -> None:
        self._bell = threading.Condition()

    def ring(self) -> None:
        with self._bell:
            self._bell.notify_all()

    def news(self, after: int, wait_s: float) -> tuple[int, list[str]]:
        """Return (number of the newest, keys of the accounts with news after `after`), as soon as there are any.

        With `after` below 0 the newest number alone: for whoever has just come.
        """
        found = self._look(after)
        if after >= 0 and not found[1] and wait_s > 0:
            with self._bell:
                found = self._look(after)  # what came between the two looks has rung already
                if not found[1] and self._bell.wait(min(wait_s, LONGEST_WAIT_S)):
                    found = self._look(after)
        return found

    def _look(self, after: int) -> tuple[int, list[str]]:
        newest = PaperLog.objects.aggregate(last=Max("pk"))["last"] or 0
        if after < 0:
            return newest, []
        fresh = PaperLog.objects.filter(pk__gt=after, pk__lte=newest, kind__in=_TOLD)
        return newest, sorted(set(fresh.values_list("account__name", flat=True)))


class Walker:
    """Takes prices over the book, one at a time, each bar once however often it comes."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._trails = Trails()
        self._bars: dict[int, Walked] = {}
        self._quiet: set[int] = set()
        self._turn = threading.Lock()

    def before(self, market_ids: set[int], reach: Mapping[int, Reach] | None = None) -> None:
        """Look once in which of these markets nothing waits: what is ordered from now on is newer than their prices."""
        self._quiet = set()
        self._quiet = market_ids - markets_waiting(market_ids, reach)

    def on_bar(self, market: Market, bar: Bar, closed: Sequence[Bar], *, received_ms: int, catching_up: bool) -> None:
        quiet = market.pk in self._quiet
        with self._turn:
            changed = 0 if quiet else self._walk(market, bar, None if catching_up else received_ms)
            # Not before the walk: what is ordered at the new price must not fill at the prices that led there.
            if catching_up:
                past_put(market.pk, bar, wall_now_ms())
            else:
                quote_put(market.pk, bar, received_ms)
        if changed:
            self._board.ring()

    def _walk(self, market: Market, bar: Bar, received_ms: int | None) -> int:
        walked = self._bars.get(market.pk)
        if walked is None or walked.came != (bar, received_ms):
            walked = self._bars[market.pk] = Walked(bar, received_ms)
        if walked.whole:
            return 0
        return walk(market, bar, self._trails, walked=walked)
