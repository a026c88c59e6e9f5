"""The DCA rules under which the peers were measured, as our parameters.

Ten units at the open; 10, 15, 22, 33, 50 more at fixed distances from the base price; out at +1.5 % or -20 % of the
average, before fees. The next deal starts at the open of the next candle: a cooldown of one candle of a minute, since
inside a candle the engine's clock stands at its open.
"""

from __future__ import annotations

from typing import Any

PARAMS: dict[str, Any] = {
    "size_in": "base",
    "base_order": "10",
    "base_order_type": "market",
    "custom_steps": ["1:10", "2.5:15", "4.75:22", "8.125:33", "13.1875:50"],
    "take_profit_percent": "1.5",
    "take_profit_of": "total",
    "take_profit_after_fees": False,
    "stop_loss_percent": "20",
    "stop_reference": "average",
    "start": "immediately",
    "cooldown_minutes": "1",
}
