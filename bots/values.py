"""What any bot must be: a name, a budget, a timeframe and a market that it can trade on. No look at the moment."""

from __future__ import annotations

from decimal import Decimal

from accounts.models import Account, Workspace
from exchanges.models import Market
from trading.core.errors import InvalidInput
from trading.core.rounding import plain

NAME_MAX = 80
BUDGET_BELOW = Decimal(10) ** 15
TIMEFRAMES_MS = (60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000)


def name_clean(name: str) -> str:
    clean = " ".join(name.split())
    if not clean or len(clean) > NAME_MAX:
        raise InvalidInput(f"A bot needs a name of 1 to {NAME_MAX} characters", field="name", value=name)
    return clean


def budget_clean(budget: Decimal, market: Market) -> Decimal:
    if not budget.is_finite() or budget <= 0:
        raise InvalidInput(f"The budget must be more than 0 {market.quote}", field="budget", value=budget)
    if budget >= BUDGET_BELOW:
        raise InvalidInput(f"The budget must be below 10^15 {market.quote}", field="budget", value=budget)
    if budget < market.min_notional:
        raise InvalidInput(
            f"The budget must be at least {plain(market.min_notional)} {market.quote}, the smallest order on "
            f"{market.symbol}",
            field="budget",
            value=budget,
            code="budget_too_low",
        )
    return budget


def timeframe_clean(timeframe_ms: int) -> int:
    if timeframe_ms not in TIMEFRAMES_MS:
        choices = ", ".join(str(value) for value in TIMEFRAMES_MS)
        raise InvalidInput(
            f"The timeframe must be one of {choices} milliseconds", field="timeframe_ms", value=timeframe_ms
        )
    return timeframe_ms


def account_check(workspace: Workspace, account: Account) -> None:
    if account.workspace_id != workspace.pk:
        raise InvalidInput("This account is not in your workspace", field="account", value=account.public_id)


def market_check(account: Account, market: Market) -> None:
    """Refuse a market that the account doesn't trade on, or one that is closed."""
    if market.source != account.feed:
        raise InvalidInput(f"{account.name} trades on {account.feed}, not on {market.source}", field="market")
    if not market.active:
        raise InvalidInput(f"{market.symbol} is not traded at present", field="market", value=market.symbol)
