"""The kill switch carried out: bots paused (or ended), every order cancelled, and what is still open counted.

`kill` commits the halt, alone: from then on no order that adds risk can be sent. All that follows is written in small
steps that may be done twice, by many workers, and again after a crash: the sweep does them until nothing is left.
"""

from __future__ import annotations

import uuid
from functools import partial

from celery import current_app
from django.core.cache import cache
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.containment import contain
from accounts.models import Account, User
from bots.doorbell import ring
from bots.halting import KILLED, bots_end, bots_pause
from bots.models import Bot
from bots.selectors import not_replayed
from bots.services import bot_resume
from risk.models import Halt
from risk.services import Target, halt_rearm, halt_set, incident_note
from trading.core.errors import InvalidInput, VenueError
from trading.halted import HALTED
from trading.leases import Lease
from trading.models import Order, Position, Runtime
from trading.services.claims import ENGINE
from trading.services.sending import orders_unsent

Scope = Halt.Scope
FOREIGN_EVERY_S = 5


def kill(*, target: Target, reason: str, by: User | None, flatten: bool = False, foreign: bool = False) -> Halt:
    """Pull the kill switch. What it asks for is under way once this transaction is committed."""
    halt, _ = halt_set(target=target, reason=reason, by=by, flatten=flatten, foreign=foreign)
    transaction.on_commit(partial(halt_carry_out, halt))
    return halt


def rearm(*, halt: Halt, by: User, password: str, resume: bool) -> tuple[int, list[str]]:
    """Re-arm; `resume` lets the bots that it paused go on, too.

    Returns how many go on, and why others don't.
    """
    with transaction.atomic():
        if not halt_rearm(halt=halt, by=by, password=password):
            return 0, []
        paused = _paused_by(halt)
        faults: list[str] = []
        for bot in paused if resume else ():
            try:
                bot_resume(bot=bot, by=by)
            except InvalidInput as fault:
                faults.append(fault.message)
        ring([bot.pk for bot in paused])
    return (len(paused) - len(faults) if resume else 0), faults


def _paused_by(halt: Halt) -> list[Bot]:
    """Return the bots that this halt paused and nobody has moved since."""
    ids = [uuid.UUID(name) for name in halt.incident.detail.get("paused", ())]
    found = Bot.objects.filter(public_id__in=ids, status=Bot.Status.PAUSED, status_reason__startswith=KILLED)
    return list(found.select_related("account", "market").order_by("pk"))


# --- what it does ----------------------------------------------------------------------------------------------------


def halts_carry_out() -> None:
    """Do for every halt that stands what is still to be done; the sweep calls it, and it may run anywhere at once."""
    for halt in Halt.objects.filter(rearmed_at=None).select_related("incident"):
        halt_carry_out(halt)


def halt_carry_out(halt: Halt) -> None:
    """Pause or end the bots, write a cancel for every live order, and have them ticked."""
    with contain(f"halt {halt.pk}"):
        moved = _bots_move(halt)
        due = _orders_mark(halt) | {bot.pk for bot in moved}
        if due:
            now = timezone.now()
            Runtime.objects.filter(bot__in=due).update(due_at=now, not_before=None)
            ring(sorted(due))
        if halt.foreign and cache.add(f"halt-foreign:{halt.pk}", 1, FOREIGN_EVERY_S):
            current_app.send_task("trading.halt_foreign", args=[halt.pk], ignore_result=True, retry=False)


def bots_under(halt: Halt) -> QuerySet[Bot]:
    """Return the bots in a halt's scope, those of replays never among them."""
    return Bot.objects.filter(not_replayed("account__"), _scope(halt, bot="public_id"))


def _scope(halt: Halt, bot: str) -> Q:
    if halt.scope == Scope.BOT:
        return Q(**{bot: halt.bot})
    if halt.scope == Scope.ACCOUNT:
        return Q(account=halt.account_id)
    return Q(workspace=halt.workspace_id) if halt.scope == Scope.WORKSPACE else Q()


def _bots_move(halt: Halt) -> list[Bot]:
    bots = bots_under(halt)
    with transaction.atomic():
        if halt.flatten:
            held = Position.objects.filter(bot__in=bots.filter(status=Bot.Status.STOPPED), market__perpetual=True)
            left = list(held.exclude(qty=0).values_list("bot_id", flat=True))
            moved = bots_end(bots, halt.reason, left=left)
        else:
            moved = bots_pause(bots, halt.reason)
        if moved:
            names = [str(bot.public_id) for bot in moved]
            incident_note(halt.incident_id, **{"ended" if halt.flatten else "paused": names})
    return moved


def orders_under(halt: Halt) -> QuerySet[Order]:
    """Return the live orders in a halt's scope that the kill switch cancels: all but the engine's own exits."""
    live = Order.objects.filter(not_replayed("account__"), _scope(halt, bot="bot__public_id"), status__in=Order.LIVE)
    return live.exclude(slot__startswith=ENGINE)


def _orders_mark(halt: Halt) -> set[int]:
    """Write a cancel for every live order; returns their bots. Account by account, each in its own short transaction.

    An order that a worker is just writing is left to the next round: nobody waits for anybody.
    """
    unmarked = orders_under(halt).filter(cancel_why="")
    bots: set[int] = set()
    for account_id in list(unmarked.order_by().values_list("account_id", flat=True).distinct()):
        with transaction.atomic():
            rows = unmarked.filter(account=account_id).order_by("pk")
            locked = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
            found = dict(locked.values_list("pk", "bot_id"))
            bots |= set(found.values())
            _mark(Order.objects.filter(pk__in=found), halt)
    return bots


def _mark(orders: QuerySet[Order], halt: Halt) -> int:
    marked = orders.filter(status__in=Order.LIVE, cancel_why="").update(cancel_why=HALTED)
    if marked:
        incident_note(halt.incident_id, asked=marked)
    return marked


@transaction.atomic
def halt_step(lease: Lease, bot: Bot, halt: Halt) -> bool:
    """A bot's turn under a halt: no decision, only cancels. Returns True while something is left to send.

    Its inbox waits: what was filled and cancelled it is told once a person has re-armed.
    """
    if not Runtime.objects.filter(bot=bot, lease_token=lease.token).update(due_at=None, not_before=None):
        return False
    _mark(Order.objects.filter(bot=bot).exclude(slot__startswith=ENGINE), halt)
    return orders_unsent().filter(bot=bot).exists()


def halt_delayed(bot: Bot, error: VenueError) -> None:
    """Write beside the orders why their cancels aren't through yet; it is tried again."""
    waiting = Order.objects.filter(bot=bot, cancel_why=HALTED, status__in=Order.LIVE)
    waiting.update(reason=f"the exchange did not answer: {error}"[:300])


# --- orders that aren't ours -----------------------------------------------------------------------------------------


def accounts_under(halt: Halt) -> list[Account]:
    if halt.scope == Scope.ACCOUNT and halt.account is not None:
        return [halt.account]
    return list(Account.objects.filter(not_replayed(), workspace=halt.workspace_id).order_by("pk"))


def foreign_note(halt: Halt, account: Account, **said: object) -> None:
    """Keep what was found on an account beside the halt: found, cancelled, still open, or why it isn't known."""
    with transaction.atomic():
        incident = type(halt.incident).objects.select_for_update().get(pk=halt.incident_id)
        known = incident.detail.setdefault("foreign", {})
        known[str(account.public_id)] = {"name": account.name, **said}
        incident.save(update_fields=["detail"])
