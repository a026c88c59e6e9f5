"""The ledger and what is summed from it, equity over time, and how far a venue's word has been booked."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.fields import MoneyField
from accounts.models import Account
from bots.models import Bot
from trading.core.rounding import plain


class Journal(models.Model):
    """One balanced entry of the ledger. `ref` names its cause, once: "fill:...", "allocate:...", "deposit:..."."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="journals")
    kind = models.CharField(max_length=12)  # deposit, allocate, release, fill
    ref = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["account", "ref"], name="journal_ref_unique")]

    def __str__(self) -> str:
        return self.ref


class LedgerEntry(models.Model):
    """One leg: the entries of a journal sum to zero in every coin.

    Books: `free` (the account's own, unallocated), `bot` (a bot's), `venue` (who traded with us), `fees`, `outside`.
    """

    journal = models.ForeignKey(Journal, models.CASCADE, related_name="entries")
    book = models.CharField(max_length=8)
    bot = models.ForeignKey(Bot, models.CASCADE, null=True, related_name="ledger_entries")
    coin = models.CharField(max_length=16)
    amount = MoneyField()

    def __str__(self) -> str:
        return f"{self.book} {plain(self.amount)} {self.coin}"


class Balance(models.Model):
    """The running sum of an account's `free` book (bot null) or of a bot's book, moved with its ledger entries."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="balances")
    bot = models.ForeignKey(Bot, models.CASCADE, null=True, related_name="balances")
    coin = models.CharField(max_length=16)
    amount = MoneyField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "coin"], name="balance_account_unique", condition=Q(bot=None)),
            models.UniqueConstraint(fields=["bot", "coin"], name="balance_bot_unique"),
        ]

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.coin}"


class EquityPoint(models.Model):
    """A bot's equity in quote at one moment of market time, and what holding the coin instead would be worth."""

    bot = models.ForeignKey(Bot, models.CASCADE, related_name="equity_points")
    ts_ms = models.BigIntegerField()
    equity = MoneyField()
    hold = MoneyField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["bot", "ts_ms"], name="equity_bot_time")]

    def __str__(self) -> str:
        return f"{self.equity}"


class VenueCursor(models.Model):
    """How far the executions of an account have been booked."""

    account = models.OneToOneField(Account, models.CASCADE, primary_key=True)
    executions = models.BigIntegerField(default=0)
    funding = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.account}: {self.executions}"
