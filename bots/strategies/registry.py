"""The shelf of strategies: one line each. Forms, API schemas and documentation follow from what stands here."""

from __future__ import annotations

from bots.strategies.adviser.strategy import Adviser
from bots.strategies.dca.strategy import Dca
from bots.strategies.ema_cross import EmaCross
from bots.strategies.grid.strategy import Grid
from bots.strategies.pair.strategy import Pair
from bots.strategies.scan.strategy import Scan
from trading.core.errors import InvalidInput
from trading.core.ports import Strategy

_SHELF: tuple[Strategy, ...] = (
    Grid(),
    Dca(),
    EmaCross(),
    Pair(),
    Scan(),
    Adviser(),
)
STRATEGIES: dict[str, Strategy] = {strategy.key: strategy for strategy in _SHELF}


def get_strategy(key: str) -> Strategy:
    """Return the strategy of this key. Raises InvalidInput with the known ones."""
    strategy = STRATEGIES.get(key)
    if strategy is None:
        known = ", ".join(STRATEGIES)
        raise InvalidInput(
            f"There is no strategy “{key}”; known are {known}.", field="strategy", value=key, code="unknown"
        )
    return strategy
