"""What may not happen: halts (the kill switch), the limits of accounts, and the incidents that people look back at."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from accounts.fields import MoneyField
from accounts.models import Account, User, Workspace, WorkspaceQuerySet


class Incident(models.Model):
    """Something that people should know of afterwards: what happened, who did what, and how it ended."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, null=True, blank=True, related_name="incidents")
    kind = models.CharField(max_length=40)  # "kill_switch", ...
    title = models.CharField(max_length=200)
    detail: models.JSONField[Any, Any] = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["workspace", "-opened_at"], name="incident_workspace")]

    def __str__(self) -> str:
        return self.title


class Halt(models.Model):
    """The kill switch, pulled: nothing that adds risk is sent within its scope until a person re-arms it.

    A scope is named by what is set: a bot, an account, a workspace, or nothing for the whole platform.
    """

    class Scope(models.TextChoices):
        BOT = "bot", "Bot"
        ACCOUNT = "account", "Account"
        WORKSPACE = "workspace", "Workspace"
        PLATFORM = "platform", "Platform"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scope = models.CharField(max_length=10, choices=Scope.choices)
    workspace = models.ForeignKey(Workspace, models.CASCADE, null=True, blank=True, related_name="halts")
    account = models.ForeignKey(Account, models.CASCADE, null=True, blank=True, related_name="halts")
    bot = models.UUIDField(null=True, blank=True)  # public id: the bots app stands above this one
    reason = models.CharField(max_length=300)
    flatten = models.BooleanField(default=False)  # close positions at market, too
    foreign = models.BooleanField(default=False)  # cancel orders that aren't ours, too: chosen with their count shown
    incident = models.ForeignKey(Incident, models.PROTECT, related_name="halts")
    set_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    set_at = models.DateTimeField()
    rearmed_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    rearmed_at = models.DateTimeField(null=True, blank=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bot"], name="halt_bot_unique", condition=Q(rearmed_at=None, scope="bot")),
            models.UniqueConstraint(
                fields=["account"], name="halt_account_unique", condition=Q(rearmed_at=None, scope="account")
            ),
            models.UniqueConstraint(
                fields=["workspace"], name="halt_workspace_unique", condition=Q(rearmed_at=None, scope="workspace")
            ),
            models.UniqueConstraint(
                fields=["scope"], name="halt_platform_unique", condition=Q(rearmed_at=None, scope="platform")
            ),
            models.CheckConstraint(
                name="halt_names_its_scope",
                condition=Q(scope="bot", bot__isnull=False, workspace__isnull=False)
                | Q(scope="account", account__isnull=False, workspace__isnull=False, bot=None)
                | Q(scope="workspace", workspace__isnull=False, account=None, bot=None)
                | Q(scope="platform", workspace=None, account=None, bot=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} halted: {self.reason}"


class Limits(models.Model):
    """What the orders of a workspace, or of one of its accounts, may not exceed; empty: no limit of its own.

    An account's own limit counts beside its workspace's: the tighter one decides.
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="limits")
    account = models.OneToOneField(Account, models.CASCADE, null=True, blank=True, related_name="limits")
    max_order = MoneyField(null=True)  # of one order, in the quote coin
    max_position = MoneyField(null=True)  # of a bot's position on a market with its open buys, in the quote coin
    max_orders = models.IntegerField(null=True, blank=True)  # open at once, of a bot
    max_deviation = MoneyField(null=True)  # ratio: how far an order's price may stand from the last price

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace"], name="limits_workspace_unique", condition=Q(account=None))
        ]

    def __str__(self) -> str:
        return f"limits of {self.account or self.workspace}"
