"""The demo market as a venue's feed: live updates by the clock it is handed, and the candles of any past.

All times here are UTC milliseconds as they are shown: market time 0 is shown as `epoch_ms`, a full minute.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

import numpy as np

from exchanges.adapters.demo.market import TICK_MS, DemoMarket
from exchanges.adapters.demo.noise import Floats
from exchanges.adapters.demo.specs import SPECS
from trading.core.candles import Candles
from trading.core.errors import InvalidInput
from trading.core.ports import PriceUpdate
from trading.core.timeframes import MINUTE_MS
from trading.core.types import Bar

PAUSE_S = 0.1  # wall time between two looks at the clock


class DemoSource:
    """All demo markets of one seed, on the shown calendar."""

    def __init__(self, seed: int, epoch_ms: int) -> None:
        if epoch_ms % MINUTE_MS:
            raise InvalidInput(f"the epoch must be a full minute, not {epoch_ms}", field="epoch_ms", value=epoch_ms)
        self._epoch_ms = epoch_ms
        self._markets: dict[str, DemoMarket] = {}
        for symbol, spec in SPECS.items():  # leaders before those who follow them
            leader = self._markets[spec.leader.symbol] if spec.leader else None
            self._markets[symbol] = DemoMarket(seed, spec, leader)

    def market(self, symbol: str) -> DemoMarket:
        """Return a market in market time. Raises InvalidInput for a symbol that the demo market doesn't have."""
        if symbol not in self._markets:
            known = ", ".join(list(self._markets)[:20])
            raise InvalidInput(
                f"the demo market has {known} and their like, not {symbol}", field="symbol", value=symbol
            )
        return self._markets[symbol]

    def bar(self, symbol: str, start_ms: int, end_ms: int) -> Bar | None:
        """Return the ticks of [start, end) as one bar, None when there are none."""
        bar = self.market(symbol).bar(start_ms - self._epoch_ms, end_ms - self._epoch_ms)
        if bar is None:
            return None
        return Bar(bar.ts_ms + self._epoch_ms, bar.open, bar.high, bar.low, bar.close, bar.volume)

    def candles(self, symbol: str, timeframe_ms: int, start_ms: int, end_ms: int) -> Candles:
        """Return the candles with start <= open time < end; a day's candle opens at midnight UTC."""
        shift = self._epoch_ms
        rows: Floats = self.market(symbol).candles(timeframe_ms, start_ms - shift, end_ms - shift, -shift)
        return Candles.of(rows[:, 0].astype(np.int64) + shift, *rows[:, 1:].T)


class DemoFeed:
    """The Feed port over a DemoSource. `now_ms` is the shown market time, `sleep` waits in wall time."""

    def __init__(
        self,
        source: DemoSource,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        from_ms: int | None = None,
        late_ms: int = MINUTE_MS,
    ) -> None:
        """What lies more than `late_ms` of market time behind the clock when it is told is marked late."""
        self._source = source
        self._now_ms = now_ms
        self._sleep = sleep
        self._late_ms = late_ms
        self._from_ms = now_ms() if from_ms is None else from_ms
        self._told_ms: dict[str, int] = {}  # by symbol, from the first update on

    async def updates(self, symbols: Sequence[str]) -> AsyncIterator[PriceUpdate]:
        """Yield what has been traded since the last look, minute by minute; goes on where it was left.

        What was missed comes as whole minutes. Each is late by the clock of the moment in which it is told: so a
        process that hardly gets a turn, and always finds that it has missed something, still comes to prices of now.
        """
        while True:
            now_ms = self._now_ms() // TICK_MS * TICK_MS
            for _, end_ms in minutes_between(self._begin_ms(symbols), now_ms):
                late = self._now_ms() - end_ms > self._late_ms
                for symbol in symbols:
                    update = self._update(symbol, end_ms, late)
                    if update is not None:
                        yield update
                await self._sleep(0)
            await self._sleep(PAUSE_S)

    def _begin_ms(self, symbols: Sequence[str]) -> int:
        return min((self._told_ms.get(symbol, self._from_ms) for symbol in symbols), default=self._from_ms)

    def _update(self, symbol: str, end_ms: int, late: bool) -> PriceUpdate | None:
        """Tell what is new of one market, if it is its turn: at the end of a minute it always is."""
        start_ms, pace_ms = self._told_ms.get(symbol, self._from_ms), self._source.market(symbol).spec.pace_ms
        until_ms = end_ms if end_ms % MINUTE_MS == 0 else end_ms // pace_ms * pace_ms
        bar = self._source.bar(symbol, start_ms, until_ms) if until_ms > start_ms else None
        if bar is None:
            return None
        self._told_ms[symbol] = until_ms
        return PriceUpdate(symbol, bar, until_ms, late)

    def history(self, symbol: str, timeframe_ms: int, start_ms: int, end_ms: int) -> list[Bar]:
        return list(self._source.candles(symbol, timeframe_ms, start_ms, end_ms).bars())


def minutes_between(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """Cut [start, end) at the edges of minutes."""
    while start_ms < end_ms:
        edge = min((start_ms // MINUTE_MS + 1) * MINUTE_MS, end_ms)
        yield start_ms, edge
        start_ms = edge
