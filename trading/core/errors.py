"""Errors of the trading core, one class per reaction of the caller.

TradingError
├── InvalidInput            tell the user: which field, which value, what would be right
│   ├── InvalidInputs       several of them at once (`faults`)
│   └── BadCandles          a candle file or array that cannot be used; names the row
├── VenueError              something between us and a venue
│   ├── VenueUnavailable    retry: a read failed, or the venue is down
│   │   └── RateLimited     retry, but not before `retry_after_s`
│   ├── OutcomeUnknown      ask: the send may or may not have arrived; look it up, never send again blindly
│   ├── OrderRejected       refuse: the venue said no for good (`code`, `reason`)
│   │   └── InsufficientFunds
│   └── CredentialRejected  stop the bot and tell its user
├── StaleData               deny: no price, or one too old to act on
└── StrategyFault           stop this bot: its decide() raised or answered something impossible
"""

from __future__ import annotations

from collections.abc import Sequence


class TradingError(Exception):
    """Root of everything the trading core raises on purpose."""


class InvalidInput(TradingError):
    """A value from outside is not acceptable; says which field, which value, and what would be right."""

    def __init__(self, message: str, *, field: str = "", value: object = None, code: str = "invalid") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.code = code


class InvalidInputs(InvalidInput):
    """Several faults at once; as an InvalidInput it is the first of them."""

    def __init__(self, faults: Sequence[InvalidInput]) -> None:
        first = faults[0]
        super().__init__(first.message, field=first.field, value=first.value, code=first.code)
        self.faults = tuple(faults)


class BadCandles(InvalidInput):
    """A candle series is unusable; `row` is the first offending row, counted from 1 without the header."""

    def __init__(self, message: str, *, row: int | None = None, field: str = "candles", value: object = None) -> None:
        super().__init__(message, field=field, value=value, code="bad_candles")
        self.row = row


class VenueError(TradingError):
    """A venue answered with trouble, or did not answer."""


class VenueUnavailable(VenueError):
    """A read failed or the venue is down: retry later."""


class RateLimited(VenueUnavailable):
    """The venue asks for patience: retry, but not before `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(VenueError):
    """The send may or may not have arrived: look it up, never send again blindly."""


class OrderRejected(VenueError):
    """The venue refused the order for good."""

    def __init__(self, reason: str, *, code: str = "rejected") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class InsufficientFunds(OrderRejected):
    """The venue refused the order because the coins are not there."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, code="insufficient_funds")


class CredentialRejected(VenueError):
    """The venue no longer accepts the key: stop and tell the user."""


class StaleData(TradingError):
    """No price, or one too old to act on: deny whatever adds risk."""


class StrategyFault(TradingError):
    """A strategy raised, or answered something impossible: stop this bot, alone."""
