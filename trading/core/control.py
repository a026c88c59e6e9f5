"""The control loop's one question: which orders differ between what should rest and what does?

Backtest, replay, paper and live all ask it here, so they can't differ. Places nothing itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from trading.core.errors import StrategyFault
from trading.core.types import DONE_STATUSES, LIVE_STATUSES, Decision, Kind, Side, SlotStatus, SlotView, Tif, Want

AMENDABLE_TIFS = (Tif.GTC, Tif.POST_ONLY)
AMENDABLE = slice(Want._fields.index("qty"), Want._fields.index("trigger") + 1)  # quantity, price and trigger
NOISE = 1e-9  # of a quantity: what adding floats leaves
Slots = Mapping[str, SlotView]
Asked = tuple[str, Want]


class PositionOf(NamedTuple):
    """A bot's quantity on one market (base, signed), and whether that is a spot market."""

    qty: float = 0.0
    spot: bool = True


FLAT = PositionOf()


@dataclass(slots=True)
class Plan:
    """What to do, in the order of work: cancels, amendments, what reduces the position, what adds to it.

    `hedges` names slots whose group has a fill: exits in all but quantity. `clipped` is the most that a generation may
    trade where that is less than its want (0: nothing to reduce). `exits` says how much of an order on a perpetual
    closes, beside the other orders that do; the rest of it opens. `waits` names exits that a cancel under way still
    stands in for: they are neither placed nor told, and must be asked again once it has ended. `broken` holds new legs
    of a group that can't be whole any more, and why: they are denied.
    """

    cancels: list[tuple[str, str]] = field(default_factory=list)  # slot, why
    amends: list[Asked] = field(default_factory=list)
    reduces: list[Asked] = field(default_factory=list)
    adds: list[Asked] = field(default_factory=list)
    hedges: set[str] = field(default_factory=set)
    clipped: dict[str, float] = field(default_factory=dict)
    exits: dict[str, float] = field(default_factory=dict)
    waits: set[str] = field(default_factory=set)
    broken: list[tuple[str, Want, str]] = field(default_factory=list)


def reduces_position(side: Side, position_qty: float, spot: bool = True) -> bool:
    """Say whether an order of this side makes the position smaller: on spot every sell does, else the opposite side."""
    if spot:
        return side is Side.SELL
    return position_qty != 0 and (side is Side.SELL) == (position_qty > 0)


def plan(
    decision: Decision,
    slots: Slots,
    cancelling: Collection[str],
    positions: Mapping[str, PositionOf],
    amending: Mapping[str, Want] | None = None,
) -> Plan:
    """Compare the desired orders with the slots; `positions` by alias of the market, flat spot where it is missing.

    `cancelling` names the slots being cancelled, `amending` what orders under amendment become. A want whose generation
    is done is never sent again. A live order of the same generation is amended where only price, quantity or trigger
    differ; else it is cancelled first ("replaced"), and the strategy decides again once it has ended. Raises
    StrategyFault when a generation goes backwards.
    """
    result, plain = Plan(), not positions
    new: list[Asked] = []
    for slot, want in decision.orders.items():
        if not want.qty > 0:
            raise StrategyFault(f"slot {slot} gen {want.gen} wants quantity {want.qty}")
        known = slots.get(slot)
        if known is None or _is_new(slot, want, known):
            new.append((slot, want))
            plain = plain and not want.group and not (want.reduce and want.side is Side.BUY)
        elif known.status in LIVE_STATUSES and slot not in cancelling:
            _change(result, slot, want, known, (amending or {}).get(slot, known.want))
    for slot, known in slots.items():
        if known.status in LIVE_STATUSES and slot not in decision.orders and slot not in cancelling:
            result.cancels.append((slot, "cancelled"))
    result.amends = _in_order(result.amends)
    if plain:  # spot, neither a group nor a buy that reduces: no other order has a say in it
        for asked in _in_order(new):
            (result.reduces if asked[1].side is Side.SELL else result.adds).append(asked)
        return result
    _sort_in(result, new, decision, slots, positions)
    _clip(result, slots, {*cancelling, *(slot for slot, _ in result.cancels)}, positions)
    return result


def urgency(slot: str, kind: str) -> tuple[bool, str]:
    """Return the sort key of the order in which orders are placed: it decides ties at one price.

    It must not depend on how a strategy filled its dict. What trades now goes first, so that when money is short a
    resting order waits and not the opening.
    """
    return kind != Kind.MARKET, slot


def _is_new(slot: str, want: Want, known: SlotView) -> bool:
    """Say whether this want is to be placed now: never asked before, or denied and still wanted."""
    if known.want is want:
        return known.status in (SlotStatus.DENIED, SlotStatus.NONE)
    if want.gen < known.gen:
        raise StrategyFault(f"slot {slot} went back from generation {known.gen} to {want.gen}")
    ended = known.status in DONE_STATUSES and want.gen > known.gen
    return ended or known.status in (SlotStatus.DENIED, SlotStatus.NONE)


def _change(result: Plan, slot: str, want: Want, known: SlotView, becomes: Want) -> None:
    """Bring a live order to its want, if it isn't (or becoming) that already."""
    if becomes is want or becomes == want:
        return
    if _can_amend(known.want, want):
        result.amends.append((slot, want))
    else:
        result.cancels.append((slot, "replaced"))


def _can_amend(before: Want, want: Want) -> bool:
    """Say whether only price, quantity and trigger differ, on an order that rests."""
    if want.kind is Kind.MARKET or want.tif not in AMENDABLE_TIFS:
        return False
    return before[: AMENDABLE.start] == want[: AMENDABLE.start] and before[AMENDABLE.stop :] == want[AMENDABLE.stop :]


# --- order of work ------------------------------------------------------------------------------------------------


def _sort_in(
    result: Plan, new: list[Asked], decision: Decision, slots: Slots, positions: Mapping[str, PositionOf]
) -> None:
    """Sort new wants into exits and adds. A group stays together: it reduces only where all of its legs do."""
    grouped = any(want.group for _, want in new)
    begun = groups_begun(decision.orders, slots) if grouped else set()
    adding: set[str] = set()
    exits: dict[str, bool] = {}
    for slot, want in new:
        if want.group and want.group in begun:
            result.hedges.add(slot)
        qty, spot = positions.get(want.market, FLAT)
        exits[slot] = slot in result.hedges or reduces_position(want.side, qty, spot)
        if want.group and not exits[slot]:
            adding.add(want.group)
    broken = _groups_broken(decision.orders, slots, adding) if adding else {}
    if broken:
        result.broken = [(slot, want, broken[want.group]) for slot, want in new if want.group in broken]
        new = [(slot, want) for slot, want in new if want.group not in broken]
    for slot, want in _together(_in_order(new)):
        (result.reduces if exits[slot] and want.group not in adding else result.adds).append((slot, want))


def groups_begun(orders: Mapping[str, Want], slots: Slots) -> set[str]:
    """Name the groups of which a leg has filled and still stands in the decision, in the generation that filled."""
    return {
        want.group
        for slot, want in orders.items()
        if want.group and (known := slots.get(slot)) is not None and known.gen == want.gen and known.filled_qty > 0
    }


def _groups_broken(orders: Mapping[str, Want], slots: Slots, adding: Collection[str]) -> dict[str, str]:
    """Name those of the groups that would add a risk of which a leg has ended without a fill, and say which leg it was.

    None of it has filled. That leg is never placed again in this generation: the others would stand alone.
    """
    broken: dict[str, str] = {}
    for slot, want in orders.items():
        known = slots.get(slot)
        ended = known is not None and known.gen == want.gen and known.status is SlotStatus.CLOSED
        if ended and want.group in adding:
            text = f"{slot} of the same group has ended without a fill: its next generation starts the group anew"
            broken.setdefault(want.group, text)
    return broken


def _in_order(new: list[Asked]) -> list[Asked]:
    return new if len(new) < 2 else sorted(new, key=lambda item: urgency(item[0], item[1].kind))


def _together(asked: list[Asked]) -> list[Asked]:
    """Let the legs of a group stand together, where the most urgent of them stands."""
    first: dict[str, int] = {}
    for place, (_, want) in enumerate(asked):
        if want.group:
            first.setdefault(want.group, place)
    places = [first.get(want.group, place) for place, (_, want) in enumerate(asked)]
    return [item for _, item in sorted(zip(places, asked, strict=True), key=lambda pair: pair[0])]


def group_fault(refused: Mapping[str, str], denied: Mapping[str, str]) -> str:
    """Return what the good legs of a group are told of the bad ones: by slot why (`Closed.why`) or the rule's reason.

    A leg that can't be an order at all is named before one that was denied, and of several the first.
    """
    kind, bad = ("refused", refused) if refused else ("denied", denied)
    slot, reason = next(iter(bad.items()))
    return f"{slot} of the same group was {kind}: {reason}"


# --- exits never exceed the position -------------------------------------------------------------------------------


def _clip(result: Plan, slots: Slots, ending: set[str], positions: Mapping[str, PositionOf]) -> None:
    """Bound what reduces by what is held and not yet spoken for by other live exits, cancels under way included.

    A spot sell is bounded by the coins that are free, which the budget check knows; a reducing buy has nothing there.
    """
    amended = {slot: slots[slot].filled_qty for slot, _ in result.amends}
    free = _unspoken(slots, amended, positions)
    waiting = {known.want.market for slot, known in slots.items() if slot in ending and known.status in LIVE_STATUSES}
    for slot, want in (*result.amends, *result.reduces, *result.adds):
        qty, spot = positions.get(want.market, FLAT)
        exits = reduces_position(want.side, qty, spot)
        if spot and exits:
            continue
        filled = amended.get(slot, 0.0)
        left = free[want.market] if exits else 0.0
        takes, short = min(want.qty - filled, left), want.qty - filled - left > NOISE * want.qty
        if want.reduce and short and exits and want.market in waiting and slot not in amended:
            result.waits.add(slot)
            continue
        if want.reduce and short:
            result.clipped[slot] = filled + takes
        if exits:
            free[want.market] -= takes
            result.exits[slot] = takes
    if result.waits:  # a group that adds waits whole
        groups = {want.group for slot, want in result.adds if slot in result.waits}
        result.waits |= {slot for slot, want in result.adds if want.group and want.group in groups}
        result.reduces = [item for item in result.reduces if item[0] not in result.waits]
        result.adds = [item for item in result.adds if item[0] not in result.waits]


def _unspoken(slots: Slots, amended: Collection[str], positions: Mapping[str, PositionOf]) -> dict[str, float]:
    """Return, by alias of a perpetual market, how much of its position no live exit would close."""
    free = {alias: abs(qty) for alias, (qty, spot) in positions.items() if not spot}
    for slot, (_, want, status, filled, _, _) in slots.items():
        qty, spot = positions.get(want.market, FLAT)
        if status in LIVE_STATUSES and slot not in amended and not spot and reduces_position(want.side, qty, spot):
            free[want.market] = max(0.0, free[want.market] - max(0.0, want.qty - filled))
    return free
