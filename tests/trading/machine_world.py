"""The world of the order machine: real bots, runtime and paper venue, a line that fails as told, time that is moved on.

Everything is really committed, so a worker can be killed at any statement and what it had committed stands. Time is
moved by making all that was sent that much older: rows, what is on its way, and the engine's clock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.db.models import DateTimeField
from django.utils import timezone
from pydantic import BaseModel

from bots.models import Bot, BotInput
from bots.services import bot_start
from bots.strategies.registry import STRATEGIES
from exchanges.models import Market
from exchanges.paper import PaperVenue
from exchanges.paper_match import WHOLE, Terms
from tests.factories import AccountFactory, BotFactory, MarketFactory
from tests.ops.auditor import Books, faults, rows_of, unsettled
from tests.trading.machine_line import Killed, Line
from tests.trading.machine_model import Model, Resting
from tests.trading.scripted import Scripted
from trading.core.errors import VenueError
from trading.core.needs import MarketRef, Needs
from trading.core.ports import OrderRequest
from trading.core.rounding import price_to_tick, qty_to_lot
from trading.core.types import Bar, Decision, Filled, Kind, Side, View, Want
from trading.models import Order, Runtime, VenueCursor
from trading.runtime import VENUES, accounts_reconcile, run_due
from trading.services.funding import paper_account_fund
from trading.services.waking import signals_recheck
from trading.signals import HUB
from trading.streams import Pipeline, account_book

LEVERAGE = 3.0
BUDGET = Decimal(1000)
THIN = Terms(1, 0.5)  # at one touch a limit order fills half of what is traded
ROUNDS = 10  # of everybody looking again, until nothing may be left open
APPS = ("accounts", "bots", "exchanges", "risk", "trading")
STRATEGY = "machine"


class Params(BaseModel):
    number: int = 0  # of the bot, among those of its world
    leverage: float = 1.0


class Steered(Scripted):
    """Wants what the machine wants at that moment, and keeps every fill that it is told of in its state."""

    key = STRATEGY
    params = Params

    def __init__(self) -> None:
        super().__init__(lambda state, view: Decision(state, {}))
        self.wants: defaultdict[int, dict[str, Want]] = defaultdict(dict)
        self.hook: Callable[[], None] | None = None  # what others do while it decides

    def needs(self, params: Any) -> Needs:
        return Needs(markets={"main": MarketRef("")}, leverage=params.leverage)

    def decide(self, params: Any, state: Any, view: View) -> Decision:
        hook, self.hook = self.hook, None
        if hook is not None:
            hook()
        told = [[one.slot, one.gen, one.qty, one.price] for one in view.inbox if isinstance(one, Filled)]
        return Decision([*(state or []), *told], dict(self.wants[params.number]))

    def upgrade(self, version: int, state: Any) -> Any:
        return state


class Ahead:
    """The engine's clock: the wall's, and all the time that was let pass beside it."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def now(self) -> datetime:
        return timezone.now() + timedelta(seconds=self._line.elapsed_s)


class MachineWorld:
    def __init__(self, perpetual: Sequence[bool], steered: Steered) -> None:
        self.model, self.line, self.steered = Model(), Line(self.leaving), steered
        steered.wants.clear()
        steered.hook = None
        self.clock = Ahead(self.line)
        VENUES["machine"] = self.line.venue
        self.account = AccountFactory(venue="machine", feed="machine")
        paper_account_fund(account=self.account, coin="USDT", amount=BUDGET * 10)
        self.last: dict[Market, float] = {}
        self.ts_ms = 1_700_000_000_000
        self.pipeline = Pipeline()
        self.bots = [self._bot(number, one) for number, one in enumerate(perpetual)]
        self.price(0.0)

    def _bot(self, number: int, perpetual: bool) -> Bot:
        more: dict[str, object] = {"lot": Decimal("0.001"), "min_qty": Decimal("0.001")}
        if perpetual:
            more |= {"symbol": f"ETH{number}/USDT:USDT", "base": "ETH", "quote": "USDT"}
            more |= {"perpetual": True, "max_leverage": 10}
        market = MarketFactory(source="machine", **more)
        market.refresh_from_db()
        self.last.setdefault(market, 100.0)
        params = {"number": number, "leverage": LEVERAGE if perpetual else 1.0}
        bot = BotFactory(account=self.account, market=market, strategy=STRATEGY, params=params, budget=BUDGET)
        return bot_start(bot=bot, by=None)

    # --- time, prices, what is wanted

    def passes(self, seconds: float) -> None:
        """Time goes by: leases run out, and what was sent grows old."""
        self.line.passes(seconds)
        for name in ("Order", "Runtime", "Hold"):
            model = apps.get_model("trading", name)
            clocked = ("due_at", "not_before", "ticked_at", "created_at", "closed_at")
            fields = [f.name for f in model._meta.concrete_fields if isinstance(f, DateTimeField)]
            for row in model.objects.filter(**({"account": self.account} if name == "Order" else {})):
                older = {
                    one: value - timedelta(seconds=seconds)
                    for one in fields
                    if one not in clocked and (value := getattr(row, one)) is not None
                }
                if older:
                    model.objects.filter(pk=row.pk).update(**older)

    def price(self, percent: float, *, wide: bool = False, thin: bool = False) -> None:
        """All markets move by that much, with a wick on both sides if it is `wide`."""
        self.ts_ms += 1000
        self.pipeline.terms = THIN if thin else WHOLE
        for market, before in list(self.last.items()):
            last = round(min(400.0, max(25.0, before * (1 + percent / 100))), 2)
            wick = 0.02 if wide else 0.0
            high, low = round(max(before, last) * (1 + wick), 2), round(min(before, last) * (1 - wick), 2)
            self.last[market] = last
            bar = Bar(self.ts_ms, before, high, low, last, 1.0)
            self.pipeline.before({market.pk})
            self.pipeline.price_apply(market, bar, int(self.clock.now().timestamp() * 1000))

    def want(self, number: int, slot: str, want: Want | None) -> None:
        """Let a bot's strategy want this from now on (None: nothing) and wake it."""
        wants = self.steered.wants[number]
        if want is None:
            wants.pop(slot, None)
        else:
            wants[slot] = want
        BotInput.objects.create(bot=self.bots[number], kind="woken", payload={"by": "retry"})

    def next_gen(self, number: int, slot: str) -> int:
        gens = Order.objects.filter(bot=self.bots[number], slot=slot).values_list("gen", flat=True)
        known = self.steered.wants[number].get(slot)
        return max([0, *gens, known.gen if known else 0]) + 1

    def foreign(self, qty: Decimal) -> None:
        """Somebody trades by hand on the same account, with coins."""
        market = next((bot.market for bot in self.bots if not bot.market.perpetual), None)
        if market is None:
            market = MarketFactory(source="machine", symbol="XRP/USDT")
            self.last.setdefault(market, 100.0)
        request = OrderRequest(f"by-hand-{self.ts_ms}", market.symbol, Side.BUY, Kind.MARKET, qty)
        PaperVenue(self.account).place([request])

    # --- workers

    def tick(self) -> None:
        run_due(self.clock)

    def reconcile(self) -> None:
        accounts_reconcile()

    def book(self) -> None:
        with suppress(VenueError):
            account_book(self.account)

    def restart(self) -> None:
        """The streams start anew: what they remember of trails and executions is gone."""
        self.pipeline = Pipeline()
        accounts_reconcile(everybody=True)
        signals_recheck()

    def read_again(self) -> None:
        VenueCursor.objects.filter(account=self.account).update(executions=0)

    def steal_leases(self) -> None:
        """Whoever ticks a bot at this moment is too slow: his lease has run out, and another one may take it."""
        Runtime.objects.exclude(lease_until=None).update(lease_until=timezone.now() - timedelta(seconds=1))

    def others(self, seconds: float) -> None:
        """Meanwhile time passes, and another worker ticks and looks at the account."""
        if seconds:
            self.passes(seconds)
        self.steal_leases()
        self.reconcile()
        self.tick()

    @contextmanager
    def cut(self, number: int, happens: Callable[[], None]) -> Iterator[None]:
        """Let something happen right before the statement with this number (from 0) of what is done inside.

        `happens` may raise (the worker is killed, the line to the database is cut) or do what others do meanwhile.
        """
        seen = [0, False]

        def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            seen[0] += 1
            if seen[0] > number and not seen[1] and (happens is kill or happens is hang_up or not _in_transaction()):
                seen[1] = True
                happens()
            return run(sql, params, many, context)

        with connection.execute_wrapper(execute):
            yield

    def alive(self, step: Callable[[], None]) -> None:
        """Do one step of one process, which may be killed in it; a killed one has forgotten all that it knew."""
        try:
            step()
        except Killed:
            self.pipeline = Pipeline()

    # --- looking

    def leaving(self, call: str, ids: Sequence[str]) -> None:
        """Look at what is about to leave for the venue: an intent stands, and it may be sent."""
        note = self.model.breaches.append
        if _in_transaction():
            note(f"a transaction is open across a {call}")
        rows = {row.client_order_id: row for row in Order.objects.filter(client_order_id__in=ids).select_related("bot")}
        for name in ids:
            row = rows.get(name)
            if row is None:
                note(f"I1 a {call} leaves without an intent: {name}")
            elif call == "place" and name in self.line.left:
                note(f"I1 {row} leaves again under the same id")
            elif call == "place":
                self._may_leave(row, note)
            elif call == "amend" and any(name == one.client_order_id for sent in self.line.changes for one in sent):
                self._one_amendment(name, note)

    def _may_leave(self, row: Order, note: Callable[[str], None]) -> None:
        if row.status != Order.Status.SENDING or row.sent_at is None:
            note(f"I1 {row} leaves without its claim")
        own = row.slot.startswith("engine:")
        allowed = (Bot.Status.RUNNING, Bot.Status.PAUSED) if row.reduce else (Bot.Status.RUNNING,)
        if not own and row.bot.status not in allowed:
            note(f"I7 {row} leaves while its bot is {row.bot.status}")
        unseen = BotInput.objects.filter(bot=row.bot_id, kind="filled", number=None)
        if not row.reduce and unseen.exists():
            note(f"I7 {row} adds, and a fill that its decision hasn't seen is booked")
        twins = Order.objects.filter(bot=row.bot_id, slot=row.slot).exclude(pk=row.pk).values_list("client_order_id")
        working = {one.client_order_id for one in PaperVenue(self.account).open_orders()}
        if working & {name for (name,) in twins}:
            note(f"I1 {row} leaves while another generation of its slot works")

    def _one_amendment(self, name: str, note: Callable[[str], None]) -> None:
        now_ms = int(timezone.now().timestamp() * 1000)
        on_the_way = [one for sent in self.line.changes for one in sent if one.client_order_id == name]
        if any(one.valid_until_ms is None or one.valid_until_ms >= now_ms for one in on_the_way):
            note(f"I7 a second amendment of {name} leaves while the first may still arrive")

    def books(self) -> Books:
        with connection.cursor() as cursor:
            return Books(rows_of(lambda sql: cursor.execute(sql) or cursor))

    def look(self) -> list[str]:
        """Say everything that is wrong at this moment."""
        books = self.books()
        found = [str(one) for one in faults(books)]
        found += self.model.look(books, self.line.may_arrive(int(timezone.now().timestamp() * 1000)))
        found += [
            f"bot {row['id']} failed: {row['status_reason']}" for row in books["bots"] if row["status"] == "error"
        ]
        return found

    def settle(self) -> list[str]:
        """Nothing fails any more: let everybody look until all agrees, and say what doesn't."""
        self.line.heal(self.account)
        self.steered.hook = None
        found: list[str] = []
        for round_ in range(ROUNDS):
            self.passes(61)
            self.price(0.0)
            self.reconcile()
            self.tick()
            found = self.look()
            if found or round_ < 1:
                continue
            found = self.open_ends()
            if not found:
                break
        return found

    def open_ends(self) -> list[str]:
        books = self.books()
        states = dict(Runtime.objects.values_list("bot_id", "state"))
        status = {row["id"]: row["status"] for row in books["bots"]}
        heard = {
            bot: Counter((slot, gen, qty, price) for slot, gen, qty, price in state or [])
            for bot, state in states.items()
            if status[bot] == "running"
        }
        wanted = {
            bot.pk: {slot: _resting(bot.market, want) for slot, want in self.steered.wants[number].items()}
            for number, bot in enumerate(self.bots)
            if status[bot.pk] == "running"
        }
        found = [str(one) for one in unsettled(books)]
        return found + self.model.told(books, heard) + self.model.stands(books, wanted)


def _in_transaction() -> bool:
    return connection.in_atomic_block


def kill() -> None:
    raise Killed


def hang_up() -> None:
    raise OperationalError("server closed the connection unexpectedly")


def _resting(market: Market, want: Want) -> Resting:
    price = None if want.price is None else price_to_tick(want.price, market.tick, want.side, want.kind)
    return Resting(want.gen, qty_to_lot(want.qty, market.lot), price)


@contextmanager
def on_the_machine(steered: Steered) -> Iterator[None]:
    """Put the strategy on the shelf for as long as machines run, and leave an empty database."""
    STRATEGIES[STRATEGY] = steered
    kept = [model for model in _models() if model.objects.exists()]  # what migrations have put there
    KEPT.extend(kept)
    try:
        yield
    finally:
        clean()
        KEPT.clear()
        del STRATEGIES[STRATEGY]
        VENUES.pop("machine", None)


def clean() -> None:
    """Empty the tables that a world writes to; what migrations have put there stays."""
    cache.clear()
    HUB.clear()
    with transaction.atomic(), connection.cursor() as cursor:
        for model in _models():
            if model not in KEPT:
                cursor.execute(f'DELETE FROM "{model._meta.db_table}"')  # noqa: S608


def _models() -> list[Any]:
    return [model for name in APPS for model in apps.get_app_config(name).get_models()]


KEPT: list[Any] = []
