"""What is wanted: bots, and what happened to them that their next decision must see (the inbox)."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from accounts.fields import MoneyField
from accounts.models import Account, User, Workspace, WorkspaceQuerySet
from exchanges.models import Market


class Bot(models.Model):
    """A strategy with its parameters, an account, a market and a budget. Written by `bots.services`; never trades."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        STOPPING = "stopping", "Stopping"
        STOPPED = "stopped", "Stopped"
        ERROR = "error", "Error"

    class StopMode(models.TextChoices):
        KEEP = "keep", "Cancel orders, keep the coins"
        SELL = "sell", "Cancel orders, sell to quote"
        LEAVE = "leave", "Leave everything as it is"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="bots")
    account = models.ForeignKey(Account, models.PROTECT, related_name="bots")
    market = models.ForeignKey(Market, models.PROTECT, related_name="bots")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=80)
    strategy = models.CharField(max_length=40)
    params: models.JSONField[Any, Any] = models.JSONField(default=dict)
    timeframe_ms = models.IntegerField(default=60_000)
    budget = MoneyField()  # in the market's quote coin, reserved while the bot is alive
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    status_reason = models.CharField(max_length=300, blank=True)
    stop_mode = models.CharField(max_length=8, choices=StopMode.choices, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["workspace", "-created_at"], name="bot_workspace")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_alive(self) -> bool:
        return self.status in {self.Status.RUNNING, self.Status.PAUSED, self.Status.STOPPING}


class BotMarket(models.Model):
    """One market that a bot watches and may trade, under the alias by which its strategy calls it.

    Made with the bot from its strategy's needs; `position` is the order in those needs. The alias of Bot.market is
    among them.
    """

    bot = models.ForeignKey(Bot, models.CASCADE, related_name="bot_markets")
    alias = models.CharField(max_length=40)
    market = models.ForeignKey(Market, models.PROTECT, related_name="+")
    position = models.IntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["bot", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bot", "alias"], name="bot_market_alias_unique"),
            models.UniqueConstraint(fields=["bot", "market"], name="bot_market_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.alias} = {self.market}"


class BotInput(models.Model):
    """One entry of a bot's inbox: handed to exactly one decision, whose number it then bears."""

    bot = models.ForeignKey(Bot, models.CASCADE, related_name="inputs")
    kind = models.CharField(max_length=16)  # filled, closed, denied, advice, signal, command, woken
    payload: models.JSONField[Any, Any] = models.JSONField(default=dict)
    number = models.BigIntegerField(null=True, blank=True)  # the decision that saw it
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["bot", "id"], name="bot_input_open", condition=Q(number=None))]

    def __str__(self) -> str:
        return f"{self.kind} for bot {self.bot_id}"
