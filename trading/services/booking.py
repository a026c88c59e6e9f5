"""Fills and funding into the books, once each, in any order: all that they change in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts.crashpoints import crashpoint
from accounts.models import Account
from accounts.services import EventDraft, events_append
from bots.models import BotInput
from trading.attempts import by_earlier_attempt
from trading.core.accounting import Holding
from trading.core.ids import LIQUIDATION, is_ours
from trading.core.ports import Execution, FundingPayment, Venue
from trading.core.rounding import money, notional, plain, to_float
from trading.core.types import Closed, Filled, Kind, Side, Want
from trading.inbox import input_row, want_json
from trading.metrics import count
from trading.models import Fill, Order, Position, VenueCursor
from trading.services.equity import equity_point_add
from trading.services.foreign import foreign_event, foreign_hold
from trading.services.ledger import Leg, post
from trading.situation import MAIN, markets_of
from trading.worth import margin_after

log = logging.getLogger(__name__)
BATCH = 200


def executions_book(account: Account, venue: Venue) -> set[int]:
    """Book whatever the venue has executed since last time; returns the bots that have something new."""
    touched: set[int] = set()
    while True:
        cursor = VenueCursor.objects.filter(account=account).first()
        fresh = venue.executions(cursor.executions if cursor else 0)[:BATCH]
        if not fresh:
            return touched
        touched |= _book_batch(account, fresh)
        crashpoint("booking-committed")


@transaction.atomic
def _book_batch(account: Account, executions: Sequence[Execution]) -> set[int]:
    cursor = VenueCursor.objects.select_for_update().filter(account=account).first()
    if cursor is None:
        VenueCursor.objects.get_or_create(account=account)
        cursor = VenueCursor.objects.select_for_update().get(account=account)
    orders = _orders_lock(account, {execution.client_order_id for execution in executions})
    known = Fill.objects.filter(account=account, exec_id__in=[e.exec_id for e in executions])
    booked = set(known.values_list("market__symbol", "exec_id"))
    inputs: list[BotInput] = []
    events: list[EventDraft] = []
    for execution in executions:
        if (execution.symbol, execution.exec_id) in booked:
            continue
        booked.add((execution.symbol, execution.exec_id))
        order = orders.get(execution.client_order_id)
        if execution.liquidation:
            order = _liquidation_order(account, execution)
        if order is None:
            events.append(foreign_event(execution))
            foreign_hold(account, execution)
            continue
        _book_one(account, order, execution, inputs, events)
        crashpoint("booking-begun")
    BotInput.objects.bulk_create(inputs)
    events_append(account.workspace_id, events)
    cursor.executions = max(cursor.executions, executions[-1].cursor)
    cursor.save(update_fields=["executions"])
    return {row.bot_id for row in inputs}


def _orders_lock(account: Account, client_order_ids: set[str]) -> dict[str, Order]:
    """Lock the orders and nothing beside them: whoever writes about the same bot or market need not wait."""
    locked = Order.objects.select_for_update(of=("self",), no_key=True).filter(account=account)
    found = locked.filter(client_order_id__in=client_order_ids).select_related("bot__market", "market").order_by("id")
    orders = {order.client_order_id: order for order in found}
    lost = [name for name in client_order_ids if name not in orders and is_ours(name)]
    earlier = {name: order.pk for name, order in by_earlier_attempt(account, lost).items()}
    again = {order.pk: order for order in orders.values()}
    missing = locked.filter(pk__in=[pk for pk in earlier.values() if pk not in again])
    again |= {order.pk: order for order in missing.select_related("bot__market", "market").order_by("id")}
    return orders | {name: again[pk] for name, pk in earlier.items()}


def _liquidation_order(account: Account, execution: Execution) -> Order | None:
    """Write the venue's own order down as the engine's: whose position it was follows from who holds one there."""
    long = execution.side is Side.SELL
    held = Position.objects.filter(bot__account=account, market__symbol=execution.symbol, market__perpetual=True)
    position = next((row for row in held.select_related("bot", "market") if row.qty and (row.qty > 0) == long), None)
    if position is None:
        return None
    bot, before = position.bot, Order.objects.filter(bot=position.bot, slot=LIQUIDATION)
    gen = before.count() + 1
    before.update(current=False)
    alias = next((name for name, one in markets_of(bot).items() if one.pk == position.market_id), MAIN)
    return Order.objects.create(
        workspace_id=bot.workspace_id,
        account=account,
        bot=bot,
        market=position.market,
        alias=alias,
        slot=LIQUIDATION,
        gen=gen,
        number=0,
        client_order_id=f"liquidation-{execution.exec_id}"[:36],
        exchange_order_id=execution.exchange_order_id,
        side=execution.side,
        kind=Kind.MARKET,
        reduce=True,
        leverage=position.leverage,
        want=want_json(Want(alias, execution.side, Kind.MARKET, to_float(execution.qty), gen=gen, reduce=True)),
        qty=execution.qty,
        status=Order.Status.WORKING,
        reason="liquidated by the venue",
        wanted=False,
    )


def _book_one(
    account: Account, order: Order, execution: Execution, inputs: list[BotInput], events: list[EventDraft]
) -> None:
    position, _ = Position.objects.select_for_update().get_or_create(bot=order.bot, market=order.market)
    holding = Holding(position.qty, position.cost, position.realised, position.fees)
    if order.market.perpetual:
        position.margin = margin_after(position, execution, order.leverage)
        position.leverage = order.leverage
    realised = holding.apply(execution.side, execution.price, execution.qty, execution.fee)
    position.qty, position.cost = holding.qty, holding.cost
    position.realised, position.fees = holding.realised, holding.fees
    position.fills += 1
    position.save(update_fields=["qty", "cost", "realised", "fees", "fills", "margin", "leverage"])
    count("fills", account.venue)
    log.debug("fill %s of order %s", execution.exec_id, order.client_order_id)
    fill = Fill.objects.create(
        workspace_id=order.workspace_id,
        account=account,
        bot=order.bot,
        market=order.market,
        order=order,
        exec_id=execution.exec_id,
        side=execution.side,
        price=execution.price,
        qty=execution.qty,
        fee=execution.fee,
        fee_coin=execution.fee_coin,
        realised=realised,
        maker=execution.maker,
        ts_ms=execution.ts_ms,
    )
    post(
        account=account,
        kind="fill",
        ref=f"fill:{order.market_id}:{execution.exec_id}",
        legs=_legs(order, execution, realised),
    )
    late = not order.is_live
    _order_fill(order, execution)
    equity_point_add(order.bot, position, execution.ts_ms, execution.price)
    inputs += [input_row(order.bot_id, value) for value in _inputs(order, execution)]
    events.append(_event(order, fill, late=late))


def funding_book(account: Account, venue: Venue) -> None:
    """Book what perpetual positions have received and paid since last time, once each."""
    cursor, _ = VenueCursor.objects.get_or_create(account=account)
    fresh = venue.funding(cursor.funding)
    if not fresh:
        return
    with transaction.atomic():
        cursor = VenueCursor.objects.select_for_update().get(account=account)
        for payment in fresh:
            if payment.cursor > cursor.funding:
                _funding_book_one(account, payment)
                cursor.funding = payment.cursor
        cursor.save(update_fields=["funding"])


def _funding_book_one(account: Account, payment: FundingPayment) -> None:
    """Give a payment to the bot whose position it is; a position that no bot holds is the account's own."""
    held = Position.objects.select_for_update().filter(bot__account=account, market__symbol=payment.symbol)
    position = next((row for row in held.select_related("bot", "market").order_by("-id") if row.qty), None)
    book, bot = ("bot", position.bot) if position is not None else ("free", None)
    legs = [Leg(book, payment.coin, payment.amount, bot), Leg("venue", payment.coin, -payment.amount)]
    post(account=account, kind="funding", ref=f"funding:{payment.symbol}:{payment.payment_id}", legs=legs)
    if position is None:
        return
    position.funding += payment.amount
    position.save(update_fields=["funding"])
    verb = "Received" if payment.amount >= 0 else "Paid"
    text = f"{verb} {plain(abs(payment.amount))} {payment.coin} funding on {payment.symbol}"
    data = {"amount": plain(payment.amount), "coin": payment.coin, "rate": plain(payment.rate), "ts_ms": payment.ts_ms}
    events_append(account.workspace_id, [EventDraft("funding", text, "info", position.bot.public_id, data)])


def _legs(order: Order, execution: Execution, realised: Decimal) -> list[Leg]:
    """Return what a fill moves: on spot coins against coins, on a perpetual only what closing it realised."""
    if order.market.perpetual:
        quote, bot = order.market.quote, order.bot
        return [
            Leg("bot", quote, realised, bot),
            Leg("venue", quote, -realised),
            Leg("bot", execution.fee_coin, -execution.fee, bot),
            Leg("fees", execution.fee_coin, execution.fee),
        ]
    sign = 1 if execution.side is Side.BUY else -1
    base, quote, bot = order.market.base, order.market.quote, order.bot
    value = notional(execution.qty, execution.price)
    return [
        Leg("bot", base, sign * execution.qty, bot),
        Leg("venue", base, -sign * execution.qty),
        Leg("bot", quote, -sign * value, bot),
        Leg("venue", quote, sign * value),
        Leg("bot", execution.fee_coin, -execution.fee, bot),
        Leg("fees", execution.fee_coin, execution.fee),
    ]


def _order_fill(order: Order, execution: Execution) -> None:
    """A late fill of a closed order is booked all the same, and leaves its status alone.

    While the answer to an amendment is out, the venue may have a larger quantity than we know of: then its word ends
    the order (`trading.services.answers`), not this fill.
    """
    order.filled_qty += execution.qty
    order.filled_quote += notional(execution.qty, execution.price)
    if order.is_live:
        order.unknown_at = None  # whatever fills was placed
        in_doubt = order.amend_sent_at is not None
        if in_doubt:
            order.qty = max(order.qty, order.filled_qty)
        if order.filled_qty >= order.qty and not in_doubt:
            order.status, order.closed_at, order.locked = Order.Status.FILLED, timezone.now(), Decimal(0)
            order.amend_want = order.amend_qty = order.amend_price = order.amend_trigger = None
        else:
            order.status = Order.Status.WORKING
            order.locked = _lock_left(order, execution)
    changed = ["filled_qty", "filled_quote", "qty", "status", "closed_at", "locked", "unknown_at"]
    order.save(update_fields=[*changed, "amend_want", "amend_qty", "amend_price", "amend_trigger"])


def _lock_left(order: Order, execution: Execution) -> Decimal:
    """Return what a partly filled order still holds: its share for the largest quantity that it may have.

    That may be larger than any that we know of while an amendment is wanted (another one may have been sent before):
    then no more is let go than the fill has taken.
    """
    most = order.qty if order.amend_qty is None else max(order.qty, order.amend_qty)
    rest = most - order.filled_qty
    share = money(order.locked * rest / (rest + execution.qty))
    if order.amend_qty is None:
        return share
    took = execution.qty
    if order.lock_coin != order.market.base:
        took = notional(execution.qty, execution.price) / order.leverage + execution.fee
    return max(share, money(order.locked - took))


def _inputs(order: Order, execution: Execution) -> list[Filled | Closed]:
    filled = to_float(order.filled_qty)
    values: list[Filled | Closed] = [
        Filled(
            slot=order.slot,
            gen=order.gen,
            side=execution.side,
            qty=to_float(execution.qty),
            price=to_float(execution.price),
            fee_quote=to_float(execution.fee),
            filled_qty=filled,
            at_ms=execution.ts_ms,
        )
    ]
    if order.status == Order.Status.FILLED and order.filled_qty >= order.qty:
        why = "liquidated" if execution.liquidation else "filled"
        values.append(Closed(order.slot, order.gen, why, filled))
    return values


def _event(order: Order, fill: Fill, *, late: bool) -> EventDraft:
    verb = "Bought" if fill.side == Side.BUY else "Sold"
    text = f"{verb} {plain(fill.qty)} {order.market.base} at {plain(fill.price)} {order.market.quote}"
    text += ", after its order had ended" if late else ""
    data = {
        "slot": order.slot,
        "side": fill.side,
        "price": plain(fill.price),
        "qty": plain(fill.qty),
        "fee": plain(fill.fee),
        "fee_coin": fill.fee_coin,
        "realised": plain(fill.realised),
        "market": order.market.symbol,
        "ts_ms": fill.ts_ms,
    }
    return EventDraft("fill", text, "warning" if late else "success", order.bot.public_id, data)
