"""A log-log plot of time over length as plain SVG: it needs no library, and reads well on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 420, 70, 20, 50, 50
COLOURS = ("#2f7ed8", "#d9822b", "#3a9d5d")
Points = Sequence[Sequence[float]]


class Scale:
    """Logarithmic: a range of values onto a range of pixels, in whole powers of ten."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low, self.high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self._start, self._step = start, (end - start) / max(1, self.high - self.low)

    def at(self, value: float) -> float:
        return self._start + (math.log10(value) - self.low) * self._step

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def time_plot(lines: Mapping[str, Points]) -> str:
    """Return the SVG of CPU seconds (up) over candles (right), one line each; dashed: what linear growth would be."""
    x = Scale([point[0] for points in lines.values() for point in points], LEFT, WIDTH - RIGHT)
    y = Scale([point[1] for points in lines.values() for point in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *_axes(x, y),
    ]
    for number, (name, points) in enumerate(lines.items()):
        parts += _line(name, points, x, y, COLOURS[number % len(COLOURS)], number)
    return "\n".join([*parts, "</svg>", ""])


def _axes(x: Scale, y: Scale) -> Iterator[str]:
    for tick in x.ticks():
        at = x.at(tick)
        yield f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        yield f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#333">{tick:,.0f}</text>'
    for tick in y.ticks():
        at = y.at(tick)
        yield f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="#333">{tick:g} s</text>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle" fill="#333">candles</text>'


def _line(name: str, points: Points, x: Scale, y: Scale, colour: str, number: int) -> Iterator[str]:
    drawn = " ".join(f"{x.at(count):.1f},{y.at(seconds):.1f}" for count, seconds in points)
    yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for count, seconds in points:
        yield f'<circle cx="{x.at(count):.1f}" cy="{y.at(seconds):.1f}" r="3" fill="{colour}"/>'
    (last, seconds), first = points[-1], points[0][0]
    start = seconds * first / last
    ends = (max(start, 10.0**y.low), seconds)
    begin = last * ends[0] / seconds
    yield (
        f'<line x1="{x.at(begin):.1f}" y1="{y.at(ends[0]):.1f}" x2="{x.at(last):.1f}" y2="{y.at(ends[1]):.1f}" '
        f'stroke="{colour}" stroke-dasharray="3 4" opacity="0.6"/>'
    )
    yield f'<text x="{LEFT + 12}" y="{TOP + 18 + 16 * number}" fill="{colour}">{name}</text>'
