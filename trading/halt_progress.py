"""How far a kill switch is: what was asked, what is confirmed, what is still open and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from accounts.models import Workspace
from bots.models import Bot
from exchanges.selectors import REPLAY
from risk.models import Halt
from trading.models import Order, Position
from trading.services.claims import ENGINE
from trading.services.halting import bots_under, orders_under

LISTED = 50


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that isn't gone yet, and what it waits for."""

    order: Order
    why: str

    @property
    def stuck(self) -> bool:
        """Say whether it hangs on something, and isn't just on its way."""
        return bool(self.order.reason) or self.order.status in (Order.Status.SENDING, Order.Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a halt. `asked` counts the orders whose cancel it wrote; orders of the engine close positions."""

    asked: int
    open: int
    listed: tuple[OpenOrder, ...]
    on_their_way: int  # were sent a moment before the switch was pulled; cancelled as soon as they are known
    paused: int
    ended: int
    ending: int  # of those, how many are still closing what they hold
    exits: int
    positions: tuple[Position, ...]
    foreign: tuple[dict[str, Any], ...]
    foreign_open: bool

    @property
    def stuck(self) -> list[OpenOrder]:
        return [one for one in self.listed if one.stuck]

    @property
    def confirmed(self) -> int:
        return max(0, self.asked - self.open)

    @property
    def percent(self) -> int:
        return 100 if not self.asked else min(100, 100 * self.confirmed // self.asked)

    @property
    def done(self) -> bool:
        return not (self.open or self.ending or self.foreign_open)


def progress_of(halt: Halt, workspace: Workspace | None) -> Progress:
    """Count for a halt; of one over the whole platform only what is the workspace's own, and for None everything."""
    orders, bots = orders_under(halt), bots_under(halt)
    if workspace is not None:
        orders, bots = orders.filter(workspace=workspace), bots.filter(workspace=workspace)
    detail = halt.incident.detail
    still = orders.count()
    rows = list(orders.select_related("bot", "market").order_by("pk")[:LISTED])
    doubt = orders.filter(status__in=(Order.Status.SENDING, Order.Status.UNKNOWN)).count()
    foreign = tuple(detail.get("foreign", {}).values())
    ending = bots.filter(status=Bot.Status.STOPPING)
    return Progress(
        asked=max(detail.get("asked", 0), still) if _sees_all(halt, workspace) else still,
        open=still,
        listed=tuple(OpenOrder(order, _why(order)) for order in rows),
        on_their_way=doubt,
        paused=_mine(detail.get("paused", ()), bots, workspace),
        ended=_mine(detail.get("ended", ()), bots, workspace),
        ending=ending.count() if halt.flatten else 0,
        exits=_exits(bots).count(),
        positions=_positions(bots) if halt.flatten else (),
        foreign=foreign if _sees_all(halt, workspace) else (),
        foreign_open=halt.foreign and (not foreign or not all(one.get("done") for one in foreign)),
    )


def _sees_all(halt: Halt, workspace: Workspace | None) -> bool:
    return workspace is None or halt.workspace_id == workspace.pk


def _mine(names: list[str], bots: QuerySet[Bot], workspace: Workspace | None) -> int:
    return len(names) if workspace is None or not names else bots.filter(public_id__in=names).count()


def _exits(bots: QuerySet[Bot]) -> QuerySet[Order]:
    return Order.objects.filter(bot__in=bots, slot__startswith=ENGINE, status__in=Order.LIVE)


def _positions(bots: QuerySet[Bot]) -> tuple[Position, ...]:
    """Return what is still to be closed."""
    held = Position.objects.filter(bot__in=bots.filter(status__in=(Bot.Status.STOPPING, Bot.Status.ERROR)))
    return tuple(held.exclude(qty=0).select_related("bot", "market").order_by("pk")[:LISTED])


def _why(order: Order) -> str:
    if order.status in (Order.Status.SENDING, Order.Status.UNKNOWN):
        return "it was on its way when the switch was pulled; the exchange is asked what became of it"
    if order.reason:
        return f"{order.reason}; it is tried again every few seconds"
    if order.cancel_sent_at is not None:
        return "the cancel is sent; the exchange hasn't confirmed it yet"
    return "its cancel is about to be sent"


# --- before it is pulled ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reach:
    """What a kill switch would meet: counted for the page that asks whether it is meant."""

    bots: int  # that run
    paused: int
    orders: int
    positions: int


def reach_of(bots: QuerySet[Bot]) -> Reach:
    mine = bots.exclude(account__feed__startswith=REPLAY)
    live = Order.objects.filter(bot__in=mine, status__in=Order.LIVE).exclude(slot__startswith=ENGINE)
    held = Position.objects.filter(bot__in=mine, left_price=None).exclude(qty=0)
    return Reach(
        bots=mine.filter(status=Bot.Status.RUNNING).count(),
        paused=mine.filter(status=Bot.Status.PAUSED).count(),
        orders=live.count(),
        positions=held.count(),
    )
