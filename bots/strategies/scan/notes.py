"""Why a scan buys or doesn't, in words; built only when somebody asks."""

from __future__ import annotations

from bots.strategies.scan.deals import Deals, entry_slot, exit_slot
from trading.core.types import Note, SlotStatus

_SHOWN = 5


def explain(deals: Deals) -> tuple[Note, ...]:
    """Return what is held and sold, and what keeps each market that meets the condition from being bought."""
    open_deals, most = {alias: deals.state["deals"][alias] for alias in deals.held()}, deals.params.max_deals
    text = f"{len(open_deals)} of {most} deals: {_names(list(open_deals))}." if open_deals else f"0 of {most} deals."
    notes = [Note("scan.deals", text, {"deals": len(open_deals), "most": most})]
    for alias, deal in open_deals.items():
        if deal["out"]:
            notes.append(Note("scan.exit", f"{alias} is being sold: {deal['out']}.", {"market": alias}))
        notes += _stuck(deals, alias)
    notes += _kept_out(deals)
    meeting = sum(deals.meets(alias) for alias in deals.params.symbols)
    if not meeting:
        count = len(deals.params.symbols)
        notes.append(Note("scan.idle", f"None of {count} markets meets the entry condition.", {"markets": count}))
    return tuple(notes)


def _stuck(deals: Deals, alias: str) -> list[Note]:
    """Say which orders of a deal don't come about, and why."""
    found = []
    for slot in (entry_slot(alias), exit_slot(alias)):
        known = deals.view.slots.get(slot)
        if known is not None and known.status is SlotStatus.DENIED and deals.desk.live(slot):
            found.append(Note("scan.denied", f"{alias}: {known.reason or 'a rule says no'}.", {"market": alias}))
        elif deals.desk.refused(slot):
            found.append(Note("scan.refused", f"{alias}: refused, asked again in a while.", {"market": alias}))
        elif any(deals.desk.parked(slot, tag) for tag in ("entry", "exit", "stop")):
            text = f"{alias}: its order was cancelled by hand: back when the bot takes up again."
            found.append(Note("scan.parked", text, {"market": alias}))
    return found


def _kept_out(deals: Deals) -> list[Note]:
    texts = {
        "scan.full": (deals.waiting, "meets the condition, but all places are taken"),
        "scan.rest": (deals.resting, "meets the condition, but rests after its last deal"),
        "scan.used": (deals.state["used"], "was bought already since its condition turned true"),
        "scan.too_small": (
            deals.too_small,
            "meets the condition, but the amount is below its smallest order, or would be at the stop",
        ),
    }
    idle = {code: ([a for a in found if a not in deals.state["deals"]], text) for code, (found, text) in texts.items()}
    return [
        Note(code, f"{_names(found)}: {text}.", {"markets": found}) for code, (found, text) in idle.items() if found
    ]


def _names(found: list[str]) -> str:
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
