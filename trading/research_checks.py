"""Two checks that a backtest can be believed: it doesn't know its future, and the live path trades alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import zip_longest

from trading.core.errors import InvalidInput
from trading.core.lookahead import Difference, Markets, look_ahead
from trading.core.ports import Strategy
from trading.reports import Request
from trading.research import simulated
from trading.research_replay import replay_lines

LEAST_CANDLES = 2


def lookahead_difference(request: Request, cuts: int, draw: Callable[[int, int], int]) -> Difference | None:
    """Run the request on `cuts` random beginnings of its candles; `draw(low, high)` gives a number, both included."""
    least = max(LEAST_CANDLES, int((request.candles.ts < (request.start_ms or 0)).sum()) + 1, request.needs.warmup + 1)
    if cuts < 1 or least > len(request.candles):
        text = (
            f"{cuts} cuts of {len(request.candles)} candles are nothing to check: each leaves {least} candles or more"
        )
        raise InvalidInput(text, field="cuts", value=cuts)
    chosen = [draw(least, len(request.candles)) for _ in range(cuts)]
    markets = {alias: market.candles for alias, market in request.markets.items()}
    return look_ahead(_runner(request), request.strategy, request.params, markets, chosen)


def lookahead_text(request: Request, found: Difference) -> str:
    """Say which candle differs, and how."""
    cut_ms = int(request.candles.ts[found.cut - 1]) + request.candles.timeframe_ms
    return (
        f"{found.what} at candle {found.candle + 1:,} ({_time(found.ts_ms)}) is another when the file ends "
        f"after candle {found.cut:,} ({_time(cut_ms)}):\n"
        f"  whole file: {found.whole}\n  cut off:    {found.cut_off}"
    )


def parity_difference(request: Request) -> tuple[int, str]:
    """Run the request as backtest and as replay; returns (fills of the backtest, the first difference or "")."""
    tested = list(simulated(request).lines())
    for number, (one, other) in enumerate(zip_longest(tested, replay_lines(request)), 1):
        if one != other:
            return len(tested), f"fill {number} differs:\n  backtest: {_line(one)}\n  replay:   {_line(other)}"
    return len(tested), ""


def _runner(request: Request) -> Callable[[Strategy, Markets], Iterable[tuple[int, str]]]:
    def run(strategy: Strategy, markets: Markets) -> Iterable[tuple[int, str]]:
        result = simulated(request, strategy=strategy, candles=markets)
        return zip(result.fills.ts.tolist(), result.lines(), strict=True)

    return run


def _line(line: str | None) -> str:
    return "none" if line is None else line.strip()


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
