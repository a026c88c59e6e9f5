"""What `serve` runs once before it starts the process: refuse what is unsafe, migrate, make the demo."""

from __future__ import annotations

from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from config.launcher import REFUSED


class Command(BaseCommand):
    help = "Prepare the embedded database: refuse unsafe settings, migrate, make the demo user and its market."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.EMBEDDED:
            raise CommandError(
                "serve is for one machine without servers, but BROKER_URL is set: start the processes one by one "
                "(docs/operations.md), or unset BROKER_URL.",
                returncode=REFUSED,
            )
        open_to_others = not settings.LOOPBACK
        if open_to_others and settings.DEMO:
            raise CommandError(
                f"HOST is {settings.HOST}, which others can reach, and the demo user has a well-known password. "
                "Set DEMO=off to start without it, or HOST=127.0.0.1.",
                returncode=REFUSED,
            )
        call_command("migrate", interactive=False, verbosity=0)
        if open_to_others and User.objects.filter(is_demo=True).exists():
            raise CommandError(
                f"HOST is {settings.HOST}, which others can reach, and this data folder has the demo user, whose "
                "password is well known. Use a fresh BINNACLE_DATA, or HOST=127.0.0.1.",
                returncode=REFUSED,
            )
        if settings.DEMO:
            call_command("seed_demo", stdout=StringIO())  # the launcher says how to sign in
