"""Let a copied or restored database trade, after its operator has made sure that no other copy does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.installation import installation_check
from accounts.schema import schema_ensure
from trading.core.errors import InvalidInput
from trading.services.installing import copy_confirm


class Command(BaseCommand):
    help = "Confirm that this copied or restored database is the one that trades; its order ids get a new epoch."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-other-copy-runs", action="store_true", help="you have made sure of that")

    def handle(self, *args: Any, **options: Any) -> None:
        schema_ensure()
        installation_check()
        if not options["no_other_copy_runs"]:
            raise CommandError(
                "Stop every other copy of this installation first: two copies on one account trade against each other. "
                "Then say --no-other-copy-runs."
            )
        try:
            row = copy_confirm()
        except InvalidInput as fault:
            raise CommandError(fault.message) from None
        self.stdout.write(f"Confirmed: this database trades again, in epoch {row.epoch}.")
