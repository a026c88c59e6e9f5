"""The moving part of each bot: state, lease, what wakes it, what it has asked advisers."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from accounts.fields import MoneyField
from accounts.models import Workspace, WorkspaceQuerySet
from bots.models import Bot
from exchanges.models import Market


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
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="runtime_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["not_before"], name="runtime_waits", condition=Q(not_before__isnull=False)),
        ]

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
