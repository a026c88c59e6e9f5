"""Parameters of DCA, with the rules that hold on any market. What a market asks is judged in `preview`."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bots.strategies.dca.ladder import MOST_SAFETY_ORDERS, step_faults
from trading.core.conditions import parse_condition
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.indicators.base import MOST_CANDLES
from trading.core.rounding import plain

MOST_DEALS = 20  # at a time; their seats are 1, 2, ...
_MOST = Decimal("1e15")


class DcaParams(BaseModel):
    """A deal: a base order, safety orders at growing distance, one exit from the average of what was filled."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="DCA")

    direction: Literal["long", "short"] = Field(
        default="long",
        title="Direction",
        description="Long buys and sells higher. Short, on perpetuals only, sells and buys back lower.",
        json_schema_extra={"group": "size"},
    )
    size_in: Literal["quote", "base", "percent"] = Field(
        default="quote",
        title="Order sizes in",
        description="What the sizes of base and safety orders count: the quote coin, the base coin, "
        "or percent of the bot's budget at the start of the deal.",
        json_schema_extra={"group": "size"},
    )
    base_order: Decimal = Field(
        title="Base order",
        description="Size of the order that opens a deal.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"group": "size"},
    )
    base_order_type: Literal["market", "limit"] = Field(
        default="market",
        title="Base order type",
        description="Market fills at once; limit rests at the price at which the deal started.",
        json_schema_extra={"group": "size"},
    )
    base_order_wait_minutes: int = Field(
        default=10,
        title="Wait for the base order",
        description="After this time what has not filled of it is withdrawn; with nothing filled there is no deal.",
        ge=1,
        le=10_080,
        json_schema_extra={"unit": "minutes", "group": "size", "when": {"base_order_type": "limit"}},
    )
    leverage: Decimal = Field(
        default=Decimal(1),
        title="Leverage",
        description="Of a perpetual market; 1 on spot. Sizes are the orders' full values, the margin is a part of it.",
        ge=1,
        le=100,
        json_schema_extra={"group": "size"},
    )
    safety_orders: int = Field(
        default=5,
        title="Safety orders",
        description="How many further orders a deal may place while the price moves against it.",
        ge=0,
        le=MOST_SAFETY_ORDERS,
        json_schema_extra={"group": "safety"},
    )
    safety_order: Decimal | None = Field(
        default=None,
        title="Safety order size",
        description="Size of the first safety order. Not needed without safety orders or with steps of your own.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"group": "safety"},
    )
    deviation_percent: Decimal = Field(
        default=Decimal(2),
        title="Deviation",
        description="Distance of the first safety order from the base order's price.",
        gt=0,
        le=1000,
        json_schema_extra={"unit": "%", "group": "safety"},
    )
    step_scale: Decimal = Field(
        default=Decimal(1),
        title="Step scale",
        description="Each distance to the next safety order is this many times the one before.",
        ge=Decimal("0.1"),
        le=10,
        json_schema_extra={"group": "safety"},
    )
    volume_scale: Decimal = Field(
        default=Decimal(1),
        title="Volume scale",
        description="Each safety order is this many times the size of the one before.",
        ge=Decimal("0.1"),
        le=10,
        json_schema_extra={"group": "safety"},
    )
    custom_steps: tuple[str, ...] = Field(
        default=(),
        title="Steps of your own",
        description="In place of the fields above: percent from the base price, a colon, the size, for each "
        "safety order: 1:10, 2.5:15, 4.75:22.",
        max_length=MOST_SAFETY_ORDERS,
        json_schema_extra={"group": "safety"},
    )
    active_safety_orders: int | None = Field(
        default=None,
        title="Safety orders at a time",
        description="How many of them rest at the same time, the nearest first. Empty: all.",
        ge=1,
        le=MOST_SAFETY_ORDERS,
        json_schema_extra={"group": "safety"},
    )
    take_profit_percent: Decimal = Field(
        title="Take profit",
        description="Profit at which a deal is closed.",
        gt=0,
        le=1000,
        json_schema_extra={"unit": "%", "group": "exits"},
    )
    take_profit_of: Literal["total", "base"] = Field(
        default="total",
        title="Take profit of",
        description="Total: percent of all that the deal has spent. Base: percent of its base order.",
        json_schema_extra={"group": "exits"},
    )
    take_profit_after_fees: bool = Field(
        default=True,
        title="After fees",
        description="The target counts what is left after all fees of the deal. Off: it is plain percent of the price.",
        json_schema_extra={"group": "exits"},
    )
    trailing_profit_percent: Decimal | None = Field(
        default=None,
        title="Trailing take profit",
        description="From the target on, follow the price at this distance and close when it turns, "
        "never below what pays the fees. Empty: close at the target.",
        gt=0,
        lt=100,
        json_schema_extra={"unit": "%", "group": "exits"},
    )
    stop_loss_percent: Decimal | None = Field(
        default=None,
        title="Stop loss",
        description="Close at market when the price has moved this far against the deal. Empty: no stop.",
        gt=0,
        lt=100,
        json_schema_extra={"unit": "%", "group": "exits"},
    )
    stop_reference: Literal["average", "base"] = Field(
        default="average",
        title="Stop counts from",
        description="The average of what was filled, or the base order's price.",
        json_schema_extra={"group": "exits"},
    )
    trailing_stop: bool = Field(
        default=False,
        title="Trailing stop",
        description="The stop follows the best price since the deal's last buy at the same distance.",
        json_schema_extra={"group": "exits"},
    )
    break_even_percent: Decimal | None = Field(
        default=None,
        title="Break even from",
        description="Once the price is this far in profit, the stop moves to where the deal pays its fees.",
        gt=0,
        le=1000,
        json_schema_extra={"unit": "%", "group": "exits"},
    )
    after_stop: Literal["continue", "stop"] = Field(
        default="continue",
        title="After a stop loss",
        description="Continue with the next deal, or stop the bot.",
        json_schema_extra={"group": "exits"},
    )
    start: Literal["immediately", "price_drop", "condition", "signal"] = Field(
        default="immediately",
        title="Start a deal",
        description="Immediately, after a price drop, while a condition holds, or only when a signal comes in.",
        json_schema_extra={"group": "deals"},
    )
    drop_percent: Decimal | None = Field(
        default=None,
        title="Price drop",
        description="For the start after a drop: how far the price is below its recent high (short: above its low).",
        gt=0,
        lt=100,
        json_schema_extra={"unit": "%", "group": "deals", "when": {"start": "price_drop"}},
    )
    drop_candles: int = Field(
        default=60,
        title="Recent high over",
        description="Closed candles that the recent high or low is looked for in.",
        ge=2,
        le=MOST_CANDLES,
        json_schema_extra={"unit": "candles", "group": "deals", "when": {"start": "price_drop"}},
    )
    start_condition: str = Field(
        default="",
        title="Start condition",
        description="For the start by condition, on closed candles: rsi(14) < 30 and close > ema(200).",
        max_length=500,
        json_schema_extra={"format": "condition", "group": "deals", "when": {"start": "condition"}},
    )
    cooldown_minutes: int = Field(
        default=0,
        title="Cooldown",
        description="Minutes between the end of a deal, or the start of another one, and the next start.",
        ge=0,
        le=525_600,
        json_schema_extra={"unit": "minutes", "group": "deals"},
    )
    max_active_deals: int = Field(
        default=1,
        title="Deals at a time",
        description="How many deals may run at the same time, each with its own orders and exit.",
        ge=1,
        le=MOST_DEALS,
        json_schema_extra={"group": "deals"},
    )
    stop_after_deals: int | None = Field(
        default=None,
        title="Stop after",
        description="The bot ends after this many deals. Empty: never.",
        ge=1,
        le=100_000,
        json_schema_extra={"unit": "deals", "group": "deals"},
    )

    def model_post_init(self, context: object, /) -> None:
        """Judge the fields together. Raises InvalidInputs."""
        faults = [*step_faults(self), *self._exit_faults(), *self._start_faults()]
        if faults:
            raise InvalidInputs(faults)

    def _exit_faults(self) -> Iterator[InvalidInput]:
        if self.direction == "short" and self.take_profit_percent >= 100:
            text = f"A short can't earn {plain(self.take_profit_percent)} %: the price would be at or below 0."
            yield InvalidInput(text, field="take_profit_percent", value=self.take_profit_percent, code="range")
        if self.stop_loss_percent is None and (self.trailing_stop or self.after_stop == "stop"):
            field = "trailing_stop" if self.trailing_stop else "after_stop"
            text = "There is no stop loss to which this could apply: set its percent, or leave this as it was."
            yield InvalidInput(text, field=field, value=getattr(self, field), code="required")
        even = self.break_even_percent
        if even is not None and self.take_profit_of == "total" and even >= self.take_profit_percent:
            text = (
                f"The price reaches the take profit of {plain(self.take_profit_percent)} % before "
                f"{plain(even)} %: choose less."
            )
            yield InvalidInput(text, field="break_even_percent", value=even, code="range")

    def _start_faults(self) -> Iterator[InvalidInput]:
        if self.start == "price_drop" and self.drop_percent is None:
            text = "Say how many percent the price must drop."
            yield InvalidInput(text, field="drop_percent", value=None, code="required")
        if self.start == "condition" and not self.start_condition.strip():
            text = "Write the condition, for example rsi(14) < 30."
            yield InvalidInput(text, field="start_condition", value=self.start_condition, code="required")
        elif self.start_condition.strip():
            try:
                parse_condition(self.start_condition, field="start_condition")
            except InvalidInput as fault:
                yield fault
        if self.max_active_deals > 1 and self.start != "signal" and not self.cooldown_minutes:
            text = f"Without a cooldown {self.max_active_deals} deals would all start at one price: give it minutes."
            yield InvalidInput(text, field="cooldown_minutes", value=0, code="required")
