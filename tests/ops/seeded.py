"""Bugs as people have had them, put behind the ports or into the rows: each must be caught and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from django.db import connection
from django.db.migrations import RemoveConstraint
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model

from bots.models import BotInput
from exchanges.paper import PaperVenue
from tests.factories import AccountFactory
from tests.trading.machine_steps import Steps
from tests.trading.machine_world import MachineWorld
from trading.core.errors import OutcomeUnknown
from trading.core.ports import Execution, OrderReport, OrderRequest
from trading.core.types import Kind, Side
from trading.models import Fill, LedgerEntry, Order, Runtime
from trading.runtime import VENUES
from trading.services.funding import paper_account_fund

Story = Callable[[Steps], None]


@dataclass(frozen=True)
class Bug:
    """What is wrong, the story in which it shows, and what must be reported."""

    invariant: str
    words: str
    story: Story


class Line:
    """Any venue behind the port, passed through."""

    def __init__(self, venue: Any, world: MachineWorld) -> None:
        self.venue, self.world = venue, world

    def __getattr__(self, name: str) -> Any:
        return getattr(self.venue, name)


@contextmanager
def over(world: MachineWorld, line: type[Line]) -> Iterator[None]:
    """Let everybody reach the venue over this line."""
    honest = VENUES["machine"]
    VENUES["machine"] = lambda account: line(honest(account), world)
    try:
        yield
    finally:
        VENUES["machine"] = honest


def drop(model: type[Model], name: str) -> None:
    """Drop a unique constraint, as a migration would that lost it."""
    state = MigrationLoader(connection).project_state()
    lose = RemoveConstraint(model._meta.model_name, name)
    after = state.clone()
    lose.state_forwards(model._meta.app_label, after)
    with connection.schema_editor() as editor:
        lose.database_forwards(model._meta.app_label, editor, state, after)


# --- the stories ------------------------------------------------------------------------------------------------------


def traded(steps: Steps) -> None:
    """It buys, and has a sell and another buy resting."""
    steps.price(-1.0, wide=False, thin=False, tick=True)
    steps.want(0, "b", "limit", buys=False, qty=0.5, away=6.0)
    steps.want(0, "c", "limit", buys=True, qty=1.0, away=-6.0)


def resting(steps: Steps) -> Order:
    return Order.objects.filter(status="working", side="buy").select_related("bot", "account").latest("id")


class TimeoutIsRefusal(Line):
    def place(self, orders: Sequence[OrderRequest]) -> list[OrderReport]:
        try:
            return self.venue.place(orders)
        except OutcomeUnknown:
            return [OrderReport(one.client_order_id, "", "rejected", one.qty * 0, "timed out") for one in orders]


class AsksAgainUnderANewId(Line):
    def place(self, orders: Sequence[OrderRequest]) -> list[OrderReport]:
        try:
            return self.venue.place(orders)
        except OutcomeUnknown:
            again = [replace(one, client_order_id=one.client_order_id[:-4] + "2222") for one in orders]
            self.world.line.accepted(PaperVenue(self.world.account).place(again))
            raise


class CancelAssumed(Line):
    def cancel(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        return [replace(one, status="cancelled") for one in self.venue.lookup(client_order_ids)]


class CountsFillsAnew(Line):
    """Makes execution ids up when the list comes again, as synthetic ones without a rule are."""

    def executions(self, after: int) -> list[Execution]:
        found = self.venue.executions(after)
        return [*found, *(replace(one, exec_id=f"{one.exec_id}-again", cursor=one.cursor + 1) for one in found[-1:])]


class DropsLateFills(Line):
    def executions(self, after: int) -> list[Execution]:
        return [one for one in self.venue.executions(after) if self._works(one)]

    def _works(self, one: Execution) -> bool:
        return Order.objects.filter(client_order_id=one.client_order_id, status__in=Order.LIVE, cancel_why="").exists()


class ForgetsOrders(Line):
    """Neither answers a send nor knows the order when it is asked, for ever."""

    def place(self, orders: Sequence[OrderRequest]) -> list[OrderReport]:
        self.venue.place(orders)
        raise OutcomeUnknown("read timeout")

    def lookup(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        return []


class OverAnotherKey(Line):
    def place(self, orders: Sequence[OrderRequest]) -> list[OrderReport]:
        other = AccountFactory(venue="machine", feed="machine")
        paper_account_fund(account=other, coin="USDT", amount=self.world.bots[0].budget)
        return PaperVenue(other).place(orders)


class TellsOfAnotherAccount(Line):
    """Its list of executions has one of somebody else's among them, under an order of ours."""

    def executions(self, after: int) -> list[Execution]:
        found = self.venue.executions(after)
        return [replace(one, exec_id=f"other-{one.exec_id}") for one in found]


def line_fails(line: type[Line], fault: str, *, call: str = "place") -> Story:
    def story(steps: Steps) -> None:
        with over(steps.world, line):
            steps.fault((call, fault), 1, tick=False)
            steps.want(0, "c", "limit", buys=True, qty=1.0, away=-6.0)

    return story


def cancel_assumed(steps: Steps) -> None:
    with over(steps.world, CancelAssumed):
        steps.drop(0, "a", again=False, tick=True)


def filled_over(line: type[Line]) -> Story:
    def story(steps: Steps) -> None:
        with over(steps.world, line):
            steps.price(-1.0, wide=False, thin=False, tick=True)

    return story


def late_fill_dropped(steps: Steps) -> None:
    with over(steps.world, DropsLateFills):
        steps.world.line.kept_back = 1
        steps.price(-1.0, wide=False, thin=False, tick=False)
        steps.world.line.kept_back = 0
        Order.objects.filter(slot="a").update(cancel_why="cancelled")
        steps.tick()


def sent_over_another_key(steps: Steps) -> None:
    with over(steps.world, OverAnotherKey):
        steps.want(0, "c", "limit", buys=True, qty=1.0, away=-6.0)


def never_settled(steps: Steps) -> None:
    with over(steps.world, ForgetsOrders):
        steps.want(0, "c", "limit", buys=True, qty=1.0, away=-6.0)
        steps.reconcile()


def lease_not_fenced(steps: Steps) -> None:
    """A worker reads, is overtaken, and writes what it had read without asking whose turn it is."""
    slow = Runtime.objects.get(bot=steps.world.bots[0])
    traded(steps)
    slow.save()


def order_doubled(steps: Steps) -> None:
    drop(Order, "order_client_id_unique")
    order = resting(steps)
    order.pk, order.slot, order._state.adding = None, "b", True
    order.public_id = order.bot.public_id
    order.save()


def fill_doubled(steps: Steps) -> None:
    traded(steps)
    drop(Fill, "fill_exec_unique")
    fill = Fill.objects.latest("id")
    fill.pk, fill._state.adding = None, True
    fill.save()


def leg_missing(steps: Steps) -> None:
    traded(steps)
    LedgerEntry.objects.filter(journal__kind="fill", book="venue").first().delete()


def status_back(steps: Steps) -> None:
    traded(steps)
    steps.world.look()
    Order.objects.filter(status="filled").update(status="working", closed_at=None)


def nothing_reserved(steps: Steps) -> None:
    Order.objects.filter(pk=resting(steps).pk).update(locked=0)


def orphan_left(steps: Steps) -> None:
    name, symbol = f"bn{'q' * 24}", steps.world.bots[0].market.symbol
    order = resting(steps)
    PaperVenue(steps.world.account).place([OrderRequest(name, symbol, Side.BUY, Kind.LIMIT, order.qty, order.price)])


def told_twice(steps: Steps) -> None:
    traded(steps)
    row = BotInput.objects.filter(kind="filled").latest("id")
    row.pk, row.number, row._state.adding = None, None, True
    row.save()


BUGS: dict[str, Bug] = {
    "unique (account, client order id) dropped": Bug("I1", "twice by ('account_id', 'client_order_id')", order_doubled),
    "unique fill key dropped": Bug("I2", "twice by ('account_id', 'market_id', 'exec_id')", fill_doubled),
    "timeout taken for a refusal": Bug("I5", "ended here", line_fails(TimeoutIsRefusal, "unanswered")),
    "lease not fenced": Bug("I1", "of a decision that nobody has made", lease_not_fenced),
    "sent twice after an unknown": Bug("I5", "not in our books", line_fails(AsksAgainUnderANewId, "unanswered")),
    "cancel assumed": Bug("I5", "ended here", cancel_assumed),
    "fill booked twice": Bug("I3", "fills that the venue doesn't know", filled_over(CountsFillsAnew)),
    "late fill dropped": Bug("I2", "executions not booked", late_fill_dropped),
    "ledger leg missing": Bug("I11", "journals that don't sum to zero", leg_missing),
    "status going back": Bug("I1", "status gone back", status_back),
    "budget not reserved": Bug("I7", "live orders without their reservation", nothing_reserved),
    "orphan left at the venue": Bug("I5", "at the venue, not in our books", orphan_left),
    "another account's execution booked": Bug(
        "I3", "fills that the venue doesn't know", filled_over(TellsOfAnotherAccount)
    ),
    "sent over another account's key": Bug("I6", "another account's key", sent_over_another_key),
    "an unknown outcome never settled": Bug("I9", "outcome still open", never_settled),
    "a fill told twice": Bug("I2", "told differ", told_twice),
}
