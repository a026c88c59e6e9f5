"""The arithmetic of a deal's safety orders and exits (strategies.md 2: the formulas, with their usual names).

Deviation of safety order n from the base order's price: D_n = d (s^n - 1) / (s - 1), n d for s = 1; its price is
P_0 (1 - D_n), short P_0 (1 + D_n). Its size: V_n = V_1 v^(n-1). The exit that earns the ratio t after fees, of all that
was spent: P = (cost + fees) (1 + t) / (qty (1 - f)); of the base order alone: (cost + fees + t base) / (qty (1 - f)).
A short gets money first and pays its exit: (cost - fees) (1 - t) / (qty (1 + f)).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from trading.core.errors import InvalidInput
from trading.core.params import MOST_DECIMALS, decimals_of
from trading.core.rounding import plain, to_float
from trading.core.timeframes import MINUTE_MS
from trading.core.types import Fees

if TYPE_CHECKING:
    from bots.strategies.dca.params import DcaParams

MOST_SAFETY_ORDERS = 200
_FARTHEST = Decimal(10_000)  # percent: a hundred times the price is no safety order any more
_MOST = Decimal("1e15")


class Step(NamedTuple):
    """One safety order: its distance from the base price in percent, and its size in the unit of the parameters."""

    percent: Decimal
    size: Decimal


class Recipe(NamedTuple):
    """The parameters as a decision needs them: floats, ratios, milliseconds."""

    long: bool
    unit: str
    base: float
    limit: bool
    wait_ms: int
    steps: tuple[tuple[float, float], ...]  # ratio from the base price, size
    active: int
    profit: float
    of_base: bool
    after_fees: bool
    trail: float | None
    stop: float | None
    stop_at_base: bool
    trailing_stop: bool
    even: float | None
    start: str
    drop: float
    cooldown_ms: int
    deals: int
    last_deal: int | None
    stop_ends: bool
    leverage: float


@lru_cache(maxsize=256)
def recipe_of(params: DcaParams) -> Recipe:
    """Return the recipe of these parameters."""
    steps = tuple((_ratio(step.percent), _size(params, step.size)) for step in steps_of(params))
    return Recipe(
        long=params.direction == "long",
        unit=params.size_in,
        base=_size(params, params.base_order),
        limit=params.base_order_type == "limit",
        wait_ms=params.base_order_wait_minutes * MINUTE_MS,
        steps=steps,
        active=params.active_safety_orders or MOST_SAFETY_ORDERS,
        profit=_ratio(params.take_profit_percent),
        of_base=params.take_profit_of == "base",
        after_fees=params.take_profit_after_fees,
        trail=_ratio_or_none(params.trailing_profit_percent),
        stop=_ratio_or_none(params.stop_loss_percent),
        stop_at_base=params.stop_reference == "base",
        trailing_stop=params.trailing_stop,
        even=_ratio_or_none(params.break_even_percent),
        start=params.start,
        drop=_ratio(params.drop_percent or Decimal(0)),
        cooldown_ms=params.cooldown_minutes * MINUTE_MS,
        deals=params.max_active_deals,
        last_deal=params.stop_after_deals,
        stop_ends=params.after_stop == "stop",
        leverage=to_float(params.leverage),
    )


def _ratio(percent: Decimal) -> float:
    return to_float(percent / 100)


def _ratio_or_none(percent: Decimal | None) -> float | None:
    return None if percent is None else _ratio(percent)


def _size(params: DcaParams, size: Decimal) -> float:
    return to_float(size / 100 if params.size_in == "percent" else size)


# --- safety orders --------------------------------------------------------------------------------------------------


def steps_of(params: DcaParams) -> tuple[Step, ...]:
    """Return the safety orders that the parameters describe, the nearest first."""
    if params.custom_steps:
        return tuple(_step(text) for text in params.custom_steps)
    if params.safety_order is None:
        return ()
    sizes = [params.safety_order * params.volume_scale**n for n in range(params.safety_orders)]
    return tuple(
        Step(deviation(params.deviation_percent, params.step_scale, n), size) for n, size in enumerate(sizes, 1)
    )


def deviation(first: Decimal, scale: Decimal, n: int) -> Decimal:
    """Return the distance of safety order `n` (from 1) in the unit of `first`."""
    return n * first if scale == 1 else first * (scale**n - 1) / (scale - 1)


def _step(text: str) -> Step:
    percent, _, size = text.partition(":")
    return Step(Decimal(percent.strip()), Decimal(size.strip()))


def step_faults(params: DcaParams) -> Iterator[InvalidInput]:
    """Yield what is wrong with the safety orders, whatever the market."""
    if params.custom_steps:
        yield from _custom_faults(params)
        return
    if params.safety_orders and params.safety_order is None:
        text = f"Give the size of the first of {params.safety_orders} safety orders, or 0 as their number."
        yield InvalidInput(text, field="safety_order", value=None, code="required")
        return
    yield from _distance_faults(params, "deviation_percent", params.deviation_percent)


def _custom_faults(params: DcaParams) -> Iterator[InvalidInput]:
    before = Decimal(0)
    for text in params.custom_steps:
        try:
            step = _step(text)
            fits = step.percent.is_finite() and step.size.is_finite() and step.size > 0
            fits = fits and max(decimals_of(step.percent), decimals_of(step.size)) <= MOST_DECIMALS
        except ArithmeticError:
            fits = False
        if not fits:
            shown = f"“{text[:40]}” is no step: write percent, a colon and a size above 0, like 2.5:15."
            yield InvalidInput(shown, field="custom_steps", value=text, code="type")
            return
        if step.size >= _MOST:
            shown = f"The size of the step “{text[:40]}” must be below {plain(_MOST)}."
            yield InvalidInput(shown, field="custom_steps", value=text, code="range")
            return
        if step.percent <= before:
            shown = f"The step at {plain(step.percent)} % must be further away than {plain(before)} %."
            yield InvalidInput(shown, field="custom_steps", value=text, code="range")
            return
        before = step.percent
    if params.safety_order is not None:
        shown = "Give either steps of your own or the size of the first safety order, not both."
        yield InvalidInput(shown, field="safety_order", value=params.safety_order, code="both")
        return
    yield from _distance_faults(params, "custom_steps", params.custom_steps[-1])


def _distance_faults(params: DcaParams, field: str, value: object) -> Iterator[InvalidInput]:
    steps = steps_of(params)
    if steps and params.direction == "long" and steps[-1].percent >= 100:
        fit = sum(1 for step in steps if step.percent < 100)
        text = (
            f"Safety order {len(steps)} would stand {_far(steps[-1].percent)} % below the "
            f"base order, at or under 0: {fit} of these fit, or a smaller deviation or step scale."
        )
        yield InvalidInput(text, field=field, value=value, code="range")
    elif steps and steps[-1].percent > _FARTHEST:
        fit = sum(1 for step in steps if step.percent <= _FARTHEST)
        text = (
            f"Safety order {len(steps)} would stand {_far(steps[-1].percent)} % above the base order, and may stand "
            f"{plain(_FARTHEST)} % above it: {fit} of these fit, or a smaller deviation or step scale."
        )
        yield InvalidInput(text, field=field, value=value, code="range")
    elif (hidden := hidden_by_stop(params)) is not None:
        text = (
            f"The stop of {plain(params.stop_loss_percent or Decimal(0))} % comes before safety order {hidden} at "
            f"{plain(steps[hidden - 1].percent)} %: set it further away, or use fewer safety orders."
        )
        yield InvalidInput(text, field="stop_loss_percent", value=params.stop_loss_percent, code="range")


def _far(percent: Decimal) -> str:
    """Write a distance of any size."""
    return plain(percent.quantize(Decimal("0.01"))) if percent < _MOST else f"over {plain(_MOST)}"


def hidden_by_stop(params: DcaParams) -> int | None:
    """Return the first safety order that the stop would come before, None when all can fill."""
    if params.stop_loss_percent is None:
        return None
    recipe, sign = recipe_of(params), 1 if params.direction == "long" else -1
    assert recipe.stop is not None  # noqa: S101 - the percent is given
    in_base = recipe.unit == "base"
    cost = qty = recipe.base  # at a base price of 1
    for number, (ratio, size) in enumerate(recipe.steps, 1):
        price = 1 - sign * ratio
        reference = 1.0 if recipe.stop_at_base else cost / qty
        if (price - reference * (1 - sign * recipe.stop)) * sign <= 0:
            return number
        cost += size * price if in_base else size
        qty += size if in_base else size / price
    return None


# --- exits ----------------------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """What a deal holds: quantity, what its fills were worth and their fees, and what is still held of the base order's
    worth. Each exit takes its share of all four."""

    qty: float
    cost: float
    fees: float
    base_cost: float


def target_price(recipe: Recipe, long: bool, held: Held, fee: float) -> float:
    """Return the price at which leaving earns the take profit; `fee` is the rate of the exit."""
    sign = 1 if long else -1
    if not recipe.after_fees:
        gain = recipe.profit * held.base_cost / held.cost if recipe.of_base else recipe.profit
        return held.cost / held.qty * (1 + sign * gain)
    spent = held.cost + sign * held.fees
    gained = recipe.profit * held.base_cost if recipe.of_base else recipe.profit * spent
    return (spent + sign * gained) / (held.qty * (1 - sign * fee))


def break_even_price(long: bool, held: Held, fee: float) -> float:
    """Return the price at which leaving pays all fees of the deal and no more."""
    sign = 1 if long else -1
    return (held.cost + sign * held.fees) / (held.qty * (1 - sign * fee))


def stop_price(recipe: Recipe, long: bool, held: Held, base_price: float) -> float | None:
    """Return the price of the stop loss, None without one."""
    if recipe.stop is None:
        return None
    reference = base_price if recipe.stop_at_base else held.cost / held.qty
    return reference * (1 - recipe.stop if long else 1 + recipe.stop)


def least_exit(recipe: Recipe, price: float, fees: Fees) -> float:
    """Return the lowest price at which a deal may have to leave with its base order alone, bought (short: sold) at
    `price`: what is an order there is one at all its exits."""
    paid = price * (fees.maker if recipe.limit else fees.taker)
    held = Held(1.0, price, paid, price)
    target = target_price(recipe, recipe.long, held, fees.maker if recipe.trail is None else fees.taker)
    stop = stop_price(recipe, recipe.long, held, price)
    return min(price, target, price if stop is None else stop)
