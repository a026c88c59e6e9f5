"""The books, checked again from the outside: journals sum to zero, and running balances equal their entries."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from django.core.cache import cache

from accounts.models import Account
from trading.models import Balance, LedgerEntry
from trading.services.ledger import LedgerImbalance

MOST = 50_000  # entries a run; the accounts behind them come next time
_CURSOR = "ledger-check"


def ledger_check() -> int:
    """Check some accounts, each whole, in turn; returns how many. Raises LedgerImbalance for one that doesn't agree."""
    after, seen, checked = int(cache.get(_CURSOR, 0)), 0, 0
    accounts = Account.objects.order_by("id").values_list("id", flat=True)
    for account_id in [*accounts.filter(pk__gt=after), *accounts.filter(pk__lte=after)]:
        cache.set(_CURSOR, account_id)
        seen += _check(account_id)
        checked += 1
        if seen >= MOST:
            break
    return checked


def _check(account_id: int) -> int:
    """Compare what is summed with what stands; an account that moved meanwhile is compared again another time."""
    before = _balances(account_id)
    journals: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    sums: defaultdict[tuple[int | None, str], Decimal] = defaultdict(Decimal)
    entries = LedgerEntry.objects.filter(journal__account_id=account_id)
    count = 0
    for journal, book, bot, coin, amount in entries.values_list(
        "journal_id", "book", "bot_id", "coin", "amount"
    ).iterator():
        journals[journal, coin] += amount
        if book in ("free", "bot"):
            sums[bot, coin] += amount
        count += 1
    if _balances(account_id) != before:
        return count
    for (number, unbalanced), left in journals.items():
        if left:
            raise LedgerImbalance(f"journal {number} of account {account_id} leaves {left} {unbalanced}")
    if {key: amount for key, amount in sums.items() if amount} != before:
        raise LedgerImbalance(f"the balances of account {account_id} aren't the sums of its ledger")
    return count


def _balances(account_id: int) -> dict[tuple[int | None, str], Decimal]:
    rows = Balance.objects.filter(account_id=account_id).values_list("bot_id", "coin", "amount")
    return {(bot, coin): amount for bot, coin, amount in rows if amount}
