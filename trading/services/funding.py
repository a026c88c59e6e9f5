"""Money into an account, into a bot's budget, and back."""

from __future__ import annotations

import uuid
from collections import defaultdict
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from accounts.models import Account, Workspace
from accounts.services import paper_account_create
from bots.models import Bot
from bots.selectors import ALIVE
from exchanges.paper import deposit, reset
from exchanges.prices import quotes_get
from trading.core.errors import InvalidInput
from trading.core.rounding import plain, to_decimal
from trading.models import Balance, LedgerEntry, Position
from trading.services.ledger import Leg, post


@transaction.atomic
def paper_account_fund(*, account: Account, coin: str, amount: Decimal) -> None:
    """Put practice money into a paper account: at its venue and in our books."""
    _check_here(account)
    if amount <= 0:
        raise InvalidInput(f"a deposit must be above 0, not {amount}", field="amount", value=amount)
    deposit(account, coin, amount)
    legs = [Leg("free", coin, amount), Leg("outside", coin, -amount)]
    post(account=account, kind="deposit", ref=f"deposit:{uuid.uuid4()}", legs=legs)


@transaction.atomic
def paper_account_open(*, workspace: Workspace, name: str, amount: Decimal) -> Account:
    """Open a paper account on the demo market with its practice money."""
    account = paper_account_create(workspace=workspace, name=name, starting_balance=amount)
    paper_account_fund(account=account, coin=account.quote, amount=amount)
    return account


@transaction.atomic
def paper_account_reset(*, account: Account, amount: Decimal) -> None:
    """Start a paper account anew with `amount` of its quote coin. What happened stays on record; bots must have ended.

    Raises InvalidInput while a bot of the account lives or still holds coins.
    """
    _check_here(account)
    own = Balance.objects.select_for_update().filter(account=account, bot=None).order_by("id")
    free = list(own)  # locked first: a bot that gets its budget at this moment is either seen below or waits
    holding = Balance.objects.filter(account=account).exclude(bot=None).exclude(amount=0).values("bot_id")
    busy = Bot.objects.filter(Q(status__in=ALIVE) | Q(status=Bot.Status.ERROR) | Q(pk__in=holding), account=account)
    names = list(busy.order_by("id").values_list("name", flat=True)[:3])
    if names:
        text = f"stop the bots of {account.name} first: {', '.join(names)}"
        raise InvalidInput(text, field="account", value=account.public_id, code="bots_alive")
    legs = []
    for row in free:
        legs += [Leg("free", row.coin, -row.amount), Leg("outside", row.coin, row.amount)]
    post(account=account, kind="withdraw", ref=f"withdraw:{uuid.uuid4()}", legs=legs)
    reset(account)
    paper_account_fund(account=account, coin=account.quote, amount=amount)


def _check_here(account: Account) -> None:
    """Refuse for an account whose money is at another venue: it can't be made or taken away here."""
    if account.venue == Account.Venue.PAPER_PROCESS:
        text = f"the money of {account.name} is at its venue ({account.get_venue_display()}): it can't be changed here"
        raise InvalidInput(text, field="account", value=account.public_id, code="another_venue")


@transaction.atomic
def budget_allocate(*, bot: Bot) -> None:
    """Reserve the bot's budget out of the account's free coins. Raises InvalidInput when they are not there."""
    coin = bot.market.quote
    row = Balance.objects.select_for_update().filter(account=bot.account, bot=None, coin=coin).first()
    free = row.amount if row else Decimal(0)
    if bot.budget > free:
        raise InvalidInput(
            f"the budget of {plain(bot.budget)} {coin} is more than the {plain(free)} {coin} free in {bot.account}",
            field="budget",
            value=bot.budget,
            code="budget_above_balance",
        )
    legs = [Leg("free", coin, -bot.budget), Leg("bot", coin, bot.budget, bot)]
    post(account=bot.account, kind="allocate", ref=f"allocate:{bot.public_id}", legs=legs)


@transaction.atomic
def budget_release(*, bot: Bot) -> bool:
    """Give back what the bot holds to its account; what isn't quote is marked at its last price from now on.

    The margin of a perpetual position that was left open stays with the bot. Returns whether anything moved.
    """
    positions = list(Position.objects.filter(bot=bot).select_related("market"))
    quotes = quotes_get([position.market_id for position in positions])
    margin: defaultdict[str, Decimal] = defaultdict(Decimal)
    for position in positions:
        margin[position.market.quote] += position.margin
        quote = quotes.get(position.market_id)
        open_still = position.market.perpetual and position.qty
        if quote is not None and position.left_price is None and not open_still:
            Position.objects.filter(pk=position.pk).update(left_price=to_decimal(quote.last))
    legs = []
    for row in Balance.objects.select_for_update().filter(bot=bot):
        amount = row.amount - margin[row.coin]
        legs += [Leg("bot", row.coin, -amount, bot), Leg("free", row.coin, amount)]
    if not any(leg.amount for leg in legs):
        return False
    # What comes late is released by itself: each release is named after the number of entries before it.
    entries = LedgerEntry.objects.filter(bot=bot).count()
    post(account=bot.account, kind="release", ref=f"release:{bot.public_id}:{entries}", legs=legs)
    return True
