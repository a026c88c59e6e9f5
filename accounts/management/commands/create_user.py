"""Create a person, and print the one-time link by which they set a password. There is no public sign-up."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.links import set_password_link
from accounts.models import User
from accounts.schema import schema_ensure
from accounts.services import user_create
from trading.core.errors import InvalidInput


class Command(BaseCommand):
    help = "Create a user and print a one-time link to set the password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="")
        parser.add_argument("--operator", action="store_true", help="may use the admin")
        parser.add_argument("--again", action="store_true", help="print a new link for a user who is there already")
        parser.add_argument("--base", default="", help="scheme and host of the link, such as https://bots.example.org")

    def handle(self, *args: Any, **options: Any) -> None:
        schema_ensure()
        user = self._known(options["email"]) if options["again"] else self._new(options)
        self.stdout.write(f"{user.email} can set a password here, once:")
        self.stdout.write(set_password_link(user, options["base"]))

    def _known(self, email: str) -> User:
        user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {email}")
        return user

    def _new(self, options: dict[str, Any]) -> User:
        try:
            return user_create(email=options["email"], password=None, name=options["name"], staff=options["operator"])
        except InvalidInput as error:
            hint = ". --again prints a new link" if error.code == "taken" else ""
            raise CommandError(f"{error.message}{hint}") from None
