"""Accounts at the paper venue's process: opened here and there, in steps of which each can be done again."""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction

from accounts.models import Account, Workspace
from accounts.services import paper_account_create
from exchanges.paper_process import process_venue
from trading.core.errors import InvalidInput
from trading.models import Journal
from trading.services.ledger import Leg, post

_OPENING = "opening"


def process_account_open(*, workspace: Workspace, name: str, amount: Decimal) -> Account:
    """Open an account at the process, with practice money. Under the same name again it goes on where it stopped.

    The money is there first, and in our books only once the venue has said so; no transaction is open meanwhile.
    Raises InvalidInput, or a VenueError: then do it again.
    """
    account = Account.objects.filter(workspace=workspace, name=name.strip()).first()
    if account is None:
        account = paper_account_create(workspace=workspace, name=name, starting_balance=amount)
        account.venue = Account.Venue.PAPER_PROCESS
        account.save(update_fields=["venue"])
    elif account.venue != Account.Venue.PAPER_PROCESS:
        raise InvalidInput(f"{account} is an account of another kind", field="name", value=name, code="taken")
    process_venue(account).deposit(_OPENING, account.quote, amount)
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        ref = f"deposit:{_OPENING}"
        if not Journal.objects.filter(account=account, ref=ref).exists():
            legs = [Leg("free", account.quote, amount), Leg("outside", account.quote, -amount)]
            post(account=account, kind="deposit", ref=ref, legs=legs)
    return account
