"""What can be kept as JSON in every database: the same rule for answers live, in a replay and in a backtest."""

from __future__ import annotations

import json
from typing import Any

MOST_BYTES = 20_000  # of a question's payload or an answer


def json_fault(value: Any) -> str:
    """Say why a value can't be kept as JSON in every database; "" when it can."""
    try:
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        return f"it is no JSON ({error})"[:200]
    if size > MOST_BYTES:
        return f"it has {size} bytes, more than {MOST_BYTES}"
    return "it has a null character" if "\\u0000" in json.dumps(value) else ""
