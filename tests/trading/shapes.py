"""The five shapes of strategy and the crossover, set up for runs on random candles: small numbers, busy parameters."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from bots.advisors.local import LocalAdvisor
from bots.advisors.simulated import Simulated
from bots.strategies.registry import STRATEGIES
from trading.core.candle_files import read_candles
from trading.core.candles import Candles
from trading.core.needs import MarketRef
from trading.core.params import parse_params
from trading.core.ports import Strategy
from trading.core.simoptions import SimMarket, SimOptions
from trading.core.simulation import simulate_markets
from trading.core.timeframes import resample
from trading.core.types import Bar, MarketRules, Perpetual

CASH, FEE = Decimal(100_000), Decimal("0.001")
MINUTE = 60_000
PAIRS = tuple(f"C{number:02d}/USDT" for number in range(20))
# Answers within four minutes, some too late; of ten one never comes, one fails and one is nonsense.
ADVISOR = Simulated(LocalAdvisor(), delay_ms=(1_000, 240_000), never=0.1, failing=0.1, absurd=0.1)


@dataclass(frozen=True)
class Shape:
    """How a shape is tried: parameters from a generator of random numbers, and the candles that make it trade."""

    raw: Callable[[random.Random], dict[str, Any]]
    candles: int = 60
    real_minutes: int = 30  # length of the candles that real minutes are put together to
    perpetual: Perpetual | None = None


def _grid(rng: random.Random) -> dict[str, Any]:
    lower = rng.randint(92, 98)
    raw = {"lower": lower, "upper": lower + rng.randint(4, 14), "levels": rng.randint(4, 12)}
    raw |= {"spacing": rng.choice(["arithmetic", "geometric"]), "investment": rng.choice([500, 20_000, 99_000])}
    if rng.random() < 0.5:
        raw |= {"stop_price": lower - 3, "take_profit_price": raw["upper"] + 3}
    return raw


def _ema(rng: random.Random) -> dict[str, Any]:
    fast = rng.randint(1, 5)
    return {"fast": fast, "slow": fast + rng.randint(1, 8), "quantity": rng.choice(["1", "0.5", "900"])}


def _dca(rng: random.Random) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "base_order": rng.choice([200, 2_000]),
        "safety_orders": rng.randint(0, 4),
        "safety_order": rng.choice([100, 3_000]),
        "deviation_percent": rng.choice(["0.3", "0.5", "0.7"]),
        "step_scale": rng.choice(["1", "1.5"]),
        "volume_scale": rng.choice(["1", "1.4"]),
        "take_profit_percent": rng.choice(["0.8", "1.5"]),
        "cooldown_minutes": rng.choice([0, 1, 5]),
    }
    optional = {
        "trailing_profit_percent": "0.5",
        "stop_loss_percent": "6",
        "active_safety_orders": 1,
        "stop_after_deals": 3,
    }
    raw |= {name: value for name, value in optional.items() if rng.random() < 0.4}
    if rng.random() < 0.3:
        condition = rng.choice(["close < sma(4) or rsi(3) < 40", "on 5m: close < sma(3) and close > sma(2)"])
        raw |= {"start": "condition", "start_condition": condition}
    if rng.random() < 0.3:
        raw |= {"max_active_deals": 2, "cooldown_minutes": 3}
    return raw


def _scan(rng: random.Random) -> dict[str, Any]:
    return {
        "symbols": list(PAIRS),
        "entry": rng.choice(
            ["rsi(3) < 30", "close > sma(5) and mom(2) > 0", "close crosses above sma(4)", "on 5m: close > sma(2)"]
        ),
        "exit": rng.choice(["", "close < sma(3)"]),
        "quote_per_deal": rng.choice([500, 30_000, 60_000]),
        "stop_percent": rng.choice(["1", "3"]),
        "take_profit_percent": rng.choice(["1", "4"]),
        "cooldown_minutes": rng.choice([0, 5]),
    } | ({"trailing_percent": "1.5"} if rng.random() < 0.5 else {})


def _adviser(rng: random.Random) -> dict[str, Any]:
    return {
        "every_minutes": rng.choice([3, 5]),
        "deadline_minutes": rng.choice([2, 3]),
        "investment": rng.choice([5_000, 90_000]),
        "min_confidence": "0.3",
        "stop_percent": rng.choice(["0.5", "2"]),
        "take_profit_percent": rng.choice(["0.5", "2"]),
    }


def _pair(rng: random.Random) -> dict[str, Any]:
    return {
        "symbol": "ETH/USDT:USDT",
        "window": 20,
        "entry": rng.choice(["0.8", "1.5"]),
        "exit": rng.choice(["0", "0.4"]),
        "stop": rng.choice(["2", "3"]),
        "leg_quote": rng.choice([5_000, 40_000, 70_000]),
        "leverage": rng.choice([1, 2, 8]),
        "complete_within_s": rng.choice([20, 120]),
    } | ({"max_hold_minutes": 9} if rng.random() < 0.4 else {})


# Funding comes often, so that short runs meet it.
PERPETUAL = Perpetual(Decimal(10), Decimal("0.005"), 7 * MINUTE, Decimal("0.0001"))
SHAPES: dict[str, Shape] = {
    "grid": Shape(_grid),
    "ema_cross": Shape(_ema),
    "dca": Shape(_dca, candles=90),
    "pair": Shape(_pair, candles=90, perpetual=PERPETUAL),
    "scan": Shape(_scan, candles=50),
    "adviser": Shape(_adviser, candles=160, real_minutes=2),
}


@dataclass(frozen=True)
class Trial:
    """One shape with its parameters and random candles for each of its markets."""

    strategy: Strategy
    params: Any
    markets: Mapping[str, SimMarket]

    @property
    def candles(self) -> dict[str, Candles]:
        return {alias: market.candles for alias, market in self.markets.items()}

    def simulate(self, *, strategy: Any = None, candles: Mapping[str, Candles] | None = None, **options: Any) -> Any:
        series = candles or self.candles
        markets = {alias: SimMarket(series[alias], market.rules) for alias, market in self.markets.items()}
        chosen = SimOptions(advisor=ADVISOR, **options)
        return simulate_markets(strategy or self.strategy, self.params, markets, cash=CASH, fee=FEE, options=chosen)


def trial(key: str, seed: int) -> Trial:
    """Return the shape `key` with everything about it drawn from `seed`."""
    rng = random.Random(seed)
    shape, strategy = SHAPES[key], STRATEGIES[key]
    params = parse_params(strategy.params, shape.raw(rng))
    refs = strategy.needs(params).markets
    series = random_candles(rng, len(refs), shape.candles)
    return Trial(strategy, params, markets_of(refs, series, shape.perpetual))


def real_trial(key: str, folder: Path, seed: int, count: int = 150) -> Trial:
    """Return the shape on `count` candles a market, put together from slices of the files of real minutes.

    The files cover different years, so each slice gets the times of the first one; prices are scaled to begin at 100,
    on a tick of 0.01, for the same parameters to fit. Several markets take turns with the files: BTC, ETH, BTC, ...
    """
    rng = random.Random(seed)
    shape, strategy = SHAPES[key], STRATEGIES[key]
    longer = f"on {5 * shape.real_minutes}m:"  # five candles, as among the random ones
    raw = {
        name: value.replace("on 5m:", longer) if isinstance(value, str) else value
        for name, value in shape.raw(rng).items()
    }
    params = parse_params(strategy.params, raw)
    refs = strategy.needs(params).markets
    minutes = count * shape.real_minutes
    files = [read_candles(path) for path in sorted((folder / "data").glob("*.parquet"))]
    series = []
    for k in range(len(refs)):
        file = files[k % len(files)]
        start = rng.randrange(0, len(file) - minutes - 60)
        series.append(_scaled(file.slice(start), shape.real_minutes * MINUTE, count))
    return Trial(strategy, params, markets_of(refs, [_at(series[0].ts, one) for one in series], shape.perpetual))


def _scaled(minutes: Candles, timeframe_ms: int, count: int) -> Candles:
    whole = resample(minutes.slice(0, (count + 2) * timeframe_ms // MINUTE), timeframe_ms).slice(0, count)
    prices = [np.round(column / whole.open[0] * 100, 2) for column in whole.prices]
    return Candles.of(whole.ts, *prices, whole.volume)


def _at(ts: Any, candles: Candles) -> Candles:
    return Candles.of(ts, *candles.prices, candles.volume)


def markets_of(
    refs: Mapping[str, MarketRef], series: Sequence[Candles], perpetual: Perpetual | None
) -> dict[str, SimMarket]:
    """Put candles and rules together; the bot's own market is that of BTC."""
    found = {}
    for (alias, ref), candles in zip(refs.items(), series, strict=True):
        coin = ref.symbol.partition("/")[0] or "BTC"
        steps = Decimal("0.01"), Decimal("0.00001"), Decimal("0.0001"), Decimal(5)
        found[alias] = SimMarket(candles, MarketRules(coin, "USDT", *steps, perpetual))
    return found


def random_candles(rng: random.Random, markets: int, count: int) -> list[Candles]:
    """Return series around 100 that share most of each move, with gaps and flat stretches, on a tick of 0.01."""
    prices = [100.0] * markets
    rows: list[list[Bar]] = [[] for _ in prices]
    for i in range(count):
        common = rng.gauss(0, 0.006)
        for k, last in enumerate(prices):
            gap = rng.gauss(0, 0.01) if rng.random() < 0.1 else 0.0
            open_ = _cents(last * (1 + gap))
            back = (100 - last) / 100 * 0.05  # nobody drifts away for ever
            still = rng.random() < 0.05
            close = open_ if still else _cents(open_ * (1 + common + back + rng.gauss(0, 0.004)))
            high = max(open_, close) if still else _cents(max(open_, close) * (1 + abs(rng.gauss(0, 0.003))))
            low = min(open_, close) if still else _cents(min(open_, close) * (1 - abs(rng.gauss(0, 0.003))))
            volume = 0.0 if still else float(rng.randint(1, 50))
            rows[k].append(Bar(i * MINUTE, open_, max(high, open_, close), min(low, open_, close), close, volume))
            prices[k] = close
    return [Candles.from_bars(bars) for bars in rows]


def _cents(price: float) -> float:
    return max(1.0, round(price, 2))
