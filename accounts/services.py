"""Writes about people, workspaces and their accounts, and the one writer of Event rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email
from django.db import transaction
from django.db.models import F

from accounts.models import Account, Event, EventCounter, Membership, Role, User, Workspace
from trading.core.errors import InvalidInput
from trading.core.rounding import plain

TEXT_MAX = 500
EMAIL_MAX = 254
ACCOUNTS_MAX = 20  # a workspace
BALANCE_MAX = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before it has its number. `bot` is the bot's public id."""

    kind: str
    text: str
    level: str = Event.Level.INFO
    bot: UUID | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


# --- people ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def user_create(*, email: str, password: str | None, name: str = "", demo: bool = False, staff: bool = False) -> User:
    """Create a person with a workspace of their own. Without a password they set one through a one-time link."""
    address = _email_clean(email)
    user = User(email=address, name=name.strip()[:120], is_demo=demo, is_staff=staff, is_superuser=staff)
    if password is not None and not demo:
        password_check(password, user)
    user.set_password(password)
    user.save()
    workspace_ensure(user)
    return user


def _email_clean(email: str) -> str:
    address = User.objects.normalize_email(email.strip()).lower()
    try:
        validate_email(address)
        MaxLengthValidator(EMAIL_MAX)(address)
    except ValidationError:
        raise InvalidInput(
            f"{email!r} is not an e-mail address; it should look like name@example.org", field="email", value=email
        ) from None
    if User.objects.filter(email=address).exists():
        raise InvalidInput(f"There is already a user {address}", field="email", value=address, code="taken")
    return address


def password_check(password: str, user: User) -> None:
    """Raise InvalidInput when the password is too weak; the value itself is never repeated."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages), field="password", code="weak_password") from None


@transaction.atomic
def password_set(*, user: User, password: str) -> None:
    password_check(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])


@transaction.atomic
def workspace_ensure(user: User) -> Membership:
    """Return the user's first membership; a user without any gets a workspace of their own."""
    found = Membership.objects.filter(user=user).select_related("workspace").order_by("id").first()
    if found is not None:
        return found
    workspace = Workspace.objects.create(name=(user.name or user.email.partition("@")[0])[:120])
    EventCounter.objects.create(workspace=workspace)
    return Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)


# --- accounts --------------------------------------------------------------------------------------------------------


@transaction.atomic
def paper_account_create(
    *, workspace: Workspace, name: str, feed: str = "demo", quote: str = "USDT", starting_balance: Decimal = Decimal(0)
) -> Account:
    """Create the account's row; `trading.services.paper_account_fund` brings its money.

    `starting_balance` is only checked here, so that an account that can't be funded is never made.
    """
    clean = name.strip()
    if not clean or len(clean) > 80:
        raise InvalidInput("An account needs a name of 1 to 80 characters", field="name", value=name)
    if not starting_balance.is_finite() or not 0 <= starting_balance <= BALANCE_MAX:
        text = f"The starting balance must be a number from 0 to {plain(BALANCE_MAX)}"
        raise InvalidInput(text, field="amount", value=starting_balance)
    if Account.objects.filter(workspace=workspace).count() >= ACCOUNTS_MAX:
        raise InvalidInput(f"A workspace has at most {ACCOUNTS_MAX} accounts", code="too_many")
    if Account.objects.filter(workspace=workspace, name=clean).exists():
        raise InvalidInput(f"There is already an account called {clean}", field="name", value=clean, code="taken")
    return Account.objects.create(workspace=workspace, name=clean, feed=feed, quote=quote)


# --- events ----------------------------------------------------------------------------------------------------------


def event_append(
    *,
    workspace: Workspace | int,
    kind: str,
    text: str,
    level: str = Event.Level.INFO,
    bot: UUID | None = None,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Write one event into the caller's transaction."""
    return events_append(workspace, [EventDraft(kind, text, level, bot, data or {})])[0]


@transaction.atomic(savepoint=False)
def events_append(workspace: Workspace | int, drafts: Sequence[EventDraft]) -> list[Event]:
    """Write events in order, with the workspace's next numbers, into the caller's transaction.

    The counter's row stays locked until that transaction ends: numbers become visible in order and without gaps.
    """
    if not drafts:
        return []
    workspace_id = workspace if isinstance(workspace, int) else workspace.pk
    counter = EventCounter.objects.filter(workspace_id=workspace_id)
    if not counter.update(last=F("last") + len(drafts)):
        EventCounter.objects.get_or_create(workspace_id=workspace_id)
        counter.update(last=F("last") + len(drafts))
    first = counter.values_list("last", flat=True)[0] - len(drafts) + 1
    return Event.objects.bulk_create(
        [
            Event(
                workspace_id=workspace_id,
                seq=first + offset,
                kind=draft.kind,
                level=draft.level,
                bot=draft.bot,
                text=draft.text[:TEXT_MAX],
                data=dict(draft.data),
            )
            for offset, draft in enumerate(drafts)
        ]
    )
