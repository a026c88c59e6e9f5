"""What a bot would do, and whether it may start: one answer for the wizard, the API and the presets.

An edge helper, like a view: it may read any app's selectors. `bots.services` judges what a bot can be at all; this
module judges what depends on the moment, the price and the money that is free.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from pydantic import BaseModel

from accounts.models import Account, User, Workspace
from bots.claims import claim_faults
from bots.history import closes_of, closes_wanted, history_faults
from bots.markets import Markets, field_of, main_market, markets_of_needs
from bots.models import Bot
from bots.parameters import params_of, strategy_of, under_params
from bots.services import bot_create, bot_edit, bot_start
from bots.values import account_check, budget_clean, timeframe_clean
from exchanges.models import Market
from exchanges.prices import Quote, quotes_get
from trading.core.errors import InvalidInput, InvalidInputs
from trading.core.needs import Needs
from trading.core.ports import Strategy
from trading.core.previews import MarketFacts, Preview
from trading.core.requirements import check_needs
from trading.core.rounding import plain, to_decimal
from trading.core.timeframes import MINUTE_MS
from trading.selectors import free_to_promise, markets_in_use

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a bot would do at this price. With `faults` it must not start; without a preview none could be made."""

    faults: tuple[InvalidInput, ...]
    preview: Preview | None = None
    params: BaseModel | None = None
    price: Decimal | None = None  # of the main market
    budget: Decimal | None = None
    needed: Decimal | None = None  # in quote, by the strategy's own reckoning
    free: Decimal | None = None  # in quote, neither reserved by a bot nor promised to one
    quote: str = ""
    main: Market | None = None
    markets: Markets = field(default_factory=dict)  # by alias

    def require(self) -> Preflight:
        """Raise the faults, if there are any."""
        if self.faults:
            raise InvalidInputs(self.faults)
        return self


@dataclass(frozen=True, slots=True)
class _Plan:
    """A strategy with typed parameters and the markets that they name."""

    strategy: Strategy
    params: BaseModel
    needs: Needs
    markets: Markets
    main: Market


def preview(
    *,
    workspace: Workspace,
    account: Account,
    market: Market | None,
    strategy: str,
    params: Mapping[str, Any],
    budget: Decimal | None = None,
    timeframe_ms: int = MINUTE_MS,
    own: Bot | None = None,
) -> Preflight:
    """Answer what such a bot would do at the current price, and every fault that can be told from here.

    Without a budget the bot gets what the strategy needs. `own` is the bot itself when it stands already.
    """
    quote = market.quote if market is not None else account.quote
    try:
        account_check(workspace, account)
    except InvalidInput as fault:
        return Preflight((fault,), quote=quote, main=market)
    try:
        plan = _plan(account, market, strategy, params)
        check_needs(plan.needs, timeframe_clean(timeframe_ms))
        facts, faults = _facts(plan, timeframe_clean(timeframe_ms), _sound(budget, plan.main))
        shown = _preview(plan, facts)
    except InvalidInput as fault:
        found = _with_budget(fault, budget, account, market, own)
        return Preflight(found, quote=quote, main=market)
    faults += claim_faults(account, plan.markets.values(), own)
    quote = plan.main.quote
    needed = shown.funds.get(quote, Decimal(0))
    wanted = needed.quantize(CENT, ROUND_UP) if budget is None else budget
    free = _free(account, quote, own)
    faults += _budget_faults(wanted, needed, free, account, plan.main)
    price = _main_price(plan, facts)
    return Preflight(tuple(faults), shown, plan.params, price, wanted, needed, free, quote, plan.main, plan.markets)


def _free(account: Account, quote: str, own: Bot | None) -> Decimal:
    """Return what the account may promise to a bot, the bot's own budget included when it stands already."""
    return free_to_promise(account, quote) + (own.budget if own is not None and own.is_alive else Decimal(0))


def _with_budget(
    fault: InvalidInput, budget: Decimal | None, account: Account, market: Market | None, own: Bot | None
) -> tuple[InvalidInput, ...]:
    """Return what is wrong, and beside it what is wrong with the budget already, whatever the parameters ask for."""
    faults = fault.faults if isinstance(fault, InvalidInputs) else (fault,)
    if budget is None or market is None or any(one.field == "budget" for one in faults):
        return tuple(faults)
    return (*faults, *_budget_faults(budget, Decimal(0), _free(account, market.quote, own), account, market))


def _plan(account: Account, market: Market | None, key: str, params: Mapping[str, Any]) -> _Plan:
    strategy = strategy_of(key)
    typed = params_of(strategy, params)
    markets = markets_of_needs(account, market, strategy, typed)
    needs = strategy.needs(typed)
    return _Plan(strategy, typed, needs, markets, main_market(needs, markets))


def _facts(plan: _Plan, timeframe_ms: int, budget: Decimal | None) -> tuple[dict[str, MarketFacts], list[InvalidInput]]:
    """Return what the preview may know of each market, and what is missing in their history.

    Raises InvalidInputs while one of them has no current price.
    """
    quotes = quotes_get([market.pk for market in plan.markets.values()])
    stale = [alias for alias, market in plan.markets.items() if not fresh(quotes.get(market.pk))]
    if stale:
        raise InvalidInputs([_no_price(plan, alias) for alias in stale])
    limit = closes_wanted(plan.needs)
    closes = {alias: closes_of(market, timeframe_ms, limit) for alias, market in plan.markets.items()}
    symbols = {alias: market.symbol for alias, market in plan.markets.items()}
    faults = history_faults(plan.needs, closes, symbols, timeframe_ms, plan.params)
    facts = {
        alias: MarketFacts(quotes[market.pk].last, market.rules, market.fees, market.symbol, closes[alias], budget)
        for alias, market in plan.markets.items()
    }
    return facts, faults


def _no_price(plan: _Plan, alias: str) -> InvalidInput:
    symbol = plan.markets[alias].symbol
    return InvalidInput(
        f"There is no current price of {symbol}; try again when its prices arrive",
        field=field_of(plan.needs.markets[alias].symbol, plan.params),
        value=symbol,
        code="no_price",
    )


def _preview(plan: _Plan, facts: Mapping[str, MarketFacts]) -> Preview:
    try:
        return plan.strategy.preview(plan.params, facts)
    except InvalidInput as fault:
        raise fault if fault.field == "market" else under_params(fault) from None


def _sound(budget: Decimal | None, market: Market) -> Decimal | None:
    """Return a budget that a bot can have at all; what is wrong with another one is told beside the preview."""
    try:
        return None if budget is None else budget_clean(budget, market)
    except InvalidInput:
        return None


def _main_price(plan: _Plan, facts: Mapping[str, MarketFacts]) -> Decimal:
    alias = next(alias for alias, market in plan.markets.items() if market.pk == plan.main.pk)
    return to_decimal(facts[alias].price)


def fresh(quote: Quote | None) -> bool:
    """Say whether a quote is young enough to act on."""
    return quote is not None and time.time() * 1000 - quote.received_ms <= settings.PRICE_MAX_AGE_MS


def _budget_faults(
    budget: Decimal, needed: Decimal, free: Decimal, account: Account, market: Market
) -> tuple[InvalidInput, ...]:
    try:
        budget_clean(budget, market)
    except InvalidInput as fault:
        return (fault,)
    faults = []
    if budget < needed:
        text = f"The budget of {plain(budget)} {market.quote} is less than the {plain(needed)} that these orders need"
        faults.append(InvalidInput(text, field="budget", value=budget, code="budget_too_low"))
    if budget > free:
        text = f"The budget of {plain(budget)} {market.quote} is more than the {plain(free)} free in {account.name}"
        faults.append(InvalidInput(text, field="budget", value=budget, code="budget_above_balance"))
    return tuple(faults)


def check(bot: Bot) -> Preflight:
    """Look again at a bot that stands in the database."""
    return preview(
        workspace=bot.workspace,
        account=bot.account,
        market=bot.market,
        strategy=bot.strategy,
        params=bot.params,
        budget=bot.budget,
        timeframe_ms=bot.timeframe_ms,
        own=bot,
    )


@transaction.atomic
def open_bot(
    *,
    workspace: Workspace,
    account: Account,
    market: Market | None,
    strategy: str,
    params: Mapping[str, Any],
    name: str,
    budget: Decimal | None,
    timeframe_ms: int = MINUTE_MS,
    by: User,
    start: bool = False,
) -> Bot:
    """Create a bot after the check of the moment, and start it when asked to: all of it or nothing."""
    wish: dict[str, Any] = {"account": account, "market": market, "strategy": strategy, "params": params}
    wish["timeframe_ms"] = timeframe_ms
    seen = preview(workspace=workspace, budget=budget, **wish).require()
    bot = bot_create(workspace=workspace, name=name, budget=seen.budget or Decimal(0), created_by=by, **wish)
    return bot_start(bot=bot, by=by) if start else bot


@transaction.atomic
def edit_bot(*, bot: Bot, by: User | None, changes: Mapping[str, Any], revision: str = "") -> Bot:
    """Edit a bot. With its new figures it must be able to start, or (when it lives) to go on with what it holds."""
    before = bot_terms(bot)
    edited = bot_edit(bot=bot, by=by, changes=changes, revision=revision)
    if set(changes) - {"name"}:
        _check_held(edited, before)
        check(edited).require()
    return edited


Terms = tuple[set[int], float]


def bot_terms(bot: Bot) -> Terms:
    """Return what an edit must not change under an open position: the bot's markets and its leverage."""
    plan = strategy_of(bot.strategy)
    leverage = plan.needs(params_of(plan, bot.params)).leverage
    return set(bot.bot_markets.values_list("market_id", flat=True)), leverage


def _check_held(bot: Bot, before: Terms) -> None:
    faults = _held_faults(bot, before, bot_terms(bot))
    if faults:
        raise InvalidInputs(faults)


def held_faults(bot: Bot, seen: Preflight) -> list[InvalidInput]:
    """Return why the bot can't change to what was seen while it holds what it holds."""
    if seen.params is None:
        return []
    leverage = strategy_of(bot.strategy).needs(seen.params).leverage
    return _held_faults(bot, bot_terms(bot), ({market.pk for market in seen.markets.values()}, leverage))


def _held_faults(bot: Bot, before: Terms, after: Terms) -> list[InvalidInput]:
    (old_markets, old_leverage), (markets, leverage) = before, after
    in_use = markets_in_use(bot)
    faults = []
    gone = sorted(market.symbol for market in in_use if market.pk in old_markets - markets)
    if gone:
        text = f"{bot.name} holds or has orders on {gone[0]}: that market can't go until they have ended"
        faults.append(InvalidInput(text, field="params", value=gone[0], code="market_in_use"))
    if leverage != old_leverage and any(market.perpetual for market in in_use):
        text = f"The leverage stays {old_leverage:g} while a position is open or an order rests"
        faults.append(InvalidInput(text, field="params.leverage", value=leverage, code="market_in_use"))
    return faults


@transaction.atomic
def start_bot(*, bot: Bot, by: User | None) -> Bot:
    """Start a draft after looking at the price and the free money once more."""
    if bot.status == Bot.Status.DRAFT:
        check(bot).require()
    return bot_start(bot=bot, by=by)
