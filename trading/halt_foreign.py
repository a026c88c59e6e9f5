"""Orders on an account that aren't ours: counted on the kill switch's page, cancelled only where a person chose it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accounts.containment import contain
from accounts.models import Account
from risk.models import Halt
from trading.core.errors import VenueError
from trading.core.ports import OrderReport, Venue
from trading.models import Order
from trading.runtime import venue_for
from trading.services.halting import accounts_under, foreign_note


@dataclass(frozen=True, slots=True)
class Foreign:
    """Foreign orders of one account; `count` is None when the exchange doesn't say."""

    account: Account
    count: int | None
    fault: str = ""


def foreign_of(account: Account, venue: Venue) -> list[OrderReport]:
    """Return the working orders of an account that no bot of ours has written."""
    working = [report for report in venue.open_orders() if report.status == "working"]
    ids = [report.client_order_id for report in working if report.client_order_id]
    ours = set(Order.objects.filter(account=account, client_order_id__in=ids).values_list("client_order_id", flat=True))
    return [report for report in working if report.client_order_id not in ours]


def foreign_count(account: Account) -> Foreign:
    """Count; whatever goes wrong at the exchange, the page that asks must come."""
    with contain(f"foreign orders of account {account.pk}"):
        try:
            return Foreign(account, len(foreign_of(account, venue_for(account))))
        except VenueError as error:
            return Foreign(account, None, f"the exchange did not answer: {error}")
    return Foreign(account, None, "they could not be counted")


def foreign_cancel(halt_id: int) -> None:
    """Cancel the foreign orders of every account of a halt whose person chose it, and write down how far it is."""
    halt = Halt.objects.select_related("incident", "account").filter(pk=halt_id, rearmed_at=None, foreign=True).first()
    if halt is None:
        return
    for account in accounts_under(halt):
        with contain(f"foreign orders of account {account.pk}"):
            _cancel(halt, account)


def _cancel(halt: Halt, account: Account) -> None:
    said: dict[str, Any] = halt.incident.detail.get("foreign", {}).get(str(account.public_id), {})
    if said.get("done"):
        return
    found = said.get("found", 0)
    try:
        venue = venue_for(account)
        there = foreign_of(account, venue)
        found = max(found, len(there))
        nameless = sum(not report.client_order_id for report in there)
        named = [report.client_order_id for report in there if report.client_order_id]
        if named:
            venue.cancel(named)
        still = len(foreign_of(account, venue)) if there else 0
    except VenueError as error:
        fault = f"the exchange did not answer: {error}"
        foreign_note(halt, account, found=found, open=None, fault=fault, done=False)
        return
    fault = f"{nameless} without an id of their own: cancel them at the exchange" if nameless else ""
    foreign_note(halt, account, found=found, open=still, fault=fault, done=still == 0)
