"""Orders, fills, and the positions that derive from fills. An order stands here before it is sent anywhere."""

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
    amend_tries = models.IntegerField(default=0)  # how often the venue has refused it
    amend_after = models.DateTimeField(null=True, blank=True)  # its back-off: not asked again before
    cancel_why = models.CharField(max_length=20, blank=True)  # set once a cancel is wanted
    cancel_sent_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    unknown_at = models.DateTimeField(null=True, blank=True)  # since when its outcome is open
    lookups = models.IntegerField(default=0)  # how often the venue has been asked and didn't know it
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
            models.Index(fields=["id"], name="order_in_doubt", condition=Q(status__in=("sending", "unknown"))),
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
    def in_doubt(self) -> bool:
        """Say whether nobody knows what became of it."""
        return self.status in (self.Status.SENDING, self.Status.UNKNOWN) and self.unknown_at is not None

    @property
    def state_words(self) -> str:
        """Say how it stands in a trader's words, with what it waits for."""
        if self.cancel_why and self.is_live:
            return "Being cancelled"
        if self.in_doubt:
            return f"Outcome unknown, asking since {self.unknown_at:%H:%M:%S} UTC"
        if self.is_live and self.amend_tries and self.amend_after is not None:
            return f"{self.get_status_display()}; change refused, asked again at {self.amend_after:%H:%M:%S} UTC"
        return self.get_status_display()

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
