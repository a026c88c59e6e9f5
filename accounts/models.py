"""Who: users, workspaces (the tenant), their accounts at venues, and the event stream that pages are told from."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower


class WorkspaceQuerySet(models.QuerySet[Any]):
    """The one way to a tenant's rows."""

    def for_workspace(self, workspace: Workspace) -> WorkspaceQuerySet:
        return self.filter(workspace=workspace)


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. The e-mail address is the name to sign in with."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    is_demo = models.BooleanField(default=False)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(Lower("email"), name="user_email_unique")]

    def __str__(self) -> str:
        return self.email


class Workspace(models.Model):
    """The tenant: everything that is somebody's belongs to one."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    TRADER = "trader", "Trader"
    VIEWER = "viewer", "Viewer"


class Membership(models.Model):
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.OWNER)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["workspace", "user"], name="membership_unique")]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace} as {self.role}"


class Account(models.Model):
    """A connection to a venue. A paper account trades our own matcher against the prices of `feed`."""

    class Venue(models.TextChoices):
        PAPER = "paper", "Paper"
        PAPER_PROCESS = "paper_process", "Paper, in a process of its own"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="accounts")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=80)
    venue = models.CharField(max_length=32, choices=Venue.choices, default=Venue.PAPER)
    feed = models.CharField(max_length=64, default="demo")  # whose markets and prices it trades on
    quote = models.CharField(max_length=16, default="USDT")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["workspace", "name"], name="account_name_unique")]

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    """What happened, for pages and people: written in the transaction that made it happen.

    `seq` rises by one within a workspace and becomes visible in order, so that a page can ask for what it missed.
    """

    class Level(models.TextChoices):
        INFO = "info", "Info"
        SUCCESS = "success", "Success"
        WARNING = "warning", "Warning"
        ERROR = "error", "Error"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="events")
    seq = models.BigIntegerField()
    kind = models.CharField(max_length=40)  # "order.placed", "fill", "bot.started", "note", ...
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    bot = models.UUIDField(null=True, blank=True)  # public id: the bots app stands above this one
    text = models.CharField(max_length=500)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["workspace", "seq"], name="event_seq_unique")]
        indexes: ClassVar = [models.Index(fields=["bot", "-seq"], name="event_bot")]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"


class EventCounter(models.Model):
    """The last sequence given out in a workspace; its row lock makes the order of commits the order of numbers."""

    workspace = models.OneToOneField(Workspace, models.CASCADE, primary_key=True)
    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.workspace_id}: {self.last}"


class IdempotentCall(models.Model):
    """An API write that bore an Idempotency-Key, and its answer: sent again it is answered, not done again."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    key = models.CharField(max_length=80)
    digest = models.CharField(max_length=64)  # of method, path and body
    status = models.IntegerField(null=True)
    answer: models.JSONField[Any, Any] = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workspace", "user", "key"], name="idempotent_call_unique")
        ]

    def __str__(self) -> str:
        return self.key


class Installation(models.Model):
    """Which installation this database belongs to; one row. `settings.INSTALLATION_ID` names it from outside.

    A database that was copied or restored sends nothing until an operator has said so; then its order ids get a new
    epoch, so that no id of the other copy is ever used again.
    """

    installation_id = models.UUIDField(default=uuid.uuid4, editable=False)
    epoch = models.IntegerField(default=1)
    blocked = models.CharField(max_length=300, blank=True)  # why nothing is sent
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")

    def __str__(self) -> str:
        return str(self.installation_id)
