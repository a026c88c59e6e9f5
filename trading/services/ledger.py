"""The ledger: double entry, zero in every coin, and the running balances that move with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction

from accounts.models import Account
from bots.models import Bot
from trading.models import Balance, Journal, LedgerEntry


class LedgerImbalance(ArithmeticError):
    """A journal whose entries don't sum to zero: a bug, so nothing of it is written."""


@dataclass(frozen=True)
class Leg:
    book: str  # free, bot, venue, fees, outside
    coin: str
    amount: Decimal
    bot: Bot | None = None


@transaction.atomic(savepoint=False)
def post(*, account: Account, kind: str, ref: str, legs: Sequence[Leg]) -> Journal:
    """Write one balanced journal and move the balances. `ref` can be posted once; raises LedgerImbalance."""
    moving = [leg for leg in legs if leg.amount]
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for leg in moving:
        sums[leg.coin] += leg.amount
    if any(sums.values()):
        raise LedgerImbalance(f"journal {ref} leaves {dict(sums)}")
    journal = Journal.objects.create(account=account, kind=kind, ref=ref)
    LedgerEntry.objects.bulk_create(
        LedgerEntry(journal=journal, book=leg.book, bot=leg.bot, coin=leg.coin, amount=leg.amount) for leg in moving
    )
    changes: defaultdict[tuple[Bot | None, str], Decimal] = defaultdict(Decimal)
    for leg in moving:
        if leg.book in ("free", "bot"):
            changes[leg.bot, leg.coin] += leg.amount
    for (bot, coin), amount in changes.items():
        _move(account, bot, coin, amount)
    return journal


def _move(account: Account, bot: Bot | None, coin: str, amount: Decimal) -> None:
    rows = Balance.objects.filter(account=account, bot=bot, coin=coin)
    row = rows.select_for_update().first()
    if row is None:
        Balance.objects.get_or_create(account=account, bot=bot, coin=coin)
        row = rows.select_for_update().get()
    rows.update(amount=row.amount + amount)
