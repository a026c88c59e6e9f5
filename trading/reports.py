"""What a backtest or a replay reports as JSON: exact figures with the assumptions behind them, money as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from trading.core.accounting import ZERO
from trading.core.candles import Candles
from trading.core.needs import Needs
from trading.core.ports import Strategy
from trading.core.report import MarketFigures, RunReport, TradeFigures
from trading.core.round_trips import RoundTrip
from trading.core.rounding import plain
from trading.core.types import MarketRules, Perpetual

CURVE_POINTS = 2000


@dataclass(frozen=True)
class RunMarket:
    """One market of a run. All markets of a run have the same candle times."""

    candles: Candles
    rules: MarketRules
    source: str = ""  # name of the file


@dataclass(frozen=True)
class Request:
    """A strategy with its parameters, its markets by alias, and money: everything a run needs."""

    strategy: Strategy
    params: BaseModel
    markets: Mapping[str, RunMarket]
    cash: Decimal
    fee: Decimal
    start_ms: int | None = None
    advisor: str = ""
    liquidity_ratio: Decimal | None = None
    half_spread_ratio: Decimal = ZERO
    slippage_ratio: Decimal = ZERO

    @property
    def needs(self) -> Needs:
        return self.strategy.needs(self.params)

    @property
    def candles(self) -> Candles:
        """The first market's: their times are those of all."""
        return next(iter(self.markets.values())).candles

    @property
    def perpetual(self) -> Perpetual | None:
        """What the perpetuals among the markets have in common; None: they are spot markets."""
        return next((market.rules.perpetual for market in self.markets.values() if market.rules.perpetual), None)


@dataclass(frozen=True)
class Report:
    """A finished run, whatever ran it; `seconds` is the run alone."""

    request: Request
    run: RunReport
    seconds: float
    orders: int
    fills_sha256: str
    mode: str = "backtest"
    extra: Mapping[str, Any] = field(default_factory=dict)


def report_json(report: Report) -> dict[str, Any]:
    """Return the figures. With several markets position and price stand by market only."""
    run, candles = report.run, report.request.candles
    markets = {alias: _market(figures) for alias, figures in run.markets.items()}
    only = next(iter(markets.values())) if len(markets) == 1 else {"position": None, "last_price": None}
    return {
        "mode": report.mode,
        "strategy": report.request.strategy.key,
        "candles": len(candles),
        "first_ms": int(candles.ts[0]),
        "last_ms": int(candles.ts[-1]),
        "seconds": report.seconds,
        "orders": report.orders,
        "fills": sum(figures.fills for figures in run.markets.values()),
        "cash": plain(run.cash),
        "final_equity": plain(run.final_equity),
        "realised_pnl": plain(run.sum("realised")),
        "unrealised_pnl": plain(run.sum("unrealised")),
        "fees": plain(run.sum("fees")),
        "funding": plain(run.sum("funding")),
        "total_pnl": plain(run.total),
        "position": only["position"],
        "last_price": only["last_price"],
        "liquidations": sum(figures.liquidations for figures in run.markets.values()),
        "buy_and_hold_pnl": plain(run.benchmark.pnl),
        "max_drawdown_ratio": run.max_drawdown_ratio,
        "exposure_ratio": run.exposure_ratio,
        "trades": _trade_figures(run.figures),
        "markets": markets,
        "assumptions": list(assumptions(report.request)),
        "fills_sha256": report.fills_sha256,
        **report.extra,
    }


def report_file(report: Report) -> dict[str, Any]:
    """Return the figures and everything behind them: trades, exits, months, drawdowns and the curve."""
    run = report.run
    return report_json(report) | {
        "params": report.request.params.model_dump(mode="json"),
        "closed_trades": [_trade(trade) for trade in run.trades],
        "open_trades": [_trade(trade) for trade in run.open],
        "exits": [{"reason": row.reason, "trades": row.trades, "net": plain(row.net)} for row in run.exits],
        "months": [
            asdict(row)
            | {"profit": row.profit, "return_ratio": row.return_ratio, "trades": run.month_trades.get(row.month, 0)}
            for row in run.months
        ],
        "drawdowns": [asdict(fall) for fall in run.drawdowns],
        "benchmark": asdict(run.benchmark) | {"pnl": plain(run.benchmark.pnl)},
        "curve": _curve(run),
    }


def assumptions(request: Request) -> tuple[str, ...]:
    """Say what a run takes for granted."""
    rules = [market.rules for market in request.markets.values()]
    steps = ", ".join(sorted({f"a tick of {plain(rule.tick)} and a lot of {plain(rule.lot)}" for rule in rules}))
    lines = [
        "within a candle the price goes open, nearer extreme (the low when equally near), other extreme, close",
        _fills(request.liquidity_ratio),
        "a gap fills at the open: better for a limit, worse for a stop",
        f"a market order fills at the next price of the path, {_costs(request)}",
        f"fee {plain(request.fee * 100)} % of the notional, in quote, for maker and taker alike",
        f"orders stand on {steps}, prices rounded to the safe side, quantities down; no minimum",
        "an order that the free cash or coins can't pay is denied and asked again",
        "final equity at the last close without an exit fee; drawdown from equity at candle closes",
        _begin(request),
    ]
    if len(rules) > 1:
        lines.append(
            "several markets: the time that their files have in common; events in the order of time, leg of the "
            "candle's path, and the strategy's list"
        )
    if request.perpetual:
        lines.append(_funding(request.perpetual))
    return tuple(lines)


# --- parts of the figures -------------------------------------------------------------------------------------------


def _market(figures: MarketFigures) -> dict[str, Any]:
    names = ("position", "avg_price", "last_price", "realised", "unrealised", "fees", "funding", "total")
    money = {name: plain(getattr(figures, name)) for name in names}
    counts = {"fills": figures.fills, "liquidations": figures.liquidations}
    return counts | money | {"exposure_ratio": figures.exposure_ratio}


def _trade_figures(figures: TradeFigures) -> dict[str, Any]:
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in asdict(figures).items()}


def _trade(trade: RoundTrip) -> dict[str, Any]:
    """Return one row of the table of trades; of what is still open, nothing about the exit."""
    closed = trade.closed_ms is not None
    return {
        "market": trade.market,
        "side": "long" if trade.long else "short",
        "opened_ms": trade.opened_ms,
        "closed_ms": trade.closed_ms,
        "qty": plain(trade.qty),
        "entry_price": plain(trade.entry_price),
        "exit_price": plain(trade.exit_price) if closed else None,
        "entry_reason": trade.entry_reason,
        "exit_reason": trade.exit_reason,
        "gross": plain(trade.gross) if closed else None,
        "fees": plain(trade.fees),
        "funding": plain(trade.funding),
        "net": plain(trade.net) if closed else None,
        "return_ratio": trade.return_ratio if closed else None,
    }


def _curve(run: RunReport) -> list[list[float]]:
    """Return [ts_ms, equity, drawdown ratio, benchmark] at evenly spaced closes and at the last one."""
    curve = run.curve
    step = -(-len(curve.ts_ms) // CURVE_POINTS)
    at = slice((len(curve.ts_ms) - 1) % step, None, step)
    columns = (curve.ts_ms, curve.equity, curve.drawdown_ratio, curve.benchmark)
    return [list(row) for row in zip(*(column[at].tolist() for column in columns), strict=True)]


# --- parts of the assumptions ---------------------------------------------------------------------------------------


def _fills(liquidity_ratio: Decimal | None) -> str:
    first = "at one price the earlier placed one first"
    if liquidity_ratio is None:
        return f"a resting order fills whole at its price when the path reaches it, {first}"
    share = plain(liquidity_ratio * 100)
    return f"at one touch at most {share} % of the candle's volume of a limit order fills at its price, {first}"


def _costs(request: Request) -> str:
    slippage = f"slippage {plain(request.slippage_ratio * 100)} %" if request.slippage_ratio else "slippage 0"
    if not request.half_spread_ratio:
        return f"{slippage}, bid = ask = last price"
    return f"{slippage}, bid and ask {plain(request.half_spread_ratio * 100)} % beside the last price: no book was used"


def _begin(request: Request) -> str:
    warmup, start_ms = request.needs.warmup, request.start_ms
    begin = "the first candle" if start_ms is None else f"{start_ms} ms"
    after = f", once {warmup} candles of warm-up have closed" if warmup else ""
    return f"the first decision is made at {begin}{after}; signals know all candles before it"


def _funding(perpetual: Perpetual) -> str:
    hours = perpetual.funding_interval_ms / 3_600_000
    return (
        f"perpetuals: funding is a constant {plain(perpetual.funding_rate * 100)} % of the notional every {hours:g} "
        "hours, paid by longs, at the open of its candle; "
        f"maintenance margin {plain(perpetual.maintenance_rate * 100)} % of the notional, mark = last price; "
        "a liquidation closes at the bankruptcy price"
    )
