"""The rules of docs/strategies.md on the live path: real rows, the real paper venue, a scripted strategy."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from bots.models import BotInput
from bots.services import bot_pause, bot_start
from exchanges.models import PaperOrder
from exchanges.paper import PaperVenue
from exchanges.paper_match import Terms
from tests.exchanges.books import perpetual
from tests.factories import priced
from tests.trading.live_rules import Recording, committed, orders, scripted, told, woken
from tests.trading.scripted import buy, sell
from tests.trading.world import World, check_books, live_orders, run_once
from trading.core.errors import OutcomeUnknown
from trading.core.needs import MarketRef, Needs
from trading.core.ports import OrderReport
from trading.core.types import Bar, Closed, Command, Decision, Denied, Filled, Kind, Side, Tif, Woken
from trading.models import Order, Runtime
from trading.services.answers import reports_apply
from trading.services.commands import order_cancel
from trading.services.recovery import account_reconcile
from trading.services.sending import orders_send

pytestmark = pytest.mark.django_db


# --- 1: identity -----------------------------------------------------------------------------------------------------


def test_rule_1_a_done_generation_is_never_sent_again():
    with scripted(orders(a=buy(99.0))) as (world, bot, strategy):
        world.price(98.0)
        for price in (100.0, 97.0):
            BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
            world.price(price)
        assert Order.objects.get(bot=bot).status == "filled"
        assert PaperOrder.objects.filter(account=world.account).count() == 1
        assert strategy.decisions >= 3


def test_rule_1_a_wish_is_unique_in_the_database_and_names_its_order():
    with scripted(orders(a=buy(90.0))) as (_, bot, _strategy):
        order = Order.objects.get(bot=bot)
        with pytest.raises(IntegrityError), transaction.atomic():
            Order.objects.create(
                workspace=order.workspace, account=order.account, bot=bot, market=order.market, slot="a", gen=1,
                number=9, client_order_id="other", side="buy", kind="limit", want=order.want, qty=1,
            )  # fmt: skip
        assert PaperOrder.objects.get().client_order_id == order.client_order_id


def test_rule_1_to_ask_again_the_strategy_raises_the_generation():
    def answer(state, view):
        gen = 2 if any(isinstance(item, Closed) for item in view.inbox) or state == 2 else 1
        return Decision(gen, {"a": buy(99.0, gen=gen)})

    with scripted(answer) as (world, bot, _):
        world.price(98.0)
        assert list(Order.objects.filter(bot=bot).order_by("gen").values_list("gen", flat=True)) == [1, 2]


# --- 2: the total of a generation, and amendments --------------------------------------------------------------------


def moving(state, view):
    """Wants its order at another price and quantity as soon as it is told to."""
    moved = bool(state) or any(isinstance(item, Woken) for item in view.inbox)
    return Decision(moved, {"a": buy(95.0, 2.0) if moved else buy(90.0)})


def test_rule_2_a_changed_price_amends_the_order_and_keeps_its_generation():
    with scripted(moving) as (world, bot, _):
        before = PaperOrder.objects.get()
        woken(bot)
        order, paper = Order.objects.get(bot=bot), PaperOrder.objects.get()
        assert (order.gen, order.qty, order.price, order.status) == (1, 2, 95, "working")
        assert (paper.pk, paper.qty, paper.price) == (before.pk, 2, 95)
        assert (order.amend_qty, order.locked) == (None, paper.locked)
        world.price(94.0)
        order.refresh_from_db()
        assert (order.status, order.filled_qty) == ("filled", 2)
        check_books(world.account)


def test_rule_2_no_amendment_that_was_computed_before_the_last_fill_is_sent():
    with scripted(moving) as (world, bot, _):
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        committed(bot)
        assert Order.objects.get(bot=bot).amend_qty == 2
        BotInput.objects.create(bot=bot, kind="filled", payload=Filled("b", 1, Side.BUY, 1, 1, 0, 1, 0)._asdict())
        orders_send(bot, PaperVenue(world.account))
        assert PaperOrder.objects.get().price == 90


def test_rule_2_another_side_or_kind_replaces_only_after_the_old_order_has_ended():
    def answer(state, view):
        changed = bool(state) or any(isinstance(item, Woken) for item in view.inbox)
        over = any(isinstance(item, Closed) for item in view.inbox) or state == 2
        if over:
            return Decision(
                2, {"a": buy(105.0, kind=Kind.STOP, trigger=None, gen=2)._replace(price=80.0, kind=Kind.LIMIT)}
            )
        return Decision(int(changed), {"a": buy(90.0, tif=Tif.POST_ONLY if changed else Tif.GTC)})

    with scripted(answer) as (_, bot, strategy):
        woken(bot)
        assert [item.why for item in told(strategy) if isinstance(item, Closed)] == ["replaced"]
        assert [(o.gen, o.status) for o in Order.objects.filter(bot=bot).order_by("gen")] == [
            (1, "cancelled"),
            (2, "working"),
        ]


def test_rule_2_a_new_generation_goes_out_only_after_the_old_order_has_ended():
    def answer(state, view):
        gen = 2 if state or any(isinstance(item, Woken) for item in view.inbox) else 1
        return Decision(gen == 2, {"a": buy(90.0 if gen == 1 else 85.0, gen=gen)})

    with scripted(answer) as (_, bot, strategy):
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        committed(bot)
        assert [(o.gen, o.cancel_why) for o in Order.objects.filter(bot=bot)] == [(1, "replaced")]
        run_once()
        assert Closed("a", 1, "replaced", 0.0) in told(strategy)
        assert live_orders(bot)["a"].gen == 2


def test_rule_2_the_quantity_of_an_amendment_is_the_total_and_only_its_rest_is_reserved():
    with scripted(moving, World(terms=Terms(1, 1.0))) as (world, bot, _):
        world.price(90.0, volume=0.25)
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        committed(bot)
        order, rest = Order.objects.get(bot=bot), Decimal("1.75") * 95 * Decimal("1.001")
        assert (order.filled_qty, order.amend_qty, order.locked) == (Decimal("0.25"), 2, rest)
        run_once()
        order, paper = Order.objects.get(bot=bot), PaperOrder.objects.get()
        assert (order.qty, order.locked, order.amend_qty) == (2, rest, None)
        assert (paper.qty, paper.filled_qty, paper.price) == (2, Decimal("0.25"), 95)
        world.price(90.0, volume=9.0)
        assert Order.objects.get(bot=bot).filled_qty == 2
        check_books(world.account)


# --- 3: one-shot orders; acknowledgements ----------------------------------------------------------------------------


def test_rule_3_an_ioc_order_leaves_nothing_behind_and_says_so():
    with scripted(orders(a=buy(90.0, tif=Tif.IOC))) as (world, bot, strategy):
        world.price(100.0)
        assert Closed("a", 1, "remainder", 0.0) in told(strategy)
        assert not live_orders(bot)


def test_rule_3_what_an_ioc_order_could_not_fill_at_once_is_gone():
    with scripted(orders(a=buy(101.0, tif=Tif.IOC)), World(terms=Terms(1, 1.0))) as (world, bot, strategy):
        world.price(100.0, volume=0.25)
        world.price(100.0, volume=9.0)
        assert [item for item in told(strategy) if isinstance(item, Closed)] == [Closed("a", 1, "remainder", 0.25)]
        assert (Order.objects.get(bot=bot).status, PaperOrder.objects.get().status) == ("cancelled", "cancelled")
        check_books(world.account)


@pytest.mark.parametrize(("filled", "why"), [("0.25", "remainder"), ("0", "rejected")])
def test_rule_3_what_a_market_order_found_nobody_for_is_a_remainder(filled, why):
    with scripted(orders(a=buy(None, 1.0))) as (world, bot, _):
        world.price(100.0)
        Order.objects.filter(bot=bot).update(status="working", closed_at=None, filled_qty=Decimal(filled))
        BotInput.objects.all().delete()
        order = Order.objects.get(bot=bot)
        said = OrderReport(order.client_order_id, "1", "cancelled", Decimal(filled), "too little to trade with")
        reports_apply([order], [said])
        assert [row.payload["why"] for row in BotInput.objects.filter(bot=bot, kind="closed")] == [why]


def test_rule_3_an_acknowledgement_wakes_nobody():
    with scripted(orders(a=buy(90.0))) as (world, _bot, strategy):
        assert live_orders(_bot)["a"].status == "working"
        world.price(99.0)
        assert strategy.decisions == 1


# --- 4: order of work ------------------------------------------------------------------------------------------------


def test_rule_4_an_add_that_needs_what_a_cancel_frees_waits_for_its_confirmation():
    def answer(state, view):
        switch = bool(state) or any(isinstance(item, Woken) for item in view.inbox)
        return Decision(switch, {"b": buy(80.0, 12.0)} if switch else {"a": buy(90.0, 11.0)})

    with scripted(answer) as (_, bot, strategy):
        woken(bot)
        denied = [item for item in told(strategy) if isinstance(item, Denied)]
        assert [(item.slot, item.rule) for item in denied] == [("b", "budget")]  # the cancel wasn't confirmed yet
        assert set(live_orders(bot)) == {"b"}


def test_rule_4_what_a_cancel_locks_is_not_free_while_it_is_under_way():
    def answer(state, view):
        switch = bool(state) or any(isinstance(item, Woken) for item in view.inbox)
        return Decision(switch, {"b": buy(80.0, 12.0)} if switch else {"a": buy(90.0, 11.0)})

    with scripted(answer) as (_, bot, _strategy):
        for _ in range(2):  # the second decision meets a cancel that has not gone out
            BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
            committed(bot)
        assert dict(Order.objects.filter(bot=bot).values_list("slot", "status")) == {"a": "working", "b": "denied"}
        assert live_orders(bot)["a"].cancel_why == "cancelled"


def test_rule_4_cancels_go_first_then_what_reduces_then_what_adds():
    def answer(state, view):
        if any(isinstance(item, Woken) for item in view.inbox):
            return Decision(None, {"in": buy(), "add": buy(80.0, 2.0), "exit": sell(120.0)})
        return Decision(None, {"in": buy(), "old": buy(90.0)})

    with scripted(answer) as (world, bot, _):
        world.price(100.0)
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        committed(bot)
        venue = Recording(world.account)
        orders_send(bot, venue)
        assert [(call, what if call == "place" else len(what)) for call, what in venue.calls] == [
            ("cancel", 1), ("place", ["sell 1"]), ("place", ["buy 2"]),
        ]  # fmt: skip


# --- 5: groups and exits ---------------------------------------------------------------------------------------------


def test_rule_5_a_group_is_denied_whole():
    legs = {"a": buy(90.0, 2.0, group="g"), "b": buy(80.0, 20.0, group="g")}
    with scripted(orders(**legs)) as (_world, bot, _):
        assert set(Order.objects.filter(bot=bot).values_list("slot", "status")) == {("a", "denied"), ("b", "denied")}
        assert not PaperOrder.objects.exists()


def test_rule_5_an_exit_never_exceeds_what_is_there():
    def answer(state, view):
        return Decision(None, {"a": buy(), "b": sell(120.0, 3.0)} if view.slots else {"a": buy()})

    with scripted(answer) as (world, bot, _):
        world.price(100.0)
        assert Order.objects.get(bot=bot, slot="b").status == "denied"
        check_books(world.account)


def test_rule_5_exits_from_a_perpetual_position_are_cut_to_what_no_other_exit_speaks_for():
    def answer(state, view):
        if not view.slots:
            return Decision(None, {"in": buy(qty=2.0)})
        return Decision(None, {name: sell(120.0, 1.5, reduce=True) for name in ("a", "b", "c")} | {"in": buy(qty=2.0)})

    with scripted(answer, World(market=perpetual())) as (world, bot, strategy):
        world.price(100.0)
        assert {slot: order.qty for slot, order in live_orders(bot).items()} == {
            "a": Decimal("1.5"),
            "b": Decimal("0.5"),
        }
        assert Closed("c", 1, "rejected", 0.0) in told(strategy)


def test_rule_5_the_other_legs_of_a_group_that_has_begun_are_exits():
    def answer(state, view):
        gen = 2 if state or any(isinstance(item, Command) and item.kind == "pause" for item in view.inbox) else 1
        return Decision(gen == 2, {"a": buy(group="g"), "b": buy(80.0, group="g", gen=gen)})

    with scripted(answer) as (world, bot, _):
        world.price(100.0)
        order_cancel(order=live_orders(bot)["b"], by=None)
        run_once()
        bot_pause(bot=bot, by=None)
        run_once()
        assert [(order.gen, order.reduce, order.status) for order in live_orders(bot).values()] == [
            (2, True, "working")
        ]
        woken(bot)
        assert live_orders(bot)["b"].gen == 2, "the pause took the hedge away"


class Half(PaperVenue):
    """Takes the first order of what is sent together, and the connection is lost."""

    def place(self, orders):
        super().place(orders[:1])
        raise OutcomeUnknown("the connection is lost")


def test_rule_5_legs_that_are_still_unsent_when_their_group_begins_go_out_as_exits():
    wanted = orders(a=buy(group="g"), b=buy(80.0, group="g"), c=buy(70.0))
    with scripted(wanted, start=False) as (world, bot, _):
        bot_start(bot=bot, by=None)
        committed(bot)
        with pytest.raises(OutcomeUnknown):
            orders_send(bot, Half(world.account))
        account_reconcile(world.account, PaperVenue(world.account), settled=timezone.now(), lookups=1)
        world.price(100.0, run=False)
        committed(bot)
        unsent = Order.objects.filter(bot=bot, status="planned").order_by("slot")
        assert list(unsent.values_list("slot", "attempt", "reduce")) == [("b", 2, True), ("c", 2, False)]
        bot_pause(bot=bot, by=None)
        orders_send(bot, PaperVenue(world.account))
        assert dict(Order.objects.filter(bot=bot).values_list("slot", "status")) == {
            "a": "filled", "b": "working", "c": "planned",
        }  # fmt: skip


def test_rule_5_a_hedge_is_an_exit_at_the_gate_and_opens_its_own_position_at_the_venue():
    other = perpetual(symbol="ETH/USDT:USDT", base="ETH")
    priced(other)

    def answer(state, view):
        begun = not view.markets["main"].position.flat
        return Decision(None, {"a": buy(group="g")} | ({"b": sell(market="other", group="g")} if begun else {}))

    markets = {"main": perpetual(), "other": other}
    world = World(market=markets["main"])
    needs = Needs(markets={"main": MarketRef(""), "other": MarketRef(other.symbol)})
    with scripted(answer, world, needs, markets=markets) as (_, bot, _strategy):
        world.price(100.0)
        world.pipeline.price_apply(other, Bar(world.ts_ms, 100.0, 100.0, 100.0, 100.0), int(time.time() * 1000))
        hedge = Order.objects.get(bot=bot, slot="b")
        assert (hedge.reduce, hedge.status, hedge.reason) == (True, "filled", "")
        check_books(world.account)


# --- 6: a fill between the decision and the send ---------------------------------------------------------------------


def test_rule_6_what_adds_risk_is_not_sent_after_a_fill_that_its_decision_did_not_see():
    with scripted(orders(a=buy(90.0), b=buy(80.0)), start=False) as (world, bot, strategy):
        bot_start(bot=bot, by=None)
        committed(bot)
        unseen = Filled("z", 1, Side.BUY, 1, 1, 0, 1, 0)
        BotInput.objects.create(bot=bot, kind="filled", payload=unseen._asdict())
        orders_send(bot, PaperVenue(world.account))
        assert not PaperOrder.objects.exists()
        run_once()
        assert unseen in told(strategy)
        assert PaperOrder.objects.count() == 2


def test_rule_6_an_exit_does_not_wait_for_fills_that_its_decision_did_not_see():
    def answer(state, view):
        return Decision(None, {"a": buy()} | ({"out": sell(120.0)} if view.slots else {}))

    with scripted(answer) as (world, bot, _):
        world.price(100.0, run=False)
        committed(bot)
        BotInput.objects.create(bot=bot, kind="filled", payload=Filled("z", 1, Side.BUY, 1, 1, 0, 1, 0)._asdict())
        orders_send(bot, PaperVenue(world.account))
        assert live_orders(bot)["out"].status == "working"


class Overtaken(Recording):
    """While one worker waits for its cancel, another sends all that is planned."""

    def cancel(self, client_order_ids):
        orders_send(Order.objects.filter(client_order_id__in=client_order_ids).get().bot, PaperVenue(self._account))
        return super().cancel(client_order_ids)


def test_rule_6_what_another_worker_has_claimed_is_not_sent_again():
    def answer(state, view):
        moved = any(isinstance(item, Woken) for item in view.inbox)
        return Decision(None, {"b": buy(80.0)} if moved else {"a": buy(90.0)})

    with scripted(answer) as (world, bot, _):
        BotInput.objects.create(bot=bot, kind="woken", payload={"by": "retry"})
        committed(bot)
        venue = Overtaken(world.account)
        orders_send(bot, venue)
        assert live_orders(bot)["b"].status == "working"
        assert not [call for call, _ in venue.calls if call == "place"]


# --- 7: denials ------------------------------------------------------------------------------------------------------


def test_rule_7_a_denied_bot_stays_due_with_its_reason_until_it_is_met():
    with scripted(orders(a=buy(90.0, 20.0))) as (_world, bot, strategy):
        runtime = Runtime.objects.get(bot=bot)
        assert runtime.due_at is not None
        assert runtime.backoff_s == 1
        assert "needs" in Order.objects.get(bot=bot).reason
        for expected in (2, 4, 8, 16, 32, 60, 60):
            Runtime.objects.filter(bot=bot).update(due_at=timezone.now())
            run_once()
            assert Runtime.objects.get(bot=bot).backoff_s == expected
        assert len([item for item in told(strategy) if isinstance(item, Denied)]) == 1


def test_rule_7_a_refusal_of_the_venue_is_final():
    with scripted(orders(a=buy(101.0, tif=Tif.POST_ONLY))) as (world, bot, strategy):
        world.price(100.0)
        woken(bot)
        assert told(strategy).count(Closed("a", 1, "rejected", 0.0)) == 1
        assert (Order.objects.get(bot=bot).status, PaperOrder.objects.count()) == ("rejected", 1)
        assert Runtime.objects.get(bot=bot).due_at is None
