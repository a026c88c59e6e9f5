"""A replay's walk over the paper venue's book: several markets, candle by candle, in lock-step.

It stops wherever something happened, so that what is placed there takes part in the rest of the same candles, in the
order that the contract names: (time, leg of the path, order of the markets). The book is read again only after it
changed in this process: a lock-step replay is one process by its nature.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from exchanges.models import Market, PaperOrder, PaperPosition
from exchanges.paper_books import Books, book_changes, lock_accounts
from exchanges.paper_match import Terms, expire, late_orders, meet, pay_funding, watch_position
from exchanges.paper_path import Liquidation, Met, Path, TrailWatch, liquidation_of
from trading.core.matching import STOP, WAKE
from trading.core.perps import funding_times
from trading.core.types import Bar

Levels = Mapping[int, tuple[float, float]]  # market id -> wake at or below, at or above


class Step(NamedTuple):
    """Where the walk stopped, on which market and at which price.

    `event` is "fill" (an order filled), "closed" (the venue ended an order without filling it whole, or liquidated a
    position; fills may have come with it), "funding" (and nothing ended), "wake" (the path moved onto a price at or
    beyond a wake level), "trail" (a trailing wake fired: `trail_id`), or "end" (the candles are over).
    """

    event: str
    market_id: int
    price: float
    trail_id: Hashable = None


class LockstepWalk:
    """Walks candles of some markets, in the order given, over all that rests on them.

    `timeframe_ms` is the length of a candle, `liquidity_ratio` as in `paper_match.Terms`.
    """

    def __init__(
        self, markets: Sequence[Market], *, timeframe_ms: int = 60_000, liquidity_ratio: float | None = None
    ) -> None:
        self._markets = list(markets)
        self._by_id = {market.pk: market for market in self._markets}
        self._place = {market.pk: place for place, market in enumerate(self._markets)}
        self._terms = Terms(timeframe_ms, liquidity_ratio)
        self._path = Path(self._markets)
        self._trails: tuple[TrailWatch, ...] = ()
        self._version = -1
        self._prepared = False  # these candles: what comes before their open is done

    def start(self, bars: Mapping[int, Bar]) -> None:
        """Stand before the open of the next candles, one of each market by its id."""
        self._path.start([bars[market.pk] for market in self._markets])
        self._prepared = False

    def price_of(self, market_id: int) -> float:
        """Return where the walk stands on one market."""
        return self._path.price_of(market_id)

    def look(self) -> None:
        """Let `extremes` count from here on."""
        self._path.look()

    def extremes(self, market_id: int) -> tuple[float, float]:
        """Return the lowest and highest price of a market's path since `look`, where it stands now included."""
        return self._path.extremes(market_id)

    def step(self, wakes: Levels | None = None, trails: Collection[TrailWatch] = ()) -> Step:
        """Walk on to the next event. `trails` are all the trailing wakes that wait; one that fired is told once.

        Raises ValueError before the first `start`.
        """
        if not self._path.bars:
            raise ValueError("start(bars) comes before step()")
        self._read_book(tuple(trails))
        if not self._prepared:
            self._prepared = True
            event = self._prepare()
            if event:
                first = self._markets[0].pk
                return Step(event, first, self._path.bars[first].open)
        while True:
            met = self._path.advance(wakes)
            if met.event == STOP:
                return Step("end", met.market.pk, met.price)
            if met.event == WAKE:
                return self._woken(met)
            event = self._book(met)
            if event:
                return Step(event, met.market.pk, met.price)

    def _woken(self, met: Met) -> Step:
        if met.row < 0:
            return Step("wake", met.market.pk, met.price)
        watch = self._path.drop(met.row)
        return Step("trail", met.market.pk, met.price, watch.id if isinstance(watch, TrailWatch) else None)

    # --- the book ---------------------------------------------------------------------------------------------------

    def _version_now(self) -> int:
        return sum(book_changes[market.pk] for market in self._markets)

    def _read_book(self, trails: tuple[TrailWatch, ...]) -> None:
        version = self._version_now()
        if version == self._version and trails == self._trails:
            return
        known = self._state()
        path = self._path
        path.clear()
        working = PaperOrder.objects.filter(market__in=self._markets, status=PaperOrder.Status.WORKING)
        for order in working.order_by("seq", "id"):
            peak, rests = known.get(order.pk, (None, False))
            path.add(order, peak, rests=rests)
        held = PaperPosition.objects.filter(Q(below__isnull=False) | Q(above__isnull=False), market__in=self._markets)
        for position in held.order_by("id") if any(market.perpetual for market in self._markets) else ():
            level = liquidation_of(position)
            if level is not None:
                path.add(level)
        for watch in trails:
            if watch in known or watch not in self._trails:  # one that fired already isn't told again
                path.add(watch, known.get(watch, (None, False))[0])
        self._version, self._trails = version, trails

    def _state(self) -> dict[Hashable, tuple[float | None, bool]]:
        """Return the peak of each trail and whether an order rests until the next candle, by order id or watch."""
        path = self._path
        return {
            row.pk if isinstance(row, PaperOrder) else row: (path.peak(place), path.rests(place))
            for place, row in enumerate(path.rows)
            if not isinstance(row, Liquidation)
        }

    def _prepare(self) -> str:
        """Do what comes before the opens, of all markets at once; says what it was."""
        held = [row for row in self._path.rows if isinstance(row, Liquidation) and self._has_funding(row)]
        held.sort(key=lambda row: self._place[row.market_id])  # what one receives, the next one may pay
        accounts = {row.account_id for row in held} | {order.account_id for order in late_orders(self._path)}
        return self._prepare_accounts(accounts, held) if accounts else ""

    def _has_funding(self, held: Liquidation) -> bool:
        """Say whether a position has funding to pay or to get by the end of its market's candle."""
        until_ms = self._path.bars[held.market_id].ts_ms + self._terms.span_ms - 1
        return bool(funding_times(held.funded_ms, until_ms, self._by_id[held.market_id].funding_interval_ms))

    @transaction.atomic
    def _prepare_accounts(self, accounts: Collection[int], held: Sequence[Liquidation]) -> str:
        lock_accounts(accounts)
        books = Books(accounts, self._markets)
        expired = expire(books, self._path)
        for row in held:
            market = self._by_id[row.market_id]
            pay_funding(books, self._path, row.account_id, market, self._terms)
            watch_position(books, self._path, row.account_id, market)
        if not books.changes:
            return ""
        self._save(books)
        return "closed" if expired else "funding"

    @transaction.atomic
    def _book(self, met: Met) -> str:
        """Book what was met; "" when it was no more than a trigger."""
        row = self._path.rows[met.row]
        accounts = [] if isinstance(row, TrailWatch) else [row.account_id]
        lock_accounts(accounts)
        books = Books(accounts, [met.market])
        ended = meet(books, self._path, met, self._terms)
        filled = bool(books.executions)
        self._save(books)
        return "closed" if ended else "fill" if filled else ""

    def _save(self, books: Books) -> None:
        books.save()
        self._version = self._version_now()  # the path knows of this change
