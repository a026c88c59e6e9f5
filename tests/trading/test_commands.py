"""What a person tells a running bot: typed, refused in words, heard once, obeyed, and never silently undone."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Event, User
from bots.models import Bot, BotInput
from bots.services import bot_pause, bot_stop
from bots.strategies.registry import STRATEGIES
from exchanges.models import PaperOrder
from tests.factories import alice
from tests.trading.scripted import Scripted, buy, on_the_shelf
from tests.trading.world import World, check_books, live_orders, run_once
from trading.core.commands import OWN_KINDS, CommandSpec, command_args, command_schema, commands_of
from trading.core.errors import InvalidInput
from trading.core.types import Decision
from trading.dryrun import what_now
from trading.models import Order, Position
from trading.services.commands import command, command_look, order_cancel
from trading.why import why

pytestmark = pytest.mark.django_db
DCA = {
    "base_order": "100",
    "safety_order": "100",
    "safety_orders": 2,
    "deviation_percent": "5",
    "take_profit_percent": "5",
    "cooldown_minutes": 0,
}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ann() -> User:
    return alice()


@pytest.fixture
def dca(world: World) -> Bot:
    """A deal that holds 1 BTC at 100, with two safety orders and its exit."""
    bot = world.bot(strategy="dca", params=dict(DCA), budget=Decimal(400), name="Steady")
    settle(world)
    assert set(live_orders(bot)) == {"deal:1:exit", "deal:1:safety:1", "deal:1:safety:2"}
    return bot


def settle(world: World, price: float = 100.0) -> None:
    for _ in range(4):
        world.price(price)
        run_once()


def tell(bot: Bot, kind: str, by: User | None = None, **args: Any) -> None:
    command(bot=bot, kind=kind, args=args, by=by)


def fault_of(bot: Bot, kind: str, **args: Any) -> InvalidInput:
    """Return why it is refused; nothing may have been written."""
    before = BotInput.objects.count(), Event.objects.count()
    with pytest.raises(InvalidInput) as refused:
        tell(bot, kind, **args)
    assert (BotInput.objects.count(), Event.objects.count()) == before
    return refused.value


def held(bot: Bot) -> Decimal:
    return sum((row.qty for row in Position.objects.filter(bot=bot)), Decimal(0))


# --- what strategies declare -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", STRATEGIES)
def test_every_declaration_can_be_a_form_an_event_and_a_schema(key: str) -> None:
    found = commands_of(STRATEGIES[key])
    assert "resume" in found
    for kind, spec in found.items():
        assert kind not in OWN_KINDS - {"resume"}
        assert len(kind) <= 24  # an event's kind is "bot.command.<kind>"
        assert spec.title
        assert spec.help.endswith(".")
        shape = command_schema(kind, spec)
        assert all(one["title"] for one in shape["schema"]["properties"].values())


def test_a_strategy_that_declares_nothing_takes_what_every_bot_takes() -> None:
    assert list(commands_of(STRATEGIES["grid"])) == ["resume"]
    assert list(commands_of(STRATEGIES["dca"])) == ["close", "add_funds", "signal", "cancel_deal", "resume"]


def test_arguments_are_typed_and_faults_name_them() -> None:
    spec = commands_of(STRATEGIES["dca"])["add_funds"]
    assert command_args(spec, {"quote": "50", "deal": ""}).model_dump(exclude_none=True) == {"quote": Decimal(50)}
    for raw, field in (({}, "args.quote"), ({"quote": "x"}, "args.quote"), ({"quote": 1, "deal": 99}, "args.deal")):
        with pytest.raises(InvalidInput) as refused:
            command_args(spec, raw)
        assert refused.value.field == field
    with pytest.raises(InvalidInput, match="none is taken") as refused:
        command_args(CommandSpec("Now", "Now."), {"when": 1})
    assert (refused.value.field, refused.value.code) == ("args.when", "unknown")


# --- one order by hand -----------------------------------------------------------------------------------------------


def test_an_order_cancelled_by_hand_stays_away_until_the_bot_takes_up_again(world: World, dca: Bot, ann: User) -> None:
    placed = PaperOrder.objects.count()
    order_cancel(order=live_orders(dca)["deal:1:safety:1"], by=ann)
    settle(world)
    assert set(live_orders(dca)) == {"deal:1:exit", "deal:1:safety:2"}  # the deal itself goes on
    settle(world, 101.0)
    assert PaperOrder.objects.count() == placed
    assert any("cancelled by hand" in line for line in why(dca).lines)
    assert "deal:1:safety:1" not in {change.slot for change in what_now(dca).changes}
    tell(dca, "resume")
    settle(world)
    assert live_orders(dca)["deal:1:safety:1"].gen == 2
    check_books(world.account)


def test_while_it_is_being_cancelled_nothing_says_that_it_stays(world: World, dca: Bot) -> None:
    order = live_orders(dca)["deal:1:safety:1"]
    assert "95" in why(dca).headline
    order_cancel(order=order, by=None)
    assert "90" in why(dca).headline
    (change,) = [change for change in what_now(dca).changes if change.slot == order.slot]
    assert (change.kind, change.reason) == ("cancel", "is being cancelled already")


def test_an_order_is_cancelled_once_and_only_while_it_lives(world: World, dca: Bot, ann: User) -> None:
    order = live_orders(dca)["deal:1:safety:1"]
    order_cancel(order=order, by=ann)
    event = Event.objects.latest("seq")
    assert event.text == "Order cancelled by Alice: buy 1.05263 BTC/USDT at 95 (deal:1:safety:1)"
    with pytest.raises(InvalidInput, match="is being cancelled already") as refused:
        order_cancel(order=order, by=ann)
    assert refused.value.code == "wrong_state"
    settle(world)
    with pytest.raises(InvalidInput, match="has ended: cancelled"):
        order_cancel(order=order, by=ann)
    assert BotInput.objects.filter(payload__kind="cancel").count() == 1


def test_the_engines_own_orders_and_bots_that_rest_are_left_alone(world: World, dca: Bot) -> None:
    order = live_orders(dca)["deal:1:exit"]
    Order.objects.filter(pk=order.pk).update(slot="engine:exit")
    order.refresh_from_db()
    with pytest.raises(InvalidInput, match="The engine itself works with this order"):
        order_cancel(order=order, by=None)
    bot_stop(bot=dca, mode="keep", by=None)
    with pytest.raises(InvalidInput, match="Steady is stopping; only a running or paused bot"):
        order_cancel(order=live_orders(dca)["deal:1:safety:1"], by=None)


# --- a deal ----------------------------------------------------------------------------------------------------------


def test_a_deal_that_is_closed_ends_flat_and_the_next_one_waits(world: World, dca: Bot, ann: User) -> None:
    tell(dca, "close", by=ann)
    assert Event.objects.latest("seq").text == "Close a deal by Alice"
    settle(world)
    assert (held(dca), live_orders(dca)) == (0, {})
    assert fault_of(dca, "close").message == "No deal is open."
    assert "held back" in fault_of(dca, "signal").message
    tell(dca, "resume")
    settle(world)
    assert held(dca) == 1
    check_books(world.account)


def test_one_deal_is_closed_and_the_next_one_starts(world: World, dca: Bot) -> None:
    tell(dca, "close", deal="1")
    assert BotInput.objects.latest("id").payload["args"] == {"deal": 1}
    settle(world)
    assert held(dca) == 1
    assert Order.objects.filter(bot=dca, slot="deal:1:base", status="filled").count() == 2


def test_a_deal_that_is_given_up_keeps_its_coins(world: World, dca: Bot) -> None:
    tell(dca, "cancel_deal")
    settle(world)
    assert (held(dca), live_orders(dca)) == (1, {})


def test_added_funds_are_bought_within_the_budget(world: World, dca: Bot, ann: User) -> None:
    fault = fault_of(dca, "add_funds", quote="500")
    assert (fault.field, fault.code) == ("args.quote", "budget_too_low")
    assert "at most 99." in fault.message
    assert fault_of(dca, "add_funds", quote="1").code == "minimum"
    assert fault_of(dca, "add_funds", quote="50", deal=2).field == "args.deal"
    tell(dca, "add_funds", by=ann, quote="50")
    assert Event.objects.latest("seq").text == "Add funds to a deal by Alice: amount 50 USDT"
    settle(world)
    assert held(dca) == Decimal("1.5")
    assert live_orders(dca)["deal:1:exit"].qty == Decimal("1.5")
    check_books(world.account)


def test_with_several_deals_open_one_must_be_named(world: World) -> None:
    params = DCA | {"start": "signal", "max_active_deals": 3}
    bot = world.bot(strategy="dca", params=params, budget=Decimal(1200))
    for _ in range(2):
        tell(bot, "signal")
        settle(world)
    assert fault_of(bot, "add_funds", quote="50").message == "2 deals are open: say which, one of 1, 2."
    tell(bot, "add_funds", quote="50", deal=2)
    settle(world)
    assert live_orders(bot)["deal:2:exit"].qty == Decimal("1.5")
    tell(bot, "signal")
    settle(world)
    assert fault_of(bot, "signal").message == "3 of 3 deals are open: there is no room for another."
    tell(bot, "close", deal=2)
    settle(world)
    assert held(bot) == 2


# --- what isn't taken ------------------------------------------------------------------------------------------------


def test_an_unknown_command_is_refused_with_the_known_ones(world: World, dca: Bot) -> None:
    fault = fault_of(dca, "sell_all")
    assert (fault.field, fault.code) == ("kind", "unknown")
    assert "close, add_funds, signal, cancel_deal, resume" in fault.message
    assert "at its own address" in fault_of(dca, "cancel").message


def test_a_paused_bot_closes_and_adds_nothing(world: World, dca: Bot) -> None:
    bot_pause(bot=dca, by=None)
    run_once()
    for kind, args in (("add_funds", {"quote": "50"}), ("signal", {}), ("resume", {})):
        assert fault_of(dca, kind, **args).code == "wrong_state"
    tell(dca, "close", deal=1)
    settle(world)
    assert held(dca) == 0


def test_a_draft_takes_no_command(world: World) -> None:
    bot = world.bot(start=False, strategy="dca", params=dict(DCA))
    assert "only a running or paused bot" in fault_of(bot, "close").message


def test_without_a_price_a_close_waits_and_what_adds_is_refused(world: World, dca: Bot) -> None:
    from exchanges.models import Market

    other = Market.objects.create(
        source="demo", symbol="X/USDT", base="X", quote="USDT", tick=1, lot=1, min_qty=1, min_notional=1
    )
    dca.bot_markets.update(market=other)  # of which no price ever came
    assert fault_of(dca, "add_funds", quote="50").code == "no_price"
    assert command_look(bot=dca, kind="close", args={}).faults == ()
    tell(dca, "close")


def test_a_look_shows_what_a_command_does_and_writes_nothing(world: World, dca: Bot) -> None:
    before = BotInput.objects.count(), Event.objects.count()
    look = command_look(bot=dca, kind="close", args={"deal": "1"})
    assert look.run is not None
    assert {change.kind for change in look.run.changes} == {"cancel"}
    assert "go at market" in look.run.notes[0].text
    (placed,) = [
        change
        for change in command_look(bot=dca, kind="add_funds", args={"quote": "50"}).run.changes  # type: ignore[union-attr]
        if change.kind == "place"
    ]
    assert (placed.slot, placed.qty) == ("deal:1:add", Decimal("0.5"))
    assert command_look(bot=dca, kind="add_funds", args={}).faults[0].code == "required"
    assert (BotInput.objects.count(), Event.objects.count()) == before


# --- any strategy ----------------------------------------------------------------------------------------------------


class Told(Scripted):
    commands = {"flip": CommandSpec("Flip", "Flips.")}  # noqa: RUF012 - never written to


@pytest.fixture
def told() -> Iterator[Told]:
    with on_the_shelf(Told(lambda state, view: Decision(None, {"a": buy(90.0)}))) as strategy:
        assert isinstance(strategy, Told)
        yield strategy


def test_a_strategy_hears_each_command_once_and_in_order(world: World, told: Told, ann: User) -> None:
    bot = world.bot(strategy="scripted", params={})
    for kind in ("flip", "resume", "flip"):
        tell(bot, kind, by=ann)
    settle(world)
    heard = [(item.kind, item.by) for inbox in told.seen for item in inbox if hasattr(item, "args")]
    assert heard == [("start", ""), ("flip", ann.email), ("resume", ann.email), ("flip", ann.email)]
