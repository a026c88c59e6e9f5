"""What a backtest shows its strategy: made when the strategy looks, since most decisions look at little."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from trading.core.book import Book, BookMarket
from trading.core.candles import Floats
from trading.core.compiled import compiled_matching
from trading.core.matching import PRICE
from trading.core.needs import Needs
from trading.core.rounding import to_float
from trading.core.series_set import SeriesSet
from trading.core.types import DerivedView, Fees, MarketRules, PositionView

Cursor = tuple[int, int, int]  # candle, leg, market: see `trading.core.matching`


class Budget(Mapping[str, float]):
    """Free funds by coin, valid during the decision only: one object for the whole run, since most don't look."""

    __slots__ = ("_book",)

    def __init__(self, book: Book) -> None:
        self._book = book

    def __getitem__(self, coin: str) -> float:
        return to_float(self._book.spendable()[coin])

    def __iter__(self) -> Iterator[str]:
        return iter(self._book.free)

    def __len__(self) -> int:
        return len(self._book.free)

    def __repr__(self) -> str:
        return repr(dict(self))


class Sight:
    """What all markets of a run are looked at with. `since` and `at`: where the last decision stood, and this one."""

    def __init__(self, prices: Floats, points: Floats, needs: Needs, series: SeriesSet, half_spread: float) -> None:
        self.prices = prices
        self.last: Sequence[float] = points[PRICE].data  # where each market stands; gives Python's own floats
        self.half_spread = half_spread
        self.decision = 0
        self.since: Cursor = (0, 0, 0)
        self.at: Cursor = (0, 0, 0)
        self.extremes: Callable[..., tuple[float, float]] = compiled_matching().path_extremes
        self.use(needs, series)

    def use(self, needs: Needs, series: SeriesSet) -> None:
        """Take the series of a strategy whose parameters changed."""
        names: dict[str, list[str]] = {}
        for name, spec in needs.signals.items():
            names.setdefault(spec.market, []).append(name)
        self._signals = {of: [(name, series.signal(name)) for name in found] for of, found in names.items()}
        self._derived = {name: series.derived(name) for name in needs.derived}
        self._looked: dict[str, tuple[int, dict[str, Any]]] = {}  # by source: the closed candle, and what they were

    def signals_of(self, source: str) -> dict[str, Any]:
        """Return the signals of a market or derived series as of the last closed candle."""
        closed = self.at[0] - 1
        known = self._looked.get(source)
        if known is None or known[0] != closed:
            signals = self._signals.get(source, ())
            known = closed, {name: series.at(closed) if closed >= 0 else None for name, series in signals}
            self._looked[source] = known
        return known[1]

    def derived(self) -> dict[str, DerivedView]:
        """Return the derived series as of the last closed candle."""
        closed = self.at[0] - 1
        return {
            name: DerivedView(series.at(closed) if closed >= 0 else None, self.signals_of(name))
            for name, series in self._derived.items()
        }


class SimMarketView:
    """One market as it may be known now; valid during the decision only, one object for the whole run.

    Candles know no book: bid and ask are last -+ the modelled half spread, and mark is last.
    """

    def __init__(self, sight: Sight, market: BookMarket, fee: float) -> None:
        self._sight = sight
        self._market = market
        self._fees = Fees(fee, fee)

    @property
    def last(self) -> float:
        return self._sight.last[self._market.index]

    @property
    def bid(self) -> float:
        return self.last * (1 - self._sight.half_spread)

    @property
    def ask(self) -> float:
        return self.last * (1 + self._sight.half_spread)

    @property
    def mark(self) -> float:
        return self.last

    @property
    def seq(self) -> int:
        return self._sight.decision

    @property
    def age_ms(self) -> int:
        return 0

    @property
    def low_since(self) -> float:
        return self._since()[0]

    @property
    def high_since(self) -> float:
        return self._since()[1]

    @property
    def rules(self) -> MarketRules:
        return self._market.rules

    @property
    def fees(self) -> Fees:
        return self._fees

    @property
    def position(self) -> PositionView:
        return self._market.position.view(self.last)

    @property
    def signals(self) -> Mapping[str, Any]:
        return self._sight.signals_of(self._market.alias)

    @property
    def closed_ms(self) -> int:
        closed, candles = self._sight.at[0] - 1, self._market.candles
        return int(candles.ts[closed]) + candles.timeframe_ms if closed >= 0 else 0

    def _since(self) -> tuple[float, float]:
        sight, index = self._sight, self._market.index
        (since_i, since_leg, since_market), (i, leg, market) = sight.since, sight.at
        # a market before the cursor's has walked the cursor's leg already
        legs = since_leg + (index < since_market), leg + (index < market)
        return sight.extremes(sight.prices[index], since_i, legs[0], i, legs[1], self.last)
