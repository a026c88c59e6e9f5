"""Writes about halts, incidents and limits.

A halt counts from its commit on: the send of every order asks for it in its own compare-and-set. What follows from it
for bots and orders, `trading.services.halting` carries out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Account, Event, Membership, Role, User, Workspace
from accounts.services import event_append
from risk.models import Halt, Incident, Limits
from trading.core.errors import InvalidInput, InvalidInputs

REASON_MAX = 200
GUESSES, GUESS_PAUSE_S = 5, 900
AMOUNT_MAX = Decimal(10) ** 15
ORDERS_MAX = 10_000
DEVIATION_MAX = Decimal(1)
Scope = Halt.Scope


# --- the kill switch -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """What a halt is about: a bot, an account, a workspace, or the whole platform; `name` is for people."""

    scope: str
    name: str
    workspace: Workspace | None = None
    account: Account | None = None
    bot: UUID | None = None

    @property
    def key(self) -> dict[str, Any]:
        return {"scope": self.scope, "workspace": self.workspace, "account": self.account, "bot": self.bot}


@transaction.atomic
def halt_set(
    *, target: Target, reason: str, by: User | None, flatten: bool = False, foreign: bool = False
) -> tuple[Halt, bool]:
    """Pull the kill switch; says whether that was news. Pulled again it adds what is newly wanted, and nothing else.

    Raises PermissionDenied for the whole platform unless an operator does it, InvalidInput for what can't be meant.
    """
    if target.scope == Scope.PLATFORM and (by is None or not by.is_staff):
        raise PermissionDenied("Only an operator halts the whole platform")
    if foreign and target.scope in (Scope.BOT, Scope.PLATFORM):
        text = "Orders that aren't ours belong to an account: choose an account or the workspace to cancel them, too"
        raise InvalidInput(text, field="foreign", value=foreign)
    words = " ".join(reason.split())
    if len(words) > REASON_MAX:
        raise InvalidInput(f"The reason has at most {REASON_MAX} characters", field="reason", value=reason)
    standing = Halt.objects.filter(**target.key, rearmed_at=None)
    halt = standing.first()
    if halt is None:
        try:
            with transaction.atomic():
                return _halt_create(target, words or "pulled by hand", by, flatten=flatten, foreign=foreign), True
        except IntegrityError:  # somebody was quicker
            halt = standing.get()
    Halt.objects.filter(pk=halt.pk).update(flatten=halt.flatten or flatten, foreign=halt.foreign or foreign)
    halt.refresh_from_db()
    return halt, False


def _halt_create(target: Target, reason: str, by: User | None, *, flatten: bool, foreign: bool) -> Halt:
    now = timezone.now()
    who = by.name or by.email if by else "the system"
    incident = Incident.objects.create(
        workspace=target.workspace,
        kind="kill_switch",
        title=f"Kill switch: {target.name}"[:200],
        detail={"scope": target.scope, "name": target.name, "reason": reason, "by": who, "flatten": flatten},
        opened_at=now,
    )
    wants = {"reason": reason, "flatten": flatten, "foreign": foreign}
    halt = Halt.objects.create(**target.key, **wants, incident=incident, set_by=by, set_at=now)
    _tell(halt, "risk.halted", f"Kill switch for {target.name}, pulled by {who}: {reason}", Event.Level.ERROR)
    return halt


def halt_rearm_check(*, halt: Halt, by: User, password: str) -> None:
    """Raise unless this person may re-arm the halt, and it is really this person.

    Somebody who signs in without a password (the demo at one's own keyboard) has none to say again.
    """
    if not may_rearm(halt, by):
        who = "an operator" if halt.scope == Scope.PLATFORM else "an owner of the workspace"
        raise PermissionDenied(f"Only {who} can re-arm this kill switch")
    if not asks_password(by):
        return
    key = f"rearm-guesses:{by.pk}"
    cache.add(key, 0, GUESS_PAUSE_S)
    if cache.get(key, 0) >= GUESSES:
        text = f"Too many wrong passwords; try again in {GUESS_PAUSE_S // 60} minutes"
        raise InvalidInput(text, field="password", code="too_many_tries")
    if not by.check_password(password):
        cache.incr(key)
        raise InvalidInput("That is not your password; enter the one you sign in with", field="password", code="wrong")
    cache.delete(key)


def asks_password(user: User) -> bool:
    by_click = user.is_demo and settings.EMBEDDED and settings.LOOPBACK
    return user.has_usable_password() and not by_click


def may_rearm(halt: Halt, by: User) -> bool:
    """Owners re-arm what is theirs, operators the platform; never a program by itself."""
    if halt.scope == Scope.PLATFORM:
        return by.is_staff
    return Membership.objects.filter(user=by, workspace=halt.workspace_id, role=Role.OWNER).exists()


@transaction.atomic
def halt_rearm(*, halt: Halt, by: User, password: str) -> bool:
    """Re-arm: say who and when, and close the incident. False when somebody has done it before."""
    halt_rearm_check(halt=halt, by=by, password=password)
    now = timezone.now()
    if not Halt.objects.filter(pk=halt.pk, rearmed_at=None).update(rearmed_at=now, rearmed_by=by):
        halt.refresh_from_db()
        return False
    halt.refresh_from_db()
    Incident.objects.filter(pk=halt.incident_id, closed_at=None).update(closed_at=now)
    name = halt.incident.detail.get("name", halt.get_scope_display())
    _tell(halt, "risk.rearmed", f"Kill switch for {name} re-armed by {by.name or by.email}", Event.Level.SUCCESS)
    return True


def incident_note(incident_id: int, **values: Any) -> None:
    """Add figures to an incident's record: numbers are added up, lists joined, everything else replaced."""
    with transaction.atomic():
        incident = Incident.objects.select_for_update().get(pk=incident_id)
        for name, value in values.items():
            known = incident.detail.get(name)
            adds = isinstance(value, int | list) and not isinstance(value, bool) and known is not None
            incident.detail[name] = known + value if adds else value
        incident.save(update_fields=["detail"])


def _tell(halt: Halt, kind: str, text: str, level: str) -> None:
    """Write the event into the workspace's stream; a halt of the platform is told to every workspace with its bots."""
    if halt.workspace_id is not None:
        data = {"halt": str(halt.public_id), "scope": halt.scope}
        event_append(workspace=halt.workspace_id, kind=kind, text=text, level=level, bot=halt.bot, data=data)


# --- limits ----------------------------------------------------------------------------------------------------------

FIELDS = ("max_order", "max_position", "max_orders", "max_deviation")


@transaction.atomic
def limits_set(
    *, workspace: Workspace, account: Account | None, values: Mapping[str, Decimal | int | None], by: User
) -> Limits:
    """Replace the limits of a workspace or of one of its accounts; None: no limit. Raises InvalidInput(s)."""
    if not Membership.objects.filter(user=by, workspace=workspace, role=Role.OWNER).exists():
        raise PermissionDenied("Only an owner of the workspace changes its limits")
    faults = list(limits_faults(values))
    if faults:
        raise InvalidInputs(faults)
    wanted = {name: values.get(name) for name in FIELDS}
    row: Limits
    row, _ = Limits.objects.select_for_update().get_or_create(workspace=workspace, account=account)
    before = {name: getattr(row, name) for name in FIELDS}
    if before != wanted:
        Limits.objects.filter(pk=row.pk).update(**wanted)
        row.refresh_from_db()
        where = f"account {account.name}" if account else "the workspace"
        changed = [name for name in FIELDS if before[name] != wanted[name]]
        text = f"Limits of {where} changed by {by.name or by.email}: {', '.join(changed).replace('_', ' ')}"
        event_append(workspace=workspace, kind="risk.limits", text=text)
    return row


def limits_faults(values: Mapping[str, Decimal | int | None]) -> Iterable[InvalidInput]:
    """Name every limit that can't be."""
    for name, highest in (("max_order", AMOUNT_MAX), ("max_position", AMOUNT_MAX), ("max_deviation", DEVIATION_MAX)):
        value = values.get(name)
        if value is not None and not 0 < value <= highest:
            text = "above 0 and at most 100 %" if name == "max_deviation" else "an amount above 0"
            words = f"{TITLES[name]} must be {text}; leave it empty for no limit"
            yield InvalidInput(words, field=name, value=value, code="out_of_range")
    number = values.get("max_orders")
    if number is not None and not 1 <= number <= ORDERS_MAX:
        text = f"{TITLES['max_orders']} must be a whole number from 1 to {ORDERS_MAX:,}; leave it empty for no limit"
        yield InvalidInput(text, field="max_orders", value=number, code="out_of_range")
    order, position = values.get("max_order"), values.get("max_position")
    if order is not None and position is not None and 0 < position < order:
        text = "One order may not be larger than the whole position: lower this, or raise the limit of the position"
        yield InvalidInput(text, field="max_order", value=order, code="out_of_range")


TITLES = {
    "max_order": "The largest order",
    "max_position": "The largest position",
    "max_orders": "The most open orders",
    "max_deviation": "The price deviation",
}
