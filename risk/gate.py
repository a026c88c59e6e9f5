"""The risk gate: every order of every bot passes here before it is written down as planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from risk.rules.budget import funds_needed
from risk.rules.registry import RULES
from trading.core.control import group_fault
from trading.core.ports import Allow, Deny, RiskContext, RiskOrder


def judge(
    orders: Sequence[RiskOrder], context: RiskContext, refused: Mapping[str, Mapping[str, str]] | None = None
) -> list[Allow | Deny]:
    """Answer each order in turn; what an allowed one locks is no longer free for those after it.

    The orders of a group pass whole or not at all: one leg of a hedge is a risk of its own. A leg at fault is told its
    own rule, the others which leg it was and why. `refused` names, by group, the legs that can't be orders at all and
    why (the word of `Closed.why`): they aren't among `orders`, and the others don't pass without them.
    """
    answers: dict[int, Allow | Deny] = {}
    for unit in _units(orders):
        said, left = {}, context
        for index in unit:
            said[index], left = _pass(orders[index], left)
        missing = (refused or {}).get(orders[unit[0]].group, {})
        denied = {orders[index].slot: answer.reason for index, answer in said.items() if isinstance(answer, Deny)}
        if not denied and not missing:
            context = left
        elif orders[unit[0]].group:
            other = Deny("group", group_fault(missing, denied))
            said = {index: answer if isinstance(answer, Deny) else other for index, answer in said.items()}
        answers |= said
    return [answers[index] for index in range(len(orders))]


def _units(orders: Sequence[RiskOrder]) -> Iterable[list[int]]:
    """Return the indices that are judged together: a group at the place of its first leg, others alone."""
    units: dict[str, list[int]] = {}
    for index, order in enumerate(orders):
        units.setdefault(f"group {order.group}" if order.group else f"order {index}", []).append(index)
    return units.values()


def _pass(order: RiskOrder, context: RiskContext) -> tuple[Allow | Deny, RiskContext]:
    """Ask all rules; what an allowed order takes is taken out of what those after it may have."""
    answer = _first_no(order, context)
    if isinstance(answer, Deny):
        return answer, context
    coin, needed = funds_needed(order)
    free = {**context.free, coin: context.free.get(coin, Decimal(0)) - needed}
    place = (order.market, order.side)
    exposure = context.exposure
    if place in exposure:
        exposure = {**exposure, place: exposure[place] + order.added}
    opened = None if context.open_orders is None else context.open_orders + 1
    return answer, replace(context, free=free, exposure=exposure, open_orders=opened)


def _first_no(order: RiskOrder, context: RiskContext) -> Allow | Deny:
    for rule in RULES:
        answer = rule.check(order, context)
        if isinstance(answer, Deny):
            return answer
    return Allow()
