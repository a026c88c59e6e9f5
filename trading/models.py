"""What happened: the runtime of each bot, its orders, fills, position, ledger and equity.

Positions, fees, balances and PnL derive from fills alone. An order stands here before it is sent anywhere.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from accounts.fields import MoneyField
from accounts.models import Account, Workspace, WorkspaceQuerySet
from bots.models import Bot
from exchanges.models import Market
from trading.core.rounding import plain


class Runtime(models.Model):
    """The moving part of a bot: its state, its lease, and when it is due without being woken."""

    bot = models.OneToOneField(Bot, models.CASCADE, primary_key=True, related_name="runtime")
    number = models.BigIntegerField(default=0)  # of the last decision
    state: models.JSONField[Any, Any] = models.JSONField(null=True)
    state_version = models.IntegerField(default=0)
    price_seq = models.BigIntegerField(default=0)  # of the price that the last decision saw: the oldest, if several
    # How far it has seen each market: {market id: [number of the update, market time]}; see trading.missed.
    seen: models.JSONField[Any, Any] = models.JSONField(default=dict)
    due_at = models.DateTimeField(null=True, blank=True)  # a time wake, or a retry
    not_before = models.DateTimeField(null=True, blank=True)  # back-off: not even an input wakes it earlier
    backoff_s = models.IntegerField(default=0)
    lease_owner = models.CharField(max_length=64, blank=True)
    lease_token = models.BigIntegerField(default=0)  # fences every later write
    lease_until = models.DateTimeField(null=True, blank=True)
    ticked_at = models.DateTimeField(null=True, blank=True)
    finish = models.CharField(max_length=200, blank=True)  # why the strategy ended itself
    notes: models.JSONField[Any, Any] = models.JSONField(default=list)  # of the last decision: [{code, text, ...}]
    params: models.JSONField[Any, Any] = models.JSONField(null=True)  # with which the last decision was made

    class Meta:
        indexes: ClassVar = [models.Index(fields=["due_at"], name="runtime_due", condition=Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.bot} #{self.number}"


class Wake(models.Model):
    """The prices at which a sleeping bot wakes: the highest `below` and the lowest `above` (an index, not money).

    One row a market that it waits for.
    """

    bot = models.ForeignKey(Bot, models.CASCADE, related_name="wakes")
    market = models.ForeignKey(Market, models.CASCADE, related_name="+")
    below = models.FloatField(null=True)
    above = models.FloatField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["bot", "market"], name="wake_unique")]
        indexes: ClassVar = [
            models.Index(fields=["market", "-below"], name="wake_below", condition=Q(below__isnull=False)),
            models.Index(fields=["market", "above"], name="wake_above", condition=Q(above__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.bot}: {self.below} / {self.above}"


class DerivedWake(models.Model):
    """The values of a derived series at which a sleeping bot wakes; `spec` says how it is made (trading.series)."""

    bot = models.ForeignKey(Bot, models.CASCADE, related_name="derived_wakes")
    name = models.CharField(max_length=40)  # as the strategy calls it
    spec: models.JSONField[Any, Any] = models.JSONField()
    below = models.FloatField(null=True)
    above = models.FloatField(null=True)
    markets = models.ManyToManyField(Market, related_name="+")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["bot", "name"], name="derived_wake_unique")]

    def __str__(self) -> str:
        return f"{self.bot}: {self.name} {self.below} / {self.above}"


class TrailWake(models.Model):
    """A trailing wake. Its peak is kept by whoever walks the prices and can be rebuilt from `since_ms` on.

    `below` / `above` bound the stretch of prices that concerns it at all while it is not armed yet.
    """

    bot = models.ForeignKey(Bot, models.CASCADE, related_name="trail_wakes")
    market = models.ForeignKey(Market, models.CASCADE, related_name="+")
    side = models.CharField(max_length=4)
    activation = models.FloatField(null=True)
    offset_ratio = models.FloatField(default=0)
    offset = models.FloatField(default=0)
    floor = models.FloatField(null=True)
    since_ms = models.BigIntegerField()  # market time

    class Meta:
        indexes: ClassVar = [models.Index(fields=["market"], name="trail_wake_market")]

    def __str__(self) -> str:
        return f"{self.bot}: trailing {self.side}"


class SignalWake(models.Model):
    """A signal whose change wakes a bot; `key` names the series, `spec` says how it is made (trading.series)."""

    bot = models.ForeignKey(Bot, models.CASCADE, related_name="signal_wakes")
    market = models.ForeignKey(Market, models.CASCADE, related_name="+")  # of a derived series: one row each
    timeframe_ms = models.IntegerField()
    key = models.CharField(max_length=120)
    name = models.CharField(max_length=80)  # as the strategy calls it
    spec: models.JSONField[Any, Any] = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["bot", "name", "market"], name="signal_wake_unique")]
        indexes: ClassVar = [models.Index(fields=["market", "timeframe_ms", "key"], name="signal_wake_series")]

    def __str__(self) -> str:
        return f"{self.bot}: {self.key}"


class AdviceAsk(models.Model):
    """A question of a bot's strategy to an adviser, and what became of it. Written with the decision that asks."""

    class Status(models.TextChoices):
        ASKED = "asked", "Asked"
        ANSWERING = "answering", "Being answered"  # a worker has it
        ANSWERED = "answered", "Answered"
        FAILED = "failed", "Failed"
        LATE = "late", "Too late"  # its deadline passed first

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="advice_asks")
    bot = models.ForeignKey(Bot, models.CASCADE, related_name="advice_asks")
    ask_id = models.CharField(max_length=80)  # the strategy's own name for it
    kind = models.CharField(max_length=40)
    payload: models.JSONField[Any, Any] = models.JSONField(default=dict)
    number = models.BigIntegerField()  # the decision that asked
    asked_ms = models.BigIntegerField()  # market time
    deadline_ms = models.BigIntegerField()  # market time
    deadline_at = models.DateTimeField()  # the same by the clock of the bot's engine
    advisor = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ASKED)
    value: models.JSONField[Any, Any] = models.JSONField(null=True)
    error = models.CharField(max_length=300, blank=True)
    latency_ms = models.IntegerField(null=True)
    cost = MoneyField(default=0)  # in USD, as the provider charges it
    claimed_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["bot", "ask_id"], name="advice_ask_unique")]
        indexes: ClassVar = [
            models.Index(
                fields=["status", "deadline_at"], name="advice_open", condition=Q(status__in=("asked", "answering"))
            ),
            models.Index(fields=["bot", "-id"], name="advice_bot"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ask_id} ({self.status})"


class Order(models.Model):
    """One wish of a bot, (bot, slot, generation), and what became of it. Written before it is sent."""

    class Status(models.TextChoices):
        DENIED = "denied", "Denied"  # by a risk rule; asked again
        PLANNED = "planned", "Planned"  # written down, not sent
        SENDING = "sending", "Sending"
        WORKING = "working", "Working"
        UNKNOWN = "unknown", "Unknown"  # sent, outcome not known
        FILLED = "filled", "Filled"
        CANCELLED = "cancelled", "Cancelled"
        REJECTED = "rejected", "Rejected"

    LIVE = ("planned", "sending", "working", "unknown")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="orders")
    account = models.ForeignKey(Account, models.PROTECT, related_name="orders")
    bot = models.ForeignKey(Bot, models.CASCADE, related_name="orders")
    market = models.ForeignKey(Market, models.PROTECT, related_name="+")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    slot = models.CharField(max_length=60)
    gen = models.IntegerField()
    attempt = models.IntegerField(default=1)
    number = models.BigIntegerField()  # the decision that asked for it
    client_order_id = models.CharField(max_length=36)
    exchange_order_id = models.CharField(max_length=64, blank=True)
    side = models.CharField(max_length=4)
    kind = models.CharField(max_length=12)
    tif = models.CharField(max_length=10, default="gtc")
    reduce = models.BooleanField(default=False)
    want: models.JSONField[Any, Any] = models.JSONField()  # the strategy's own words, floats on the grid
    qty = MoneyField()
    price = MoneyField(null=True)
    trigger = MoneyField(null=True)
    max_quote = MoneyField(null=True)  # the most that a buy of unknown price may cost: what its bot can pay
    filled_qty = MoneyField(default=0)
    filled_quote = MoneyField(default=0)
    lock_coin = models.CharField(max_length=16, blank=True)
    locked = MoneyField(default=0)  # of the bot's budget, while live
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PLANNED)
    reason = models.CharField(max_length=300, blank=True)
    current = models.BooleanField(default=True)  # the latest generation of its slot
    wanted = models.BooleanField(default=True)  # still among the orders of the last decision
    alias = models.CharField(max_length=40, default="main")  # the market's, in its strategy's words
    group = models.CharField(max_length=60, blank=True)
    leverage = MoneyField(default=1)
    expires_ms = models.BigIntegerField(null=True)
    # An amendment that is wanted: the whole new order in the strategy's words, until the venue has confirmed it.
    amend_want: models.JSONField[Any, Any] = models.JSONField(null=True)
    amend_qty = MoneyField(null=True)
    amend_price = MoneyField(null=True)
    amend_trigger = MoneyField(null=True)
    amend_sent_at = models.DateTimeField(null=True, blank=True)
    cancel_why = models.CharField(max_length=20, blank=True)  # set once a cancel is wanted
    cancel_sent_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bot", "slot", "gen"], name="order_wish_unique"),
            models.UniqueConstraint(fields=["account", "client_order_id"], name="order_client_id_unique"),
            models.CheckConstraint(condition=Q(qty__gt=0), name="order_qty_positive"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["account", "status"],
                name="order_live",
                condition=Q(status__in=("planned", "sending", "working", "unknown")),
            ),
            models.Index(fields=["bot", "-id"], name="order_bot"),
            models.Index(fields=["bot", "slot"], name="order_current", condition=Q(current=True)),
            models.Index(fields=["bot"], name="order_unsent", condition=Q(status="planned")),
            models.Index(
                fields=["bot"],
                name="order_cancel_unsent",
                condition=~Q(cancel_why="") & Q(cancel_sent_at=None, closed_at=None),
            ),
            models.Index(fields=["bot"], name="order_amend_unsent", condition=Q(amend_qty__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.slot}#{self.gen} {self.side} {plain(self.qty)} ({self.status})"

    @property
    def is_live(self) -> bool:
        return self.status in self.LIVE

    @property
    def by_hand(self) -> bool:
        """Say whether a person may cancel it: alive, not being cancelled, and not one of the engine's own."""
        return self.is_live and not self.cancel_why and not self.slot.startswith("engine:")


class Fill(models.Model):
    """One execution, booked once, in the order of the ids."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="fills")
    account = models.ForeignKey(Account, models.PROTECT, related_name="fills")
    bot = models.ForeignKey(Bot, models.CASCADE, related_name="fills")
    market = models.ForeignKey(Market, models.PROTECT, related_name="+")
    order = models.ForeignKey(Order, models.CASCADE, related_name="fills")
    exec_id = models.CharField(max_length=64)
    side = models.CharField(max_length=4)
    price = MoneyField()
    qty = MoneyField()
    fee = MoneyField()
    fee_coin = models.CharField(max_length=16)
    realised = MoneyField(default=0)  # gross, at average cost, in quote
    maker = models.BooleanField()
    ts_ms = models.BigIntegerField()  # market time
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "market", "exec_id"], name="fill_exec_unique"),
            models.CheckConstraint(condition=Q(qty__gt=0), name="fill_qty_positive"),
        ]
        indexes: ClassVar = [models.Index(fields=["bot", "-id"], name="fill_bot")]

    def __str__(self) -> str:
        return f"{self.side} {plain(self.qty)} at {plain(self.price)}"


class Position(models.Model):
    """A bot's holding on one market, derived from its fills: quantity, cost, and what it has earned so far (quote)."""

    bot = models.ForeignKey(Bot, models.CASCADE, related_name="positions")
    market = models.ForeignKey(Market, models.PROTECT, related_name="+")
    qty = MoneyField(default=0)
    cost = MoneyField(default=0)  # of the quantity held, gross
    realised = MoneyField(default=0)
    fees = MoneyField(default=0)
    funding = MoneyField(default=0)  # received and paid on a perpetual position, in quote
    margin = MoneyField(default=0)  # of the bot's quote, held by a perpetual position
    leverage = MoneyField(default=1)
    fills = models.IntegerField(default=0)
    first_price = MoneyField(null=True)  # at the bot's first decision, for buy-and-hold
    left_price = MoneyField(null=True)  # when the bot ended holding coins: they went to the account at this price

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["bot", "market"], name="position_unique")]

    def __str__(self) -> str:
        return f"{plain(self.qty)} {self.market.base}"


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
