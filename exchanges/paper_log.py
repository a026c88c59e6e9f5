"""The paper venue's truth log: what was asked and what became of it, in the transaction that did it.

Only a venue that is a process of its own keeps one (`keep`). In the platform's process the venue's tables stand in the
same database as our books, and a log beside them would prove nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any

from accounts.models import Account
from exchanges.models import PaperExecution, PaperFunding, PaperLog, PaperOrder
from trading.core.ports import OrderRequest
from trading.core.rounding import plain

Kind = PaperLog.Kind
_kept = threading.Event()


def keep() -> None:
    """Write the log from now on: this process is a venue."""
    _kept.set()


def write(rows: Iterable[PaperLog]) -> None:
    """Write rows, in their order."""
    if _kept.is_set():
        PaperLog.objects.bulk_create(rows)


def placed(orders: Collection[PaperOrder], amended: Collection[PaperOrder]) -> None:
    """Log what an account's call put on the book, was refused, or changed."""
    if not _kept.is_set():
        return
    rows = []
    for order in orders:
        refused = order.status == PaperOrder.Status.REJECTED
        rows.append(_row(order, Kind.REFUSED if refused else Kind.ACCEPTED, _form(order)))
    rows += [_row(order, Kind.AMENDED, _form(order)) for order in amended]
    write(rows)


def refused(account: Account, order: OrderRequest, reason: str) -> None:
    """Log the refusal of what no book can hold."""
    payload = {"symbol": order.symbol, "side": order.side.value, "qty": str(order.qty), "reason": reason}
    write([PaperLog(account=account, kind=Kind.REFUSED, client_order_id=order.client_order_id, payload=payload)])


def booked(
    changed: Iterable[PaperOrder], executions: Iterable[PaperExecution], payments: Iterable[PaperFunding]
) -> None:
    """Log what one transaction did to the books: its fundings, its fills, and then which orders ended."""
    if not _kept.is_set():
        return
    rows = [_funded(payment) for payment in payments]
    rows += [_executed(execution) for execution in executions]
    for order in changed:
        if order.status != PaperOrder.Status.WORKING:
            asked = order.status == PaperOrder.Status.CANCELLED and not order.reason
            facts = {"status": str(order.status), "filled_qty": plain(order.filled_qty), "reason": order.reason}
            rows.append(_row(order, Kind.CANCELLED if asked else Kind.ENDED, facts))
    write(rows)


def deposited(account: Account, coin: str, amount: Decimal, ref: str) -> None:
    payload = {"coin": coin, "amount": plain(amount)}
    write([PaperLog(account=account, kind=Kind.DEPOSIT, client_order_id=ref, payload=payload)])


def _row(order: PaperOrder, kind: str, facts: dict[str, Any]) -> PaperLog:
    payload = facts | {"order": order.pk}
    return PaperLog(account_id=order.account_id, kind=kind, client_order_id=order.client_order_id, payload=payload)


def _form(order: PaperOrder) -> dict[str, Any]:
    """Return what was ordered."""
    facts = {
        "symbol": order.market.symbol,
        "side": str(order.side),
        "kind": str(order.kind),
        "tif": str(order.tif),
        "reduce": order.reduce,
        "qty": plain(order.qty),
        "price": _number(order.price),
        "trigger": _number(order.trigger),
        "max_quote": _number(order.max_quote),
        "leverage": plain(order.leverage),
        "expires_ms": order.expires_ms,
        "market_ms": order.placed_ms,
    }
    return facts | ({"reason": order.reason} if order.reason else {})


def _number(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _executed(execution: PaperExecution) -> PaperLog:
    order = execution.order
    facts = {
        "exec_id": execution.exec_id,
        "symbol": order.market.symbol,
        "side": str(order.side),
        "price": plain(execution.price),
        "qty": plain(execution.qty),
        "fee": plain(execution.fee),
        "fee_coin": execution.fee_coin,
        "maker": execution.maker,
        "market_ms": execution.ts_ms,
    }
    return _row(order, Kind.LIQUIDATED if execution.liquidation else Kind.EXECUTED, facts)


def _funded(payment: PaperFunding) -> PaperLog:
    payload = {
        "symbol": payment.market.symbol,
        "amount": plain(payment.amount),
        "rate": plain(payment.rate),
        "market_ms": payment.ts_ms,
    }
    return PaperLog(account_id=payment.account_id, kind=Kind.FUNDED, payload=payload)
