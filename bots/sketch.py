"""Geometry of the small charts that are drawn as SVG on the server: recent prices, planned levels, exits.

Floats, because these are pixels. The numbers beside the drawing are the exact ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from trading.core.previews import Preview
from trading.core.rounding import to_float

MOST_LINES = 50
NOW = "price"  # the role of the line at the present price
EXITS = ("stop", "take")
PAD = 10.0
MIN_POINTS = 2
LABEL_ROOM = 13.0  # two labels closer than this would overlap


@dataclass(frozen=True, slots=True)
class Line:
    """One horizontal line; `role` is buy, sell, none, price, stop or take."""

    y: float
    role: str
    price: Decimal
    label_y: float | None = None  # None: no room for its label


@dataclass(frozen=True, slots=True)
class Sketch:
    """A drawing of `width` x `height`; `path` is the price, `area` the same closed at the bottom."""

    width: int
    height: int
    path: str
    area: str
    lines: tuple[Line, ...]
    plot: int  # width of the plot; labels stand right of it
    last_x: float
    last_y: float

    @property
    def label_x(self) -> int:
        return self.plot + 8


Mark = tuple[str, Decimal]  # role and price of a line


def marks_of(preview: Preview | None) -> list[Mark]:
    """Return the lines of a preview: its levels and its exits."""
    if preview is None:
        return []
    exits = [("stop", preview.stop_price), ("take", preview.take_profit_price)]
    return [(level.role, level.price) for level in preview.levels] + [
        (role, value) for role, value in exits if value is not None
    ]


def sketch(
    closes: Sequence[float],
    price: Decimal | None,
    lines: Sequence[Mark] = (),
    *,
    width: int = 420,
    height: int = 260,
    room: int = 70,
) -> Sketch | None:
    """Draw closes (oldest first) with these lines; None without any price. `room` is kept for labels."""
    marks = _thinned(lines)
    if price is not None:
        marks.append((NOW, price))
    values = [*closes, *(to_float(mark[1]) for mark in marks)]
    if not values:
        return None
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0

    def y(value: float) -> float:
        return round(height - PAD - (value - low) / span * (height - 2 * PAD), 1)

    points = _points([*closes, *([to_float(price)] if price is not None else [])], width - room, y)
    path = "M" + " L".join(f"{x} {top}" for x, top in points) if points else ""
    last_x, last_y = points[-1] if points else (0.0, 0.0)
    area = f"{path} L{last_x} {height} L0 {height} Z" if path else ""
    drawn = _labelled([Line(y(to_float(value)), role, value) for role, value in marks])
    return Sketch(width, height, path, area, drawn, width - room, last_x, last_y)


@dataclass(frozen=True, slots=True)
class Curves:
    """Two curves over time on one scale: what a bot is worth, and what holding would be."""

    width: int
    height: int
    value: str
    area: str
    hold: str
    start_y: float
    low: Decimal
    high: Decimal
    low_y: float
    high_y: float


def curves(points: Sequence[tuple[int, Decimal, Decimal]], start: Decimal) -> Curves | None:
    """Draw (time, value, hold) with the line of the start; None for fewer than two points."""
    if len(points) < MIN_POINTS:
        return None
    width, height = 920, 240
    values = [start, *(value for _, value, _ in points), *(hold for _, _, hold in points)]
    low, high = min(values), max(values)
    span = to_float(high - low) or 1.0
    first, last = points[0][0], points[-1][0]

    def at(ts_ms: int, value: Decimal) -> str:
        x = (ts_ms - first) / max(1, last - first) * width
        return f"{x:.1f} {_y(value):.1f}"

    def _y(value: Decimal) -> float:
        return height - PAD - to_float(value - low) / span * (height - 2 * PAD)

    value_path = "M" + " L".join(at(ts, value) for ts, value, _ in points)
    hold_path = "M" + " L".join(at(ts, hold) for ts, _, hold in points)
    base = round(_y(start), 1)
    area = f"{value_path} L{width} {base} L0 {base} Z"
    return Curves(width, height, value_path, area, hold_path, base, low, high, round(_y(low), 1), round(_y(high), 1))


def _points(values: Sequence[float], width: int, y: Callable[[float], float]) -> list[tuple[float, float]]:
    step = width / max(1, len(values) - 1)
    return [(round(i * step, 1), y(value)) for i, value in enumerate(values)]


def _thinned(lines: Sequence[Mark]) -> list[Mark]:
    levels = sorted((mark for mark in lines if mark[0] not in EXITS), key=lambda mark: mark[1])
    stride = -(-len(levels) // MOST_LINES) or 1
    kept = [mark for i, mark in enumerate(levels) if i % stride == 0 or i == len(levels) - 1]
    return kept + [mark for mark in lines if mark[0] in EXITS]


def _labelled(lines: list[Line]) -> tuple[Line, ...]:
    """Give labels where there is room: the price first, then exits, then the outermost and nearest levels."""
    weight = {"price": 0, "stop": 1, "take": 1}
    levels = sorted((line for line in lines if line.role not in weight), key=lambda line: line.y)
    outer = levels[:1] + levels[-1:]
    order = sorted((line for line in lines if line.role in weight), key=lambda line: weight[line.role]) + outer
    taken: list[float] = []
    placed: dict[int, float] = {}
    for line in order:
        if all(abs(line.y - other) >= LABEL_ROOM for other in taken):
            taken.append(line.y)
            placed[id(line)] = line.y
    return tuple(Line(line.y, line.role, line.price, placed.get(id(line))) for line in lines)
