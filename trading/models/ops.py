"""How the runtime itself fares: what is held back and why, which jobs ran, which processes are alive."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from accounts.models import Account, User, Workspace, WorkspaceQuerySet
from bots.models import Bot


class Hold(models.Model):
    """Why a bot, or with `bot` null all bots of an account, may add no risk; cancels and exits stay allowed.

    Open until what caused it is settled, or, with `needs_person`, until somebody lifts it.
    """

    class Cause(models.TextChoices):
        UNKNOWN_ORDER = "unknown_order", "An order whose outcome is unknown"
        FOREIGN = "foreign", "Orders or trades that are not ours"
        BALANCE = "balance", "Balances that don't agree"
        FILLS = "fills", "Fills that don't agree"
        RECONCILE = "reconcile", "The venue can't be asked"
        CLOCK = "clock", "Clocks that don't agree"
        INSTALLATION = "installation", "A copied or restored database"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="holds")
    account = models.ForeignKey(Account, models.CASCADE, related_name="holds")
    bot = models.ForeignKey(Bot, models.CASCADE, null=True, blank=True, related_name="holds")
    cause = models.CharField(max_length=16, choices=Cause.choices)
    ref = models.CharField(max_length=80, blank=True)  # what it is about: an order's id, a coin, a market
    reason = models.CharField(max_length=300)  # for the owner: what happened, what it means, what to do
    needs_person = models.BooleanField(default=False)
    since = models.DateTimeField()
    seen_at = models.DateTimeField()  # when its cause was last found to stand
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    lifted_why = models.CharField(max_length=300, blank=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["bot", "cause", "ref"],
                name="hold_bot_unique",
                condition=Q(lifted_at=None, bot__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["account", "cause", "ref"],
                name="hold_account_unique",
                condition=Q(lifted_at=None, bot=None),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["workspace", "-since"], name="hold_workspace")]

    def __str__(self) -> str:
        return f"{self.bot or self.account}: {self.reason}"


class JobRun(models.Model):
    """One run of a scheduled job: when, how it ended, and what it did or repaired."""

    class Status(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    name = models.CharField(max_length=60)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.RUNNING)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    did = models.CharField(max_length=300, blank=True)
    error = models.CharField(max_length=300, blank=True)
    repairs = models.IntegerField(default=0)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["name", "-started_at"], name="job_run_name")]

    def __str__(self) -> str:
        return f"{self.name} {self.started_at:%Y-%m-%d %H:%M:%S} ({self.status})"


class ProcessSign(models.Model):
    """A process of this installation and its last sign of life. `worked_at` moves only when it has done some work:
    one that is connected and deaf shows life, but no work."""

    name = models.CharField(max_length=120, unique=True)  # kind@host:pid
    kind = models.CharField(max_length=16)  # web, worker, beat, streams, embedded
    queues = models.CharField(max_length=120, blank=True)
    release = models.CharField(max_length=40, blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    worked_at = models.DateTimeField(null=True, blank=True)
    done = models.BigIntegerField(default=0)
    clock_offset_ms = models.IntegerField(null=True, blank=True)  # its clock minus the database's
    facts: models.JSONField[Any, Any] = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["kind", "-seen_at"], name="process_sign_kind")]

    def __str__(self) -> str:
        return self.name
