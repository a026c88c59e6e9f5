"""What every indicator is: arguments with bounds, named outputs, and values that depend on closed candles only.

There are two families, and both give a live bot bit for bit what a backtest has (contract rule 12). `Windowed` ones are
computed from a stretch of candles that absolute time alone fixes; running ones (`Running`) are recursions from the
first candle of the series.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trading.core.candles import Candles
from trading.core.errors import InvalidInput
from trading.core.types import Bar

Args = Sequence[float]
COLUMNS = ("open", "high", "low", "close", "volume")
MOST_CANDLES = 2000  # the longest period: its settled window still fits a live bot's memory


@dataclass(frozen=True, slots=True)
class Series:
    """Values at each candle's close; the first `start` of them aren't active yet and read as None."""

    values: NDArray[Any]
    start: int

    def at(self, i: int) -> Any:
        """Return the value known at the close of candle `i` as a Python value, None before it is active."""
        return self.values.item(i) if i >= self.start else None

    def changes(self) -> NDArray[np.int64]:
        """Return the candles at whose close the value differs from the one before; None to a value counts."""
        if self.start >= len(self.values):
            return np.zeros(0, dtype=np.int64)
        active = self.values[self.start :]
        differs = np.flatnonzero(active[1:] != active[:-1]) + 1
        return np.concatenate(([0], differs)).astype(np.int64) + self.start

    def steps(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return `changes` and the values from there on."""
        candles = self.changes()
        return candles, self.values[candles]


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of an indicator with its bounds, both included."""

    name: str
    low: float
    high: float = MOST_CANDLES
    whole: bool = True

    def accepts(self, value: float) -> bool:
        inside = math.isfinite(value) and self.low <= value <= self.high
        return inside and (not self.whole or value == int(value))

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{self.name} ({kind} from {self.low:g} to {self.high:g})"


class Running(Protocol):
    """An indicator that is fed closed candles one by one, from the series' first candle on."""

    def update(self, bar: Bar) -> Any:
        """Take the next closed candle; returns the value at its close (a tuple where there are several outputs),
        None before it is active."""
        ...

    def dump(self) -> dict[str, Any]:
        """Return everything needed to go on later, as JSON values."""
        ...

    def load(self, data: Mapping[str, Any]) -> None:
        """Go on from what `dump` returned."""
        ...


class Indicator(Protocol):
    """`outputs` are the names of its values, ("",) for a single one; `columns` those of the candles that it reads."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def args(self) -> tuple[Arg, ...]: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def seed(self) -> str:
        """Say in a few words what its values start from."""
        ...

    def check(self, args: Args) -> None:
        """Raise InvalidInput for arguments that make no sense."""
        ...

    def lookback(self, args: Args) -> int:
        """Return the index of the first candle at whose close there is a value."""
        ...

    def outputs_of(self, candles: Candles, args: Args, *, fast: bool = False) -> tuple[Series, ...]:
        """Return all outputs over all candles; `fast` runs a kernel of ours compiled (and loads the compiler)."""
        ...

    def running(self, args: Args) -> Running | None:
        """Return the running form, before its first candle; None of a windowed indicator."""
        ...


def check_args(name: str, wanted: Sequence[Arg], args: Args) -> None:
    """Raise InvalidInput unless there are as many arguments as wanted, each within its bounds."""
    if len(args) == len(wanted) and all(arg.accepts(value) for arg, value in zip(wanted, args, strict=True)):
        return
    rightly = ", ".join(str(arg) for arg in wanted) or "nothing"
    given = ", ".join(f"{value:g}" for value in args) or "nothing"
    raise InvalidInput(f"{name} takes {rightly}; not {given}", field="args", value=tuple(args), code="range")
