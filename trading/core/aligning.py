"""Candles of several markets on one grid of times, as a run over several markets needs them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trading.core.candles import Candles, fill_gaps
from trading.core.errors import BadCandles


def align(markets: Mapping[str, Candles]) -> dict[str, Candles]:
    """Return the candles of all markets over the time that they have in common, each gap filled by flat candles.

    Raises BadCandles naming the markets whose candles differ in length, stand at other times of the minute (hour, ...)
    or never overlap, and the row of a candle beside the grid of its market.
    """
    first, *others = markets
    for other in others:
        _check_grid(first, markets[first], other, markets[other])
    start = max(markets, key=lambda alias: int(markets[alias].ts[0]))
    end = min(markets, key=lambda alias: int(markets[alias].ts[-1]))
    start_ms, end_ms = int(markets[start].ts[0]), int(markets[end].ts[-1])
    if start_ms > end_ms:
        raise BadCandles(
            f"{start} begins at {start_ms}, after {end} has ended at {end_ms}: the markets have no time in common",
            value=start_ms,
        )
    return {alias: _between(fill_gaps(candles), start_ms, end_ms) for alias, candles in markets.items()}


def _check_grid(first: str, candles: Candles, other: str, others: Candles) -> None:
    timeframe = candles.timeframe_ms
    if others.timeframe_ms != timeframe:
        raise BadCandles(
            f"{other} has candles of {others.timeframe_ms} ms, {first} of {timeframe} ms: they must be equally long",
            value=others.timeframe_ms,
        )
    if (int(others.ts[0]) - int(candles.ts[0])) % timeframe:
        raise BadCandles(
            f"{other} begins at {others.ts[0]}, {first} at {candles.ts[0]}: "
            f"their candles of {timeframe} ms never open at the same time",
            value=int(others.ts[0]),
        )


def _between(candles: Candles, start_ms: int, end_ms: int) -> Candles:
    """Return the candles that open from `start_ms` to `end_ms`, both included."""
    start, stop = np.searchsorted(candles.ts, (start_ms, end_ms + 1))
    return candles.slice(int(start), int(stop))
