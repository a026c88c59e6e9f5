"""A backtest and a replay of the same trial, compared line by line."""

from __future__ import annotations

from tests.trading.shapes import ADVISOR, CASH, FEE, Trial
from trading.core.metrics import fills_sha256
from trading.replay import ReplayMarket, replayed


def assert_same(one: Trial) -> int:
    """Run both and compare line by line; returns the number of fills."""
    result = one.simulate()
    with replayed(
        strategy=one.strategy.key,
        params=one.params.model_dump(mode="json"),
        markets={alias: ReplayMarket(market.candles, market.rules) for alias, market in one.markets.items()},
        cash=CASH,
        fee=FEE,
        advisor=ADVISOR,
    ) as run:
        assert list(run.lines()) == list(result.lines())
        assert fills_sha256(run.lines()) == result.sha256()
        assert not any(run.ledger_sums().values())
    return len(result.fills)
