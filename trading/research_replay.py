"""Replays from outside: the same request as a backtest's, run on the live path, and the same report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from bots.advisors.registry import simulated_advisor
from exchanges.models import PaperFunding
from trading.core.metrics import fills_sha256
from trading.core.report import run_report
from trading.core.round_trips import FillRow, FundingRow
from trading.core.rounding import plain
from trading.core.types import Side
from trading.replay import Replayed, ReplayMarket, replayed
from trading.replay_driver import Progress
from trading.reports import Report, Request
from trading.situation import markets_of


def replay(request: Request, *, keep: bool = False, on_progress: Progress | None = None) -> Report:
    """Run it on the live path and make the report; the workspace is deleted unless it is to be kept."""
    with run_of(request, keep=keep, on_progress=on_progress) as run:
        markets = {alias: (market.candles, market.rules) for alias, market in request.markets.items()}
        sums = {coin: plain(amount) for coin, amount in run.ledger_sums().items()}
        return Report(
            request=request,
            run=run_report(markets, list(_fills(run)), list(_fundings(run)), request.cash),
            seconds=run.seconds,
            orders=run.orders,
            fills_sha256=fills_sha256(run.lines()),
            mode="replay",
            extra={"ledger_sum": sums, "status": run.bot.status, "workspace": run.bot.name if keep else ""},
        )


def replay_lines(request: Request) -> list[str]:
    """Return the contract's line of each fill of a replay, whose workspace is then gone."""
    with run_of(request) as run:
        return list(run.lines())


def run_of(
    request: Request, *, keep: bool = False, on_progress: Progress | None = None
) -> AbstractContextManager[Replayed]:
    """Return the replay of a request, which runs when its context opens."""
    return replayed(
        strategy=request.strategy.key,
        params=request.params.model_dump(mode="json"),
        markets={alias: ReplayMarket(market.candles, market.rules) for alias, market in request.markets.items()},
        cash=request.cash,
        fee=request.fee,
        advisor=simulated_advisor(request.advisor) if request.advisor else None,
        keep=keep,
        on_progress=on_progress,
    )


def _fills(run: Replayed) -> Iterator[FillRow]:
    for fill in run.fills:
        order = fill.order
        numbers = {"price": fill.price, "qty": fill.qty, "fee": fill.fee}
        side, tag = Side(fill.side), order.want.get("tag", "")
        yield FillRow(order.alias, fill.ts_ms, order.slot, order.gen, side, **numbers, tag=tag)


def _fundings(run: Replayed) -> Iterator[FundingRow]:
    """Yield the fundings, each as of the open of the candle in which it was paid, as a backtest has them."""
    aliases = {market.pk: alias for alias, market in markets_of(run.bot).items()}
    ts = run.candles.ts
    for paid in PaperFunding.objects.filter(account=run.bot.account).order_by("id"):
        opened = int(ts[ts.searchsorted(paid.ts_ms, side="right") - 1])
        yield FundingRow(aliases[paid.market_id], opened, paid.amount)
