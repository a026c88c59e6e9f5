"""`manage.py create_paper_account`: a paper account with practice money, here or at the venue's own process."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic import TypeAdapter

from accounts.models import User, Workspace
from accounts.schema import schema_ensure
from accounts.services import workspace_ensure
from exchanges.paper_process import process_client
from exchanges.services import demo_clock_adopt, demo_markets_ensure
from trading.core.errors import InvalidInput, VenueError
from trading.services.funding import paper_account_open
from trading.services.venue_accounts import process_account_open

_CLOCK = TypeAdapter(dict[str, str])


class Command(BaseCommand):
    help = "Open a paper account for somebody: at the venue within the platform, or at the one that is a process."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="EMAIL", help="in whose workspace")
        parser.add_argument("--name", default="Paper")
        parser.add_argument("--venue", choices=("here", "process"), default="here")
        parser.add_argument("--balance", default="100000", help="of USDT (default %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        schema_ensure()
        workspace, amount = self._workspace(options["user"]), _amount(options["balance"])
        try:
            if options["venue"] == "here":
                account = paper_account_open(workspace=workspace, name=options["name"], amount=amount)
            else:
                self._same_prices()
                account = process_account_open(workspace=workspace, name=options["name"], amount=amount)
        except (InvalidInput, VenueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{account.name} is open: {account.public_id}")

    def _workspace(self, email: str) -> Workspace:
        user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {email}")
        return workspace_ensure(user).workspace

    def _same_prices(self) -> None:
        """Take over the process's demo market; refuse when there is another one here already."""
        told = process_client().get("/clock", _CLOCK)["clock"]
        try:
            demo_clock_adopt(text=told)
        except InvalidInput as error:
            raise CommandError(
                f"The venue's prices wouldn't be those that bots see here: {error.message}. Start the venue with a "
                f"fresh database and this platform's clock: manage.py paper_venue --clock CLOCK"
            ) from error
        demo_markets_ensure()


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CommandError(f"--balance {text} is not a number") from None
