"""What makes no sense as an order or a wake, whoever is asked: refused alike in a backtest and live."""

from __future__ import annotations

from math import inf, isfinite

from trading.core.errors import StrategyFault
from trading.core.types import Kind, Tif, Trail, Wake, Want

ONE_SHOT = frozenset({Tif.IOC, Tif.FOK})
TAKES = {  # whether an order of this kind has a price, a trigger, a trail
    Kind.LIMIT: (True, False, False),
    Kind.MARKET: (False, False, False),
    Kind.STOP: (False, True, False),
    Kind.STOP_LIMIT: (True, True, False),
    Kind.TRAILING: (False, False, True),
}


def check_want(want: Want) -> None:
    """Raise StrategyFault for an order that lacks what its kind needs, or names a number that no order can have.

    A stop at NaN would rest for ever and never fire.
    """
    has = (want.price is not None, want.trigger is not None, want.trail is not None)
    resting_tif = want.tif is Tif.GTC or want.kind is Kind.LIMIT or (want.kind is Kind.MARKET and want.tif in ONE_SHOT)
    if has != TAKES[want.kind] or not resting_tif:
        raise StrategyFault(_misfit(want, has))
    if not isfinite(want.qty):
        raise StrategyFault(f"the quantity of an order must be a finite number, not {want.qty}: {want}")
    if want.price is not None and not isfinite(want.price):
        raise StrategyFault(f"the price of an order must be a finite number, not {want.price}: {want}")
    if want.trigger is not None and not isfinite(want.trigger.level):
        raise StrategyFault(f"the trigger of an order must be a finite number, not {want.trigger.level}: {want}")
    if want.trail is not None:
        check_trail(want.trail)


def _misfit(want: Want, has: tuple[bool, ...]) -> str:
    if has != TAKES[want.kind]:
        return (
            f"an order of Kind.{want.kind.name} takes {_listed(TAKES[want.kind])}, not {_listed(has)}: a limit order "
            f"needs a price, a stop a trigger, a stop-limit both, a trailing order a trail, a market order none: {want}"
        )
    return (
        f"an order of Kind.{want.kind.name} can't be {want.tif.value}: only limit orders may be post_only, "
        f"only limit and market orders ioc or fok: {want}"
    )


def _listed(has: tuple[bool, ...]) -> str:
    named = [f"a {name}" for name, there in zip(("price", "trigger", "trail"), has, strict=True) if there]
    return " and ".join(named) or "none of price, trigger and trail"


def check_trail(trail: Trail) -> None:
    """Raise StrategyFault for a trail that could never fire, or would at once wherever the price is."""
    if not 0 <= trail.offset_ratio < 1 or not 0 <= trail.offset < inf:
        raise StrategyFault(
            f"a trail follows at a ratio from 0 to under 1 and a distance of 0 or more, "
            f"not {trail.offset_ratio} and {trail.offset}"
        )
    if not trail.offset_ratio and not trail.offset:
        raise StrategyFault(f"a trail needs a ratio or a distance to follow at; without one it fires at once: {trail}")
    for name, level in (("activation", trail.activation), ("floor", trail.floor)):
        if level is not None and not isfinite(level):
            raise StrategyFault(f"a trail's {name} must be a finite price, not {level}")


def check_wake(wake: Wake) -> None:
    """Raise StrategyFault for a level or a trail at which nothing could ever wake."""
    for price in wake.prices:
        if price.level != price.level:
            raise StrategyFault(f"it waits for {price.series!r} at a level that is no number")
    for trail in wake.trails:
        check_trail(trail.trail)
