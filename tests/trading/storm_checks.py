"""What must hold at every moment of a storm, and once it is over: read from the rows alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from accounts.models import Account
from bots.models import Bot, BotInput
from exchanges.models import PaperOrder, PaperPosition
from tests.trading.world import check_books
from trading.core.rounding import to_float
from trading.ids import order_id
from trading.models import (
    AdviceAsk,
    Balance,
    DerivedWake,
    Fill,
    LedgerEntry,
    Order,
    Position,
    SignalWake,
    TrailWake,
    Wake,
)
from trading.services.asking import OPEN
from trading.services.waking import TICKED, bots_due
from trading.situation import free_funds

ENDED = (Order.Status.FILLED, Order.Status.CANCELLED, Order.Status.REJECTED)
NOISE = Decimal("1e-12")  # what rounding a partial fill's share of a lock leaves


def check_now(account: Account, bots: Iterable[Bot]) -> None:
    """What holds after every step, whatever is under way."""
    check_ledger(account)
    there = venue_orders(account)
    for bot in bots:
        bot.refresh_from_db()
        orders = list(Order.objects.filter(bot=bot).select_related("market"))
        check_funds(bot, [order for order in orders if order.is_live])
        check_orders(bot, orders)
        check_venue(bot, orders, there)
        check_exits(bot, [order for order in orders if order.is_live])


def check_ledger(account: Account) -> None:
    """Every journal balances, and balances are the sums of their entries."""
    journals: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    sums: defaultdict[tuple[int | None, str], Decimal] = defaultdict(Decimal)
    rows = LedgerEntry.objects.filter(journal__account=account)
    for journal, book, bot, coin, amount in rows.values_list("journal_id", "book", "bot_id", "coin", "amount"):
        journals[journal, coin] += amount
        if book in ("free", "bot"):
            sums[bot, coin] += amount
    assert not any(journals.values())
    balances = {(row.bot_id, row.coin): row.amount for row in Balance.objects.filter(account=account)}
    assert {key: value for key, value in sums.items() if value} == {k: v for k, v in balances.items() if v}


def check_funds(bot: Bot, live: list[Order]) -> None:
    """Never over budget: what is held, less what its orders and margins lock, isn't below nothing.

    With that no spot sell is larger than the coins, for a sell locks them.
    """
    for coin, free in free_funds(bot, live).items():
        assert free >= -NOISE, f"{bot}: {free} {coin} free"
    for order in live:
        if order.side == "sell" and not order.market.perpetual:
            assert order.locked >= order.qty - order.filled_qty - NOISE, f"{order} locks {order.locked}"


def check_orders(bot: Bot, orders: list[Order]) -> None:
    """Fills make an order's quantity, and an end is told once, after them."""
    filled: defaultdict[int, Decimal] = defaultdict(Decimal)
    for order, qty in Fill.objects.filter(bot=bot).values_list("order_id", "qty"):
        filled[order] += qty
    told: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for row in BotInput.objects.filter(bot=bot, kind="closed").values_list("payload", flat=True):
        told[row["slot"], row["gen"]].append(row["filled_qty"])
    for order in orders:
        assert order.filled_qty == filled[order.pk] <= order.qty, f"{order}: {filled[order.pk]} filled"
        over = order.status in ENDED
        assert (order.closed_at is not None) is over, f"{order} closed at {order.closed_at}"
        if not order.is_live:
            assert order.locked == 0
        quiet = order.reason == "never sent"  # a stop that leaves everything asks and tells nobody
        ends = told[order.slot, order.gen]
        assert len(ends) == int(over and not quiet), f"{order} ended, told {len(ends)} times"
        assert not ends or ends == [to_float(order.filled_qty)], f"{order}: its end was told before its fills"
    assert BotInput.objects.filter(bot=bot, kind="filled").count() == Fill.objects.filter(bot=bot).count()


class There(NamedTuple):
    """An order at the venue that it didn't refuse."""

    status: str
    qty: Decimal
    filled: Decimal


def venue_orders(account: Account) -> dict[str, There]:
    rows = PaperOrder.objects.filter(account=account).exclude(status="rejected")
    return {name: There(*row) for name, *row in rows.values_list("client_order_id", "status", "qty", "filled_qty")}


def check_venue(bot: Bot, orders: list[Order], there: Mapping[str, There], *, over: bool = False) -> None:
    """One wish is one order at the venue, over all its attempts; what has ended here has ended there, its fills booked.

    Once the storm is over, that holds for every order.
    """
    for order in orders:
        ids = [order_id(bot, order.slot, order.gen, attempt + 1) for attempt in range(order.attempt)]
        sent = [there[name] for name in ids if name in there]
        assert len(sent) < 2, f"{order} was sent twice: {sent}"
        filled = sum((one.filled for one in sent), Decimal(0))
        assert filled <= max([order.qty, *(one.qty for one in sent)]), f"{order}: {filled} filled at the venue"
        if sent and (over or order.status in ENDED):
            assert filled == order.filled_qty, f"{order} is {order.status}: {filled} filled, {order.filled_qty} booked"
            assert order.is_live or sent[0].status != "working", f"{order} has ended, and still works at the venue"


def check_exits(bot: Bot, live: list[Order]) -> None:
    """Live exits of a perpetual position are never larger than the position."""
    exits: defaultdict[int, Decimal] = defaultdict(Decimal)
    held = {row.market_id: row.qty for row in Position.objects.filter(bot=bot)}
    for order in live:
        qty = held.get(order.market_id, Decimal(0))
        if order.market.perpetual and order.reduce and (order.side == "sell") == (qty > 0) and qty:
            exits[order.market_id] += order.qty - order.filled_qty
    for market, qty in exits.items():
        assert qty <= abs(held[market]) + NOISE, f"exits of {qty} for a position of {held[market]}"


def check_awake(bots: Iterable[Bot], now) -> None:
    """No bot is silent: it is due one day, has an order or a question under way, or waits for a price or signal."""
    due = set(bots_due(now + timedelta(days=1), among=[bot.pk for bot in bots]))
    for bot in bots:
        assert bot.status != Bot.Status.ERROR, bot.status_reason
        if bot.status not in TICKED or bot.pk in due:
            continue
        waits = [rows.objects.filter(bot=bot).exists() for rows in (Wake, DerivedWake, TrailWake, SignalWake)]
        asked = AdviceAsk.objects.filter(bot=bot, status__in=OPEN).exists()
        orders = Order.objects.filter(bot=bot, status__in=Order.LIVE).exists()
        assert asked or orders or any(waits), f"nothing can wake {bot} any more"


def check_over(account: Account, bots: Iterable[Bot], prices: dict[int, float]) -> None:
    """In the end: nothing works any more, no more than dust is left, and the books are the venue's."""
    check_books(account)
    there = venue_orders(account)
    left_alone = {bot.pk for bot in bots if bot.stop_mode == Bot.StopMode.LEAVE}
    for bot in bots:
        check_venue(bot, list(Order.objects.filter(bot=bot)), there, over=True)
        assert bot.status == Bot.Status.STOPPED, f"{bot} is {bot.status}: {bot.status_reason}"
        if bot.pk in left_alone:
            continue
        assert not Order.objects.filter(bot=bot, status__in=Order.LIVE).exists()
        assert not any(Balance.objects.filter(bot=bot).values_list("amount", flat=True))
        for position in Position.objects.filter(bot=bot).select_related("market"):
            value, rules = abs(position.qty) * Decimal(str(prices[position.market_id])), position.market.rules
            sold = position.market.perpetual or bot.stop_mode == Bot.StopMode.SELL
            dust = value < rules.min_notional or abs(position.qty) < max(rules.min_qty, rules.lot)
            assert dust or not sold, f"{bot} still holds {position}"
    if not left_alone:
        assert not PaperOrder.objects.filter(account=account, status="working").exists()
        assert not any(row.locked for row in account.paper_wallets.all())
        assert not any(row.qty for row in PaperPosition.objects.filter(account=account))
