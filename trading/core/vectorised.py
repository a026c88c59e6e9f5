"""A signal-only strategy evaluated in one pass over arrays, where that provably gives what the decision loop gives.

A strategy with a `table` (ports.SignalOnly) promises: whenever its signal takes a value that the table names, it goes
to that target at the next price, by one market order, buying in slot "entry" and selling all it holds in slot "exit";
each slot's generations count 1, 2, 3 ...; other values leave the position as it is. A signal that changes at the close
of candle i therefore fills at the open of candle i + 1. Whatever could make the loop do anything else (short funds, a
minimum that binds, another venue model, several markets, people who interfere) makes this module step aside: it
answers None, and the loop runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from trading.core.candles import Candles, Floats, Ints
from trading.core.needs import Needs
from trading.core.ports import SignalOnly, Strategy
from trading.core.result import Fills, SimulationResult
from trading.core.rounding import qty_to_lot, to_float
from trading.core.series_set import SignalSeries, series_of
from trading.core.simoptions import SimMarket, SimOptions
from trading.core.types import DecisionTable, MarketRules

ENTRY, EXIT = "entry", "exit"
CAUTION = 1e-9  # relative: floats that are nearer to a limit than this are left to exact numbers, in the loop


def vectorised_result(
    strategy: Strategy,
    params: Any,
    needs: Needs,
    markets: Mapping[str, SimMarket],
    *,
    cash: Decimal,
    fee: Decimal,
    options: SimOptions,
) -> SimulationResult | None:
    """Return exactly the result of the decision loop, or None when only the loop can tell.

    `simulate_markets` calls it after checking the candles, with `needs = strategy.needs(params)` and `markets` in the
    order of the needs:

        found = vectorised_result(strategy, params, needs, ordered, cash=cash, fee=fee, options=options)
        if found is not None:
            return found
    """
    table = _table(strategy, params, needs, options)
    if table is None:
        return None
    market = markets[table.market]
    qty = _quantity(table, market.rules)
    if qty is None:
        return None
    series = series_of(needs, {alias: one.candles for alias, one in markets.items()})
    changes, wanted = _switches(table, series.signal(table.signal))
    if not _affordable(market, changes, qty, cash, fee):
        return None
    fills = _fills(market.candles, changes, qty)
    return SimulationResult(
        markets=markets,
        cash=cash,
        fee=fee,
        fills=fills,
        funding=(),
        orders=len(changes),
        denials=0,
        decisions=1 + wanted + len(fills),  # the start, every change of the signal, and every fill
        finish="",
    )


def _table(strategy: Strategy, params: Any, needs: Needs, options: SimOptions) -> DecisionTable | None:
    """Return the strategy's table when nothing but its signal matters in this run."""
    if not options.vectorise or replace(options, json_state=False) != SimOptions():
        return None
    # A table counts only with the `decide` that it stands for: what wraps a strategy may have borrowed the one alone.
    if not isinstance(strategy, SignalOnly) or not hasattr(type(strategy), "table"):
        return None
    table = strategy.table(params)
    plain = len(needs.markets) == 1 and not (needs.derived or needs.advice or needs.warmup)
    return table if plain and table.market in needs.markets and list(needs.signals) == [table.signal] else None


def _quantity(table: DecisionTable, rules: MarketRules) -> Decimal | None:
    """Return the one quantity that the table holds, on the lot; None unless it holds either that or nothing."""
    held = {target for target in table.targets.values() if target}
    if rules.perpetual is not None or len(held) != 1:
        return None
    target = held.pop()
    qty = qty_to_lot(target, rules.lot) if target > 0 else Decimal(0)
    return qty if qty > 0 and qty >= rules.min_qty else None


def _switches(table: DecisionTable, series: SignalSeries) -> tuple[Ints, int]:
    """Return the candles at whose close the bot enters, leaves, enters ..., and how often the signal changes at all."""
    changes, steps = series.steps()
    values, inverse = np.unique(steps, return_inverse=True)
    held = np.array([_held(table.targets.get(value)) for value in values.tolist()], dtype=np.int8)[inverse]
    known = held >= 0
    candles, holds = changes[known], held[known]
    switched = np.diff(holds, prepend=np.int8(0)) != 0
    return candles[switched], len(changes)


def _held(target: float | None) -> int:
    return -1 if target is None else int(target > 0)


def _affordable(market: SimMarket, switches: Ints, qty: Decimal, cash: Decimal, fee: Decimal) -> bool:
    """Say whether every order is far from the limits of funds and of the market's smallest notional.

    An order is judged at the close at which it is placed, and pays the next open.
    """
    candles, rate, amount = market.candles, to_float(fee), to_float(qty)
    close = candles.close[switches]
    opens = candles.open[np.minimum(switches + 1, len(candles) - 1)]
    least = to_float(market.rules.min_notional) * (1 + CAUTION)
    if len(switches) and amount * min(close.min(), opens.min()) < least:
        return False
    sides = np.where(np.arange(len(switches)) % 2 == 0, 1.0, -1.0)
    free = to_float(cash) - np.concatenate(([0.0], np.cumsum(amount * opens * (sides + rate))))[:-1]
    needed = amount * np.maximum(close, opens)[::2] * (1 + rate)
    slack = CAUTION * (to_float(cash) + needed.max(initial=0.0))
    return bool((needed + slack <= free[::2]).all())


def _fills(candles: Candles, switches: Ints, qty: Decimal) -> Fills:
    at = switches[switches + 1 < len(candles)] + 1
    count = len(at)
    price: Floats = candles.open[at]
    order = np.arange(count)
    return Fills(
        candle=at,
        ts=candles.ts[at],
        market=np.zeros(count, dtype=np.int64),
        slot=((ENTRY, EXIT) * (count // 2 + 1))[:count],
        gen=order // 2 + 1,
        side=np.where(order % 2 == 0, 1, -1).astype(np.int8),
        price=price,
        qty=np.full(count, to_float(qty)),
        tag=("",) * count,
    )
