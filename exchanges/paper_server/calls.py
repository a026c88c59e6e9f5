"""The calls of the Venue port, as they come over the wire: body in, body out, through the one PaperVenue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from exchanges.adapters.paperwire import parse
from exchanges.models import PaperExecution, PaperFunding, PaperLog, PaperOrder
from exchanges.paper import ROWS_A_CALL, PaperVenue, deposit, execution_of, payment_of
from exchanges.paper_books import lock_accounts
from exchanges.paper_server.gate import Refused
from trading.core.errors import InvalidInput, OutcomeUnknown
from trading.core.ports import OrderReport
from trading.core.rounding import plain

ID_MOST = 36
ORDERS_MOST = 1_000
WRITES = ("place", "cancel", "amend", "deposit")

Call = Callable[[Account, bytes], bytes]


def do_call(account: Account, name: str, body: bytes) -> bytes:
    """Do one call and return its answer. Raises Refused, when nothing was done."""
    call = CALLS.get(name)
    if call is None:
        raise Refused(404, "call", f"there is no call {name}")
    try:
        return call(account, body)
    except parse.Unreadable as error:
        raise Refused(400, "malformed", str(error)) from error
    except InvalidInput as error:
        raise Refused(400, "invalid", error.message) from error
    except ArithmeticError as error:  # rolled back
        raise Refused(400, "malformed", "a number is beyond all measure") from error
    except OutcomeUnknown as error:
        raise Refused(409, "expired", str(error)) from error


def without_young(account: Account, answer: bytes, seconds: float) -> bytes:
    """Return reports without the orders of the last seconds, as a venue does whose reads lag behind its writes."""
    reports = parse.read(parse.REPORTS, answer)
    since = timezone.now() - timedelta(seconds=seconds)
    names = [report.client_order_id for report in reports]
    young = PaperOrder.objects.filter(account=account, client_order_id__in=names, created_at__gt=since)
    hidden = set(young.values_list("client_order_id", flat=True))
    return parse.write(parse.REPORTS, [report for report in reports if report.client_order_id not in hidden])


def _place(account: Account, body: bytes) -> bytes:
    orders = parse.read(parse.ORDERS, body)
    _check_ids([order.client_order_id for order in orders])
    return _reports(PaperVenue(account).place(orders))


def _cancel(account: Account, body: bytes) -> bytes:
    return _reports(PaperVenue(account).cancel(_ids(body)))


def _amend(account: Account, body: bytes) -> bytes:
    amendments = parse.read(parse.AMENDMENTS, body)
    _check_ids([change.client_order_id for change in amendments])
    return _reports(PaperVenue(account).amend(amendments))


def _lookup(account: Account, body: bytes) -> bytes:
    return _reports(PaperVenue(account).lookup(_ids(body)))


def _open_orders(account: Account, body: bytes) -> bytes:
    return _reports(PaperVenue(account).open_orders())


def _executions(account: Account, body: bytes) -> bytes:
    """Number them within the account, 1, 2, 3: so the other end sees when one is missing."""
    after = _after(body)
    rows = PaperExecution.objects.filter(account=account).order_by("id").select_related("order__market")
    found = rows[after : after + ROWS_A_CALL]
    numbered = [execution_of(row, cursor) for cursor, row in enumerate(found, after + 1)]
    return parse.write(parse.EXECUTIONS, numbered)


def _funding(account: Account, body: bytes) -> bytes:
    after = _after(body)
    rows = PaperFunding.objects.filter(account=account).order_by("id").select_related("market")
    found = rows[after : after + ROWS_A_CALL]
    return parse.write(parse.FUNDING, [payment_of(row, cursor) for cursor, row in enumerate(found, after + 1)])


def _balances(account: Account, body: bytes) -> bytes:
    return parse.write(parse.BALANCES, dict(PaperVenue(account).balances()))


@transaction.atomic
def _deposit(account: Account, body: bytes) -> bytes:
    """Put money in, once for each id. Raises Unreadable or InvalidInput."""
    ref, coin, amount = parse.read(parse.DEPOSIT, body)
    if not 1 <= len(ref) <= 64 or not 1 <= len(coin) <= 16:
        raise InvalidInput("a deposit needs an id of 1 to 64 characters and a coin of 1 to 16", field="ref", value=ref)
    lock_accounts([account.pk])
    before = PaperLog.objects.filter(account=account, kind=PaperLog.Kind.DEPOSIT, client_order_id=ref).first()
    if before is None:
        deposit(account, coin, amount, ref)
    elif before.payload != {"coin": coin, "amount": plain(amount)}:
        raise InvalidInput(f"the deposit {ref} was {before.payload}", field="ref", value=ref)
    return _balances(account, body)


def _reports(reports: Sequence[OrderReport]) -> bytes:
    return parse.write(parse.REPORTS, list(reports))


def _ids(body: bytes) -> list[str]:
    ids = parse.read(parse.IDS, body)
    _check_ids(ids)
    return ids


def _check_ids(ids: Collection[str]) -> None:
    if len(ids) > ORDERS_MOST or not all(1 <= len(name) <= ID_MOST and name.isprintable() for name in ids):
        raise parse.Unreadable(f"a call has at most {ORDERS_MOST} orders, their ids 1 to {ID_MOST} characters")


def _after(body: bytes) -> int:
    after = parse.read(parse.AFTER, body)
    if after < 0:
        raise parse.Unreadable("the number of a row is 0 or more")
    return after


CALLS: dict[str, Call] = {
    "place": _place,
    "cancel": _cancel,
    "amend": _amend,
    "lookup": _lookup,
    "open_orders": _open_orders,
    "executions": _executions,
    "funding": _funding,
    "balances": _balances,
    "deposit": _deposit,
}
