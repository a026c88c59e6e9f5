"""Parameters of the pair, with the rules that hold on any market. What a market asks is judged in `preview`."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.rounding import plain

_MOST = Decimal("1e15")


class PairParams(BaseModel):
    """The second market, how the two belong together, and how far apart they must be to trade."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Pair")

    symbol: str = Field(
        title="Second market",
        description="A perpetual with the same quote coin. The bot's own market is the first (y), this the second (x).",
        min_length=1,
        max_length=40,
        json_schema_extra={"format": "symbol", "group": "pair"},
    )
    hedge_ratio: Decimal = Field(
        default=Decimal(1),
        title="Hedge ratio",
        description="The second leg's value as a share of the first's; the spread is ln(y) - ratio x ln(x).",
        gt=0,
        le=10,
        json_schema_extra={"unit": "ratio", "group": "pair"},
    )
    window: int = Field(
        default=120,
        title="Window",
        description="Candles from which the spread's mean and deviation are taken.",
        ge=20,
        le=2000,
        json_schema_extra={"unit": "candles", "group": "pair"},
    )
    entry: Decimal = Field(
        default=Decimal(2),
        title="Open at",
        description="Deviations from the mean at which both legs are opened, at the close of a candle.",
        gt=0,
        le=10,
        json_schema_extra={"unit": "deviations", "group": "levels"},
    )
    exit: Decimal = Field(
        default=Decimal("0.5"),
        title="Close at",
        description="Deviations from the mean at which both legs are closed again.",
        ge=0,
        le=10,
        json_schema_extra={"unit": "deviations", "group": "levels"},
    )
    stop: Decimal = Field(
        default=Decimal(4),
        title="Stop at",
        description="Deviations from the mean at which both legs are closed at a loss, within a candle, too.",
        gt=0,
        le=20,
        json_schema_extra={"unit": "deviations", "group": "levels"},
    )
    max_hold_minutes: int | None = Field(
        default=None,
        title="Hold at most",
        description="After this time both legs are closed. Two to three half-lives are usual.",
        ge=1,
        le=525_600,
        json_schema_extra={"unit": "min", "group": "levels"},
    )
    leg_quote: Decimal = Field(
        title="Value of the first leg",
        description="The second leg's value is this times the hedge ratio.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"unit": "quote", "group": "size"},
    )
    leverage: Decimal = Field(
        default=Decimal(1),
        title="Leverage",
        description="Of both legs; margin is their value divided by it.",
        ge=1,
        le=100,
        json_schema_extra={"unit": "", "group": "size"},
    )
    complete_within_s: int = Field(
        default=20,
        title="Complete within",
        description="When one leg has traded and the other hasn't by then, the one is closed again.",
        ge=1,
        le=3600,
        json_schema_extra={"unit": "s", "group": "size"},
    )
    max_imbalance_percent: Decimal = Field(
        default=Decimal(10),
        title="Largest imbalance",
        description="How much of one leg may be missing beside the other; beyond it both are closed.",
        gt=0,
        le=50,
        json_schema_extra={"unit": "%", "group": "size"},
    )

    def model_post_init(self, context: object, /) -> None:
        """Judge the levels together. Raises InvalidInputs."""
        faults = []
        if self.exit >= self.entry:
            text = f"Closing at {plain(self.exit)} deviations must be nearer than opening at {plain(self.entry)}."
            faults.append(InvalidInput(text, field="exit", value=self.exit, code="range"))
        if self.stop <= self.entry:
            text = f"The stop at {plain(self.stop)} deviations must be farther than opening at {plain(self.entry)}."
            faults.append(InvalidInput(text, field="stop", value=self.stop, code="range"))
        if faults:
            raise InvalidInputs(faults)
