"""Candles for comparing engines: files as columns, and seeded random series that are the same on every machine.

Plain arithmetic on `random.Random`'s stream, which Python promises to keep, rounded to cents: no library's generator
can change these series. Used by the peers (in their own environment) and by our tests.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from pathlib import Path

COLUMNS = ("ts", "open", "high", "low", "close", "volume")
MINUTE_MS = 60_000

Columns = dict[str, list[float]]

# Grids of 12 lines and one unit a cell, on the half year of real candles: where few orders fill, and where many do.
GRIDS: dict[str, dict[str, str | int]] = {
    "grid": {"lower": "155", "upper": "265", "levels": 12, "quantity_per_level": "1"},
    "grid-dense": {"lower": "180", "upper": "202", "levels": 12, "quantity_per_level": "1"},
}
# Deals of 10 units and five safety orders, out at +1.5 % or -20 % of the average, the next one a candle later.
DCA: dict[str, str | int | bool | list[str]] = {
    "size_in": "base",
    "base_order": "10",
    "custom_steps": ["1:10", "2.5:15", "4.75:22", "8.125:33", "13.1875:50"],
    "take_profit_percent": "1.5",
    "take_profit_after_fees": False,
    "stop_loss_percent": "20",
    "start": "immediately",
    "cooldown_minutes": "1",
}


def random_series(seed: int) -> Columns:
    """Return 40 to 900 one-minute candles around 20 to 2,000, with gaps and flat stretches; valid by construction."""
    rng = random.Random(seed)  # noqa: S311 - reproducible data, not a secret
    close = round(20 * 100 ** rng.random(), 2)
    swing = rng.choice((0.002, 0.01, 0.04))
    columns: Columns = {name: [] for name in COLUMNS}
    flat = 0
    for minute in range(rng.randrange(40, 901)):
        flat = flat - 1 if flat else (rng.randrange(1, 30) if rng.random() < 0.01 else 0)
        if flat:
            row = (close, close, close, close, 0.0)
        else:
            gap = 1 + (rng.random() - 0.5) * swing if rng.random() < 0.2 else 1.0
            start = round(close * gap, 2)
            close = max(1.0, round(start * (1 + (rng.random() - 0.5) * swing), 2))
            high = round(max(start, close) * (1 + rng.random() * swing / 4), 2)
            low = round(min(start, close) * (1 - rng.random() * swing / 4), 2)
            row = (start, max(high, start, close), min(low, start, close), close, float(rng.randrange(1, 100)))
        columns["ts"].append(minute * MINUTE_MS)
        for name, value in zip(COLUMNS[1:], row, strict=True):
            columns[name].append(value)
    return columns


def file_series(path: Path) -> Columns:
    """Return the columns of a Parquet file."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(path)
    return {name: table[name].to_pylist() for name in COLUMNS}


def trades_sha256(trades: Iterable[tuple[int, str, float]]) -> str:
    """Return the SHA-256 over one line a fill: candle index, buy or sell, price in full precision."""
    digest = hashlib.sha256()
    for candle, side, price in trades:
        digest.update(f"{candle},{side},{float(price)!r}\n".encode())
    return digest.hexdigest()
