"""The one assembler: a Bot row becomes strategy + venue + risk gate + journal here, live and on paper alike.

tick: lease -> read -> decide -> one transaction -> send -> book -> again, until the bot has nothing left to decide.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import cast

from django.core.cache import cache
from django.db import InterfaceError, OperationalError
from django.db.models import Q
from django.utils import timezone

from accounts.containment import contain
from accounts.crashpoints import crashpoint
from accounts.models import Account
from bots.models import Bot, BotInput
from bots.selectors import not_replayed
from bots.services import bot_failed
from exchanges.paper import PaperVenue
from exchanges.paper_process import process_venue
from exchanges.selectors import REPLAY
from trading import metrics
from trading.clock import WALL, CandleClock, Clock
from trading.core.errors import InvalidInput, RateLimited, StrategyFault, VenueError
from trading.core.ports import Venue
from trading.core.types import Decision
from trading.halted import halts_on
from trading.held import copy_reason
from trading.leases import Lease, lease_release, lease_renew, lease_take
from trading.models import Hold, Journal, Order, Position, Runtime
from trading.read_only_venue import ReadOnlyVenue
from trading.services.booking import executions_book
from trading.services.comparing import account_compare
from trading.services.decisions import LeaseLost, decision_commit
from trading.services.doubts import HELD_AFTER, unknown_holds_settle, unreachable_hold
from trading.services.funding import budget_allocate
from trading.services.halting import halt_delayed, halt_step
from trading.services.recovery import (
    LOOKUPS,
    SETTLE,
    account_ask,
    account_reconcile,
    orders_in_doubt,
)
from trading.services.sending import orders_send, orders_unsent
from trading.services.stopping import WAIT_FOR_PRICE, bot_end, stop_step
from trading.services.waking import TICKED, bots_due, wakes_check
from trading.situation import Situation, inputs_open, situation_of

log = logging.getLogger(__name__)
ROUNDS = 20  # decisions in one tick before another bot gets its turn
WAIT_FOR_VENUE = timedelta(seconds=5)
ASK_AFTER_KEPT_S = 600
FAILING_KEPT_S = 24 * 3600
IN_PROCESS = {Account.Venue.PAPER}  # venues whose calls end with their caller: nothing of a dead one is on its way
VENUES: dict[str, Callable[[Account], Venue]] = {  # the shelf: one line each
    Account.Venue.PAPER: PaperVenue,
    Account.Venue.PAPER_PROCESS: process_venue,
}


def venue_for(account: Account) -> Venue:
    """Return the port to an account's venue; in a copied database one that changes nothing there."""
    venue, blocked = VENUES[account.venue](account), copy_reason(account)
    if blocked:
        return ReadOnlyVenue(venue, blocked)
    return venue if account.feed.startswith(REPLAY) else cast(Venue, metrics.Measured(venue, account.venue))


def run_due(clock: Clock = WALL, bot_ids: Sequence[int] | None = None) -> int:
    """Tick the bots that are due (among `bot_ids`, if given); returns how many were ticked."""
    return sum(tick(bot_id, clock) for bot_id in bots_due(clock.now(), among=bot_ids))


def tick(bot_id: int, clock: Clock = WALL) -> bool:
    """Let one bot decide and act until it has nothing left to do; False when somebody else holds it."""
    lease = lease_take(bot_id)
    if lease is None:
        return False
    crashpoint("tick-leased")
    with contain(f"bot {bot_id}") as outcome:
        metrics.count("ticks")
        _run(lease, clock)
    if outcome.error is not None:
        _failed(lease, outcome.error)
    crashpoint("tick-done")
    lease_release(lease)
    return True


def _failed(lease: Lease, error: Exception) -> None:
    """Mark the bot with its reason; it stops alone.

    A database that is away, locked or in a deadlock is no fault of the bot, which stays due; and whoever has lost the
    lease says nothing about a bot that another worker ticks.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return
    bot = Bot.objects.filter(pk=lease.bot_id, runtime__lease_token=lease.token).first()
    if bot is not None:
        known = isinstance(error, StrategyFault | InvalidInput)
        bot_failed(bot=bot, reason=str(error) if known else f"unexpected {type(error).__name__}: {error}"[:280])


def _run(lease: Lease, clock: Clock) -> None:
    for _ in range(ROUNDS):
        bot = Bot.objects.select_related("market", "account").get(pk=lease.bot_id)
        runtime = Runtime.objects.get(bot=bot)
        work = _has_work(bot, runtime, clock)
        unsent = not work and orders_unsent().filter(bot=bot).exists()
        halt = None if isinstance(clock, CandleClock) else halts_on(bot, bot.account).order_by("id").first()
        ticked = halt is not None or bot.status in TICKED
        if not ticked or not (work or unsent) or not lease_renew(lease):
            return
        venue = venue_for(bot.account)
        try:
            if halt is not None and bot.status != Bot.Status.STOPPING:
                if not halt_step(lease, bot, halt):
                    return
            elif work and not _step(lease, bot, runtime, clock):
                return
            if orders_send(bot, venue, lease):
                executions_book(bot.account, venue)
        except LeaseLost:
            log.info("bot %s: lease lost, another worker goes on", bot.pk)
            return
        except VenueError as error:
            log.warning("bot %s: %s", bot.pk, error)
            if halt is not None:
                halt_delayed(bot, error)
            _wait(lease, clock, _pause(error))
            return


def _has_work(bot: Bot, runtime: Runtime, clock: Clock) -> bool:
    now = clock.now()
    if runtime.not_before is not None and runtime.not_before > now:
        return False
    timed = runtime.due_at is not None and runtime.due_at <= now
    return timed or BotInput.objects.filter(bot=bot, number=None).exclude(kind="denied").exists()


def _step(lease: Lease, bot: Bot, runtime: Runtime, clock: Clock) -> bool:
    """Make one decision; returns False when the bot has to wait or has ended."""
    if bot.status == Bot.Status.STOPPING:
        return stop_step(lease, bot, runtime, clock.now())
    if runtime.finish:
        return _finish(lease, bot, runtime)
    if not runtime.number and not Journal.objects.filter(account=bot.account, ref=f"allocate:{bot.public_id}").exists():
        budget_allocate(bot=bot)
    situation = situation_of(bot, runtime, clock.now())
    if situation is None:
        _wait(lease, clock, WAIT_FOR_PRICE)
        return False
    situation.simulated = isinstance(clock, CandleClock)
    decision = _decide(situation)
    decision_commit(lease, situation, decision)
    metrics.count("decisions")
    if not situation.simulated:
        metrics.observe("decision_late_seconds", _late_s(situation, runtime, clock.now()))
    wakes_check(situation, decision)
    if decision.finish:
        Runtime.objects.filter(bot=bot, lease_token=lease.token).update(due_at=clock.now())
    return True


def _late_s(situation: Situation, runtime: Runtime, now: datetime) -> float:
    """Return how long the first thing that this decision is about has waited for it."""
    since = [row.created_at for row in situation.inputs]
    since += [runtime.due_at] if runtime.due_at is not None else []
    return max(0.0, (now - min(since, default=now)).total_seconds())


def _decide(situation: Situation) -> Decision:
    with contain(f"strategy {situation.bot.strategy}") as outcome:
        return situation.strategy.decide(situation.params, situation.state, situation.view)
    raise StrategyFault(f"its strategy failed: {outcome.error}") from outcome.error


def _finish(lease: Lease, bot: Bot, runtime: Runtime) -> bool:
    """The strategy has ended itself: stop as soon as nothing of the bot is working any more."""
    for row in inputs_open(bot):
        row.number = runtime.number
        row.save(update_fields=["number"])
    Runtime.objects.filter(bot=bot, lease_token=lease.token).update(due_at=None)
    if Order.objects.filter(bot=bot, status__in=Order.LIVE).exists():
        return True
    bot_end(bot, runtime.finish)
    return False


def _wait(lease: Lease, clock: Clock, pause: timedelta) -> None:
    until = clock.now() + pause
    Runtime.objects.filter(bot_id=lease.bot_id, lease_token=lease.token).update(not_before=until, due_at=until)


def accounts_reconcile(
    settle: timedelta = SETTLE,
    dead_before: datetime | None = None,
    *,
    everybody: bool = False,
    lookups: int = LOOKUPS,
) -> list[int]:
    """Ask the venues about our live orders and whatever they have done since; each account alone.

    Returns the bots that may have news. What was sent before `dead_before` has no sender any more; where a call ends
    with its caller, one answer is proof then, however young the order is. A venue also acts without an order of ours
    (it liquidates, it takes funding): so accounts are asked while a bot of theirs is alive or holds something, and with
    `everybody` all that have ever traded.
    """
    now = timezone.now()
    touched: set[int] = set()
    for account in _accounts_to_ask(everybody=everybody):
        settled, needed = now - settle, lookups
        if dead_before is not None and account.venue in IN_PROCESS:
            settled, needed = max(settled, dead_before), 1
        with contain(f"reconcile account {account.pk}") as outcome:
            venue = venue_for(account)
            touched |= account_reconcile(account, venue, settled=settled, lookups=needed)
            account_compare(account, venue, now)
        with contain(f"hold of account {account.pk}"):
            _answered(account, now, failed=outcome.failed)
    return sorted(touched)


def _answered(account: Account, now: datetime, *, failed: bool) -> None:
    """Hold an account that hasn't been reconciled for a minute; it is let go with the next that goes well."""
    key = f"reconcile-fails-since:{account.pk}"
    if not failed:
        cache.delete(key)
        return
    since: datetime = cache.get_or_set(key, now, FAILING_KEPT_S) or now
    if now - since >= HELD_AFTER:
        unreachable_hold(account, since)


def orders_unknown_ask(now: datetime) -> list[int]:
    """Ask about the orders whose outcome is unknown, sooner than the reconciliation does; returns bots with news.

    A bot whose order can't be settled for a minute is held. One query when nothing is in doubt.
    """
    touched: set[int] = set()
    for account_id, order_ids in orders_in_doubt(now).items():
        account = Account.objects.get(pk=account_id)
        with contain(f"orders in doubt of account {account_id}"):
            touched |= _ask(account, order_ids, now)
            unknown_holds_settle(account, now)
    return sorted(touched)


def _ask(account: Account, order_ids: Sequence[int], now: datetime) -> set[int]:
    """Ask one venue, unless it couldn't answer a moment ago."""
    key = f"orders-ask-after:{account.pk}"
    after = cache.get(key)
    if after is not None and now < after:
        return set()
    try:
        return account_ask(account, venue_for(account), order_ids, settled=now - SETTLE)
    except VenueError as error:
        log.warning("account %s can't be asked about its orders: %s", account.pk, error)
        cache.set(key, now + _pause(error), ASK_AFTER_KEPT_S)
        return set()


def _pause(error: VenueError) -> timedelta:
    return timedelta(seconds=error.retry_after_s) if isinstance(error, RateLimited) else WAIT_FOR_VENUE


def _accounts_to_ask(*, everybody: bool) -> list[Account]:
    accounts = Account.objects.filter(not_replayed()).order_by("id")
    if everybody:
        return list(accounts.filter(pk__in=Order.objects.values("account_id")))
    live = Order.objects.filter(status__in=Order.LIVE).values("account_id")
    alive = Bot.objects.filter(status__in=(*TICKED, Bot.Status.ERROR)).values("account_id")
    holding = Position.objects.exclude(qty=0).values("bot__account_id")
    held = Hold.objects.filter(lifted_at=None).values("account_id")
    return list(accounts.filter(Q(pk__in=live) | Q(pk__in=alive) | Q(pk__in=holding) | Q(pk__in=held)))
