"""An adviser's answer, judged: either an opinion whose every number is within its bounds, or the reason why not.

Whoever answers may be a language model, and what it read may have been written by anybody. So nothing is converted,
completed or cut to size here: an answer is exactly in the agreed form, or it is absurd and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

SIDES = ("buy", "sell", "hold")
_SHOWN = 60


class Opinion(NamedTuple):
    side: str
    confidence: float  # 0-1
    allocation_ratio: float  # 0-1, of the investment


def opinion_of(value: Any) -> Opinion | str:
    """Return the opinion, or in words what is wrong with the answer. Never raises, whatever it is given."""
    if not isinstance(value, Mapping):
        return f"it is no object with named values but {_shown(value)}"
    side = value.get("side")
    if not isinstance(side, str) or side not in SIDES:
        return f"its side must be one of {', '.join(SIDES)}, not {_shown(side)}"
    numbers = {}
    for name in ("confidence", "allocation_ratio"):
        number = value.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:  # NaN fails, too
            return f"its {name} must be a number from 0 to 1, not {_shown(number)}"
        numbers[name] = float(number)
    return Opinion(side, **numbers)


def _shown(value: Any) -> str:
    """Repeat a value that may be of any size: its type when it is not a plain one."""
    if isinstance(value, str):
        return f"“{value[:_SHOWN]}”"
    if value is None or isinstance(value, bool | float):
        return str(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**15 else "a whole number beyond measure"
    return f"a {type(value).__name__}"
