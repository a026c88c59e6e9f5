"""What a live decision changes: the control loop's answer for its rows, and what a pause takes out of it."""

from __future__ import annotations

from collections.abc import Collection

from bots.models import Bot
from trading.core.control import Plan, PositionOf, groups_begun, plan, reduces_position
from trading.core.errors import StrategyFault
from trading.core.rounding import to_float
from trading.core.types import Decision, Side
from trading.core.wants import check_wake, check_want
from trading.situation import Situation, Watched, is_live


def plan_of(situation: Situation, decision: Decision) -> Plan:
    """Compare what is wanted with what is there. A paused bot loses what adds. Raises StrategyFault."""
    for slot, want in decision.orders.items():
        if want.market not in situation.markets:
            raise StrategyFault(f"slot {slot} names the market {want.market!r}, which the strategy didn't ask for")
        check_want(want)
    check_wake(decision.wake)
    positions = {
        alias: PositionOf(to_float(one.qty), spot=one.rules.perpetual is None)
        for alias, one in situation.markets.items()
    }
    result = plan(decision, situation.slots, situation.cancelling, positions)
    if situation.bot.status == Bot.Status.PAUSED:
        adding = _adding(situation, groups_begun(decision.orders, situation.slots))
        result.cancels = [(slot, "paused" if slot in adding else why) for slot, why in result.cancels]
        named = {slot for slot, _ in result.cancels}
        result.cancels += [(slot, "paused") for slot in sorted(adding - named - situation.cancelling)]
        result.amends = [(slot, want) for slot, want in result.amends if slot not in adding]
    return result


def _adding(situation: Situation, begun: Collection[str]) -> set[str]:
    """Name the live slots whose orders add a risk: those that make a position larger and complete no group."""
    return {
        slot
        for slot, view in situation.slots.items()
        if is_live(view)
        and view.want.market in situation.markets
        and view.want.group not in begun
        and not shrinks(situation.markets[view.want.market], view.want.side)
    }


def shrinks(watched: Watched, side: Side) -> bool:
    return reduces_position(side, to_float(watched.qty), watched.rules.perpetual is None)
