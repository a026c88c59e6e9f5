"""A backtest: the contract's decision loop over the candles of one or several markets.

Books and figures are made from the fills after the run (`SimulationResult`); the loop itself is `trading.core.simrun`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from trading.core.candles import Candles
from trading.core.errors import InvalidInput
from trading.core.needs import Needs
from trading.core.ports import Strategy
from trading.core.result import SimulationResult
from trading.core.simoptions import SimMarket, SimOptions
from trading.core.simrun import Progress, Run
from trading.core.types import MarketRules
from trading.core.vectorised import vectorised_result

__all__ = ["SimMarket", "SimOptions", "simulate", "simulate_markets"]


def simulate(
    strategy: Strategy,
    params: Any,
    candles: Candles,
    *,
    cash: Decimal,
    fee: Decimal,
    rules: MarketRules,
    on_progress: Progress | None = None,
    options: SimOptions | None = None,
) -> SimulationResult:
    """Run a strategy of one market over `candles`: see `simulate_markets`."""
    aliases = list(strategy.needs(params).markets)
    if len(aliases) != 1:
        text = f"these are the candles of one market; the strategy needs {len(aliases)}: {', '.join(aliases)}"
        raise InvalidInput(text, field="candles", value=len(aliases))
    markets = {aliases[0]: SimMarket(candles, rules)}
    return simulate_markets(strategy, params, markets, cash=cash, fee=fee, options=options, on_progress=on_progress)


def simulate_markets(
    strategy: Strategy,
    params: Any,
    markets: Mapping[str, SimMarket],
    *,
    cash: Decimal,
    fee: Decimal,
    options: SimOptions | None = None,
    on_progress: Progress | None = None,
) -> SimulationResult:
    """Run `strategy` over `markets`, one for each alias that it needs, with `cash` quote and one fee rate.

    All candles are valid, without gaps and on the same open times. `on_progress(candle, candles)` is called about a
    hundred times. Raises InvalidInput when the candles can't give what the strategy needs, StrategyFault when it
    answers something impossible.
    """
    options = options or SimOptions()
    needs = strategy.needs(params)
    ordered = {alias: markets[alias] for alias in needs.markets if alias in markets}
    first = _first_decision(needs, ordered, options)
    found = vectorised_result(strategy, params, needs, ordered, cash=cash, fee=fee, options=options)
    if found is not None:
        return found
    run = Run(strategy, params, needs, ordered, cash, fee, options, first)
    run.go(on_progress)
    return run.result()


def _first_decision(needs: Needs, markets: Mapping[str, SimMarket], options: SimOptions) -> int:
    """Check the candles; returns the one before whose open the bot first decides."""
    missing = [alias for alias in needs.markets if alias not in markets]
    if missing:
        raise InvalidInput(f"there are no candles for {', '.join(missing)}", field="candles", value=missing[0])
    grid = next(iter(markets.values())).candles
    for alias, market in markets.items():
        if not np.array_equal(market.candles.ts, grid.ts):
            text = f"the candles of {alias} have other open times than those of {next(iter(markets))}"
            raise InvalidInput(text, field="candles", value=alias)
    quotes = {market.rules.quote for market in markets.values()}
    if len(quotes) > 1:
        raise InvalidInput(f"all markets must have one quote coin, not {', '.join(sorted(quotes))}", field="markets")
    if needs.warmup and len(grid) <= needs.warmup:
        text = f"there are {len(grid)} candles; the strategy needs {needs.warmup} closed ones before its first decision"
        raise InvalidInput(text, field="candles", value=len(grid), code="too_few")
    start = 0 if options.start_ms is None else int(np.searchsorted(grid.ts, options.start_ms))
    return max(start, needs.warmup)
