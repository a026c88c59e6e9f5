"""What the tests of the contract's rules on the live path share: a running bot whose decisions a test writes."""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal

from bots.models import Bot, BotInput
from exchanges.paper import PaperVenue
from tests.trading.scripted import Scripted, on_the_shelf
from tests.trading.world import World, run_once
from trading.clock import WALL
from trading.core.types import Decision
from trading.leases import lease_release, lease_take
from trading.models import Runtime
from trading.runtime import _step


@contextmanager
def scripted(answer, world=None, needs=None, **values):
    """A running bot whose decisions `answer(state, view)` makes."""
    world = world or World()
    with on_the_shelf(Scripted(answer, needs)) as strategy:
        values.setdefault("budget", Decimal(1000))
        yield world, world.bot(strategy="scripted", params={}, **values), strategy


def orders(**wanted):
    """A strategy that always wants the same."""
    return lambda state, view: Decision(None, dict(wanted))


def committed(bot: Bot) -> None:
    """One decision written down and not sent: the worker died right after."""
    lease = lease_take(bot.pk)
    assert lease is not None
    assert _step(lease, bot, Runtime.objects.get(bot=bot), WALL)
    lease_release(lease)


def told(strategy: Scripted) -> list[object]:
    return [item for inbox in strategy.seen for item in inbox]


def woken(bot: Bot) -> None:
    BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
    run_once()


class Recording(PaperVenue):
    """Writes down what it is asked to do, in order."""

    def __init__(self, account) -> None:
        super().__init__(account)
        self.calls: list[tuple[str, list[str]]] = []

    def place(self, orders):
        self.calls.append(("place", [f"{order.side} {order.qty.normalize():f}" for order in orders]))
        return super().place(orders)

    def cancel(self, client_order_ids):
        self.calls.append(("cancel", list(client_order_ids)))
        return super().cancel(client_order_ids)
