"""Helpers of the tests about the kill switch: pull it, do what the sweep does, and venues that misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from accounts.models import User, Workspace
from bots.models import Bot
from exchanges.paper import PaperVenue
from risk.models import Halt
from risk.services import Target
from tests.factories import PASSWORD, member_of
from trading.core.errors import VenueUnavailable
from trading.models import Order
from trading.runtime import VENUES, run_due
from trading.services.halting import halts_carry_out, kill, rearm

Scope = Halt.Scope


def target_of(bot: Bot, scope: str) -> Target:
    return {
        "bot": Target(Scope.BOT, bot.name, bot.workspace, bot=bot.public_id),
        "account": Target(Scope.ACCOUNT, bot.account.name, bot.workspace, bot.account),
        "workspace": Target(Scope.WORKSPACE, "everything", bot.workspace),
        "platform": Target(Scope.PLATFORM, "the whole platform"),
    }[scope]


def operator() -> User:
    return User.objects.filter(is_staff=True).first() or User.objects.create_user(
        "operator@example.org", PASSWORD, is_staff=True
    )


def owner_of(workspace: Workspace) -> User:
    found = User.objects.filter(memberships__workspace=workspace, memberships__role="owner").first()
    return found or member_of(workspace, "owner")


def pull(bot: Bot, scope: str = "bot", **more: object) -> Halt:
    """Pull the switch and nothing else: what follows is left to the sweep."""
    return kill(target=target_of(bot, scope), reason="test", by=operator(), **more)


def sweep(rounds: int = 3) -> None:
    for _ in range(rounds):
        halts_carry_out()
        run_due()


def rearmed(halt: Halt, *, resume: bool = False, by: User | None = None) -> tuple[int, list[str]]:
    person = by or (operator() if halt.workspace is None else owner_of(halt.workspace))
    found = rearm(halt=halt, by=person, password=PASSWORD, resume=resume)
    halt.refresh_from_db()
    return found


def live(*bots: Bot) -> list[Order]:
    return list(Order.objects.filter(bot__in=bots, status__in=Order.LIVE).order_by("id"))


class Away(PaperVenue):
    """A venue that doesn't answer cancels while `away`; `placed` holds what it was asked to place."""

    away = True
    placed: list[str] = []  # noqa: RUF012  (shared by all accounts on purpose)

    def cancel(self, client_order_ids):
        if self.away:
            raise VenueUnavailable("connection refused")
        return super().cancel(client_order_ids)

    def place(self, orders):
        self.placed.extend(order.client_order_id for order in orders)
        return super().place(orders)


@contextmanager
def venue(kind: type[PaperVenue]) -> Iterator[type[PaperVenue]]:
    before = VENUES["paper"]
    VENUES["paper"] = kind
    try:
        yield kind
    finally:
        VENUES["paper"] = before
