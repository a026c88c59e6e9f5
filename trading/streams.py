"""From a price to the bots it concerns: quote, paper fills, bookings, wakes, signals, doorbell."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from accounts.containment import contain
from accounts.crashpoints import crashpoint
from accounts.models import Account
from bots.doorbell import ring
from exchanges.demo import wall_now_ms
from exchanges.models import Market, PaperExecution
from exchanges.paper_match import WHOLE, Reach, Terms, Walked, markets_waiting, walk
from exchanges.prices import past_put, quote_put
from exchanges.streams import Streams, stream_for
from exchanges.trails import WAKES, Trails
from trading import heartbeat
from trading.channel_layer import hint
from trading.core.types import Bar
from trading.leases import leases_forget
from trading.missed import Touched
from trading.models import Order, Position
from trading.runtime import accounts_reconcile, venue_for
from trading.services.booking import executions_book, funding_book
from trading.services.listening import derived_wake, markets_derived, signals_changed
from trading.services.recovery import closures_book
from trading.services.waking import (
    markets_touched,
    markets_trailed,
    prices_wake,
    signals_recheck,
    trails_fired,
    trails_of,
)
from trading.venue_news import start_news

CANDLE_MS = 60_000
BOOK_AGAIN_S = 1.0


BEGAN = timezone.now()  # this process: its other parts run already when the streams start


def run_streams(stop: threading.Event) -> None:
    """Run every source of prices until `stop` is set. Starting is recovering: old orders are asked about first."""
    recover(BEGAN)
    sources = sorted(set(Market.objects.filter(active=True).values_list("source", flat=True)))
    streams = [stream for source in sources if (stream := stream_for(source)) is not None]
    pipeline = Pipeline()
    start_news(stop, account_book)
    Streams(streams, pipeline.on_bar, heartbeat.beat, pipeline.before, pipeline.after).run(stop)


def recover(began: datetime) -> None:
    """Settle what the processes before this one left behind."""
    leases_forget(began)
    # Embedded there is no other sender: what was being sent before this process began died with the last one.
    accounts_reconcile(dead_before=began if settings.EMBEDDED else None, everybody=True)
    signals_recheck()


class Stretch(NamedTuple):
    """What one update reached of a market; `late`: it is of the past, and nobody may act on it."""

    touched: Touched
    late: bool


class Pipeline:
    """What one stream leader does with prices. Start it after a reconciliation: older executions are booked by then.

    `terms` say how paper orders fill.
    """

    def __init__(self, terms: Terms = WHOLE) -> None:
        self.terms = terms
        self._seen = PaperExecution.objects.aggregate(last=Max("pk"))["last"] or 0
        self._walked: dict[int, Market] = {}  # whose walk changed something that nobody has looked at yet
        self._bars: dict[int, Walked] = {}  # the newest bar of each market: a piece that failed comes again
        self._trails = Trails()
        self._quiet: set[int] = set()  # markets of these prices in which nothing waits to be walked over
        self._unbooked: dict[int, float] = {}  # accounts with something to book, and when (monotonic) to try
        self._stretches: list[Stretch] = []  # walked, and nobody woken by them yet
        self._touched: set[int] = set()  # bots to ring for

    def before(self, market_ids: set[int], reach: Mapping[int, Reach] | None = None) -> None:
        """Look once, for all the prices that have just come, in which markets nothing waits for them to be walked over.

        `reach` says how far they reach; where it isn't given they may be any.
        What is ordered after this look is newer than those prices, so it couldn't have filled at them.
        """
        self._quiet = set()
        self._quiet = market_ids - markets_waiting(market_ids, reach) - markets_trailed(market_ids)

    def on_bar(self, market: Market, bar: Bar, closed: Sequence[Bar], *, received_ms: int, catching_up: bool) -> None:
        """Take in a market's newest prices; `after` wakes the bots. While catching up the past is walked, but nobody
        acts on it."""
        told = set(signals_changed(market, CANDLE_MS, closed, closed[-1].ts_ms + CANDLE_MS)) if closed else set()
        told |= self._take(market, bar, None if catching_up else received_ms)
        if not catching_up:
            self._touched |= told

    def after(self) -> None:
        """Wake the bots that the prices taken in since the last call concern, and ring for them."""
        self._touched |= self._wake()
        if self._touched:
            ring(sorted(self._touched))
            hint()
            self._touched = set()

    def price_apply(self, market: Market, bar: Bar, received_ms: int | None) -> set[int]:
        """Take one update through everything that depends on it; returns the bots that it concerns.

        Without `received_ms` it is no price of now: it fills and wakes, but is no quote that anybody may act on.
        """
        told = self._take(market, bar, received_ms)
        late = received_ms is None
        return told | self._wake(late=late)

    def _take(self, market: Market, bar: Bar, received_ms: int | None) -> set[int]:
        """Walk, quote and book one update; returns the bots that have news. Its levels are for `_wake` to look at."""
        quiet = market.pk in self._quiet
        self._walk(market, bar, received_ms, quiet=quiet)
        crashpoint("price-walked")
        followed = self._trails.follow(market, bar, () if quiet else trails_of(market), WAKES)
        # Not before the walk: what is ordered at the new price must not fill at the prices that led there.
        if received_ms is None:
            seq = past_put(market.pk, bar, wall_now_ms())
        else:
            seq = quote_put(market.pk, bar, received_ms).seq
        crashpoint("price-quoted")
        told = self._book()
        touched = Touched(market.pk, seq, bar.low, bar.high)
        if followed.fired:
            told.update(trails_fired([watch.id for watch in followed.fired], touched))
        self._trails.keep(market, followed, WAKES)  # not before its bots are woken: a piece that failed comes again
        self._stretches.append(Stretch(touched, late=received_ms is None))
        return told

    def _wake(self, *, late: bool = False) -> set[int]:
        """Wake whoever waits for a level in the stretches: one query over all markets, then only those with a hit.

        Not before the quotes are there: a bot that arms its level meanwhile sees them, and looks again by itself.
        Returns the bots woken by prices of now; with `late` also those woken by prices of the past.
        """
        crashpoint("price-booked")
        told: set[int] = set()
        hit = markets_touched([stretch.touched for stretch in self._stretches])
        heard = markets_derived({stretch.touched.market_id for stretch in self._stretches if not stretch.late})
        while self._stretches:
            touched, past = self._stretches[0]
            woken = set()
            if touched.market_id in hit:
                woken.update(prices_wake(touched.market_id, touched.low, touched.high, seq=touched.seq))
            if touched.market_id in heard and not past:
                woken.update(derived_wake(touched.market_id))
            if late or not past:
                told |= woken
            del self._stretches[0]
        crashpoint("price-woken")
        return told

    def _walk(self, market: Market, bar: Bar, received_ms: int | None, *, quiet: bool) -> None:
        """Take the bar over the paper venue's book once, however often it comes."""
        walked = self._bars.get(market.pk)
        if walked is None or walked.came != (bar, received_ms):
            walked = self._bars[market.pk] = Walked(bar, received_ms)
        if not walked.whole and not quiet and walk(market, bar, self._trails, self.terms, walked):
            self._walked[market.pk] = market
        walked.whole = True

    def _book(self) -> set[int]:
        """Book what the walks have changed; an account that fails is tried again a little later."""
        now = time.monotonic()
        for market in list(self._walked.values()):
            self._unbooked |= dict.fromkeys(self._accounts_changed(market), now)
            del self._walked[market.pk]
        touched: set[int] = set()
        due = [account for account, at in self._unbooked.items() if at <= now]
        for account in Account.objects.filter(pk__in=due) if due else ():
            with contain(f"booking account {account.pk}") as outcome:
                touched |= account_book(account)
            if outcome.failed:
                self._unbooked[account.pk] = now + BOOK_AGAIN_S
            else:
                self._unbooked.pop(account.pk, None)
        return touched

    def _accounts_changed(self, market: Market) -> set[int]:
        """Name the accounts with new executions, and those with an order that may have ended without one."""
        fresh = list(PaperExecution.objects.filter(pk__gt=self._seen).values_list("account_id", "pk"))
        here = Account.Venue.PAPER  # a venue that is a process of its own walks by itself, and tells its news
        working = Order.objects.filter(market=market, status=Order.Status.WORKING, account__venue=here)
        may_end = working.exclude(kind="limit", tif__in=("gtc", "post_only"))
        changed = {account for account, _ in fresh} | set(may_end.values_list("account_id", flat=True))
        if market.perpetual:
            held = Position.objects.filter(market=market, bot__account__venue=here).exclude(margin=0)
            changed |= set(held.values_list("bot__account_id", flat=True).distinct())
        self._seen = max([self._seen, *(pk for _, pk in fresh)])  # not before all is known: else nobody would book them
        return changed


def account_book(account: Account) -> set[int]:
    """Book what an account's venue has done since last time, fills first."""
    venue = venue_for(account)
    funding_book(account, venue)
    return executions_book(account, venue) | closures_book(account, venue)
