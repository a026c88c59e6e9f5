"""What a backtest leaves behind: its fills as columns, and the exact books and figures made from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from trading.core.accounting import ZERO, Books, Holding, Trade, books_of, trade
from trading.core.candles import Candles
from trading.core.errors import InvalidInput
from trading.core.funding import Paid
from trading.core.ids import LIQUIDATION
from trading.core.metrics import equity_at_closes, fill_line, fills_sha256, max_drawdown_ratio
from trading.core.round_trips import FillRow, FundingRow
from trading.core.rounding import to_decimal, to_float
from trading.core.simfills import Fill
from trading.core.simoptions import SimMarket
from trading.core.types import Side


@dataclass(frozen=True, eq=False)
class Fills:
    """Fills of all markets in booking order, columns of length n: `candle` index, `ts` its open time (ms), `market` the
    place of its alias in `SimulationResult.markets`, `side` +1 buy and -1 sell.

    `price` and `qty` are float64 on the market's grid (a gap's or market order's price is the candle's own).
    """

    candle: NDArray[np.int64]
    ts: NDArray[np.int64]
    market: NDArray[np.int64]
    slot: tuple[str, ...]
    gen: NDArray[np.int64]
    side: NDArray[np.int8]
    price: NDArray[np.float64]
    qty: NDArray[np.float64]
    tag: tuple[str, ...]

    @classmethod
    def of(cls, candles: Candles, filled: Sequence[Fill]) -> Fills:
        candle, market, slot, gen, side, price, qty, tag = zip(*filled, strict=True) if filled else ((),) * 8
        index = np.array(candle, dtype=np.int64)
        return cls(
            candle=index,
            ts=candles.ts[index],
            market=np.array(market, dtype=np.int64),
            slot=slot,
            gen=np.array(gen, dtype=np.int64),
            side=np.array(side, dtype=np.int8),
            price=np.array(price, dtype=np.float64),
            qty=np.array(qty, dtype=np.float64),
            tag=tag,
        )

    def __len__(self) -> int:
        return len(self.candle)


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """One finished backtest. `orders` counts those placed, `denials` the refusals of orders at the gate.

    `spared` is, by the place of a fill, the part of its fee that the account couldn't pay.
    """

    markets: Mapping[str, SimMarket]
    cash: Decimal
    fee: Decimal
    fills: Fills
    funding: tuple[Paid, ...]
    orders: int
    denials: int
    decisions: int
    finish: str
    spared: Mapping[int, Decimal] = field(default_factory=dict)

    @property
    def candles(self) -> Candles:
        """The candles of the first market: all have the same open times."""
        return next(iter(self.markets.values())).candles

    @property
    def liquidations(self) -> int:
        return self.fills.slot.count(LIQUIDATION)

    # --- fills ------------------------------------------------------------------------------------------------------

    def trades(self) -> Iterator[Trade]:
        """Yield the fills in exact numbers."""
        if not self.spared:
            return self._trades()
        spared = self.spared
        return (one._replace(fee=one.fee - spared.get(place, ZERO)) for place, one in enumerate(self._trades()))

    def _trades(self) -> Iterator[Trade]:
        """Yield the fills with all of their fees."""
        known: dict[tuple[int, float, float], Trade] = {}
        fills = self.fills
        for key in zip(fills.side.tolist(), fills.price.tolist(), fills.qty.tolist(), strict=True):
            if key not in known:
                side, price, qty = key
                exact = to_decimal(price), to_decimal(qty)
                known[key] = trade(Side.BUY if side > 0 else Side.SELL, *exact, self.fee)
            yield known[key]

    def fill_rows(self) -> Iterator[FillRow]:
        """Yield the fills as a report takes them."""
        aliases, fills = list(self.markets), self.fills
        columns = fills.market.tolist(), fills.ts.tolist(), fills.slot, fills.gen.tolist(), self.trades(), fills.tag
        for market, ts, slot, gen, (side, price, qty, fee), tag in zip(*columns, strict=True):
            yield FillRow(aliases[market], ts, slot, gen, side, price, qty, fee, tag)

    def funding_rows(self) -> Iterator[FundingRow]:
        """Yield the fundings as a report takes them."""
        aliases, ts = list(self.markets), self.candles.ts
        for candle, market, amount in self.funding:
            yield FundingRow(aliases[market], int(ts[candle]), amount)

    def lines(self) -> Iterator[str]:
        """Yield the contract's line of each fill; with several markets it starts with the alias."""
        several = len(self.markets) > 1
        for row in self.fill_rows():
            line = fill_line(row.ts_ms, row.slot, row.gen, row.side, row.price, row.qty, row.fee)
            yield f"{row.market},{line}" if several else line

    def sha256(self) -> str:
        return fills_sha256(self.lines())

    # --- books ------------------------------------------------------------------------------------------------------

    def books(self) -> Books:
        """Return the books of a run over one market. Raises InvalidInput for several: see `holdings`."""
        if len(self.markets) > 1:
            raise InvalidInput("a run over several markets has a holding for each", field="markets")
        books = books_of(self.trades(), self.cash)
        books.cash += self.funding_total()
        return books

    def holdings(self) -> dict[str, Holding]:
        """Return the exact position and profit of each market, funding apart."""
        found = {alias: Holding() for alias in self.markets}
        for row in self.fill_rows():
            found[row.market].apply(row.side, row.price, row.qty, row.fee)
        return found

    def funding_total(self) -> Decimal:
        """Return what all fundings came to; paid is negative."""
        return sum((paid.amount for paid in self.funding), ZERO)

    def final_equity(self) -> Decimal:
        """Return cash and positions at the last closes, without fees for leaving them."""
        totals = (
            holding.total(to_decimal(float(self.markets[alias].candles.close[-1])))
            for alias, holding in self.holdings().items()
        )
        return self.cash + self.funding_total() + sum(totals, ZERO)

    def equity(self) -> NDArray[np.float64]:
        """Return the equity at each candle's close, float64: for charts and ratios, not for the books."""
        fills, fee = self.fills, to_float(self.fee)
        value = fills.qty * fills.price
        quote = -(fills.side * value) - value * fee
        for place, spared in self.spared.items():
            quote[place] += to_float(spared)
        total = np.full(len(self.candles), to_float(self.cash))
        for at, market in enumerate(self.markets.values()):
            own = fills.market == at
            base = (fills.side * fills.qty)[own]
            total += equity_at_closes(fills.candle[own], base, quote[own], market.candles.close, 0.0)
        if self.funding:
            candle = np.array([paid.candle for paid in self.funding], dtype=np.int64)
            amount = np.array([to_float(paid.amount) for paid in self.funding])
            total += equity_at_closes(candle, np.zeros(len(amount)), amount, self.candles.close, 0.0)
        return total

    def max_drawdown_ratio(self) -> float:
        return max_drawdown_ratio(self.equity())
