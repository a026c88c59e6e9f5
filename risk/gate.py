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
    free = dict(context.free)
    for unit in _units(orders):
        left = dict(free)
        said = {index: _pass(orders[index], replace(context, free=left), left) for index in unit}
        missing = (refused or {}).get(orders[unit[0]].group, {})
        denied = {orders[index].slot: answer.reason for index, answer in said.items() if isinstance(answer, Deny)}
        if not denied and not missing:
            free = left
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


def _pass(order: RiskOrder, context: RiskContext, free: dict[str, Decimal]) -> Allow | Deny:
    """Ask all rules; an allowed order takes its funds out of `free`."""
    answer = _first_no(order, context)
    if isinstance(answer, Allow):
        coin, needed = funds_needed(order)
        free[coin] = free.get(coin, Decimal(0)) - needed
    return answer


def _first_no(order: RiskOrder, context: RiskContext) -> Allow | Deny:
    for rule in RULES:
        answer = rule.check(order, context)
        if isinstance(answer, Deny):
            return answer
    return Allow()
