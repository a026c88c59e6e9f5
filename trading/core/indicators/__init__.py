"""The registry of indicators. A new one is a row in one of the tables here; docs/indicators.md lists them."""

from __future__ import annotations

from trading.core.errors import InvalidInput
from trading.core.indicators.base import COLUMNS, Indicator, Running, Series
from trading.core.indicators.ema_side import EmaSide
from trading.core.indicators.own import OWN
from trading.core.indicators.standard import STANDARD
from trading.core.indicators.supertrend import Supertrend
from trading.core.indicators.windows import Windowed
from trading.core.needs import Value

__all__ = ["COLUMNS", "INDICATORS", "Indicator", "Running", "Series", "Windowed", "check_value"]

_ROWS: tuple[Indicator, ...] = (*STANDARD, *OWN, Supertrend(), EmaSide())
INDICATORS: dict[str, Indicator] = {indicator.name: indicator for indicator in _ROWS}


def check_value(value: Value) -> Indicator | None:
    """Return the indicator of a value, None for a column of the candles.

    Raises InvalidInput for an unknown name or output or impossible arguments, and says what there is.
    """
    if value.name in COLUMNS:
        if value.args or value.output:
            raise InvalidInput(f"{value.name} takes no arguments", field="indicator", value=value.name)
        return None
    indicator = INDICATORS.get(value.name)
    if indicator is None:
        known = ", ".join([*COLUMNS, *sorted(INDICATORS)])
        text = f"no indicator {value.name!r}; there are: {known}"
        raise InvalidInput(text, field="indicator", value=value.name, code="unknown")
    indicator.check(value.args)
    if value.output not in indicator.outputs:
        text = f"{value.name} has no output {value.output!r}"
        if not value.output:
            text = f"{value.name} has several outputs: name one of them"
        known = ", ".join(indicator.outputs) if indicator.outputs != ("",) else "one value without a name"
        raise InvalidInput(f"{text}; it has {known}", field="output", value=value.output, code="unknown")
    return indicator
