"""Parameters of the advised bot. What stands here bounds every answer, and no answer can change it."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from trading.core.errors import InvalidInput, InvalidInputs

_MOST = Decimal("1e15")


class AdviserParams(BaseModel):
    """Whom to ask and how often, and the limits within which an answer counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Advised bot")

    advisor: str = Field(
        default="local",
        title="Adviser",
        description="Who is asked. “local” is a rule of thumb on this machine, without network and cost.",
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        json_schema_extra={"format": "advisor", "group": "asking"},
    )
    every_minutes: int = Field(
        default=60,
        title="Ask every",
        description="Questions go out at the full multiples of this, UTC.",
        ge=1,
        le=10_080,
        json_schema_extra={"unit": "min", "group": "asking"},
    )
    deadline_minutes: int = Field(
        default=10,
        title="Wait for an answer",
        description="An answer that comes later counts for nothing.",
        ge=1,
        le=10_080,
        json_schema_extra={"unit": "min", "group": "asking"},
    )
    investment: Decimal = Field(
        title="Investment",
        description="What an allocation of 100 % would buy, fee included.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"unit": "quote", "group": "limits"},
    )
    max_allocation_percent: Decimal = Field(
        default=Decimal(50),
        title="Most of it at once",
        description="An answer that wants more buys this much.",
        gt=0,
        le=100,
        json_schema_extra={"unit": "%", "group": "limits"},
    )
    min_confidence: Decimal = Field(
        default=Decimal("0.6"),
        title="Least confidence",
        description="From 0 to 1. An answer that is less sure changes nothing.",
        ge=0,
        le=1,
        json_schema_extra={"unit": "ratio", "group": "limits"},
    )
    stop_percent: Decimal = Field(
        default=Decimal(3),
        title="Stop",
        description="Sells at market this far below the purchase price, whatever the adviser says.",
        gt=0,
        lt=100,
        json_schema_extra={"unit": "%", "group": "limits"},
    )
    take_profit_percent: Decimal | None = Field(
        default=None,
        title="Take profit",
        description="Sells at market this far above the purchase price.",
        gt=0,
        le=10_000,
        json_schema_extra={"unit": "%", "group": "limits"},
    )

    def model_post_init(self, context: object, /) -> None:
        """Judge the fields together. Raises InvalidInputs."""
        if self.deadline_minutes > self.every_minutes:
            text = (
                f"Waiting {self.deadline_minutes} minutes for an answer is longer than the {self.every_minutes} "
                f"between two questions: wait at most {self.every_minutes}."
            )
            raise InvalidInputs(
                [InvalidInput(text, field="deadline_minutes", value=self.deadline_minutes, code="range")]
            )

    @property
    def every_ms(self) -> int:
        return self.every_minutes * 60_000

    @property
    def deadline_ms(self) -> int:
        return self.deadline_minutes * 60_000
