"""Parameters of the scan, with the rules that hold on any market. What a market asks is judged in `preview`."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from trading.core.conditions import parse_condition
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.indicators import check_value
from trading.core.needs import AllOf, AnyOf, Compare, Condition, Const, Value

MOST_MARKETS = 200
_MOST = Decimal("1e15")


class ScanParams(BaseModel):
    """Markets, a condition to buy, ways to sell, and how many deals may be open at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Market scan")

    symbols: tuple[str, ...] = Field(
        title="Markets",
        description="Spot markets to watch, all with the same quote coin. The order is the rank: when more markets "
        "meet the condition than deals are free, the first ones are bought.",
        min_length=1,
        max_length=MOST_MARKETS,
        json_schema_extra={"format": "symbols", "group": "markets"},
    )
    entry: str = Field(
        default="rsi(14) < 30 and close > ema(200)",
        title="Buy when",
        description="Looked at when a candle closes, on each market by itself.",
        min_length=1,
        max_length=500,
        json_schema_extra={"format": "condition", "group": "entry"},
    )
    max_deals: int = Field(
        default=3,
        title="Deals at once",
        description="How many markets may be held at the same time.",
        ge=1,
        le=MOST_MARKETS,
        json_schema_extra={"unit": "", "group": "size"},
    )
    quote_per_deal: Decimal = Field(
        title="Amount per deal",
        description="What one purchase may cost, its fee included.",
        gt=0,
        lt=_MOST,
        json_schema_extra={"unit": "quote", "group": "size"},
    )
    stop_percent: Decimal = Field(
        default=Decimal(5),
        title="Stop",
        description="Sells at market this far below the purchase price. The order rests from the purchase on.",
        gt=0,
        lt=100,
        json_schema_extra={"unit": "%", "group": "exits"},
    )
    trailing_percent: Decimal | None = Field(
        default=None,
        title="Trailing stop",
        description="Also sells this far below the highest price since the purchase.",
        gt=0,
        lt=100,
        json_schema_extra={"unit": "%", "group": "exits"},
    )
    take_profit_percent: Decimal | None = Field(
        default=None,
        title="Take profit",
        description="Sells at market this far above the purchase price.",
        gt=0,
        le=10_000,
        json_schema_extra={"unit": "%", "group": "exits"},
    )
    exit: str = Field(
        default="",
        title="Sell when",
        description="Looked at when a candle closes. May be left empty: then the stop and the take profit decide.",
        max_length=500,
        json_schema_extra={"format": "condition", "group": "exits"},
    )
    cooldown_minutes: int = Field(
        default=60,
        title="Rest after a deal",
        description="How long a market isn't bought again after its deal has ended.",
        ge=0,
        le=525_600,
        json_schema_extra={"unit": "min", "group": "entry"},
    )

    def model_post_init(self, context: object, /) -> None:
        """Judge the texts, and the fields together. Raises InvalidInputs."""
        faults = [*_doubled(self.symbols), *_unreadable("entry", self.entry), *_unreadable("exit", self.exit)]
        if self.max_deals > len(self.symbols):
            text = (
                f"{self.max_deals} deals at once are more than the {len(self.symbols)} markets: "
                f"each market has one deal, so at most {len(self.symbols)}."
            )
            faults.append(InvalidInput(text, field="max_deals", value=self.max_deals, code="range"))
        if faults:
            raise InvalidInputs(faults)


@lru_cache(maxsize=1024)
def condition_of(text: str) -> Condition | None:
    """Return the condition that a text means, None for an empty one. Raises InvalidInput."""
    return parse_condition(text) if text.strip() else None


@lru_cache(maxsize=1024)
def candles_needed(condition: Condition | None) -> int:
    """Return how many closed candles of the bot's own timeframe a condition needs before it has a value."""
    if isinstance(condition, Compare):
        crosses = condition.op in ("crosses_above", "crosses_below")
        return max(_value_needs(condition.left), _value_needs(condition.right)) + crosses
    if isinstance(condition, AllOf | AnyOf):
        return max((candles_needed(part) for part in condition.parts), default=0)
    return 0


def _value_needs(value: Value | Const) -> int:
    if isinstance(value, Const):
        return 0
    indicator = check_value(value)
    return 1 if indicator is None else indicator.lookback(value.args) + 1


def _unreadable(field: str, text: str) -> list[InvalidInput]:
    try:
        condition_of(text)
    except InvalidInput as fault:
        return [InvalidInput(fault.message, field=field, value=text, code=fault.code)]
    return []


def _doubled(symbols: tuple[str, ...]) -> list[InvalidInput]:
    faults = []
    for symbol, count in Counter(symbols).items():
        if not 0 < len(symbol.strip()) <= 40:  # it is also the market's alias
            text = f"A market such as ETH/USDT has 1 to 40 characters, not “{symbol[:60]}”."
            faults.append(InvalidInput(text, field="symbols", value=symbol))
        elif count > 1:
            text = f"{symbol} stands {count} times among the markets: name each once."
            faults.append(InvalidInput(text, field="symbols", value=symbol, code="duplicate"))
    return faults
