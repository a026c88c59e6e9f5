"""The paper venue: an exchange of our own, with its truth in its own tables, used only through the Venue port.

Spot and perpetual markets. Prices come from outside: `paper_match.walk` live, `LockstepWalk` in a replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.db import transaction

from accounts.models import Account
from exchanges import paper_log
from exchanges.demo import wall_now_ms
from exchanges.models import PaperExecution, PaperFunding, PaperOrder, PaperPosition, PaperWallet
from exchanges.paper_books import ZERO, Books, Wallets, book_changes, lock_accounts
from exchanges.paper_desk import Desk
from exchanges.paper_lockstep import LockstepWalk
from exchanges.paper_match import walk
from trading.core.errors import InvalidInput, OutcomeUnknown
from trading.core.ports import Amendment, Execution, FundingPayment, OrderReport, OrderRequest
from trading.core.types import Side

__all__ = ["LockstepWalk", "PaperVenue", "deposit", "reset", "walk"]

ROWS_A_CALL = 500
_UNKNOWN = "the venue knows no order of this id"


class PaperVenue:
    """One account at the paper venue."""

    def __init__(self, account: Account) -> None:
        self._account = account

    @transaction.atomic
    def place(self, orders: Sequence[OrderRequest]) -> list[OrderReport]:
        """Put orders on the book, or refuse them; an id that is there already is answered with what became of it."""
        lock_accounts([self._account.pk])  # whoever waited for it comes with the time that it is now
        _check_in_time(orders)
        found = {row.client_order_id: row for row in self._rows([order.client_order_id for order in orders])}
        desk = Desk(self._account, {order.symbol for order in orders})
        answers: list[PaperOrder | OrderReport] = []
        for order in orders:
            answer = found.get(order.client_order_id) or desk.accept(order)
            if isinstance(answer, PaperOrder):
                found[order.client_order_id] = answer
            answers.append(answer)
        desk.save()
        return [answer if isinstance(answer, OrderReport) else _report(answer) for answer in answers]

    @transaction.atomic
    def cancel(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        lock_accounts([self._account.pk])
        found = {row.client_order_id: row for row in self._rows(client_order_ids)}
        books = Books([self._account.pk], ())
        for row in found.values():
            if row.status == PaperOrder.Status.WORKING:
                books.close(row, PaperOrder.Status.CANCELLED)
        books.save()
        return [_report(found[name]) if name in found else _missing(name) for name in client_order_ids]

    @transaction.atomic
    def amend(self, amendments: Sequence[Amendment]) -> list[OrderReport]:
        """Change working orders. One that can't be changed that way stays as it is: `reason` says why."""
        lock_accounts([self._account.pk])
        _check_in_time(amendments)
        rows = self._rows([change.client_order_id for change in amendments])
        found = {row.client_order_id: row for row in rows}
        desk = Desk(self._account, {row.market.symbol for row in rows})
        answers: list[OrderReport] = []
        for change in amendments:
            row = found.get(change.client_order_id)
            if row is None:
                answers.append(_missing(change.client_order_id))
                continue
            why = desk.amend(row, change) if row.status == PaperOrder.Status.WORKING else ""
            answers.append(_report(row, why))
        desk.save()
        return answers

    def lookup(self, client_order_ids: Sequence[str]) -> list[OrderReport]:
        return [_report(row) for row in self._rows(client_order_ids)]

    def open_orders(self) -> list[OrderReport]:
        rows = PaperOrder.objects.filter(account=self._account, status=PaperOrder.Status.WORKING)
        return [_report(row) for row in rows.order_by("id")]

    def executions(self, after: int) -> list[Execution]:
        """Return the oldest executions with cursor > `after`, at most ROWS_A_CALL: ask again for the rest."""
        rows = PaperExecution.objects.filter(account=self._account, id__gt=after).order_by("id")
        return [execution_of(row, row.pk) for row in rows.select_related("order__market")[:ROWS_A_CALL]]

    def funding(self, after: int) -> list[FundingPayment]:
        """Return the oldest funding payments with cursor > `after`, at most ROWS_A_CALL: ask again for the rest."""
        rows = PaperFunding.objects.filter(account=self._account, id__gt=after).order_by("id")
        return [payment_of(row, row.pk) for row in rows.select_related("market")[:ROWS_A_CALL]]

    def balances(self) -> Mapping[str, Decimal]:
        return {row.coin: row.total for row in PaperWallet.objects.filter(account=self._account)}

    def _rows(self, client_order_ids: Sequence[str]) -> list[PaperOrder]:
        rows = PaperOrder.objects.filter(account=self._account, client_order_id__in=client_order_ids)
        return list(rows.select_related("market"))


def _check_in_time(asked: Sequence[OrderRequest | Amendment]) -> None:
    """Raise OutcomeUnknown when any of it came later than it was valid: then nothing of the call has an effect."""
    now_ms = wall_now_ms()
    if any(one.valid_until_ms is not None and one.valid_until_ms < now_ms for one in asked):
        raise OutcomeUnknown("it came later than it was valid, so nothing was placed or changed")


def _report(row: PaperOrder, why: str = "") -> OrderReport:
    return OrderReport(
        row.client_order_id, str(row.pk), str(row.status), row.filled_qty, why or row.reason, row.qty, row.price
    )


def _missing(client_order_id: str) -> OrderReport:
    return OrderReport(client_order_id, "", "rejected", ZERO, _UNKNOWN)


def execution_of(row: PaperExecution, cursor: int) -> Execution:
    order = row.order
    return Execution(
        exec_id=row.exec_id,
        client_order_id="" if row.liquidation else order.client_order_id,
        exchange_order_id=str(order.pk),
        symbol=order.market.symbol,
        side=Side(order.side),
        price=row.price,
        qty=row.qty,
        fee=row.fee,
        fee_coin=row.fee_coin,
        maker=row.maker,
        ts_ms=row.ts_ms,
        cursor=cursor,
        liquidation=row.liquidation,
    )


def payment_of(row: PaperFunding, cursor: int) -> FundingPayment:
    return FundingPayment(
        payment_id=str(row.pk),
        symbol=row.market.symbol,
        amount=row.amount,
        coin=row.market.quote,
        rate=row.rate,
        ts_ms=row.ts_ms,
        cursor=cursor,
    )


@transaction.atomic
def deposit(account: Account, coin: str, amount: Decimal, ref: str = "") -> None:
    """Put coins into a paper account. Raises InvalidInput for an amount that isn't positive."""
    if not amount.is_finite() or amount <= 0:
        raise InvalidInput(f"a deposit must be above 0, not {amount}", field="amount", value=amount)
    lock_accounts([account.pk])
    wallets = Wallets([account.pk])
    wallets.move(account.pk, coin, total=amount)
    wallets.save()
    paper_log.deposited(account, coin, amount, ref)


@transaction.atomic
def reset(account: Account) -> None:
    """Empty a paper account: orders, executions, positions, funding and wallets."""
    lock_accounts([account.pk])
    for market_id in PaperOrder.objects.filter(account=account).values_list("market", flat=True).distinct():
        book_changes[market_id] += 1
    PaperExecution.objects.filter(account=account).delete()
    PaperOrder.objects.filter(account=account).delete()
    PaperPosition.objects.filter(account=account).delete()
    PaperFunding.objects.filter(account=account).delete()
    PaperWallet.objects.filter(account=account).delete()
