"""What a backtest is given: its markets, and how the simulated venue deals with orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trading.core.candles import Candles
from trading.core.ports import SimulatedAdvisor
from trading.core.types import Command, MarketRules


@dataclass(frozen=True, eq=False, slots=True)
class SimMarket:
    """One market of a run: valid candles without gaps, on the same open times as the others, and its rules."""

    candles: Candles
    rules: MarketRules


@dataclass(frozen=True, slots=True)
class SimOptions:
    """How a run departs from the plain one: whole fills at the path's prices, nobody from outside.

    Without book data bid and ask are last x (1 -+ half_spread_ratio) and mark is last. Orders that take (market, stop,
    trailing, IOC, FOK) pay half the spread and the slippage, rounded to the tick against them; limits that rest don't.
    """

    liquidity_ratio: float | None = None  # at one touch a limit order fills at most this share of the candle's volume
    half_spread_ratio: float = 0.0
    slippage_ratio: float = 0.0
    advisor: SimulatedAdvisor | None = None  # None: every question ends at its deadline
    commands: Sequence[tuple[int, Command]] = ()  # (at_ms, command): told at the first close at or after it
    edits: Sequence[tuple[int, Any]] = ()  # (at_ms, new parameters): adopted there, told as Command("edit")
    start_ms: int | None = None  # the bot's first decision; its signals know all candles before it too
    vectorise: bool = True  # a strategy with a decision table may be evaluated at once
    json_state: bool = False  # hand the state on through JSON, as live does: for tests
