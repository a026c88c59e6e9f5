"""The side of an EMA crossover: a recursion of our own, from the first close of the series on.

It has one kernel, plain arithmetic that also runs compiled over whole columns, and a running form that continues the
same recursion candle by candle, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from trading.core.candles import Candles
from trading.core.compiled import compiled
from trading.core.errors import InvalidInput
from trading.core.indicators.base import Arg, Args, Running, Series
from trading.core.types import Bar


def ema_sides(close: Sequence[float] | Any, fast: int, slow: int, sides: list[bool] | NDArray[np.bool_]) -> None:
    """Write into `sides` whether EMA(fast) > EMA(slow): alpha = 2/(span+1), both seeded with the first close."""
    alpha_fast = 2.0 / (fast + 1.0)
    alpha_slow = 2.0 / (slow + 1.0)
    quick = close[0]
    calm = close[0]
    sides[0] = False
    for i in range(1, len(close)):
        quick = alpha_fast * close[i] + (1.0 - alpha_fast) * quick
        calm = alpha_slow * close[i] + (1.0 - alpha_slow) * calm
        sides[i] = quick > calm


class EmaSide:
    """True while the fast EMA stands above the slow one; args (fast, slow), active from candle index `slow` on."""

    name: ClassVar[str] = "ema_side"
    title: ClassVar[str] = "Is the fast EMA above the slow one? (1 or 0)"
    args: ClassVar[tuple[Arg, ...]] = (Arg("fast", 1, 5000), Arg("slow", 2, 10_000))
    outputs: ClassVar[tuple[str, ...]] = ("",)
    columns: ClassVar[tuple[str, ...]] = ("close",)
    seed: ClassVar[str] = "the series' first close"

    def check(self, args: Args) -> None:
        whole = len(args) == 2 and all(arg.accepts(value) for arg, value in zip(self.args, args, strict=True))
        if not whole or args[0] >= args[1]:
            fast, slow = self.args
            raise InvalidInput(
                f"ema_side needs two whole spans, fast (to {fast.high}) below slow (to {slow.high}); not {tuple(args)}",
                field="args",
                value=tuple(args),
                code="range",
            )

    def lookback(self, args: Args) -> int:
        return int(args[1])

    def series(self, candles: Candles, args: Args, *, fast: bool = False) -> Series:
        self.check(args)
        sides = np.zeros(len(candles), dtype=np.bool_)
        if not len(candles):
            return Series(sides, self.lookback(args))  # the recursion begins with a first close
        if fast:
            compiled(ema_sides)(candles.close, int(args[0]), int(args[1]), sides)
        else:
            plain = [False] * len(candles)
            ema_sides(candles.close.tolist(), int(args[0]), int(args[1]), plain)
            sides[:] = plain
        return Series(sides, self.lookback(args))

    def outputs_of(self, candles: Candles, args: Args, *, fast: bool = False) -> tuple[Series, ...]:
        return (self.series(candles, args, fast=fast),)

    def running(self, args: Args) -> Running:
        self.check(args)
        return RunningEmaSide(int(args[0]), int(args[1]))


class RunningEmaSide:
    """The recursion of `ema_sides`, one candle at a time."""

    def __init__(self, fast: int, slow: int) -> None:
        self._slow = slow
        self._alpha_fast = 2.0 / (fast + 1.0)
        self._alpha_slow = 2.0 / (slow + 1.0)
        self._count = 0
        self._quick = 0.0
        self._calm = 0.0

    def update(self, bar: Bar) -> bool | None:
        if self._count == 0:
            self._quick = self._calm = bar.close
        else:
            self._quick = self._alpha_fast * bar.close + (1.0 - self._alpha_fast) * self._quick
            self._calm = self._alpha_slow * bar.close + (1.0 - self._alpha_slow) * self._calm
        self._count += 1
        return self._quick > self._calm if self._count > self._slow else None

    def dump(self) -> dict[str, Any]:
        return {"count": self._count, "quick": self._quick, "calm": self._calm}

    def load(self, data: Mapping[str, Any]) -> None:
        self._count, self._quick, self._calm = int(data["count"]), float(data["quick"]), float(data["calm"])
