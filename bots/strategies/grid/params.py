"""Parameters of the grid, with the rules that hold on any market. What a market asks is judged in `plan`."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.rounding import plain

MIN_LEVELS = 3
MAX_LEVELS = 500
_MOST = Decimal("1e15")


class GridParams(BaseModel):
    """A range, cut by lines; between neighbouring lines the bot buys at the lower and sells at the upper one."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Spot grid")

    lower: Decimal = Field(
        title="Lower price",
        description="The lowest line. Below it the bot holds what it has bought and waits.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"unit": "quote", "group": "range"},
    )
    upper: Decimal = Field(
        title="Upper price",
        description="The highest line. Above it everything is sold and the bot waits.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"unit": "quote", "group": "range"},
    )
    levels: int = Field(
        title="Lines",
        description="How many lines the range has, both ends included; one fewer cells trade between them.",
        ge=MIN_LEVELS,
        le=MAX_LEVELS,
        json_schema_extra={"unit": "", "group": "range"},
    )
    spacing: Literal["arithmetic", "geometric"] = Field(
        default="arithmetic",
        title="Spacing",
        description="Arithmetic: the same price step everywhere. Geometric: the same ratio, better for wide ranges.",
        json_schema_extra={"group": "range"},
    )
    investment: Decimal | None = Field(
        default=None,
        title="Investment",
        description="What the whole grid may spend, fees included; every cell gets the same quantity. "
        "Give this or the quantity per cell.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"unit": "quote", "group": "size"},
    )
    quantity_per_level: Decimal | None = Field(
        default=None,
        title="Quantity per cell",
        description="What each cell buys and sells. Give this or the investment.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"unit": "base", "group": "size"},
    )
    stop_price: Decimal | None = Field(
        default=None,
        title="Stop price",
        description="At or below this price the bot cancels everything, sells what it holds and ends. "
        "Must be below the lower price.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"unit": "quote", "group": "exits"},
    )
    take_profit_price: Decimal | None = Field(
        default=None,
        title="Take-profit price",
        description="At or above this price the bot cancels everything, sells what it holds and ends. "
        "Must be above the upper price.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"unit": "quote", "group": "exits"},
    )

    def model_post_init(self, context: object, /) -> None:
        """Judge the fields together. Raises InvalidInputs."""
        faults = [fault for fault in (self._range(), self._size(), self._stop(), self._take_profit()) if fault]
        if faults:
            raise InvalidInputs(faults)

    def _range(self) -> InvalidInput | None:
        if self.upper > self.lower:
            return None
        text = f"The upper price {plain(self.upper)} must be above the lower price {plain(self.lower)}."
        return InvalidInput(text, field="upper", value=self.upper, code="range")

    def _size(self) -> InvalidInput | None:
        if self.investment is None and self.quantity_per_level is None:
            text = "Give an investment for the whole grid, or a quantity per cell."
            return InvalidInput(text, field="investment", value=None, code="required")
        if self.investment is not None and self.quantity_per_level is not None:
            text = (
                f"Give either the investment ({plain(self.investment)}) or the quantity per cell "
                f"({plain(self.quantity_per_level)}), not both: the one follows from the other."
            )
            return InvalidInput(text, field="quantity_per_level", value=self.quantity_per_level, code="both")
        return None

    def _stop(self) -> InvalidInput | None:
        if self.stop_price is None or self.stop_price < self.lower:
            return None
        text = f"The stop price {plain(self.stop_price)} must be below the lower price {plain(self.lower)}."
        return InvalidInput(text, field="stop_price", value=self.stop_price, code="range")

    def _take_profit(self) -> InvalidInput | None:
        if self.take_profit_price is None or self.take_profit_price > self.upper:
            return None
        text = (
            f"The take-profit price {plain(self.take_profit_price)} must be above the upper price {plain(self.upper)}."
        )
        return InvalidInput(text, field="take_profit_price", value=self.take_profit_price, code="range")
