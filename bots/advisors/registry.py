"""The shelf of advisers: one line each. A bot names the one it asks in its parameter `advisor`."""

from __future__ import annotations

from bots.advisors.local import LocalAdvisor
from bots.advisors.simulated import Simulated
from trading.core.errors import InvalidInput
from trading.core.ports import Advisor

ADVISORS: dict[str, Advisor] = {advisor.key: advisor for advisor in (LocalAdvisor(),)}


def get_advisor(key: str) -> Advisor:
    """Return the adviser of this key. Raises InvalidInput with the known ones."""
    advisor = ADVISORS.get(key)
    if advisor is None:
        known = ", ".join(ADVISORS)
        raise InvalidInput(
            f"There is no adviser “{key}”; known are {known}.", field="advisor", value=key, code="unknown"
        )
    return advisor


def simulated_advisor(key: str) -> Simulated:
    """Return what a backtest or replay asks in the place of this adviser.

    An adviser whose answers don't follow from the question alone (a language model) can't be asked about the past: its
    place is taken by the local rule of thumb.
    """
    advisor = get_advisor(key)
    return Simulated(advisor if isinstance(advisor, LocalAdvisor) else LocalAdvisor())
