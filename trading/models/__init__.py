"""What happened: the runtime of each bot, its orders, fills, position, ledger and equity.

Positions, fees, balances and PnL derive from fills alone. An order stands here before it is sent anywhere.
"""

from __future__ import annotations

from trading.models.books import Balance, EquityPoint, Journal, LedgerEntry, VenueCursor
from trading.models.ops import Hold, JobRun, ProcessSign
from trading.models.orders import Fill, Order, Position
from trading.models.runtime import AdviceAsk, DerivedWake, Runtime, SignalWake, TrailWake, Wake

__all__ = [
    "AdviceAsk",
    "Balance",
    "DerivedWake",
    "EquityPoint",
    "Fill",
    "Hold",
    "JobRun",
    "Journal",
    "LedgerEntry",
    "Order",
    "Position",
    "ProcessSign",
    "Runtime",
    "SignalWake",
    "TrailWake",
    "VenueCursor",
    "Wake",
]
