"""What can happen to the order engine, one step at a time: the market, wishes, workers, the line, people and time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bots.models import Bot
from bots.services import bot_pause, bot_resume, bot_stop
from tests.trading.machine_line import FAULTS
from tests.trading.machine_world import MachineWorld, hang_up, kill
from trading.core.errors import InvalidInput
from trading.core.types import Kind, Side, Tif, Trail, Trigger, Want
from trading.models import Order, Position
from trading.services.commands import order_cancel

BOT = st.sampled_from([0, 0, 0, 1])
SLOT = st.sampled_from(["a", "b", "c"])
QTY = st.sampled_from([0.06, 1.0, 1.0, 2.5, 6.0])  # at about 100 each, and a budget of 1000
AWAY = st.sampled_from([-6.0, -2.0, -0.5, 0.0, 0.5, 2.0, 6.0])  # percent of the price
KINDS = st.sampled_from(
    ["limit", "limit", "limit", "market", "ioc", "post_only", "expiring", "stop", "stop_limit", "trailing", "pair"]
)
FATES = st.sampled_from([(call, fate) for call, fates in FAULTS.items() for fate in fates])
MOMENTS = st.sampled_from(
    [
        (call, when)
        for call in ("place", "place", "cancel", "amend", "lookup", "executions")
        for when in ("before", "after")
    ]
)
MEANWHILE = st.sampled_from(
    [
        "others",
        "others later",
        "others much later",
        "price",
        "unseen fill",
        "unseen fill",
        "pause",
        "stop",
        "cancel",
        "want",
    ]
)


# how often, and with which arguments
STEPS: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {
    "price": (
        14,
        {
            "percent": AWAY | st.sampled_from([-30.0, 30.0]),
            "wide": st.booleans(),
            "thin": st.booleans(),
            "tick": st.booleans(),
        },
    ),
    "passes": (8, {"seconds": st.sampled_from([1.0, 9.0, 11.0, 24.0, 26.0, 61.0])}),
    "want": (
        14,
        {
            "bot": BOT,
            "slot": SLOT,
            "kind": KINDS,
            "buys": st.sampled_from([True, True, False]),
            "qty": QTY,
            "away": AWAY,
        },
    ),
    "exit": (5, {"bot": BOT, "slot": SLOT, "share": st.sampled_from([0.5, 1.0, 2.0]), "away": st.none() | AWAY}),
    "amend": (
        10,
        {
            "bot": BOT,
            "slot": SLOT,
            "qty": st.sampled_from([0.5, 1.0, 1.5, 3.0]),
            "away": st.none() | AWAY,
            "tick": st.booleans(),
        },
    ),
    "drop": (5, {"bot": BOT, "slot": SLOT, "again": st.booleans(), "tick": st.booleans()}),
    "tick": (8, {}),
    "cut_tick": (8, {"number": st.integers(0, 120), "dies": st.booleans()}),
    "cut_price": (4, {"number": st.integers(0, 120), "percent": AWAY}),
    "cut_reconcile": (3, {"number": st.integers(0, 60), "seconds": st.sampled_from([0.0, 26.0])}),
    "overtaken": (6, {"number": st.integers(0, 80)}),
    "overtaken_deciding": (3, {}),
    "reconcile": (6, {}),
    "book": (3, {}),
    "restart": (2, {"again": st.booleans()}),
    "fault": (14, {"fate": FATES, "times": st.sampled_from([1, 1, 2]), "tick": st.booleans()}),
    "meanwhile": (6, {"moment": MOMENTS, "what": MEANWHILE, "bot": BOT}),
    "land": (4, {}),
    "late_news": (5, {"kept_back": st.sampled_from([0, 0, 1, 3]), "lagging": st.booleans()}),
    "person": (3, {"bot": BOT, "what": st.sampled_from(["pause", "resume", "resume", "sell", "keep", "leave"])}),
    "cancel_by_hand": (3, {"bot": BOT}),
    "foreign": (1, {"qty": st.sampled_from(["0.1", "3"])}),
}


def steps() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Draw a step: its name and its arguments."""
    names = [name for name, (weight, _) in STEPS.items() for _ in range(weight)]
    return st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), st.fixed_dictionaries(STEPS[name][1])))


class Steps:
    """Does the steps in a world."""

    def __init__(self, world: MachineWorld) -> None:
        self.world = world

    def do(self, name: str, arguments: dict[str, Any]) -> None:
        getattr(self, name)(**arguments)

    # --- the market, and time

    def price(self, percent: float, wide: bool, thin: bool, tick: bool) -> None:
        self.world.alive(lambda: self.world.price(percent, wide=wide, thin=thin))
        if tick:
            self.tick()

    def passes(self, seconds: float) -> None:
        self.world.passes(seconds)

    # --- what is wanted

    def want(self, bot: int, slot: str, kind: str, buys: bool, qty: float, away: float) -> None:
        number = bot % len(self.world.bots)
        side = Side.BUY if buys else Side.SELL
        if kind == "pair":
            for one in ("a", "b"):
                self._want(number, one, "limit", side, qty / 2, away, group=f"g{self.world.next_gen(number, 'a')}")
        else:
            self._want(number, slot, kind, side, qty, away)
        self.tick()

    def exit(self, bot: int, slot: str, share: float, away: float | None) -> None:
        """What it holds is to be sold (or bought back), in part, whole or more than it has."""
        number = bot % len(self.world.bots)
        held = Position.objects.filter(bot=self.world.bots[number]).exclude(qty=0).first()
        if held is not None:
            side = Side.SELL if held.qty > 0 else Side.BUY
            qty = float(abs(held.qty)) * share
            self._want(number, slot, "market" if away is None else "limit", side, qty, away or 0.0, reduce=True)
        self.tick()

    def amend(self, bot: int, slot: str, qty: float, away: float | None, tick: bool) -> None:
        number = bot % len(self.world.bots)
        known = self.world.steered.wants[number].get(slot)
        if known is None:
            return
        price = known.price if away is None or known.price is None else self._level(number, away)
        self.world.want(number, slot, known._replace(qty=round(known.qty * qty, 3), price=price))
        if tick:
            self.tick()

    def drop(self, bot: int, slot: str, again: bool, tick: bool) -> None:
        """The slot isn't wanted any more, or its order is asked for once more."""
        number = bot % len(self.world.bots)
        known = self.world.steered.wants[number].get(slot)
        if known is not None and again:
            known = known._replace(gen=self.world.next_gen(number, slot))
        self.world.want(number, slot, known if again else None)
        if tick:
            self.tick()

    def _want(self, number: int, slot: str, kind: str, side: Side, qty: float, away: float, **more: object) -> None:
        level, taker = self._level(number, away), kind in ("market", "ioc")
        more |= {"gen": self.world.next_gen(number, slot)}
        kinds = {"market": Kind.MARKET, "stop": Kind.STOP, "stop_limit": Kind.STOP_LIMIT, "trailing": Kind.TRAILING}
        if kind in ("stop", "stop_limit"):
            more["trigger"] = Trigger(level)
        if kind == "trailing":
            more["trail"] = Trail(None, offset=2.0)
        if kind == "expiring":
            more["expires_ms"] = self.world.ts_ms + 2500
        price = None if kind in ("market", "stop", "trailing") else level
        tif = Tif.IOC if taker else Tif.POST_ONLY if kind == "post_only" else Tif.GTC
        want = Want("main", side, kinds.get(kind, Kind.LIMIT), round(qty, 3), price, tif=tif, **more)
        self.world.want(number, slot, want)

    def _level(self, number: int, away: float) -> float:
        return round(self.world.last[self.world.bots[number].market] * (1 + away / 100), 2)

    # --- workers

    def tick(self) -> None:
        self.world.alive(self.world.tick)

    def cut_tick(self, number: int, dies: bool) -> None:
        """A worker is killed, or its database is away, at any statement of its tick."""
        with self.world.cut(number, kill if dies else hang_up):
            self._contained(self.world.tick)

    def cut_price(self, number: int, percent: float) -> None:
        with self.world.cut(number, kill):
            self._contained(lambda: self.world.price(percent))

    def cut_reconcile(self, number: int, seconds: float) -> None:
        self.world.passes(seconds)
        with self.world.cut(number, kill):
            self._contained(self.world.reconcile)

    def overtaken(self, number: int) -> None:
        """A worker is so slow between two statements that another one takes its lease and does its work."""
        with self.world.cut(number, lambda: self.world.others(0.0)):
            self.tick()

    def overtaken_deciding(self) -> None:
        self.world.steered.hook = lambda: self.world.others(0.0)
        self.tick()

    def reconcile(self) -> None:
        self.world.alive(self.world.reconcile)

    def book(self) -> None:
        self.world.alive(self.world.book)

    def restart(self, again: bool) -> None:
        if again:
            self.world.read_again()
        self.world.alive(self.world.restart)

    def _contained(self, step: Callable[[], object]) -> None:
        with suppress(Exception):  # the database was away: whoever it was comes again
            self.world.alive(step)

    # --- the line

    def fault(self, fate: tuple[str, str], times: int, tick: bool) -> None:
        call, name = fate
        self.world.line.faults[call].extend([name] * times)
        if tick:
            self.tick()

    def meanwhile(self, moment: tuple[str, str], what: str, bot: int) -> None:
        """While somebody waits for the venue, something else happens."""
        world, number = self.world, bot % len(self.world.bots)
        self.world.line.hooks[moment] = {
            "others": lambda: world.others(0.0),
            "others later": lambda: world.others(11.0),
            "others much later": lambda: world.others(26.0),
            "price": lambda: world.price(-2.0),
            "unseen fill": self._unseen_fill,
            "pause": lambda: self._tell(bot_pause, number),
            "stop": lambda: self._tell(bot_stop, number, mode="sell"),
            "cancel": lambda: self.cancel_by_hand(number),
            "want": lambda: self._want(number, "a", "limit", Side.BUY, 1.0, -2.0),
        }[what]

    def _unseen_fill(self) -> None:
        """Something fills, and the venue's list of executions doesn't show it yet."""
        self.world.line.kept_back += 1
        self.world.price(-6.0)

    def land(self) -> None:
        self.world.line.land(self.world.account)

    def late_news(self, kept_back: int, lagging: bool) -> None:
        """Executions are shown late, and questions don't see yet what was accepted a moment ago."""
        self.world.line.kept_back, self.world.line.lagging = kept_back, lagging

    # --- people

    def person(self, bot: int, what: str) -> None:
        number = bot % len(self.world.bots)
        if what in ("pause", "resume"):
            self._tell(bot_pause if what == "pause" else bot_resume, number)
        else:
            self._tell(bot_stop, number, mode=what)

    def cancel_by_hand(self, bot: int) -> None:
        owner = self.world.bots[bot % len(self.world.bots)]
        found = Order.objects.filter(bot=owner, status__in=Order.LIVE).select_related("bot", "market").order_by("-id")
        if order := found.first():
            with suppress(InvalidInput):
                order_cancel(order=order, by=None)

    def foreign(self, qty: str) -> None:
        self.world.foreign(Decimal(qty))

    def _tell(self, does: Callable[..., Bot], number: int, **more: object) -> None:
        with suppress(InvalidInput):
            does(bot=self.world.bots[number], by=None, **more)
