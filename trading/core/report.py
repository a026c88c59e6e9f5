"""What a finished run made, whatever ran it: trades, months, drawdowns, exposure, and the figures of each market.

Money is Decimal and adds up to the last digit (realised + unrealised - fees + funding = total); curves and ratios are
float64.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import numpy as np

from trading.core.accounting import ZERO, Holding
from trading.core.candles import Candles, Floats, Ints
from trading.core.curves import (
    Drawdown,
    Month,
    drawdowns,
    gains_at_closes,
    held_coins,
    holding_at_closes,
    months,
)
from trading.core.ids import LIQUIDATION
from trading.core.metrics import drawdown_ratios
from trading.core.round_trips import FillRow, FundingRow, RoundTrip, round_trips
from trading.core.rounding import to_decimal, to_float
from trading.core.types import MarketRules

MOST_DRAWDOWNS = 10
_CENTS = Decimal("1e-8")

Row = TypeVar("Row", FillRow, FundingRow)


@dataclass(frozen=True, slots=True)
class MarketFigures:
    """One market's books at the last close."""

    fills: int
    liquidations: int
    position: Decimal
    avg_price: Decimal
    last_price: Decimal
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    funding: Decimal
    exposure_ratio: float  # share of the candles at whose close a position stood

    @property
    def total(self) -> Decimal:
        return self.realised + self.unrealised - self.fees + self.funding


@dataclass(frozen=True, slots=True)
class TradeFigures:
    """What the closed trades have in common. A ratio is None where nothing can be divided."""

    trades: int
    won: int
    win_ratio: float | None
    profit_factor: float | None  # what the winners made / what the losers lost
    average_net: Decimal
    best_net: Decimal
    worst_net: Decimal
    average_hours: float


@dataclass(frozen=True, slots=True)
class ReasonFigures:
    """Trades that ended for one reason."""

    reason: str
    trades: int
    net: Decimal


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Buy and hold: the cash in equal parts in all markets at the first open, no fees."""

    pnl: Decimal
    return_ratio: float
    max_drawdown_ratio: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One value each candle close (`ts_ms`)."""

    ts_ms: Ints
    equity: Floats
    drawdown_ratio: Floats
    benchmark: Floats


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything that is reported of a run; `open` is what was still held at the last close."""

    cash: Decimal
    markets: Mapping[str, MarketFigures]
    trades: tuple[RoundTrip, ...]
    open: tuple[RoundTrip, ...]
    figures: TradeFigures
    exits: tuple[ReasonFigures, ...]
    months: tuple[Month, ...]
    month_trades: Mapping[str, int]
    drawdowns: tuple[Drawdown, ...]
    max_drawdown_ratio: float
    exposure_ratio: float
    benchmark: Benchmark
    curve: Curve

    def sum(self, name: str) -> Decimal:
        """Return the sum of one of the money figures over all markets."""
        return sum((getattr(market, name) for market in self.markets.values()), ZERO)

    @property
    def total(self) -> Decimal:
        return self.sum("total")

    @property
    def final_equity(self) -> Decimal:
        return self.cash + self.total

    @property
    def return_ratio(self) -> float:
        return to_float(self.total / self.cash)


def run_report(
    markets: Mapping[str, tuple[Candles, MarketRules]],
    fills: Sequence[FillRow],
    fundings: Sequence[FundingRow],
    cash: Decimal,
) -> RunReport:
    """Make the report of a run over `markets` (candles on one grid of times), with `fills` in booking order."""
    candles = {alias: market for alias, (market, _) in markets.items()}
    smallest = {alias: max(rules.lot, rules.min_qty) for alias, (_, rules) in markets.items()}
    fills_of, fundings_of = _by_market(fills), _by_market(fundings)
    first = next(iter(candles.values()))
    gains = [gains_at_closes(candles[alias], fills_of[alias], fundings_of[alias]) for alias in candles]
    equity: Floats = to_float(cash) + np.sum(gains, axis=0)
    held = {alias: holding_at_closes(candles[alias], fills_of[alias], smallest[alias]) for alias in candles}
    closed, still_open = round_trips(fills, fundings, smallest)
    closes_ms = first.ts + first.timeframe_ms
    below = drawdown_ratios(equity)
    return RunReport(
        cash=cash,
        markets={
            alias: _market_figures(candles[alias], fills_of[alias], fundings_of[alias], float(held[alias].mean()))
            for alias in candles
        },
        trades=tuple(closed),
        open=tuple(still_open),
        figures=trade_figures(closed),
        exits=_exits(closed),
        months=months(first.ts, equity, to_float(cash)),
        month_trades=Counter(_month(trade.closed_ms) for trade in closed if trade.closed_ms is not None),
        drawdowns=drawdowns(closes_ms, equity, MOST_DRAWDOWNS),
        max_drawdown_ratio=float(below.max()),
        exposure_ratio=float(np.logical_or.reduce(list(held.values())).mean()),
        benchmark=_benchmark(candles, cash),
        curve=Curve(closes_ms, equity, below, held_coins(candles, to_float(cash))),
    )


def trade_figures(trades: Sequence[RoundTrip]) -> TradeFigures:
    """Sum up closed trades; a trade is won when it made something after fees and funding."""
    nets = [trade.net for trade in trades]
    won, lost = [net for net in nets if net > 0], [net for net in nets if net < 0]
    hours = [((trade.closed_ms or trade.opened_ms) - trade.opened_ms) / 3_600_000 for trade in trades]
    return TradeFigures(
        trades=len(nets),
        won=len(won),
        win_ratio=len(won) / len(nets) if nets else None,
        profit_factor=to_float(sum(won, ZERO) / -sum(lost, ZERO)) if lost else None,
        average_net=(sum(nets, ZERO) / len(nets)).quantize(_CENTS) if nets else ZERO,
        best_net=max(nets, default=ZERO),
        worst_net=min(nets, default=ZERO),
        average_hours=sum(hours) / len(hours) if hours else 0.0,
    )


def _by_market(rows: Sequence[Row]) -> defaultdict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.market].append(row)
    return found


def _market_figures(
    candles: Candles, fills: Sequence[FillRow], fundings: Sequence[FundingRow], exposure: float
) -> MarketFigures:
    holding = Holding()
    for row in fills:
        holding.apply(row.side, row.price, row.qty, row.fee)
    last = to_decimal(float(candles.close[-1]))
    return MarketFigures(
        fills=len(fills),
        liquidations=sum(row.slot == LIQUIDATION for row in fills),
        position=holding.qty,
        avg_price=holding.avg_price,
        last_price=last,
        realised=holding.realised,
        unrealised=holding.unrealised(last),
        fees=holding.fees,
        funding=sum((row.amount for row in fundings), ZERO),
        exposure_ratio=exposure,
    )


def _exits(trades: Sequence[RoundTrip]) -> tuple[ReasonFigures, ...]:
    """Group by the reason of the exit, the most frequent first."""
    groups: defaultdict[str, list[Decimal]] = defaultdict(list)
    for trade in trades:
        groups[trade.exit_reason].append(trade.net)
    rows = [ReasonFigures(reason, len(nets), sum(nets, ZERO)) for reason, nets in groups.items()]
    return tuple(sorted(rows, key=lambda row: -row.trades))


def _benchmark(candles: Mapping[str, Candles], cash: Decimal) -> Benchmark:
    ratios = []
    for market in candles.values():
        first, last = to_decimal(float(market.open[0])), to_decimal(float(market.close[-1]))
        ratios.append((last - first) / first)
    pnl = (cash * sum(ratios, ZERO) / len(ratios)).quantize(_CENTS)
    curve = held_coins(candles, to_float(cash))
    return Benchmark(pnl, to_float(pnl / cash), float(drawdown_ratios(curve).max()))


def _month(ts_ms: int) -> str:
    return str(np.datetime64(ts_ms, "ms").astype("datetime64[M]"))
