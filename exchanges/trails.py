"""Trailing orders and wakes on live prices: their peaks live in memory and are rebuilt from what is stored.

A new peak costs no write. What is remembered of a trail is the best price since it was made, once that has armed it:
the highest of a selling one, the lowest of a buying one. So after a restart it is the best of the stored minutes since
then; of the minute in which it was made, which also holds prices from before, only what came after counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from exchanges.demo import demo_source
from exchanges.models import DemoClock, Market
from exchanges.paper_path import Path, TrailWatch
from exchanges.prices import extremes_since, quote_get
from exchanges.selectors import candles_load, demo_clock_get
from trading.core.matching import STOP
from trading.core.timeframes import MINUTE_MS
from trading.core.types import Bar, Side

__all__ = ["WAKES", "Followed", "TrailWatch", "Trails", "best_since", "stood_at"]

Best = dict[TrailWatch, float | None]
WAKES = "wakes"


class Followed:
    """What a bar does to the trails of one market: which fire in it, and the best prices of the others."""

    def __init__(self, fired: Collection[TrailWatch] = (), best: Best | None = None) -> None:
        self.fired = list(fired)
        self.best: Best = best or {}


class Trails:
    """The best prices of the trails that one process follows. Without it each bar costs a look at stored candles."""

    def __init__(self) -> None:
        self._best: dict[tuple[int, str], Best] = {}

    def fired(self, market: Market, bar: Bar, watches: Collection[TrailWatch]) -> list[TrailWatch]:
        """Return the wakes of this market that `bar` fires, and follow the others on. Give it all that wait."""
        followed = self.follow(market, bar, watches, WAKES)
        self.keep(market, followed, WAKES)
        return followed.fired

    def follow(
        self,
        market: Market,
        bar: Bar,
        watches: Collection[TrailWatch],
        group: str,
        unarmed: Collection[TrailWatch] = (),
    ) -> Followed:
        """Take `bar` over all the trails of one market and group; `keep` the answer once its consequences stand.

        `unarmed` are those that no price has armed yet, so that there is nothing to look up.
        """
        if not watches:
            return Followed()
        path = Path([market])
        path.start([bar], stood_at(market))
        for watch in watches:
            path.add(watch, None if watch in unarmed else self.best(market, watch, bar.ts_ms, group))
        fired = []
        while path.rows and (met := path.advance()).event != STOP:
            fired.append(path.drop(met.row))
        best = {row: path.peak(place) for place, row in enumerate(path.rows)}
        return Followed(
            [row for row in fired if isinstance(row, TrailWatch)],
            {row: peak for row, peak in best.items() if isinstance(row, TrailWatch)},
        )

    def keep(self, market: Market, followed: Followed, group: str) -> None:
        """Remember the peaks; trails that are no longer followed are forgotten."""
        if followed.best:
            self._best[market.pk, group] = followed.best
        else:
            self._best.pop((market.pk, group), None)

    def best(self, market: Market, watch: TrailWatch, before_ms: int, group: str) -> float | None:
        """Return the best price of one trail before a time, None while it isn't armed."""
        known = self._best.get((market.pk, group), {})
        return known[watch] if watch in known else best_since(market, watch, before_ms)


def stood_at(market: Market) -> list[float]:
    """Return the last price before the bar that comes now, where there was one."""
    quote = quote_get(market.pk)
    return [quote.last] if quote else []


def best_since(market: Market, watch: TrailWatch, before_ms: int) -> float | None:
    """Find the best price between the making of a trail and `before_ms` in what is stored; None: it isn't armed."""
    if not 0 < watch.since_ms < before_ms:
        return None
    selling = watch.side is Side.SELL
    found = [high if selling else low for low, high in _extremes(market, watch.since_ms, before_ms)]
    if not found:
        return None
    best = max(found) if selling else min(found)
    activation = watch.trail.activation
    armed = activation is None or (best >= activation if selling else best <= activation)
    return best if armed else None


def _extremes(market: Market, since_ms: int, before_ms: int) -> Iterator[tuple[float, float]]:
    """Yield (low, high) of pieces that together cover what is known of [since_ms, before_ms)."""
    edge_ms = min(-(-since_ms // MINUTE_MS) * MINUTE_MS, before_ms)
    clock = demo_clock_get() if market.is_demo else None
    candles = candles_load(market, MINUTE_MS, edge_ms - MINUTE_MS, before_ms)
    whole = [bar for bar in candles.bars() if edge_ms <= bar.ts_ms and bar.ts_ms + MINUTE_MS <= before_ms]
    yield from ((bar.low, bar.high) for bar in whole)
    until_ms = whole[-1].ts_ms + MINUTE_MS if whole else edge_ms
    if clock is not None:
        yield from _computed(clock, market, since_ms, edge_ms)
        yield from _computed(clock, market, until_ms, before_ms)
        return
    yield from ((bar.close, bar.close) for bar in candles.bars() if bar.ts_ms < edge_ms and bar.ts_ms < since_ms)
    remembered = extremes_since(market.pk, until_ms)
    if remembered is not None:
        yield remembered


def _computed(clock: DemoClock, market: Market, start_ms: int, end_ms: int) -> Iterator[tuple[float, float]]:
    bar = demo_source(clock).bar(market.symbol, start_ms, end_ms) if start_ms < end_ms else None
    if bar is not None:
        yield bar.low, bar.high
