"""How ready-made bots are made: sensible parameters for a market at a price, one function a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from exchanges.models import Market
from trading.core.rounding import plain, price_to_tick, qty_to_lot
from trading.core.types import Side

Params = dict[str, Any]
CENT = Decimal("0.01")
SCANNED = 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a preset is made from a market and its price."""

    key: str
    title: str
    summary: str
    symbol: str
    strategy: str
    budget: Decimal
    params: Callable[[Market, Decimal, Decimal], Params]  # market, price, budget
    timeframe_ms: int = 60_000


def grid_around(price: Decimal, market: Market, *, ratio: Decimal, cells: int, offset: Decimal) -> tuple[str, str]:
    """Return the bounds of a geometric grid of `cells` cells of `ratio` each, around the price.

    The price stands `offset` of a cell above the middle line: from there the next sell is (1 - offset) of a cell
    away, and the line nearest to the price stays empty as long as offset < 1/2.
    """
    middle = price / ratio**offset
    span = ratio ** (Decimal(cells) / 2)
    lower = price_to_tick(middle / span, market.tick, Side.BUY)
    upper = price_to_tick(middle * span, market.tick, Side.SELL)
    return plain(lower), plain(upper)


def _investment(budget: Decimal) -> str:
    """Leave a hundredth of the budget for an opening buy that meets a price a little higher."""
    return plain((budget * Decimal("0.99")).quantize(Decimal("0.01")))


def _lively(market: Market, price: Decimal, budget: Decimal) -> Params:
    """Twenty cells of 0.32 %: each pays its fees of 0.2 % with a margin, and the next sell is 0.18 % away."""
    lower, upper = grid_around(price, market, ratio=Decimal("1.0032"), cells=20, offset=Decimal("0.45"))
    return {"lower": lower, "upper": upper, "levels": 21, "spacing": "geometric", "investment": _investment(budget)}


def _calm(market: Market, price: Decimal, budget: Decimal) -> Params:
    """Twenty-four cells of 0.7 %, with a stop 2 % under the lowest line."""
    lower, upper = grid_around(price, market, ratio=Decimal("1.007"), cells=24, offset=Decimal("0.4"))
    stop = price_to_tick(Decimal(lower) * Decimal("0.98"), market.tick, Side.BUY)
    return {
        "lower": lower,
        "upper": upper,
        "levels": 25,
        "spacing": "arithmetic",
        "investment": _investment(budget),
        "stop_price": plain(stop),
    }


def _trend(market: Market, price: Decimal, budget: Decimal) -> Params:
    """Buy nine tenths of the budget when the fast average crosses above the slow one."""
    return {"fast": 9, "slow": 21, "quantity": plain(qty_to_lot(budget * Decimal("0.9") / price, market.lot))}


def _dca(market: Market, price: Decimal, budget: Decimal) -> Params:
    """Five safety orders over 6 %, each larger and further away than the one before; a stop under them."""
    unit = budget / 5000
    return {
        "base_order": plain((unit * 400).quantize(CENT)),
        "safety_orders": 5,
        "safety_order": plain((unit * 500).quantize(CENT)),
        "deviation_percent": "0.8",
        "step_scale": "1.2",
        "volume_scale": "1.2",
        "take_profit_percent": "1",
        "trailing_profit_percent": "0.3",
        "stop_loss_percent": "12",
        "cooldown_minutes": 5,
    }


def _scan(market: Market, price: Decimal, budget: Decimal) -> Params:
    """A close under the lower band with a low RSI; a target that pays its fees five times, a stop twice as far."""
    spot = Market.objects.filter(source=market.source, quote=market.quote, active=True, perpetual=False)
    return {
        "symbols": list(spot.order_by("id").values_list("symbol", flat=True)[:SCANNED]),
        "entry": "close < bbands(20, 2).lower and rsi(14) < 35",
        "max_deals": min(3, max(1, spot.count())),
        "quote_per_deal": plain((budget * Decimal("0.33")).quantize(CENT)),
        "stop_percent": "2",
        "take_profit_percent": "1",
        "cooldown_minutes": 15,
    }


def _pair(market: Market, price: Decimal, budget: Decimal) -> Params:
    """Both legs of equal worth without leverage, opened at two deviations of two hours, closed near their mean."""
    twins = {"WIF": "DOGE", "DOGE": "WIF", "BTC": "ETH"}
    return {
        "symbol": f"{twins.get(market.base, 'BTC')}/{market.quote}:{market.quote}",
        "window": 120,
        "exit": "0.25",
        "leg_quote": plain((budget * Decimal("0.45")).quantize(CENT)),
    }


def _adviser(market: Market, price: Decimal, budget: Decimal) -> Params:
    """A question every five minutes; at most half of the investment at once, each purchase with a stop."""
    return {
        "every_minutes": 5,
        "deadline_minutes": 2,
        "investment": _investment(budget),
        "max_allocation_percent": "50",
        "stop_percent": "2",
        "take_profit_percent": "1.5",
    }


RECIPES = (
    Recipe(
        "lively-grid",
        "Lively grid",
        "Many close lines on the market that moves most: trades often, earns little each time.",
        "DOGE/USDT",
        "grid",
        Decimal(5000),
        _lively,
    ),
    Recipe(
        "calm-grid",
        "Calm grid",
        "Wide lines around the bitcoin price with a stop below: trades seldom, earns more each time.",
        "BTC/USDT",
        "grid",
        Decimal(10000),
        _calm,
    ),
    Recipe(
        "trend",
        "Trend follower",
        "Holds ether while its fast average is above its slow one, and stands aside otherwise.",
        "ETH/USDT",
        "ema_cross",
        Decimal(5000),
        _trend,
    ),
    Recipe(
        "steady-dca",
        "Steady buyer",
        "Buys more as the price falls, sells all of it a little above the average, and begins again.",
        "SOL/USDT",
        "dca",
        Decimal(5000),
        _dca,
    ),
    Recipe(
        "dip-scan",
        "Dip scan",
        "Watches twenty markets and buys sharp dips, three at a time at most, each with its own stop.",
        "BTC/USDT",
        "scan",
        Decimal(5000),
        _scan,
    ),
    Recipe(
        "dog-pair",
        "Dog coins",
        "Sells the dear and buys the cheap one of two perpetuals that move together, whenever they have drifted apart.",
        "WIF/USDT:USDT",
        "pair",
        Decimal(5000),
        _pair,
    ),
    Recipe(
        "second-opinion",
        "Second opinion",
        "Asks an adviser every five minutes and trades on its answer, within limits that no answer can move.",
        "BTC/USDT",
        "adviser",
        Decimal(5000),
        _adviser,
    ),
)
