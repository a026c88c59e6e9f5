"""A scan: watches many spot markets and buys those that meet a condition, a few at a time.

A market is bought when its entry condition is true at the close of a candle, a place is free and its rest is over; the
first in the list goes first. One stretch of "true" makes one deal: the condition must have been false before the next.
From the purchase on a stop rests at the venue (trailing, when asked for); the exit condition, the take profit and a
person sell at market. A deal is whatever is held of a market: a purchase that filled in part is a smaller deal.

Each market stands under its own symbol as alias; the bot's own market is the first of the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import BaseModel

from bots.strategies.scan.commands import COMMANDS
from bots.strategies.scan.deals import Deals, blank
from bots.strategies.scan.notes import explain
from bots.strategies.scan.params import ScanParams, candles_needed, condition_of
from bots.strategies.scan.preview import preview
from trading.core.commands import CommandSpec
from trading.core.errors import InvalidInput
from trading.core.needs import MarketRef, Needs, SignalSpec
from trading.core.previews import MarketFacts, Preview
from trading.core.types import Decision, PriceWake, View, Wake


class Scan:
    """Buys what meets a condition; its state is described in `deals`."""

    key: ClassVar[str] = "scan"
    title: ClassVar[str] = "Market scan"
    summary: ClassVar[str] = "Watches many markets and buys those that meet a condition, a few at a time."
    version: ClassVar[int] = 1
    params: ClassVar[type[BaseModel]] = ScanParams
    commands: ClassVar[Mapping[str, CommandSpec]] = COMMANDS

    def needs(self, params: ScanParams) -> Needs:
        return _needs(params.symbols, params.entry, params.exit)

    def decide(self, params: ScanParams, state: Any, view: View) -> Decision:
        if state is None:
            refuse_perpetuals({alias: view.markets[alias].rules.perpetual is not None for alias in params.symbols})
        deals = Deals(params, blank() if state is None else state, view)
        deals.read()
        deals.manage()
        deals.open()
        orders = deals.desk.orders()
        notes = explain(deals) if view.explain else ()
        return Decision(deals.answer(), orders, _wake(params, deals), notes)

    def adopt(self, old_params: ScanParams, params: ScanParams, state: Any, view: View) -> Any:
        """New conditions and exits count at once, a new amount from the next deal on.

        Raises InvalidInput when a market is left out that still has a deal.
        """
        left = [alias for alias in (state["deals"] if state else ()) if alias not in params.symbols]
        if left:
            text = f"{', '.join(left)} can't be left out while a deal is open there: close it first."
            raise InvalidInput(text, field="symbols", value=list(params.symbols), code="open_deal")
        return state

    def upgrade(self, version: int, state: Any) -> Any:
        return state

    def preview(self, params: ScanParams, markets: Mapping[str, MarketFacts]) -> Preview:
        refuse_perpetuals({alias: facts.rules.perpetual is not None for alias, facts in markets.items()})
        return preview(params, markets)


def refuse_perpetuals(markets: Mapping[str, bool]) -> None:
    """Raise InvalidInput when one of the markets is a perpetual future."""
    found = [alias for alias, perpetual in markets.items() if perpetual]
    if found:
        text = f"{', '.join(found)} is a perpetual future: a scan buys and sells on spot markets only."
        raise InvalidInput(text, field="symbols", value=found, code="not_spot")


@lru_cache(maxsize=64)
def _needs(symbols: tuple[str, ...], entry: str, leave: str) -> Needs:
    buy, sell = condition_of(entry), condition_of(leave)
    signals = {}
    for symbol in symbols:
        if buy is not None:
            signals[f"{symbol} entry"] = SignalSpec(symbol, buy)
        if sell is not None:
            signals[f"{symbol} exit"] = SignalSpec(symbol, sell)
    warmup = max(candles_needed(buy), candles_needed(sell))
    return Needs(markets={symbol: MarketRef(symbol) for symbol in symbols}, signals=signals, warmup=warmup)


def _wake(params: ScanParams, deals: Deals) -> Wake:
    prices = tuple(PriceWake(alias, level, above=True) for alias, level in deals.takes())
    return Wake(prices, _signals(params.symbols, params.exit, deals.held()), deals.next_time())


@lru_cache(maxsize=1024)
def _signals(symbols: tuple[str, ...], leave: str, held: tuple[str, ...]) -> tuple[str, ...]:
    """Name what can change the next decision: every market's entry, and the exit of those with a deal."""
    exits = (f"{symbol} exit" for symbol in held) if condition_of(leave) is not None else ()
    return (*(f"{symbol} entry" for symbol in symbols), *exits)
