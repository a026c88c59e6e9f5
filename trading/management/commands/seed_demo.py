"""Make the demo: its user, a paper account with money, the demo markets. Done again it changes nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import Account, User
from accounts.services import user_create, workspace_ensure
from exchanges.services import demo_clock_ensure, demo_markets_ensure
from trading.services.funding import paper_account_open

EMAIL, PASSWORD = "demo@binnacle.local", "demo-binnacle"  # well known on purpose: loopback only
BALANCE = Decimal(100_000)
ACCOUNT = "Demo"


class Command(BaseCommand):
    help = "Make the demo user, account and markets: in embedded mode on the loopback address only."

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.EMBEDDED and settings.LOOPBACK):
            raise CommandError(
                "The demo user has a well-known password: it is made only in embedded mode (no BROKER_URL) on the "
                f"loopback address, and HOST is {settings.HOST}."
            )
        with transaction.atomic():
            demo_clock_ensure()
            demo_markets_ensure()
            self._person()
        self.stdout.write(f"The demo is ready: {EMAIL}, password {PASSWORD}")

    def _person(self) -> None:
        user = User.objects.filter(email=EMAIL).first()
        if user is None:
            user = user_create(email=EMAIL, password=PASSWORD, name="Demo", demo=True)
        workspace = workspace_ensure(user).workspace
        if Account.objects.filter(workspace=workspace).exists():
            return
        paper_account_open(workspace=workspace, name=ACCOUNT, amount=BALANCE)
