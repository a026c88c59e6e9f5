"""Holds: a bot, or all bots of an account, may add no risk until what is in doubt has been settled.

Each is set once for its cause and what it is about, told once, and lifted by whoever finds its cause gone; or by a
person. What is held is checked where an order is judged (the gate) and again where it is sent (`trading.held.unheld`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Account, User
from accounts.services import EventDraft, events_append
from bots.models import Bot, BotInput
from trading.core.errors import InvalidInput
from trading.core.types import Woken
from trading.inbox import input_row
from trading.models import Hold

REASON_MAX = 300
SETTLED = {
    Hold.Cause.UNKNOWN_ORDER: "it is known what became of the order",
    Hold.Cause.FILLS: "all fills of the order are booked",
    Hold.Cause.FOREIGN: "the order is no longer open",
    Hold.Cause.BALANCE: "the venue has what our books say",
    Hold.Cause.RECONCILE: "the venue answers again",
}
AWAKE = (Bot.Status.RUNNING, Bot.Status.PAUSED)


@transaction.atomic
def hold_set(
    *,
    account: Account,
    cause: str,
    reason: str,
    ref: str = "",
    bot: Bot | None = None,
    needs_person: bool = False,
    now: datetime | None = None,
) -> bool:
    """Hold a bot, or without one its whole account; returns False when it is held for that already."""
    at = now or timezone.now()
    if Hold.objects.filter(account=account, bot=bot, cause=cause, ref=ref, lifted_at=None).update(seen_at=at):
        return False
    try:
        with transaction.atomic():
            Hold.objects.create(
                workspace_id=account.workspace_id,
                account=account,
                bot=bot,
                cause=cause,
                ref=ref,
                reason=reason[:REASON_MAX],
                needs_person=needs_person,
                since=at,
                seen_at=at,
            )
    except IntegrityError:  # somebody else has found the same at the same moment
        return False
    _tell(account, bot, "hold.set", f"Held: {reason}", "error" if needs_person else "warning", cause, ref)
    return True


@transaction.atomic
def hold_lift(*, hold: Hold, why: str, by: User | None = None) -> bool:
    """Lift a hold and wake whom it held; returns False when it was lifted already."""
    lifted = Hold.objects.filter(pk=hold.pk, lifted_at=None)
    if not lifted.update(lifted_at=timezone.now(), lifted_by=by, lifted_why=why[:REASON_MAX]):
        return False
    BotInput.objects.bulk_create(input_row(pk, Woken("retry")) for pk in held_by(hold))
    name = f" by {by.name or by.email}" if by is not None else ""
    _tell(hold.account, hold.bot, "hold.lifted", f"No longer held{name}: {why}", "info", hold.cause, hold.ref)
    return True


def held_by(hold: Hold) -> list[int]:
    """Return the bots that a hold concerns and that are awake."""
    held = Bot.objects.filter(account=hold.account_id, status__in=AWAKE)
    held = held.filter(pk=hold.bot_id) if hold.bot_id is not None else held
    return list(held.values_list("pk", flat=True))


def hold_lift_by(*, hold: Hold, by: User) -> None:
    """A person lifts a hold that waits for one. Raises InvalidInput for one that lifts itself."""
    if not hold.needs_person:
        text = "This hold is lifted by itself as soon as its cause is settled"
        raise InvalidInput(text, field="hold", code="lifts_itself")
    if not hold_lift(hold=hold, why="somebody has looked at it", by=by):
        raise InvalidInput("This hold was lifted already", field="hold", code="already_lifted")


def holds_settle(account: Account, standing: Mapping[str, Collection[str]]) -> int:
    """Lift the holds whose matter isn't among those that still stand, by cause; returns how many.

    Causes that aren't named stay as they are, and so does what waits for a person.
    """
    held = Hold.objects.filter(account=account, cause__in=list(standing), needs_person=False, lifted_at=None)
    gone = [hold for hold in held.select_related("account", "bot") if hold.ref not in standing[hold.cause]]
    return sum(hold_lift(hold=hold, why=SETTLED[hold.cause]) for hold in gone)


def _tell(account: Account, bot: Bot | None, kind: str, text: str, level: str, cause: str, ref: str) -> None:
    told = text if bot is not None else f"{account.name}: {text}"
    data = {"cause": cause, "ref": ref, "account": str(account.public_id)}
    events_append(account.workspace_id, [EventDraft(kind, told, level, bot.public_id if bot else None, data)])
