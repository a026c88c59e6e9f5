"""The demo market's symbols: their rules, as an exchange would publish them, and their temper.

The first four go their own ways. All others follow a leader as altcoins follow BTC: their log-price is beta times the
leader's plus something of their own. BCH/USDT and OP/USDT are made to be traded as pairs with LTC/USDT and ARB/USDT:
what they have of their own is small and comes back within a day or two. A perpetual ("BTC/USDT:USDT": base, quote and
the coin of its margin, as ccxt writes it) is a follower of its spot market with a basis of a few hundredths of a
percent. WIF/USDT:USDT has no spot market here: it is tethered to the perpetual of DOGE, a pair for a bot of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from exchanges.adapters.demo.regimes import OCTAVES
from trading.core.types import MarketRules, Perpetual

FEE = Decimal("0.001")  # maker and taker
PERPETUAL_FEE = Decimal("0.0005")
LIVELY_MS, CALM_MS = 250, 500  # how often a feed brings news of a market, at most


@dataclass(frozen=True, slots=True)
class DemoSpec:
    """One symbol. `sigma` is its own volatility a minute, `ripple` the width of its jitter within a minute (ratios).

    `octaves` bounds how slowly what it has of its own may swing, 0 tethers it; `beta` is its share of the leader's
    log-price.
    """

    symbol: str
    rules: MarketRules
    base_price: float
    sigma: float
    ripple: float
    lots_a_tick: float  # mean volume of a tick
    pace_ms: int = LIVELY_MS
    octaves: int = OCTAVES
    leader: DemoSpec | None = None
    beta: float = 0.0

    @property
    def fee(self) -> Decimal:
        return PERPETUAL_FEE if self.rules.perpetual else FEE


def _spec(
    pair: str, price: float, steps: tuple[str, str, str], temper: tuple[float, float], lots_a_tick: float
) -> DemoSpec:
    return DemoSpec(pair, _rules(pair, steps), price, *temper, lots_a_tick)


def _rules(pair: str, steps: tuple[str, str, str]) -> MarketRules:
    base, quote = pair.split("/")
    tick, lot, min_notional = map(Decimal, steps)
    return MarketRules(base, quote, tick, lot, lot, min_notional)


BTC = _spec("BTC/USDT", 97_000.0, ("0.01", "0.00001", "5"), (0.0006, 0.0002), 9_000.0)
ETH = _spec("ETH/USDT", 3_400.0, ("0.01", "0.0001", "5"), (0.0008, 0.0003), 14_000.0)
SOL = _spec("SOL/USDT", 190.0, ("0.01", "0.001", "5"), (0.0013, 0.0014), 9_000.0)
DOGE = _spec("DOGE/USDT", 0.36, ("0.00001", "1", "1"), (0.0016, 0.0034), 3_500.0)

# pair, price, (tick, lot), mean volume of a tick in lots, beta to BTC, own volatility a minute
_FOLLOWERS = (
    ("BNB/USDT", 640.0, ("0.01", "0.001"), 900.0, 0.9, 0.0004),
    ("ADA/USDT", 0.92, ("0.0001", "0.1"), 6_000.0, 1.2, 0.0008),
    ("AVAX/USDT", 41.0, ("0.01", "0.01"), 1_200.0, 1.3, 0.0008),
    ("LINK/USDT", 22.0, ("0.001", "0.01"), 1_500.0, 1.2, 0.0007),
    ("DOT/USDT", 7.4, ("0.001", "0.01"), 4_000.0, 1.2, 0.0007),
    ("LTC/USDT", 104.0, ("0.01", "0.001"), 2_500.0, 1.0, 0.0006),
    ("TRX/USDT", 0.245, ("0.0001", "1"), 3_000.0, 0.6, 0.0005),
    ("ATOM/USDT", 6.6, ("0.001", "0.01"), 2_500.0, 1.2, 0.0008),
    ("UNI/USDT", 13.5, ("0.001", "0.01"), 1_800.0, 1.3, 0.0009),
    ("NEAR/USDT", 5.3, ("0.001", "0.1"), 500.0, 1.3, 0.0009),
    ("APT/USDT", 9.1, ("0.001", "0.01"), 2_000.0, 1.2, 0.0009),
    ("ARB/USDT", 0.78, ("0.0001", "0.1"), 5_000.0, 1.3, 0.0008),
    ("FIL/USDT", 5.1, ("0.001", "0.01"), 2_500.0, 1.2, 0.0008),
    ("AAVE/USDT", 320.0, ("0.01", "0.001"), 700.0, 1.2, 0.0008),
)
# pair, leader, price, (tick, lot), mean volume of a tick in lots, own volatility a minute
_TWINS = (
    ("BCH/USDT", "LTC/USDT", 440.0, ("0.01", "0.001"), 600.0, 0.0006),
    ("OP/USDT", "ARB/USDT", 1.9, ("0.0001", "0.1"), 2_500.0, 0.0007),
)
_TWIN_OCTAVES = 2
_BASIS = 0.000005  # a perpetual's own volatility a minute
_PERPETUAL = Perpetual(max_leverage=Decimal(20))


def _followers() -> Iterator[DemoSpec]:
    for pair, price, (tick, lot), lots_a_tick, beta, sigma in _FOLLOWERS:
        rules = _rules(pair, (tick, lot, "5"))
        yield DemoSpec(pair, rules, price, sigma, sigma / 2, lots_a_tick, CALM_MS, leader=BTC, beta=beta)


def _twins(leaders: dict[str, DemoSpec]) -> Iterator[DemoSpec]:
    for pair, leader, price, (tick, lot), lots_a_tick, sigma in _TWINS:
        rules = _rules(pair, (tick, lot, "5"))
        yield DemoSpec(
            pair, rules, price, sigma, sigma / 2, lots_a_tick, CALM_MS, _TWIN_OCTAVES, leaders[leader], beta=1.0
        )


def _perpetual(spot: DemoSpec, lot: str, lots_a_tick: float) -> DemoSpec:
    rules, step = spot.rules, Decimal(lot)
    future = MarketRules(rules.base, rules.quote, rules.tick, step, step, rules.min_notional, _PERPETUAL)
    symbol = f"{spot.symbol}:{rules.quote}"
    return DemoSpec(symbol, future, spot.base_price, _BASIS, 2 * _BASIS, lots_a_tick, CALM_MS, leader=spot, beta=1.0)


def _tethered(symbol: str, leader: DemoSpec, price: float, steps: tuple[str, str]) -> DemoSpec:
    """Return a perpetual whose spread to its leader is 0.2 % wide, worth its fees, with a half-life of ten minutes."""
    base = symbol.split("/")[0]
    tick, lot = map(Decimal, steps)
    rules = MarketRules(base, leader.rules.quote, tick, lot, lot, leader.rules.min_notional, _PERPETUAL)
    return DemoSpec(symbol, rules, price, 0.0008, 0.0004, 2_000.0, CALM_MS, octaves=0, leader=leader, beta=1.0)


def _all() -> Iterator[DemoSpec]:
    yield from (BTC, ETH, SOL, DOGE)
    followers = {spec.symbol: spec for spec in _followers()}
    yield from followers.values()
    yield from _twins(followers)
    yield _perpetual(BTC, "0.0001", 1_500.0)
    yield _perpetual(ETH, "0.001", 2_000.0)
    doge = _perpetual(DOGE, "1", 3_000.0)
    yield doge
    yield _tethered("WIF/USDT:USDT", doge, 1.7, ("0.0001", "0.1"))


SPECS = {spec.symbol: spec for spec in _all()}
