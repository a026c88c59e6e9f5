"""A process that stops anywhere, also inside the paper venue's own transaction: all of a step stands, or nothing.

A line that is cut at each statement in turn stands for it: what was in a transaction is rolled back, what was committed
before stays. Then everybody comes again, as after a start.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from exchanges.models import PaperExecution, PaperOrder, PaperWallet
from exchanges.paper import PaperVenue
from exchanges.paper_match import Terms
from tests.trading.live_rules import scripted
from tests.trading.scripted import buy, sell
from tests.trading.storm_checks import check_now
from tests.trading.world import World, check_books
from trading.core.ports import Amendment, OrderRequest
from trading.core.types import Bar, Decision, Kind, Side, Trail
from trading.models import Fill, Order, Runtime
from trading.runtime import accounts_reconcile, run_due

pytestmark = pytest.mark.django_db(transaction=True)
MOST = 400  # statements of one step


class Stopped(BaseException):
    """The process is gone: nobody contains that."""


@contextmanager
def cut_at(number: int):
    """Stop at the statement with this number (from 0)."""
    seen = [0]

    def execute(run, sql, params, many, context):
        if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen[0] += 1
        if seen[0] > number:
            raise Stopped
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield seen


def each_cut(step):
    """Do `step(number)` for each of its statements; it says how many it came to, one too few of them to be whole."""
    for number in range(MOST):
        if step(number):
            return number
    raise AssertionError("the step never came to its end")


def now_ms() -> int:
    return int(timezone.now().timestamp() * 1000)


def venue_state() -> tuple[object, ...]:
    orders = PaperOrder.objects.order_by("client_order_id")
    return (
        list(orders.values_list("client_order_id", "status", "qty", "price", "filled_qty", "locked")),
        list(PaperWallet.objects.order_by("coin").values_list("coin", "total", "locked")),
        list(PaperExecution.objects.order_by("id").values_list("order__client_order_id", "price", "qty")),
    )


def requests() -> list[OrderRequest]:
    return [
        OrderRequest("a", "BTC/USDT", Side.BUY, Kind.LIMIT, Decimal(1), Decimal(90)),
        OrderRequest("b", "BTC/USDT", Side.BUY, Kind.LIMIT, Decimal(2), Decimal(80)),
    ]


CALLS = {
    "place": (lambda venue: None, lambda venue: venue.place(requests())),
    "amend": (
        lambda venue: venue.place(requests()),
        lambda venue: venue.amend([Amendment("a", Decimal(2), Decimal(91)), Amendment("b", Decimal(1), Decimal(81))]),
    ),
    "cancel": (lambda venue: venue.place(requests()), lambda venue: venue.cancel(["a", "b"])),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_the_paper_venue_is_done_whole_or_not_at_all(call):
    prepare, act = CALLS[call]
    world = World()
    world.market.symbol = "BTC/USDT"
    world.market.save()
    venue = PaperVenue(world.account)
    prepare(venue)
    before = venue_state()

    def step(number: int) -> bool:
        try:
            with cut_at(number):
                act(venue)
        except Stopped:
            assert venue_state() == before, f"half of it stands after {number} statements"
            return False
        return True

    assert each_cut(step) > 3
    assert venue_state() != before


def test_a_walk_over_one_account_is_done_whole_or_not_at_all():
    world = World()
    world.market.symbol = "BTC/USDT"
    world.market.save()
    PaperVenue(world.account).place(requests())
    before = venue_state()
    bar, received_ms = Bar(world.ts_ms + 1000, 100.0, 100.0, 75.0, 75.0, 9.0), now_ms()

    def step(number: int) -> bool:
        world.pipeline.before({world.market.pk})
        try:
            with cut_at(number):
                world.pipeline.price_apply(world.market, bar, received_ms)
        except Stopped:
            found = venue_state()
            assert found == before or len(found[2]) == 2, f"half of it stands after {number} statements"
            return False
        return True

    assert each_cut(step) > 3
    assert len(venue_state()[2]) == 2


def trading(state, view):
    """Buys, amends the second order, sells what it holds: every kind of send, one after the other."""
    held = view.markets["main"].position.qty
    wanted = {"a": buy(90.0), "b": buy(80.0 if held else 79.0, 2.0 if held else 1.0)}
    if held:
        wanted["out"] = sell(110.0, held)
    return Decision(None, wanted)


def test_a_process_that_stops_anywhere_between_a_price_and_its_bookings_leaves_nothing_half_done():
    """Each time it is stopped one statement later, and starts again; in the end one of everything has happened."""
    with scripted(trading, World()) as (world, bot, _):
        for price in (90.0, 80.0, 110.0):
            world.ts_ms += 1000
            bar = Bar(world.ts_ms, price, price, price, price)

            def step(number: int, bar: Bar = bar) -> bool:
                start(world)
                try:
                    with cut_at(number):
                        world.pipeline.before({world.market.pk})
                        world.pipeline.price_apply(world.market, bar, now_ms())
                        run_due()
                except Stopped:
                    check_now(world.account, [bot])
                    return False
                return True

            assert each_cut(step) > 20
            start(world)
            run_due()
            check_now(world.account, [bot])
            check_books(world.account)
        filled = Order.objects.filter(bot=bot, status="filled").order_by("slot").values_list("slot", "filled_qty")
        assert list(filled) == [("a", 1), ("b", 2), ("out", 3)]
        assert Fill.objects.count() == PaperExecution.objects.count() == 3


def start(world: World) -> None:
    """What a new process does first: nothing that the last one remembered is there any more."""
    world.forget_peaks()
    Runtime.objects.update(lease_until=None)  # it has run out
    accounts_reconcile(settle=timedelta(0), lookups=1)


# --- a bar that comes again


def cut_after_the_walk(world: World, bar: Bar) -> int:
    """The venue's transaction stands; then the database is away before the price is told to anybody.

    Returns when the bar was received: that stays as it is when it comes again.
    """
    received_ms = now_ms()

    def execute(run, sql, params, many, context):
        if 'FROM "trading_wake"' in sql:
            raise OperationalError("database is locked")
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute), pytest.raises(OperationalError):
        world.pipeline.price_apply(world.market, bar, received_ms)
    return received_ms


@pytest.mark.parametrize(
    ("order", "bar"),
    [
        # sold at 96 at best once the price has fallen to 95, which the rest of the bar doesn't reach any more
        (
            {"kind": Kind.STOP_LIMIT, "price": Decimal(96), "trigger": Decimal(95)},
            (100.0, 100.0, 94.0, 94.0),
        ),
        # the best price comes last: only from then on is the way down to it long enough
        ({"kind": Kind.TRAILING, "trail": Trail(None, offset=6.0)}, (100.0, 110.0, 95.0, 108.0)),
    ],
    ids=["stop-limit", "trailing"],
)
def test_a_bar_whose_consequences_failed_fills_nothing_the_second_time(order, bar):
    world = World()
    PaperVenue(world.account).place(
        [OrderRequest("in", world.market.symbol, Side.BUY, Kind.MARKET, Decimal(1))],
    )
    world.price(100.0)
    PaperVenue(world.account).place([OrderRequest("out", world.market.symbol, Side.SELL, qty=Decimal(1), **order)])
    again = Bar(world.ts_ms + 1000, *bar)
    received_ms = cut_after_the_walk(world, again)
    assert PaperOrder.objects.get(client_order_id="out").status == "working"
    world.pipeline.before({world.market.pk})
    world.pipeline.price_apply(world.market, again, received_ms)
    assert PaperOrder.objects.get(client_order_id="out").status == "working"


def test_what_is_ordered_after_a_bar_was_walked_does_not_fill_when_it_comes_again():
    world = World(terms=Terms())
    again = Bar(world.ts_ms + 1000, 100.0, 100.0, 90.0, 100.0)
    received_ms = cut_after_the_walk(world, again)
    PaperVenue(world.account).place(
        [OrderRequest("new", world.market.symbol, Side.BUY, Kind.LIMIT, Decimal(1), Decimal(95))]
    )
    world.pipeline.before({world.market.pk})
    world.pipeline.price_apply(world.market, again, received_ms)
    assert PaperOrder.objects.get().status == "working"
    world.price(95.0)
    assert PaperOrder.objects.get().status == "filled"


def test_another_bar_that_is_like_the_last_one_is_walked_anew():
    """A quiet market says the same twice: what was ordered in between fills at the second."""
    world = World()
    bar = Bar(world.ts_ms, 100.0, 100.0, 100.0, 100.0)
    request = OrderRequest("a", world.market.symbol, Side.BUY, Kind.MARKET, Decimal(1))
    for received_ms in (now_ms(), now_ms() + 100):
        world.pipeline.before({world.market.pk})
        world.pipeline.price_apply(world.market, bar, received_ms)
        PaperVenue(world.account).place([request])
    assert PaperOrder.objects.get().status == "filled"
