"""The weather of the demo market: which regime rules when, and the minutes that follow from it.

Time is cut into blocks of eight hours. The price at the blocks' edges comes from bounded noise on many scales, so that
it wanders for ever and never leaves; inside a block a handful of regimes shape the minutes, with volatility that
clusters (GARCH(1,1), Bollerslev 1986), and a small steady correction brings the path to the next edge. Each block
depends on nothing but its number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from exchanges.adapters.demo.noise import Floats, normal_at, stream_key, uniform_at
from trading.core.timeframes import MINUTE_MS

BLOCK_MINUTES = 480
BLOCK_MS = BLOCK_MINUTES * MINUTE_MS
OCTAVES = 8  # the slowest swing lasts 2^7 blocks: six weeks
_SHORTEST = 15  # minutes


@dataclass(frozen=True, slots=True)
class Regime:
    """Drift and volatility in units of the market's own volatility a minute; `pull` draws back to where it began."""

    name: str
    weight: float
    minutes: tuple[int, int]
    volatility: float
    drift: float = 0.0
    pull: float = 0.0
    then: str = ""


REGIMES = (
    Regime("range", 0.40, (40, 200), 1.0, pull=0.02),
    Regime("trend-up", 0.17, (40, 180), 0.9, drift=0.16),
    Regime("trend-down", 0.16, (40, 160), 1.0, drift=-0.17),
    Regime("calm", 0.19, (30, 120), 0.45),
    Regime("crash", 0.08, (12, 28), 2.4, drift=-3.2, then="aftermath"),
    Regime("aftermath", 0.0, (25, 70), 1.7, drift=0.35),
)
TETHER = Regime("tether", 0.0, (BLOCK_MINUTES, BLOCK_MINUTES), 1.0, pull=0.07)  # half of a gap is gone in ten minutes
_BY_NAME = {regime.name: regime for regime in REGIMES}


@dataclass(frozen=True, slots=True)
class Block:
    """Eight hours, minute by minute: `log_price` and `volatility` at the 481 edges, the regime of the 480 minutes."""

    log_price: Floats
    volatility: Floats
    regimes: tuple[str, ...]


class Weather:
    """The blocks of one market; `sigma` is its volatility a minute as a ratio. Fewer octaves come back sooner.

    Without any it is tethered: it strays from its home by a few sigma and is back within the hour.
    """

    def __init__(self, seed: int, symbol: str, sigma: float, octaves: int = OCTAVES) -> None:
        self._sigma = sigma
        self._edge_keys = [stream_key(seed, symbol, "edge", octave) for octave in range(octaves)]
        self._plan_key = stream_key(seed, symbol, "plan")
        self._minute_key = stream_key(seed, symbol, "minute")

    def edge(self, block: int) -> float:
        """Return the log-price, relative to the market's base, at the start of a block; always within 37 x 16 sigma."""
        total = 0.0
        for octave, key in enumerate(self._edge_keys):
            period = 1 << octave
            first, into = divmod(block, period)
            low, high = (2.0 * uniform_at(key, np.array([first, first + 1])) - 1.0).tolist()
            total += (low + (high - low) * into / period) * math.sqrt(period)
        return total * 16.0 * self._sigma

    def block(self, number: int) -> Block:
        """Lay out block `number`, negative ones too."""
        plan = self._plan(number)
        noise = normal_at(self._minute_key, number * BLOCK_MINUTES + np.arange(BLOCK_MINUTES)).tolist()
        path, volatility = [0.0], [1.0]
        home, heat, last = 0.0, 1.0, 0.0
        for minute, shock in enumerate(noise):
            regime = plan[minute]
            if minute and plan[minute - 1] is not regime:
                home = path[-1]
            heat = 0.06 + 0.84 * heat + 0.10 * last * last
            swing = regime.volatility * math.sqrt(heat)
            path.append(path[-1] + self._sigma * (regime.drift + swing * shock) + regime.pull * (home - path[-1]))
            volatility.append(swing)
            last = shock
        volatility[-1] = 1.0
        start, end = self.edge(number), self.edge(number + 1)
        lean = (end - start - path[-1]) / BLOCK_MINUTES
        log_price = start + np.array(path) + lean * np.arange(BLOCK_MINUTES + 1)
        return Block(log_price, np.array(volatility), tuple(regime.name for regime in plan))

    def _plan(self, number: int) -> list[Regime]:
        """Fill the block's minutes with regimes; what is left over at its end goes to the last one."""
        if not self._edge_keys:
            return [TETHER] * BLOCK_MINUTES
        draws = iter(uniform_at(self._plan_key, number * BLOCK_MINUTES + np.arange(BLOCK_MINUTES)).tolist())
        plan: list[Regime] = []
        following = ""
        while len(plan) < BLOCK_MINUTES:
            regime = _BY_NAME[following] if following else _pick(next(draws))
            low, high = regime.minutes
            length = low + int(next(draws) * (high - low))
            left = BLOCK_MINUTES - len(plan)
            if left - length < _SHORTEST:
                length = left
                regime = regime if length <= high else _BY_NAME["range"]
            plan += [regime] * length
            following = regime.then
        return plan


def _pick(draw: float) -> Regime:
    for regime in REGIMES:
        draw -= regime.weight
        if draw < 0:
            return regime
    return REGIMES[0]
